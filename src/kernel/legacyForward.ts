/**
 * The FORWARD chain of legacy iptables, through iptables-legacy(8) and ip6tables-legacy(8): its tables are the kernel's own
 * (ip_tables), and nftables knows nothing of them. Impure.
 */

import { readFileSync } from 'node:fs';
import { ProgramError, runProgram } from './runProgram.js';

export interface LegacyForward {
  /** `ACCEPT` or `DROP`. */
  readonly policy: string;
  /** As `iptables -S` prints them, without `-A FORWARD`. */
  readonly rules: readonly string[];
}

export interface LegacyIptables {
  /** @returns undefined where the kernel has no such table, or nobody is there to ask; rejects with ProgramError */
  forward(version: 4 | 6): Promise<LegacyForward | undefined>;
  /** Puts a rule at the end of FORWARD, or takes out one that is the same. Rejects with ProgramError. */
  change(version: 4 | 6, command: 'append' | 'delete', rule: readonly string[]): Promise<void>;
}

/** @param prefix before the programs, such as `['ip', 'netns', 'exec', 'NAME']`  @param tables names of the tables the kernel has */
export function openLegacyIptables(
  prefix: readonly string[] = [],
  tables: (version: 4 | 6) => string = tableNames,
): LegacyIptables {
  const program = (version: 4 | 6): readonly string[] => [
    ...prefix,
    version === 4 ? 'iptables-legacy' : 'ip6tables-legacy',
    '-w',
  ];
  return {
    forward: async version => {
      // Asking for a table would make it.
      if (!tables(version).split('\n').includes('filter')) return undefined;
      try {
        return parseForward(await runProgram(program(version), ['-S', 'FORWARD']));
      } catch (error) {
        if (error instanceof ProgramError && error.isMissing) return undefined;
        throw error;
      }
    },
    change: async (version, command, rule) => {
      await runProgram(program(version), [command === 'append' ? '-A' : '-D', 'FORWARD', ...rule]);
    },
  };
}

/** Reads what `iptables -S FORWARD` prints. */
export function parseForward(text: string): LegacyForward {
  const lines = text.split('\n');
  const policy = lines.find(line => line.startsWith('-P FORWARD '))?.slice('-P FORWARD '.length) ?? 'ACCEPT';
  return {
    policy,
    rules: lines.flatMap(line => (line.startsWith('-A FORWARD ') ? [line.slice('-A FORWARD '.length)] : [])),
  };
}

/** Of the network namespace of this thread. */
function tableNames(version: 4 | 6): string {
  try {
    return readFileSync(`/proc/thread-self/net/${version === 4 ? 'ip' : 'ip6'}_tables_names`, 'utf8');
  } catch {
    return '';
  }
}
