/** How many prefixes a neighbour has told, against how many it may: RFC 4486 section 4, Maximum Number of Prefixes Reached. */

import { afiOf, FAMILIES, FAMILY_INDICES, type FamilyIndex } from '../bgp/families.js';
import type { MaxPrefixes } from '../bgp/policyTypes.js';
import type { PeerRouting } from './engineTypes.js';

export interface PrefixFinding {
  readonly family: FamilyIndex;
  readonly count: number;
  readonly limit: MaxPrefixes;
  /** The limit is passed; otherwise only the number from which on to warn. */
  readonly isExceeded: boolean;
}

/** Levels that have been spoken of, so that each is spoken of once until the number has fallen below it again. */
export type PrefixLevels = [number, number];

const Fine = 0;
const Warned = 1;
const Exceeded = 2;

/**
 * What is new since the last look.
 * @param received prefixes held from the peer, by family @param levels of the last look; changed in place
 */
export function checkPrefixes(
  received: (family: FamilyIndex) => number,
  { maxPrefixes }: PeerRouting,
  levels: PrefixLevels,
): PrefixFinding[] {
  if (maxPrefixes === undefined) return [];
  const findings: PrefixFinding[] = [];
  for (const family of FAMILY_INDICES) {
    const limit = maxPrefixes[FAMILIES[family]];
    if (limit === undefined) continue;
    const count = received(family);
    const level = levelOf(count, limit);
    if (level > levels[family]) findings.push({ family, count, limit, isExceeded: level === Exceeded });
    levels[family] = level;
  }
  return findings;
}

function levelOf(count: number, { limit, warnAt }: MaxPrefixes): number {
  if (count > limit) return Exceeded;
  return warnAt !== undefined && count >= warnAt ? Warned : Fine;
}

/** Data of the NOTIFICATION (RFC 4486 section 4): AFI, SAFI and the upper bound. */
export function prefixLimitData(family: FamilyIndex, limit: number): Uint8Array {
  const data = new Uint8Array(7);
  const view = new DataView(data.buffer);
  view.setUint16(0, afiOf(family));
  view.setUint8(2, 1);
  view.setUint32(3, limit);
  return data;
}
