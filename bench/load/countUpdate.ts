/** Applies one UPDATE to what a counting client holds: a walk over offsets, no decoding beyond that. */

import type { HeldPrefixes } from './heldPrefixes.js';

const MED = 4;
const MP_REACH_NLRI = 14;
const MP_UNREACH_NLRI = 15;
/** Routes without a MED have no marker; none of ours should arrive so. */
const UNMARKED = 15;

/**
 * @param octets the body of an UPDATE is octets[start .. end) (RFC 4271 section 4.3)
 * @throws Error when lengths contradict each other: the speaker under test is broken
 */
export function countUpdate(held: HeldPrefixes, octets: Uint8Array, start: number, end: number): void {
  const withdrawn = start + 2;
  const withdrawnEnd = withdrawn + u16(octets, start);
  const attributes = withdrawnEnd + 2;
  const attributesEnd = attributes + u16(octets, withdrawnEnd);
  if (withdrawnEnd + 2 > end || attributesEnd > end) throw new Error('UPDATE lengths run past its end');
  if (withdrawn < withdrawnEnd) held.apply(octets, withdrawn, withdrawnEnd, 0);
  if (attributes === attributesEnd) return;
  let marker = UNMARKED;
  let reach = 0;
  let reachEnd = 0;
  for (let at = attributes; at < attributesEnd;) {
    const extended = (octets[at]! & 0x10) !== 0;
    const value = at + (extended ? 4 : 3);
    const next = value + (extended ? u16(octets, at + 2) : octets[at + 2]!);
    if (next > attributesEnd) throw new Error('a path attribute runs past the attributes');
    switch (octets[at + 1]) {
      case MED:
        marker = octets[value + 3]! & 0x0f;
        break;
      case MP_REACH_NLRI:
        // AFI, SAFI, length of next hop, next hop, reserved octet.
        reach = value + 5 + octets[value + 3]!;
        reachEnd = next;
        break;
      case MP_UNREACH_NLRI:
        held.apply(octets, value + 3, next, 0);
        break;
      default:
    }
    at = next;
  }
  if (reach < reachEnd) held.apply(octets, reach, reachEnd, marker);
  if (attributesEnd < end) held.apply(octets, attributesEnd, end, marker);
}

function u16(octets: Uint8Array, at: number): number {
  return (octets[at]! << 8) | octets[at + 1]!;
}
