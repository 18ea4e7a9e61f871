/** Routes, next hops and RIB batches from text, as FIB tests write them. */

import { parseAddress, parsePrefix, type IpAddress, type IpPrefix } from '../../../src/core/ip.js';
import type { NextHopSet, RibChanges } from '../../../src/rib/changes.js';

export function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export function nextHops(id: number, ...texts: readonly string[]): NextHopSet {
  return { id, nextHops: texts.map(address) };
}

/** A batch of one family, from prefixes as text. */
export function changes(routes: Readonly<Record<string, number>>, definitions: readonly NextHopSet[] = []): RibChanges {
  const rows = Object.entries(routes).map(([text, set]) => ({ ...prefix(text), set }));
  return {
    family: rows[0]?.address.version === 6 ? 1 : 0,
    count: rows.length,
    addresses: Uint32Array.from(
      rows.flatMap(row => (row.address.version === 4 ? [row.address.value] : row.address.words)),
    ),
    lengths: Uint8Array.from(rows, row => row.length),
    nextHopSets: Uint32Array.from(rows, row => row.set),
    definitions,
  };
}
