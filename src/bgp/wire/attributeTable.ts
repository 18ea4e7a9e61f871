/**
 * Path attributes, one row each: number, flags, what becomes of an UPDATE in which it is malformed (RFC 7606), and both
 * directions of the codec. The scanner takes its flags and verdicts from these rows too.
 */

import { Ipv4 } from '../../core/ip.js';
import { ORIGINS, type AttributeOf, type KnownAttribute, type LargeCommunity } from '../attributes.js';
import { AS_TRANS } from '../asn.js';
import { readSegments, writeSegments } from './asPath.js';
import { AIGP_TLV_LENGTH, AIGP_TLV_TYPE, AttributeCode, Flag, UpdateError } from './iana.js';
import { Malformation, type OctetReader } from './octetReader.js';
import type { OctetWriter } from './octetWriter.js';

/** What the meaning of an attribute's octets depends on. */
export interface CodecContext {
  readonly fourOctetAs: boolean;
  /** Confederation segments are an error from an external peer (RFC 5065 section 4). */
  readonly ebgp: boolean;
}

/** RFC 7606 section 2, weakest first. */
export type Verdict = 'discard' | 'treatAsWithdraw' | 'reset';

export interface Row<K extends KnownAttribute> {
  readonly code: number;
  /** As the RFCs write it. */
  readonly name: string;
  /** Optional and Transitive, as the attribute's RFC demands. */
  readonly flags: number;
  /** The value breaks its rules. */
  readonly malformed: Verdict;
  /** Optional or Transitive is not as in `flags` (RFC 7606 section 3 c, unless the attribute's RFC says otherwise). */
  readonly badFlags: Verdict;
  /** Passed over without a word when it comes from an external peer. */
  readonly internalOnly: boolean;
  /** The UPDATE subcode that names a wrong value or a wrong length, when the session has to be reset after all. */
  readonly valueError: number;
  readonly lengthError: number;
  /** Must read the whole value: octets left over make it malformed. @throws ShortField or Malformation */
  decode(value: OctetReader, context: CodecContext): AttributeOf<K>;
  encode(attribute: AttributeOf<K>, writer: OctetWriter, context: CodecContext): unknown;
}

const WELL_KNOWN = Flag.transitive;
const TRANSITIVE = Flag.optional | Flag.transitive;
const NON_TRANSITIVE = Flag.optional;

const wellKnown = {
  flags: WELL_KNOWN,
  malformed: 'treatAsWithdraw',
  badFlags: 'treatAsWithdraw',
  internalOnly: false,
  valueError: UpdateError.attributeLength,
  lengthError: UpdateError.attributeLength,
} as const;
const optional = {
  ...wellKnown,
  flags: TRANSITIVE,
  valueError: UpdateError.optionalAttribute,
  lengthError: UpdateError.attributeLength,
} as const;
const multiprotocol = {
  ...optional,
  flags: NON_TRANSITIVE,
  // RFC 7606 sections 5.3 and 3 (j): the NLRI cannot be told for sure.
  malformed: 'reset',
  badFlags: 'reset',
  lengthError: UpdateError.optionalAttribute,
} as const;

/** Reads items until the value is used up; an empty value is malformed (RFC 7606 section 4). */
function some<T>(value: OctetReader, read: (reader: OctetReader) => T): T[] {
  if (value.remaining === 0) throw new Malformation('empty');
  return value.all(read);
}

function aggregator(asn: number, routerId: number): { readonly asn: number; readonly routerId: Ipv4 } {
  if (asn === 0) throw new Malformation('AS 0 (RFC 7607)');
  return { asn, routerId: Ipv4(routerId) };
}

/** RFC 7311 section 3: TLVs whose length counts type and length; the first of type 1 holds the metric. */
function firstAigpMetric(value: OctetReader): bigint {
  let metric: bigint | undefined;
  while (value.remaining > 0) {
    const type = value.u8();
    const length = value.u16();
    if (length < 3) throw new Malformation(`TLV of ${length} octets`);
    const content = value.part(length - 3);
    if (type !== AIGP_TLV_TYPE) continue;
    if (length !== AIGP_TLV_LENGTH) throw new Malformation(`AIGP TLV of ${length} octets`);
    metric ??= content.u64();
  }
  if (metric === undefined) throw new Malformation('no AIGP TLV');
  return metric;
}

