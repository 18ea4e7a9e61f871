/**
 * What one UPDATE says, as offsets into the octets it was read from.
 *
 * The scanner (bgp/wire) fills it, the RIB reads it, and it is used again for the next UPDATE, so that nothing is
 * allocated per message, attribute or prefix. Nobody may keep a reference to `octets` or `block` beyond the call.
 */

import type { FamilyIndex } from './families.js';

/** Bits of {@link UpdateRecord.flags}. The first eight say which decision fields were present. */
export const AttrFlag = {
  localPref: 1 << 0,
  med: 1 << 1,
  originatorId: 1 << 2,
  clusterList: 1 << 3,
  aigp: 1 << 4,
  otc: 1 << 5,
  atomicAggregate: 1 << 6,
  asSet: 1 << 7,
  /** Well-known communities of RFC 1997, RFC 9494 and RFC 8326 that change where a route may go or how it is preferred. */
  noExport: 1 << 8,
  noAdvertise: 1 << 9,
  noExportSubconfed: 1 << 10,
  llgrStale: 1 << 11,
  noLlgr: 1 << 12,
  gracefulShutdown: 1 << 13,
} as const;

/** Room for the attributes of any UPDATE, and for what normal form may add to them; a multiple of four. */
const BLOCK_OCTETS = 0x10000 + 4096;

export class UpdateRecord {
  octets: Uint8Array = new Uint8Array();

  /**
   * `accept`: install what is announced. `treatAsWithdraw` (RFC 7606 section 2): every announced prefix counts as
   * withdrawn; withdrawals stand. The caller loops are the same, only the meaning of the NLRI fields changes.
   */
  verdict: 'accept' | 'treatAsWithdraw' = 'accept';
  /** Reasons, one for each malformed or discarded attribute; empty (and the same array) in the good case. */
  problems: string[] = [];

  /** Withdrawn Routes and NLRI fields of the classic part (IPv4 unicast): [start, end) in `octets`; empty when equal. Lengths and bounds are checked. */
  withdrawnStart = 0;
  withdrawnEnd = 0;
  nlriStart = 0;
  nlriEnd = 0;
  /** NLRI inside MP_UNREACH_NLRI and MP_REACH_NLRI, and their families; -1 when absent. */
  mpUnreachFamily: FamilyIndex | -1 = -1;
  mpUnreachStart = 0;
  mpUnreachEnd = 0;
  mpReachFamily: FamilyIndex | -1 = -1;
  mpReachStart = 0;
  mpReachEnd = 0;
  /** Family of an End-of-RIB marker (RFC 4724 section 2), -1 when the UPDATE is none. */
  endOfRib: FamilyIndex | -1 = -1;

  /** NEXT_HOP of the classic part, as an unsigned word; valid when nlriEnd > nlriStart. */
  nextHop4 = 0;
  /** Next hop of MP_REACH_NLRI: 4 or 6 words' worth of family, then the words. An IPv4 address stands in word 3. */
  mpNextHopVersion: 4 | 6 = 6;
  readonly mpNextHop = new Uint32Array(4);
  /** Link-local part of a 32-octet IPv6 next hop (RFC 2545 section 3); all zero when absent. */
  readonly mpLinkLocal = new Uint32Array(4);

  /**
   * The path attributes in normal form, block[0 .. blockLength): without NEXT_HOP, MP_REACH_NLRI and MP_UNREACH_NLRI
   * (they belong to the message, not to the route); AS numbers four octets wide with AS4_PATH and AS4_AGGREGATOR merged
   * in; ascending by type code; the extended-length bit only where the value is longer than 255; unknown transitive
   * attributes with the partial bit set, unknown non-transitive ones gone. Equal routes have equal blocks.
   */
  block: Uint8Array = new Uint8Array(BLOCK_OCTETS);
  blockLength = 0;
  /** The same memory as {@link block}, four octets at a time: blocks are compared and copied far more often than read. */
  blockWords: Uint32Array = new Uint32Array(this.block.buffer);

  /** Decision fields, read while scanning (RFC 4271 section 9.1.2.2). Meaningless unless the verdict is `accept`. */
  flags = 0;
  origin = 0;
  /** Path length with an AS_SET counted once and confederation segments not at all. */
  asPathLength = 0;
  /** First AS of the first AS_SEQUENCE, 0 when the path is empty or begins with a set. */
  neighborAs = 0;
  /** Last AS of the path (its origin), 0 when empty or a set. */
  originAs = 0;
  /** How often the local AS stands in the path: a loop when more than allowed (RFC 4271 section 9.1.2). */
  localAsCount = 0;
  med = 0;
  localPref = 0;
  originatorId = 0;
  clusterListLength = 0;
  /** True when CLUSTER_LIST holds our cluster id or ORIGINATOR_ID is our router id: a reflection loop (RFC 4456 section 8). */
  reflectionLoop = false;
}
