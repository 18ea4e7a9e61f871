/**
 * NLRI between octets and the Loc-RIB (RFC 4271 section 4.3, RFC 4760 section 5, RFC 7911 section 3), in place.
 *
 * The scanner has checked lengths and bounds; host bits may be set and are cleared here.
 */

import type { AttrId } from './attributeStore.js';
import type { LocRib } from './locRib.js';
import type { PeerId } from './peerTable.js';
import type { ImportFilter } from './policy/importFilter.js';
import type { PrefixTable } from './prefixTable.js';

/** AttrId that stands for "withdraw" in {@link applyNlri}. */
export const WITHDRAW = 0 as AttrId;

/**
 * Applies a run of NLRI from one peer to its family's RIB.
 * @param start @param end offsets into `octets` @param attr attributes for all of them, or {@link WITHDRAW}
 * @param flags bits of PathFlag for the new paths @param addPath each NLRI begins with a four-octet path identifier
 * @param filter the peer's import policy, if it has one that concerns these attributes
 */
export function applyNlri(
  rib: LocRib,
  octets: Uint8Array,
  start: number,
  end: number,
  peer: PeerId,
  attr: AttrId,
  flags: number,
  addPath: boolean,
  filter?: ImportFilter,
): void {
  if (rib.family === 0) applyNlri4(rib, octets, start, end, peer, attr, flags, addPath, filter);
  else applyNlri6(rib, octets, start, end, peer, attr, flags, addPath, filter);
}

/** NLRI whose slots are touched before they are looked up. */
const AHEAD = 32;

/** Touches up to {@link AHEAD} NLRI. @returns the offset behind them */
function touchNlri4({ prefixes }: LocRib, octets: Uint8Array, start: number, end: number, addPath: boolean): number {
  let at = start;
  let sum = 0;
  for (let i = 0; i < AHEAD && at < end; i++) {
    if (addPath) at += 4;
    const length = octets[at++]!;
    let address = 0;
    if (length > 0) address = octets[at++]! << 24;
    if (length > 8) address |= octets[at++]! << 16;
    if (length > 16) address |= octets[at++]! << 8;
    if (length > 24) address |= octets[at++]!;
    sum ^= prefixes.touch4(address, length);
  }
  prefixes.touched = sum;
  return at;
}

/** As {@link touchNlri4}. */
function touchNlri6({ prefixes }: LocRib, octets: Uint8Array, start: number, end: number, addPath: boolean): number {
  let at = start;
  let sum = 0;
  for (let i = 0; i < AHEAD && at < end; i++) {
    if (addPath) at += 4;
    const length = octets[at++]!;
    const stop = at + ((length + 7) >> 3);
    const w0 = maskedWord(octets, at, stop, length);
    const w1 = length > 32 ? maskedWord(octets, at + 4, stop, length - 32) : 0;
    const w2 = length > 64 ? maskedWord(octets, at + 8, stop, length - 64) : 0;
    const w3 = length > 96 ? maskedWord(octets, at + 12, stop, length - 96) : 0;
    sum ^= prefixes.touch6(w0, w1, w2, w3, length);
    at = stop;
  }
  prefixes.touched = sum;
  return at;
}

function applyNlri4(
  rib: LocRib,
  octets: Uint8Array,
  start: number,
  end: number,
  peer: PeerId,
  attr: AttrId,
  flags: number,
  addPath: boolean,
  filter: ImportFilter | undefined,
): void {
  const { prefixes } = rib;
  let at = start;
  let ahead = start;
  while (at < end) {
    if (at === ahead) ahead = touchNlri4(rib, octets, at, end, addPath);
    let pathId = 0;
    if (addPath) {
      pathId = word(octets, at) >>> 0;
      at += 4;
    }
    const length = octets[at++]!;
    let address = 0;
    if (length > 0) address = octets[at++]! << 24;
    if (length > 8) address |= octets[at++]! << 16;
    if (length > 16) address |= octets[at++]! << 8;
    if (length > 24) address |= octets[at++]!;
    if (length < 32) address &= length === 0 ? 0 : -1 << (32 - length);
    if (attr === WITHDRAW) {
      const prefix = prefixes.find4(address, length);
      if (prefix !== 0) rib.withdraw(prefix, peer, pathId);
    } else if (filter === undefined) rib.announce(prefixes.idOf4(address, length), peer, pathId, attr, flags);
    else rib.announceFiltered(prefixes.idOf4(address, length), peer, pathId, attr, flags, filter);
  }
}

function applyNlri6(
  rib: LocRib,
  octets: Uint8Array,
  start: number,
  end: number,
  peer: PeerId,
  attr: AttrId,
  flags: number,
  addPath: boolean,
  filter: ImportFilter | undefined,
): void {
  const { prefixes } = rib;
  let at = start;
  let ahead = start;
  while (at < end) {
    if (at === ahead) ahead = touchNlri6(rib, octets, at, end, addPath);
    let pathId = 0;
    if (addPath) {
      pathId = word(octets, at) >>> 0;
      at += 4;
    }
    const length = octets[at++]!;
    const stop = at + ((length + 7) >> 3);
    const w0 = maskedWord(octets, at, stop, length);
    const w1 = length > 32 ? maskedWord(octets, at + 4, stop, length - 32) : 0;
    const w2 = length > 64 ? maskedWord(octets, at + 8, stop, length - 64) : 0;
    const w3 = length > 96 ? maskedWord(octets, at + 12, stop, length - 96) : 0;
    at = stop;
    if (attr === WITHDRAW) {
      const prefix = prefixes.find6(w0, w1, w2, w3, length);
      if (prefix !== 0) rib.withdraw(prefix, peer, pathId);
    } else if (filter === undefined) rib.announce(prefixes.idOf6(w0, w1, w2, w3, length), peer, pathId, attr, flags);
    else rib.announceFiltered(prefixes.idOf6(w0, w1, w2, w3, length), peer, pathId, attr, flags, filter);
  }
}

/** Octets one NLRI of this prefix takes, without a path identifier. */
export function nlriSize(length: number): number {
  return 1 + ((length + 7) >> 3);
}

/** Writes the NLRI of a prefix. @returns the offset behind it */
export function writeNlri(prefixes: PrefixTable, prefix: number, out: Uint8Array, at: number): number {
  const length = prefixes.lengths[prefix]!;
  out[at++] = length;
  const base = prefix * prefixes.stride;
  let left = (length + 7) >> 3;
  for (let i = base; left > 0; i++, left -= 4) {
    const value = prefixes.words[i]!;
    out[at++] = value >>> 24;
    if (left > 1) out[at++] = value >>> 16;
    if (left > 2) out[at++] = value >>> 8;
    if (left > 3) out[at++] = value;
  }
  return at;
}

function word(octets: Uint8Array, at: number): number {
  return (octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!;
}

/** The next up to four octets before `stop` as a word, with all but its first `bits` bits cleared. */
function maskedWord(octets: Uint8Array, at: number, stop: number, bits: number): number {
  let value = 0;
  if (at < stop) value = octets[at]! << 24;
  if (at + 1 < stop) value |= octets[at + 1]! << 16;
  if (at + 2 < stop) value |= octets[at + 2]! << 8;
  if (at + 3 < stop) value |= octets[at + 3]!;
  return bits >= 32 ? value : bits <= 0 ? 0 : value & (-1 << (32 - bits));
}