const narrow = (asn: number): number => (asn > 0xffff ? AS_TRANS : asn);

/** RFC 4271 section 5, errors by RFC 7606 section 7 and the RFCs named at the rows. A kind without a row does not compile. */
export const ATTRIBUTES: { readonly [K in KnownAttribute]: Row<K> } = {
  // RFC 7606 section 7.1
  origin: {
    ...wellKnown,
    code: AttributeCode.origin,
    name: 'ORIGIN',
    valueError: UpdateError.invalidOrigin,
    decode: value => {
      const code = value.u8();
      const origin = ORIGINS[code];
      if (origin === undefined) throw new Malformation(`value ${code}`);
      return { kind: 'origin', origin };
    },
    encode: (a, writer) => writer.u8(ORIGINS.indexOf(a.origin)),
  },
  // RFC 7606 section 7.2
  asPath: {
    ...wellKnown,
    code: AttributeCode.asPath,
    name: 'AS_PATH',
    valueError: UpdateError.malformedAsPath,
    lengthError: UpdateError.malformedAsPath,
    decode: (value, context) => ({ kind: 'asPath', segments: readSegments(value, context.fourOctetAs, !context.ebgp) }),
    encode: (a, writer, context) => {
      writeSegments(a.segments, writer, context.fourOctetAs);
    },
  },
  // RFC 7606 section 7.3
  nextHop: {
    ...wellKnown,
    code: AttributeCode.nextHop,
    name: 'NEXT_HOP',
    valueError: UpdateError.invalidNextHop,
    decode: value => ({ kind: 'nextHop', address: Ipv4(value.u32()) }),
    encode: (a, writer) => writer.u32(a.address),
  },
  // RFC 7606 section 7.4
  med: {
    ...optional,
    code: AttributeCode.med,
    name: 'MULTI_EXIT_DISC',
    flags: NON_TRANSITIVE,
    decode: value => ({ kind: 'med', med: value.u32() }),
    encode: (a, writer) => writer.u32(a.med),
  },
  // RFC 7606 section 7.5
  localPref: {
    ...wellKnown,
    code: AttributeCode.localPref,
    name: 'LOCAL_PREF',
    internalOnly: true,
    decode: value => ({ kind: 'localPref', localPref: value.u32() }),
    encode: (a, writer) => writer.u32(a.localPref),
  },
  // RFC 7606 section 7.6
  atomicAggregate: {
    ...wellKnown,
    code: AttributeCode.atomicAggregate,
    name: 'ATOMIC_AGGREGATE',
    malformed: 'discard',
    decode: () => ({ kind: 'atomicAggregate' }),
    encode: () => undefined,
  },
  // RFC 7606 section 7.7; AS 0: RFC 7607
  aggregator: {
    ...optional,
    code: AttributeCode.aggregator,
    name: 'AGGREGATOR',
    malformed: 'discard',
    decode: (value, context) => ({
      kind: 'aggregator',
      ...aggregator(context.fourOctetAs ? value.u32() : value.u16(), value.u32()),
    }),
    encode: (a, writer, context) =>
      (context.fourOctetAs ? writer.u32(a.asn) : writer.u16(narrow(a.asn))).u32(a.routerId),
  },
  // RFC 7606 section 7.8
  communities: {
    ...optional,
    code: AttributeCode.communities,
    name: 'COMMUNITIES',
    decode: value => ({ kind: 'communities', communities: some(value, r => r.u32()) }),
    encode: (a, writer) => writer.each(a.communities, (w, c) => w.u32(c)),
  },
  // RFC 7606 section 7.9
  originatorId: {
    ...optional,
    code: AttributeCode.originatorId,
    name: 'ORIGINATOR_ID',
    flags: NON_TRANSITIVE,
    internalOnly: true,
    decode: value => ({ kind: 'originatorId', routerId: Ipv4(value.u32()) }),
    encode: (a, writer) => writer.u32(a.routerId),
  },
  // RFC 7606 section 7.10
  clusterList: {
    ...optional,
    code: AttributeCode.clusterList,
    name: 'CLUSTER_LIST',
    flags: NON_TRANSITIVE,
    internalOnly: true,
    decode: value => ({ kind: 'clusterList', clusters: some(value, r => Ipv4(r.u32())) }),
    encode: (a, writer) => writer.each(a.clusters, (w, c) => w.u32(c)),
  },
  // RFC 7606 section 7.11: AFI, SAFI, length of next hop, next hop, a reserved octet, NLRI.
  mpReach: {
    ...multiprotocol,
    code: AttributeCode.mpReach,
    name: 'MP_REACH_NLRI',
    decode: value => {
      const afi = value.u16();
      const safi = value.u8();
      const nextHop = value.octets(value.u8());
      value.u8();
      return { kind: 'mpReach', afi, safi, nextHop, nlri: value.rest() };
    },
    encode: (a, writer) => writer.u16(a.afi).u8(a.safi).u8(a.nextHop.length).octets(a.nextHop).u8(0).octets(a.nlri),
  },
  // RFC 7606 section 7.12
  mpUnreach: {
    ...multiprotocol,
    code: AttributeCode.mpUnreach,
    name: 'MP_UNREACH_NLRI',
    decode: value => ({ kind: 'mpUnreach', afi: value.u16(), safi: value.u8(), nlri: value.rest() }),
    encode: (a, writer) => writer.u16(a.afi).u8(a.safi).octets(a.nlri),
  },
  // RFC 7606 section 7.14
  extendedCommunities: {
    ...optional,
    code: AttributeCode.extendedCommunities,
    name: 'EXTENDED_COMMUNITIES',
    decode: value => ({ kind: 'extendedCommunities', communities: some(value, r => r.u64()) }),
    encode: (a, writer) => writer.each(a.communities, (w, c) => w.u64(c)),
  },
  // RFC 6793 section 6: confederation segments are dropped, all else that is wrong discards the attribute.
  as4Path: {
    ...optional,
    code: AttributeCode.as4Path,
    name: 'AS4_PATH',
    malformed: 'discard',
    decode: value => {
      if (value.remaining === 0) throw new Malformation('empty');
      const segments = readSegments(value, true, true);
      return { kind: 'as4Path', segments: segments.filter(s => s.type === 'set' || s.type === 'sequence') };
    },
    encode: (a, writer) => {
      writeSegments(a.segments, writer, true);
    },
  },
  // RFC 6793 section 6
  as4Aggregator: {
    ...optional,
    code: AttributeCode.as4Aggregator,
    name: 'AS4_AGGREGATOR',
    malformed: 'discard',
    decode: value => ({ kind: 'as4Aggregator', ...aggregator(value.u32(), value.u32()) }),
    encode: (a, writer) => writer.u32(a.asn).u32(a.routerId),
  },
  // RFC 7606 section 7.15
  ipv6ExtendedCommunities: {
    ...optional,
    code: AttributeCode.ipv6ExtendedCommunities,
    name: 'IPV6_EXTENDED_COMMUNITIES',
    decode: value => ({ kind: 'ipv6ExtendedCommunities', communities: some(value, r => r.octets(20)) }),
    encode: (a, writer) => writer.each(a.communities, (w, c) => w.octets(c)),
  },
  // RFC 7311 sections 3.2 and 3.3: sessions with external peers are not enabled for it, and malformed means discarded.
  aigp: {
    ...optional,
    code: AttributeCode.aigp,
    name: 'AIGP',
    flags: NON_TRANSITIVE,
    malformed: 'discard',
    badFlags: 'discard',
    internalOnly: true,
    decode: value => ({ kind: 'aigp', metric: firstAigpMetric(value) }),
    encode: (a, writer) => writer.u8(AIGP_TLV_TYPE).u16(AIGP_TLV_LENGTH).u64(a.metric),
  },
  // RFC 8092 section 6
  largeCommunities: {
    ...optional,
    code: AttributeCode.largeCommunities,
    name: 'LARGE_COMMUNITY',
    decode: value => ({
      kind: 'largeCommunities',
      communities: some(value, (r): LargeCommunity => [r.u32(), r.u32(), r.u32()]),
    }),
    encode: (a, writer) => writer.each(a.communities, (w, c) => w.u32(c[0]).u32(c[1]).u32(c[2])),
  },
  // RFC 9234 section 5
  otc: {
    ...optional,
    code: AttributeCode.otc,
    name: 'OTC',
    decode: value => ({ kind: 'otc', asn: value.u32() }),
    encode: (a, writer) => writer.u32(a.asn),
  },
};
