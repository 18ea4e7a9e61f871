/**
 * How path attributes change on their way out to a group of peers: RFC 4271 section 5.1, RFC 4456 section 8 (reflection),
 * RFC 6793 section 4.2.2 (peers with two-octet AS numbers), RFC 4360 section 6 (non-transitive communities).
 *
 * Works on normal-form blocks (see bgp/updateRecord.ts), octets to octets: one walk, ascending by type code.
 */

import { PeerKind } from '../peerKind.js';
import type { OutgoingRoute } from '../updateFraming.js';
import { AS_TRANS } from '../asn.js';
import { AttributeCode, Flag, Segment } from './iana.js';

export interface ExportTransform {
  readonly kind: 'ebgp' | 'ibgp';
  readonly localAsn: number;
  /** RFC 4456: prepended to CLUSTER_LIST of routes that are reflected. */
  readonly clusterId: number;
  readonly fourOctetAs: boolean;
  /** An export policy has settled MED: it is told as it stands, also outside of the AS. */
  readonly medSettled?: boolean;
}

const WELL_KNOWN = Flag.transitive;
const OPTIONAL = Flag.optional;
const OPTIONAL_TRANSITIVE = Flag.optional | Flag.transitive;
/** Bit of the type octet of an extended community that is not passed on to other ASes. */
const NON_TRANSITIVE_COMMUNITY = 0x40;
const DEFAULT_LOCAL_PREF = 100;
/** ASNs in one segment: its length field is one octet. */
const MAX_SEGMENT = 255;

/** Kinds of insertion, as bits in order of type code: attributes that are missing in the block and must stand in the result. */
const Need = { nextHop: 1, localPref: 2, originatorId: 4, clusterList: 8, as4Path: 16, as4Aggregator: 32 } as const;
const NEEDED_CODES: readonly number[] = [
  AttributeCode.nextHop,
  AttributeCode.localPref,
  AttributeCode.originatorId,
  AttributeCode.clusterList,
  AttributeCode.as4Path,
  AttributeCode.as4Aggregator,
];
/** Above every type code. */
const NO_CODE = 256;
/** By needs: the first type code that is missing. */
const NEXT_MISSING = Uint16Array.from({ length: 1 << NEEDED_CODES.length }, (_, needs) =>
  needs === 0 ? NO_CODE : NEEDED_CODES[31 - Math.clz32(needs & -needs)]!,
);

/** Writes transformed attributes into its own buffer, which grows; one per update group. */
export class AttributeExport {
  octets: Uint8Array = new Uint8Array(1024);
  length = 0;
  private needs = 0;
  private nextHop4 = 0;
  private sourceRouterId = 0;
  private as4Path: Uint8Array = new Uint8Array();
  private as4Aggregator: Uint8Array = new Uint8Array();

  constructor(private readonly how: ExportTransform) {}

  /** @param nextHop4 IPv4 next hop for a NEXT_HOP attribute, or -1 when the next hop goes into MP_REACH_NLRI */
  transform(route: OutgoingRoute, nextHop4: number): void {
    const { block, start } = route;
    const end = start + route.length;
    // An attribute grows by at most a segment header and one AS number; what is inserted is small but for AS4_PATH.
    this.reserve(route.length * 2 + 128);
    this.length = 0;
    this.nextHop4 = nextHop4;
    this.sourceRouterId = route.sourceRouterId;
    this.needs = this.initialNeeds(route, nextHop4);
    for (let at = start; at < end;) {
      const flags = block[at]!;
      const code = block[at + 1]!;
      const extended = (flags & Flag.extendedLength) !== 0;
      const length = extended ? (block[at + 2]! << 8) | block[at + 3]! : block[at + 2]!;
      const value = at + (extended ? 4 : 3);
      const next = value + length;
      if (NEXT_MISSING[this.needs]! < code) this.insertBefore(code);
      this.pass(route, code, flags, value, next, at);
      at = next;
    }
    this.insertBefore(NO_CODE);
  }

  private initialNeeds(route: OutgoingRoute, nextHop4: number): number {
    let needs = nextHop4 >= 0 ? Need.nextHop : 0;
    if (this.how.kind === 'ibgp') {
      needs |= Need.localPref;
      if (route.sourceKind === PeerKind.ibgp) needs |= Need.originatorId | Need.clusterList;
    }
    return needs;
  }

