/** MP_REACH_NLRI and MP_UNREACH_NLRI where they stand: RFC 4760, RFC 2545, RFC 8950, RFC 7606 sections 5.3, 7.11 and 7.12. */

import { familyOf, IPV4_UNICAST, type FamilyIndex } from '../families.js';
import type { ScanContext } from '../scanContext.js';
import type { UpdateRecord } from '../updateRecord.js';
import { Finding } from './attributeRules.js';
import { isNlri } from './nlriScan.js';
import { u32 } from './pathScan.js';
import type { ScanState } from './scanState.js';

/** AFI, SAFI, length of the next hop; then the next hop and a reserved octet (RFC 4760 section 3). */
const REACH_HEAD = 4;
/** RFC 7606 section 5.3. */
const REACH_MIN = 5;
const UNREACH_MIN = 3;
/** RFC 2545 section 3: a global address, or a global and a link-local one. */
const ONE_IPV6 = 16;
const TWO_IPV6 = 32;

const bitsOf = (family: FamilyIndex): number => (family === IPV4_UNICAST ? 32 : 128);

/**
 * MP_REACH_NLRI in octets[start .. end).
 *
 * A family that was not negotiated counts as disabled on this session, so what is said of it is ignored (RFC 4760
 * section 7; RFC 7606 section 2 calls the same "AFI/SAFI disable"); only the length of its next hop is checked.
 */
export function scanMpReach(
  octets: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
  record: UpdateRecord,
  state: ScanState,
): number {
  if (end - start < REACH_MIN) return Finding.badLength;
  const hopLength = octets[start + 3]!;
  const hop = start + REACH_HEAD;
  const nlri = hop + hopLength + 1;
  if (nlri > end) return Finding.badLength;
  if (nlri < end) state.hasMpNlri = true;
  const family = negotiatedFamily(octets, start, context);
  if (family === undefined) return Finding.strangeFamily;
  if (!isHopLength(hopLength, family, context)) return Finding.badLength;
  if (!isNlri(octets, nlri, end, bitsOf(family), context.addPathReceive[family])) return Finding.badValue;
  record.mpReachFamily = family;
  record.mpReachStart = nlri;
  record.mpReachEnd = end;
  return readHop(octets, hop, hopLength, context, record) ? Finding.pass : Finding.badMpNextHop;
}

/** MP_UNREACH_NLRI in octets[start .. end); families as in {@link scanMpReach}. */
export function scanMpUnreach(
  octets: Uint8Array,
  start: number,
  end: number,
  context: ScanContext,
  record: UpdateRecord,
): number {
  if (end - start < UNREACH_MIN) return Finding.badLength;
  const family = negotiatedFamily(octets, start, context);
  if (family === undefined) return Finding.strangeFamily;
  const nlri = start + UNREACH_MIN;
  if (!isNlri(octets, nlri, end, bitsOf(family), context.addPathReceive[family])) return Finding.badValue;
  record.mpUnreachFamily = family;
  record.mpUnreachStart = nlri;
  record.mpUnreachEnd = end;
  return Finding.pass;
}

function negotiatedFamily(octets: Uint8Array, at: number, context: ScanContext): FamilyIndex | undefined {
  const family = familyOf((octets[at]! << 8) | octets[at + 1]!, octets[at + 2]!);
  return family !== undefined && context.families[family] ? family : undefined;
}

function isHopLength(length: number, family: FamilyIndex, context: ScanContext): boolean {
  if (length === 4) return family === IPV4_UNICAST;
  if (length !== ONE_IPV6 && length !== TWO_IPV6) return false;
  return family !== IPV4_UNICAST || context.extendedNextHop[IPV4_UNICAST];
}

/** @returns false when the address is no host's: unspecified, multicast, or the loopback of a peer elsewhere */
function readHop(octets: Uint8Array, at: number, length: number, context: ScanContext, record: UpdateRecord): boolean {
  const { mpNextHop: hop, mpLinkLocal: link } = record;
  link.fill(0);
  if (length === 4) {
    record.mpNextHopVersion = 4;
    hop[0] = hop[1] = hop[2] = 0;
    hop[3] = u32(octets, at);
    return isHostAddress(hop[3], context);
  }
  record.mpNextHopVersion = 6;
  for (let i = 0; i < 4; i++) hop[i] = u32(octets, at + 4 * i);
  if (length === TWO_IPV6 && isLinkLocal(octets, at + ONE_IPV6)) {
    for (let i = 0; i < 4; i++) link[i] = u32(octets, at + ONE_IPV6 + 4 * i);
    // A speaker without a global address sends :: in its place.
    if (isZero(hop)) hop.set(link);
  }
  return !isZero(hop) && hop[0]! >>> 24 !== 0xff && (context.loopbackNextHops || !isLoopback6(hop));
}

function isZero(words: Uint32Array): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === 0 && words[3] === 0;
}

function isLoopback6(words: Uint32Array): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === 0 && words[3] === 1;
}

function isLinkLocal(octets: Uint8Array, at: number): boolean {
  return octets[at] === 0xfe && (octets[at + 1]! & 0xc0) === 0x80;
}

/**
 * Whether an IPv4 address can be the next hop of this peer's routes (RFC 4271 section 6.3): not in 0/8, not multicast, not
 * above, and a loopback address only between speakers on one machine.
 */
export function isHostAddress(address: number, { loopbackNextHops }: ScanContext): boolean {
  const top = address >>> 24;
  return top !== 0 && top < 224 && (top !== 127 || loopbackNextHops);
}
