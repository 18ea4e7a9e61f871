/** What a command line flag is: a row of the tables beside this file. Pure. */

import { err, ok, type Result } from '../../core/result.js';
import type { GoValue } from './goValues.js';

export type FlagValue = boolean | number | string | readonly number[] | readonly string[];

/** A flag of the command line, read and checked. */
export interface GivenFlag {
  readonly value: FlagValue;
  /** What stands at the flag's target in the configuration; undefined where it would say nothing. */
  readonly setting: unknown;
}

/** The flags that were given, by name without dashes. */
export type GivenFlags = ReadonlyMap<string, GivenFlag>;

/** `works`: as in kube-router. `different`: accepted, and what it does here stands in the note. */
export type FlagStatus = 'works' | 'different';

/** In the order of the help. */
export const FLAG_GROUPS = [
  'Cluster',
  'Peers',
  'BGP',
  'Announcements',
  'Node network',
  'Load balancer',
  'Health and metrics',
  'Service proxy',
  'Firewall',
] as const;
export type FlagGroup = (typeof FLAG_GROUPS)[number];

export interface Flag {
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  readonly group: FlagGroup;
  /** As kube-router's documentation writes it. */
  readonly upstreamDefault: string;
  /** Where ours is another. */
  readonly ownDefault?: string;
  /** For the help: a few words without a full stop. */
  readonly meaning: string;
  readonly status: FlagStatus;
  /** Said at start when the flag is given and has no effect, or another one: the end of a sentence that begins with the flag. */
  readonly note?: string;
  /** Where the configuration file says the same: `kubernetes.advertise.clusterIp`. */
  readonly target?: string;
  /** For the help: `<duration>`; empty for a switch. */
  readonly placeholder: string;
  readonly isList: boolean;
  /** Its value is never shown. */
  readonly isSecret: boolean;
  /** @returns what was given, or what is wrong as the end of a sentence that begins with flag and text */
  read(texts: readonly string[]): Result<GivenFlag, string>;
}

export interface FlagSpec<T> {
  readonly group: FlagGroup;
  readonly default: string;
  readonly ownDefault?: string;
  readonly meaning: string;
  readonly short?: string;
  readonly status?: FlagStatus;
  readonly note?: string;
  readonly target?: string;
  readonly isSecret?: boolean;
  /** @returns what is wrong with a value of the right kind */
  readonly check?: (value: T) => string | undefined;
  /** From the flag's value to the setting's. @returns undefined where the file would say nothing */
  readonly to?: (value: T) => unknown;
}

export function flag<T extends FlagValue>(name: string, kind: GoValue<T>, spec: FlagSpec<T>): Flag {
  const { check, to, default: upstreamDefault, status = 'works', isSecret = false, ...rest } = spec;
  return {
    ...rest,
    name,
    upstreamDefault,
    status,
    isSecret,
    placeholder: kind.placeholder,
    isList: kind.isList,
    read: texts => {
      const result = kind.read(texts);
      if (!result.ok) return result;
      const wrong = check?.(result.value);
      if (wrong !== undefined) return err(wrong);
      return ok({ value: result.value, setting: to === undefined ? result.value : to(result.value) });
    },
  };
}
