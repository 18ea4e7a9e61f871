/** Writing of attribute blocks in normal form (see UpdateRecord.block). */

import type { UpdateRecord } from '../updateRecord.js';
import { Flag } from './iana.js';

/** Longest attribute with a length of one octet. */
const SHORT = 255;

/** Appends type, flags and length; returns where the value goes. @param flags without the extended-length bit */
export function putHeader(block: Uint8Array, at: number, flags: number, code: number, length: number): number {
  block[at + 1] = code;
  if (length <= SHORT) {
    block[at] = flags;
    block[at + 2] = length;
    return at + 3;
  }
  block[at] = flags | Flag.extendedLength;
  block[at + 2] = length >> 8;
  block[at + 3] = length & 0xff;
  return at + 4;
}

/** Appends octets[start .. end); returns where the next octet goes. Attributes are short: a loop beats a call of `set`. */
export function putOctets(block: Uint8Array, at: number, octets: Uint8Array, start: number, end: number): number {
  let to = at;
  for (let from = start; from < end; from++) block[to++] = octets[from]!;
  return to;
}

/** Where each type code's attribute begins, and a second block to build in: for the slow path only. */
const placeOf = new Int32Array(256);
let spare = new Uint8Array(0);

/** Puts the attributes of the record's block in ascending order. Each type code may stand there once. */
export function sortBlock(record: UpdateRecord): void {
  const { block, blockLength } = record;
  placeOf.fill(-1);
  for (let at = 0; at < blockLength; at = attributeEnd(block, at)) placeOf[block[at + 1]!] = at;
  if (spare.length < blockLength) spare = new Uint8Array(block.length);
  let to = 0;
  for (const at of placeOf) {
    if (at >= 0) to = putOctets(spare, to, block, at, attributeEnd(block, at));
  }
  putOctets(block, 0, spare, 0, blockLength);
}

/** Where the attribute at `at` ends, in octets that are known to be whole. */
export function attributeEnd(octets: Uint8Array, at: number): number {
  return (octets[at]! & Flag.extendedLength) === 0
    ? at + 3 + octets[at + 2]!
    : at + 4 + ((octets[at + 2]! << 8) | octets[at + 3]!);
}

/** Sees to it that the record's block has room for `size` octets, keeping what it holds. */
export function ensureBlock(record: UpdateRecord, size: number): void {
  if (record.block.length >= size) return;
  const larger = new Uint8Array((size + 3) & -4);
  larger.set(record.block);
  record.block = larger;
  record.blockWords = new Uint32Array(larger.buffer);
}
