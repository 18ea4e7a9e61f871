/** Sets whose elements never change, named by them: blocks of addresses, and ports. Pure. */

import { PROTOCOL_NUMBERS, portOctets } from '../../kernel/nftables/elements.js';
import type { SetShape } from '../../kernel/nftables/messages.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import type { PortMatch } from '../policyTypes.js';
import { next, type AddressRange } from './addressRanges.js';
import { digestOf } from './contentNames.js';
import { closingKey, openingKey } from './setElements.js';

export interface ContentSet {
  readonly shape: SetShape;
  /** As `setElements.ts` writes them. */
  readonly elements: readonly string[];
}

export function blockSet(ranges: readonly AddressRange[], family: Family): ContentSet {
  const elements = ranges.flatMap(({ first, last }) => {
    const end = next(last);
    return end === undefined ? [openingKey(first)] : [openingKey(first), closingKey(end)];
  });
  const key = [family === 4 ? 'ipv4_addr' : 'ipv6_addr'] as const;
  return { shape: { name: `blocks-${digestOf(elements)}`, key, ranges: true }, elements };
}

export type PortRange = Extract<PortMatch, { kind: 'range' }>;

/** @param ports single ones */
export function portSet(ports: readonly PortRange[]): ContentSet {
  const elements = ports.map(
    ({ protocol, first }) => `${String.fromCharCode(PROTOCOL_NUMBERS[protocol], 0, 0, 0)}${portOctets(first)}`,
  );
  return { shape: { name: `ports-${digestOf(elements)}`, key: ['inet_proto', 'inet_service'] }, elements };
}

/** In order of protocol and port, overlapping and touching ones made one. */
export function mergedPorts(ranges: readonly PortRange[]): readonly PortRange[] {
  const sorted = [...ranges].sort(
    (a, b) => PROTOCOL_NUMBERS[a.protocol] - PROTOCOL_NUMBERS[b.protocol] || a.first - b.first,
  );
  const merged: PortRange[] = [];
  for (const range of sorted) {
    const before = merged.at(-1);
    if (before?.protocol === range.protocol && range.first <= before.last + 1)
      merged[merged.length - 1] = { ...before, last: Math.max(before.last, range.last) };
    else merged.push(range);
  }
  return merged;
}
