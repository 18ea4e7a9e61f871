/**
 * Path attributes as values, for the CLI, the API, policy tests and networks of our own. The engine itself reads
 * attributes where they stand in a block of octets.
 */

import type { Ipv4 } from '../core/ip.js';
import type { AfiSafi } from './capabilities.js';

/** RFC 4271 section 5.1.1, in the order of their codes: the lower is preferred. */
export const ORIGINS = ['igp', 'egp', 'incomplete'] as const;
export type Origin = (typeof ORIGINS)[number];

/** RFC 4271 section 4.3 and RFC 5065 section 3; the index plus one is the code. */
export const SEGMENT_TYPES = ['set', 'sequence', 'confedSequence', 'confedSet'] as const;
export type SegmentType = (typeof SEGMENT_TYPES)[number];

export interface AsSegment {
  readonly type: SegmentType;
  /** 1 to 255 numbers, nearest AS first. */
  readonly asns: readonly number[];
}

/** RFC 8092: global administrator, local data 1 and 2. */
export type LargeCommunity = readonly [number, number, number];

export interface Aggregator {
  readonly asn: number;
  readonly routerId: Ipv4;
}

export type PathAttribute =
  | { readonly kind: 'origin'; readonly origin: Origin }
  | { readonly kind: 'asPath'; readonly segments: readonly AsSegment[] }
  | { readonly kind: 'nextHop'; readonly address: Ipv4 }
  | { readonly kind: 'med'; readonly med: number }
  | { readonly kind: 'localPref'; readonly localPref: number }
  | { readonly kind: 'atomicAggregate' }
  | ({ readonly kind: 'aggregator' } & Aggregator)
  /** RFC 1997, as unsigned words. */
  | { readonly kind: 'communities'; readonly communities: readonly number[] }
  /** RFC 4456. */
  | { readonly kind: 'originatorId'; readonly routerId: Ipv4 }
  /** RFC 4456: nearest cluster first. */
  | { readonly kind: 'clusterList'; readonly clusters: readonly Ipv4[] }
  /** RFC 4760: next hop and NLRI as octets, because their shape belongs to the family and the session (see nlri.ts). */
  | ({ readonly kind: 'mpReach'; readonly nextHop: Uint8Array; readonly nlri: Uint8Array } & AfiSafi)
  | ({ readonly kind: 'mpUnreach'; readonly nlri: Uint8Array } & AfiSafi)
  /** RFC 4360: eight octets each. */
  | { readonly kind: 'extendedCommunities'; readonly communities: readonly bigint[] }
  /** RFC 6793: towards and from two-octet speakers only. */
  | { readonly kind: 'as4Path'; readonly segments: readonly AsSegment[] }
  | ({ readonly kind: 'as4Aggregator' } & Aggregator)
  /** RFC 5701: twenty octets each. */
  | { readonly kind: 'ipv6ExtendedCommunities'; readonly communities: readonly Uint8Array[] }
  /** RFC 7311: the metric of the first AIGP TLV. */
  | { readonly kind: 'aigp'; readonly metric: bigint }
  /** RFC 8092. */
  | { readonly kind: 'largeCommunities'; readonly communities: readonly LargeCommunity[] }
  /** RFC 9234. */
  | { readonly kind: 'otc'; readonly asn: number }
  /** Anything else, kept as it came; `flags` without the extended-length bit. */
  | { readonly kind: 'unknown'; readonly code: number; readonly flags: number; readonly value: Uint8Array };

export type KnownAttribute = Exclude<PathAttribute['kind'], 'unknown'>;
/** The member of the union that has this kind. */
export type AttributeOf<K extends PathAttribute['kind']> = Extract<PathAttribute, { readonly kind: K }>;