  private pass(route: OutgoingRoute, code: number, flags: number, value: number, next: number, at: number): void {
    const { block } = route;
    const outside = this.how.kind === 'ebgp';
    switch (code) {
      case AttributeCode.asPath:
        if (outside || !this.how.fourOctetAs) this.asPath(block, value, next);
        else this.copy(block, at, next);
        return;
      case AttributeCode.med:
        // RFC 4271 section 5.1.4: what a neighbouring AS said goes no further; what we say ourselves does.
        if (!outside || route.sourceKind === PeerKind.local || this.how.medSettled === true) this.copy(block, at, next);
        return;
      case AttributeCode.localPref:
      case AttributeCode.originatorId:
        if (outside) return;
        this.needs &= code === AttributeCode.localPref ? ~Need.localPref : ~Need.originatorId;
        this.copy(block, at, next);
        return;
      case AttributeCode.clusterList:
        if (outside) return;
        if (this.needs & Need.clusterList) this.clusterList(block, value, next);
        else this.copy(block, at, next);
        return;
      case AttributeCode.aggregator:
        if (this.how.fourOctetAs) this.copy(block, at, next);
        else this.shortAggregator(block, flags, value);
        return;
      case AttributeCode.extendedCommunities:
        if (outside) this.transitiveCommunities(block, flags, value, next);
        else this.copy(block, at, next);
        return;
      case AttributeCode.aigp:
        if (!outside) this.copy(block, at, next);
        return;
      default:
        this.copy(block, at, next);
    }
  }

  private insertBefore(code: number): void {
    for (let missing = NEXT_MISSING[this.needs]!; missing < code; missing = NEXT_MISSING[this.needs]!) {
      const need = this.needs & -this.needs;
      this.needs &= ~need;
      if (need === Need.nextHop) this.word(WELL_KNOWN, missing, this.nextHop4);
      else if (need === Need.localPref) this.word(WELL_KNOWN, missing, DEFAULT_LOCAL_PREF);
      else if (need === Need.originatorId) this.word(OPTIONAL, missing, this.sourceRouterId);
      else if (need === Need.clusterList) this.word(OPTIONAL, missing, this.how.clusterId);
      else if (need === Need.as4Path) this.attribute(OPTIONAL_TRANSITIVE, missing, this.as4Path);
      else this.attribute(OPTIONAL_TRANSITIVE, missing, this.as4Aggregator);
    }
  }

  /** RFC 4456 section 8: our cluster id in front of those passed before. */
  private clusterList(block: Uint8Array, value: number, next: number): void {
    this.needs &= ~Need.clusterList;
    this.header(OPTIONAL, AttributeCode.clusterList, next - value + 4);
    this.put32(this.how.clusterId);
    this.copy(block, value, next);
  }

  /** AS_PATH with our AS in front (RFC 4271 section 5.1.2) and in the width the peer understands. */
  private asPath(block: Uint8Array, value: number, next: number): void {
    const path = this.outgoingPath(block.subarray(value, next));
    if (this.how.fourOctetAs) {
      this.attribute(WELL_KNOWN, AttributeCode.asPath, path);
      return;
    }
    const { short, wide } = narrowPath(path);
    this.attribute(WELL_KNOWN, AttributeCode.asPath, short);
    if (wide === undefined) return;
    this.as4Path = wide;
    this.needs |= Need.as4Path;
  }

  /** Outside of the AS: our number in front, and nothing of a confederation (RFC 5065 section 4.1). */
  private outgoingPath(path: Uint8Array): Uint8Array {
    return this.how.kind === 'ebgp' ? prepend(withoutConfederation(path), this.how.localAsn) : path;
  }

  private shortAggregator(block: Uint8Array, flags: number, value: number): void {
    const asn = read32(block, value);
    const short = asn > 0xffff ? AS_TRANS : asn;
    this.header(flags, AttributeCode.aggregator, 6);
    this.octets[this.length++] = short >>> 8;
    this.octets[this.length++] = short;
    this.copy(block, value + 4, value + 8);
    if (asn <= 0xffff) return;
    this.as4Aggregator = block.slice(value, value + 8);
    this.needs |= Need.as4Aggregator;
  }

