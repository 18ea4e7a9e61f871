/**
 * What kernel switches said before they were set, in a small file that ends with the boot as the switches do: so that a
 * later process, and the cleanup, know what to put back.
 */

import { mkdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Switches } from '../../kernel/sysctl.js';
import { deleteIfThere, readIfThere, writeAtomically } from './atomicFile.js';
import type { WantedSwitch } from './switchPlan.js';

const Memory = z.object({ switches: z.record(z.string(), z.object({ before: z.string(), set: z.string() })) });
type Remembered = z.infer<typeof Memory>['switches'];

/** Switches are of a network namespace, of which several may share a folder. @param directory as in the options */
function stateFile(directory: string): string {
  const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/net'))?.[0] ?? 'none';
  return join(directory, `switches-${namespace}.json`);
}

/** An unreadable file is as good as none: what it said cannot be known. @throws the system's error when it is there but closed to us */
function recall(directory: string): Remembered {
  const text = readIfThere(stateFile(directory));
  if (text === undefined) return {};
  try {
    return Memory.parse(JSON.parse(text)).switches;
  } catch {
    return {};
  }
}

export interface SwitchOutcome {
  readonly set: readonly WantedSwitch[];
  /** Of those that were set: which were set before, and were changed by somebody else. */
  readonly drifted: readonly string[];
  readonly failures: ReadonlyMap<string, string>;
}

/** Sets what differs, and remembers what was there before it is set. @throws the system's error when nothing can be remembered */
export function setSwitches(switches: Switches, wanted: readonly WantedSwitch[], directory: string): SwitchOutcome {
  const due = wanted.filter(([name, value]) => switches.read(name) !== value);
  if (due.length === 0) return { set: [], drifted: [], failures: new Map() };
  const known = recall(directory);
  // What we set to another value before still goes back to what it said before that.
  const news = due.filter(([name, set]) => known[name]?.set !== set);
  const additions = news.map(
    ([name, set]) => [name, { before: known[name]?.before ?? switches.read(name) ?? '', set }] as const,
  );
  if (news.length > 0) remember(directory, { ...known, ...Object.fromEntries(additions) });
  const failures = new Map<string, string>();
  for (const [name, value] of due) {
    try {
      switches.write(name, value);
    } catch (error) {
      failures.set(name, error instanceof Error ? error.message : String(error));
    }
  }
  const set = due.filter(([name]) => !failures.has(name));
  return { set, drifted: set.filter(([name, value]) => known[name]?.set === value).map(([name]) => name), failures };
}

/**
 * Puts back what was there before, last first, and forgets it. What somebody else has set since is left as it is.
 * @returns what was put back
 */
export function restoreSwitches(switches: Switches, directory: string): SwitchOutcome {
  const failures = new Map<string, string>();
  const set: WantedSwitch[] = [];
  for (const [name, { before, set: ours }] of Object.entries(recall(directory)).reverse()) {
    if (switches.read(name) !== ours) continue;
    try {
      switches.write(name, before);
      set.push([name, before]);
    } catch (error) {
      failures.set(name, error instanceof Error ? error.message : String(error));
    }
  }
  if (failures.size === 0) deleteIfThere(stateFile(directory));
  return { set, drifted: [], failures };
}

function remember(directory: string, switches: Remembered): void {
  mkdirSync(directory, { recursive: true });
  writeAtomically(stateFile(directory), `${JSON.stringify({ switches }, null, 2)}\n`);
}
