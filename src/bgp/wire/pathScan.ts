/** AS_PATH where it stands: its syntax, and what the decision wants to know of it. RFC 4271, RFC 5065, RFC 7606 section 7.2, RFC 7607. */

import type { ScanContext } from '../scanContext.js';
import { AttrFlag, type UpdateRecord } from '../updateRecord.js';
import { Segment } from './iana.js';

/** {@link UpdateRecord.neighborAs} before anything but confederation segments has been met. */
const UNKNOWN = -1;

/**
 * Checks an AS_PATH of four-octet numbers and reads the record's path fields from it.
 * @returns false when it is malformed
 */
export function scanAsPath(
  octets: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
  record: UpdateRecord,
): boolean {
  const own = context.localAsn | 0;
  let length = 0;
  let neighbor = UNKNOWN;
  let origin = 0;
  let ownCount = 0;
  let at = start;
  while (at < end) {
    if (end - at < 2) return false;
    const type = octets[at]!;
    const count = octets[at + 1]!;
    at += 2;
    const segmentEnd = at + count * 4;
    if (count === 0 || segmentEnd > end) return false;
    if (type === Segment.sequence) {
      length += count;
      if (neighbor === UNKNOWN) neighbor = u32(octets, at);
      origin = u32(octets, segmentEnd - 4);
    } else if (type === Segment.set) {
      length++;
      if (neighbor === UNKNOWN) neighbor = 0;
      origin = 0;
      record.flags |= AttrFlag.asSet;
    } else if (!isConfederation(type) || context.ebgp) {
      return false;
    } else if (type === Segment.confedSet) {
      record.flags |= AttrFlag.asSet;
    }
    for (; at < segmentEnd; at += 4) {
      const asn = (octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!;
      if (asn === own) ownCount++;
      if (asn === 0) return false;
    }
  }
  record.asPathLength = length;
  record.neighborAs = neighbor === UNKNOWN ? 0 : neighbor;
  record.originAs = origin;
  record.localAsCount = ownCount;
  return true;
}

/** Checks an AS_PATH, or AS4_PATH, without reading anything from it. @param width octets of an AS number */
export function isAsPath(
  octets: Uint8Array,
  start: number,
  end: number,
  width: 2 | 4,
  confederation: boolean,
): boolean {
  let at = start;
  while (at < end) {
    if (end - at < 2) return false;
    const type = octets[at]!;
    const segmentEnd = at + 2 + octets[at + 1]! * width;
    if (segmentEnd > end || octets[at + 1] === 0) return false;
    if (type !== Segment.sequence && type !== Segment.set && !(confederation && isConfederation(type))) return false;
    for (at += 2; at < segmentEnd; at += width) {
      const asn = width === 2 ? (octets[at]! << 8) | octets[at + 1]! : u32(octets, at);
      if (asn === 0) return false;
    }
  }
  return true;
}

function isConfederation(type: number): boolean {
  return type === Segment.confedSequence || type === Segment.confedSet;
}

/** An unsigned word in network order. */
export function u32(octets: Uint8Array, at: number): number {
  return ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0;
}