  private transitiveCommunities(block: Uint8Array, flags: number, value: number, next: number): void {
    const kept: number[] = [];
    for (let at = value; at < next; at += 8) {
      if (!(block[at]! & NON_TRANSITIVE_COMMUNITY)) for (let i = 0; i < 8; i++) kept.push(block[at + i]!);
    }
    if (kept.length > 0)
      this.attribute(flags & ~Flag.extendedLength, AttributeCode.extendedCommunities, Uint8Array.from(kept));
  }

  private attribute(flags: number, code: number, value: Uint8Array): void {
    this.reserve(this.length + value.length + 64);
    this.header(flags, code, value.length);
    this.copy(value, 0, value.length);
  }

  private word(flags: number, code: number, value: number): void {
    this.header(flags, code, 4);
    this.put32(value);
  }

  private header(flags: number, code: number, length: number): void {
    const { octets } = this;
    const long = length > 255;
    octets[this.length++] = long ? flags | Flag.extendedLength : flags & ~Flag.extendedLength;
    octets[this.length++] = code;
    if (long) octets[this.length++] = length >>> 8;
    octets[this.length++] = length;
  }

  private put32(value: number): void {
    const { octets } = this;
    octets[this.length++] = value >>> 24;
    octets[this.length++] = value >>> 16;
    octets[this.length++] = value >>> 8;
    octets[this.length++] = value;
  }

  private copy(from: Uint8Array, start: number, end: number): void {
    const { octets } = this;
    let to = this.length;
    for (let i = start; i < end; i++) octets[to++] = from[i]!;
    this.length = to;
  }

  private reserve(octets: number): void {
    if (octets <= this.octets.length) return;
    const grown = new Uint8Array(octets * 2);
    grown.set(this.octets.subarray(0, this.length));
    this.octets = grown;
  }
}

/** A four-octet path without its confederation segments; the path itself when it has none, as nearly always. */
function withoutConfederation(path: Uint8Array): Uint8Array {
  let length = 0;
  const kept = new Uint8Array(path.length);
  for (let at = 0; at < path.length;) {
    const end = at + 2 + path[at + 1]! * 4;
    if (path[at] === Segment.sequence || path[at] === Segment.set) {
      kept.set(path.subarray(at, end), length);
      length += end - at;
    }
    at = end;
  }
  return length === path.length ? path : kept.subarray(0, length);
}

/** One more AS in front of a four-octet path: into the first sequence while it has room, else as a new segment. */
function prepend(path: Uint8Array, asn: number): Uint8Array {
  const joins = path.length > 0 && path[0] === Segment.sequence && path[1]! < MAX_SEGMENT;
  const out = new Uint8Array(path.length + (joins ? 4 : 6));
  out[0] = Segment.sequence;
  out[1] = joins ? path[1]! + 1 : 1;
  new DataView(out.buffer).setUint32(2, asn);
  out.set(joins ? path.subarray(2) : path, 6);
  return out;
}

/**
 * A path in two-octet form, with AS_TRANS for numbers that do not fit, and the four-octet one for AS4_PATH when it lost
 * something (RFC 6793 section 4.2.2; confederation segments never stand in AS4_PATH, section 3).
 */
function narrowPath(path: Uint8Array): { readonly short: Uint8Array; readonly wide: Uint8Array | undefined } {
  const short: number[] = [];
  const wide: number[] = [];
  let lost = false;
  for (let at = 0; at < path.length;) {
    const type = path[at]!;
    const count = path[at + 1]!;
    const end = at + 2 + count * 4;
    short.push(type, count);
    for (let i = at + 2; i < end; i += 4) {
      const asn = read32(path, i);
      const fits = asn <= 0xffff;
      if (!fits) lost = true;
      const two = fits ? asn : AS_TRANS;
      short.push(two >>> 8, two & 255);
    }
    if (type === Segment.set || type === Segment.sequence) wide.push(...path.subarray(at, end));
    at = end;
  }
  return { short: Uint8Array.from(short), wide: lost ? Uint8Array.from(wide) : undefined };
}

function read32(octets: Uint8Array, at: number): number {
  return ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0;
}
