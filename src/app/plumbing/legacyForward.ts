/** Opens the FORWARD chain of legacy iptables for pods, as forward.ts does for the rest. */

import type { LegacyForward, LegacyIptables } from '../../kernel/legacyForward.js';
import { FORWARD_COMMENT, WARNING, type ForwardOutcome } from './forward.js';

const VERSIONS = [4, 6] as const;
const DIRECTIONS = ['-i', '-o'] as const;

/** @returns rejects with ProgramError */
export async function openLegacyForward(
  iptables: LegacyIptables,
  bridge: string,
  mayOpen: boolean,
): Promise<ForwardOutcome> {
  const [opened, complaints]: [string[], string[]] = [[], []];
  for (const version of VERSIONS) {
    const found = await iptables.forward(version);
    const missing = DIRECTIONS.filter(direction => found?.policy === 'DROP' && !acceptsAll(found, direction, bridge));
    if (missing.length === 0) continue;
    const name = `FORWARD of legacy ${version === 4 ? 'iptables' : 'ip6tables'}`;
    if (!mayOpen) {
      complaints.push(`chain ${name} ${WARNING}`);
      continue;
    }
    for (const direction of missing) await iptables.change(version, 'append', ruleFor(direction, bridge));
    opened.push(name);
  }
  return { opened, complaints };
}

/** Takes our rules out again. @returns the chains they were in */
export async function closeLegacyForward(iptables: LegacyIptables): Promise<readonly string[]> {
  const closed: string[] = [];
  for (const version of VERSIONS) {
    const ours = (await iptables.forward(version))?.rules.flatMap(rule => OURS.exec(rule) ?? []) ?? [];
    const rules = [...new Set(ours)];
    for (const rule of rules) {
      const [direction, bridge] = rule.split(' ');
      if (direction !== undefined && bridge !== undefined)
        await iptables.change(version, 'delete', ruleFor(direction, bridge));
    }
    if (rules.length > 0) closed.push(`FORWARD of legacy ${version === 4 ? 'iptables' : 'ip6tables'}`);
  }
  return closed;
}

function ruleFor(direction: string, bridge: string): readonly string[] {
  return [direction, bridge, '-m', 'comment', '--comment', FORWARD_COMMENT, '-j', 'ACCEPT'];
}

/** Direction and bridge of a rule of ours. */
const OURS = new RegExp(`^-[io] \\S+(?= -m comment --comment "${FORWARD_COMMENT}" -j ACCEPT$)`);

/** Also a rule of somebody else. */
function acceptsAll({ rules }: LegacyForward, direction: string, bridge: string): boolean {
  return rules.some(
    rule => rule.replace(/ -m comment --comment ("[^"]*"|\S+)/, '') === `${direction} ${bridge} -j ACCEPT`,
  );
}
