/**
 * The routing policy language as plain data: what a configuration, a flag or an annotation is compiled to, and what the
 * RIB compiles to closures over its columns. It can be cloned and compared as JSON.
 *
 * A policy is a list of terms. The first term that matches a route and says `accept` or `reject` decides; `next` applies
 * its changes and goes on with the following term, which then sees the route as changed. A peer has a list of policies
 * for import and one for export: one that ends without a decision and says `next` hands over to the following one. A
 * route that reaches the end of the list is accepted.
 */

import type { IpAddress, IpPrefix } from '../core/ip.js';
import type { LargeCommunity, Origin } from './attributes.js';
import type { Family } from './families.js';

/** What a network of our own is; the order is its code in the RIB. */
export const NETWORK_TAGS = ['static', 'pod', 'clusterIp', 'externalIp', 'loadBalancerIp', 'aggregate'] as const;
export type NetworkTag = (typeof NETWORK_TAGS)[number];

/** Where a route comes from: this router itself, or a peer of either kind. */
export const ROUTE_SOURCES = ['own', 'ibgp', 'ebgp'] as const;
export type RouteSource = (typeof ROUTE_SOURCES)[number];

/**
 * One line of a prefix list. It matches a prefix inside `prefix` whose length is from `ge` to `le`.
 * Default for both is the length of `prefix` (an exact match); with `ge` alone, `le` is the longest there is.
 */
export interface PrefixRule {
  readonly prefix: IpPrefix;
  readonly ge?: number;
  readonly le?: number;
  readonly action: 'permit' | 'deny';
}

/** The first rule that matches decides; a prefix that none matches is not in the list. Both families may stand in one. */
export type PrefixList = readonly PrefixRule[];

/** A regular expression whose letters are AS numbers. See bgp/asPathExpression.ts for its text. */
export interface AsPathExpression {
  /** `^`: begins where the path begins, at the neighbour. */
  readonly fromStart: boolean;
  /** `$`: ends where the path ends, at the origin. */
  readonly toEnd: boolean;
  readonly body: AsPathNode;
}

export type AsPathNode =
  /** One AS number from `low` to `high`. */
  | { readonly kind: 'asn'; readonly low: number; readonly high: number }
  | { readonly kind: 'sequence'; readonly parts: readonly AsPathNode[] }
  | { readonly kind: 'choice'; readonly parts: readonly AsPathNode[] }
  /** `max` null: any number of times. */
  | { readonly kind: 'repeat'; readonly part: AsPathNode; readonly min: number; readonly max: number | null };

/** What a community may look like: equal to `value` where `mask` has ones. See bgp/wire/communityPattern.ts for its text. */
export type CommunityPattern =
  | { readonly kind: 'standard'; readonly mask: number; readonly value: number }
  /** Null stands for any number. */
  | { readonly kind: 'large'; readonly parts: readonly [number | null, number | null, number | null] }
  /** RFC 4360: the eight octets as two unsigned words. */
  | {
      readonly kind: 'extended';
      readonly mask: readonly [number, number];
      readonly value: readonly [number, number];
    };

/** Inclusive on both sides; an absent side is open. */
export interface NumberRange {
  readonly min?: number;
  readonly max?: number;
}

/** All that is said must hold; an empty match holds for every route. Lists of names: one of them is enough. */
export interface PolicyMatch {
  readonly families?: readonly Family[];
  /** Names of prefix lists. */
  readonly prefixes?: readonly string[];
  /** Names of AS path expressions. */
  readonly asPaths?: readonly string[];
  /** Names of community sets. A set holds when one of its patterns matches one of the route's communities. */
  readonly communities?: {
    readonly any?: readonly string[];
    readonly all?: readonly string[];
    readonly none?: readonly string[];
  };
  /** Names of prefix lists that the next hop, as /32 or /128, is looked up in. A network without one is in none. */
  readonly nextHops?: readonly string[];
  readonly origins?: readonly Origin[];
  /** A route without MED has 0. */
  readonly med?: NumberRange;
  /** A route without LOCAL_PREF has 100. */
  readonly localPref?: NumberRange;
  /** Number of ASes; a set counts once. */
  readonly asPathLength?: NumberRange;
  readonly sources?: readonly RouteSource[];
  /** Names of the peers a route comes from. */
  readonly peers?: readonly string[];
  /** Networks of our own with one of these tags; no other route matches. */
  readonly tags?: readonly NetworkTag[];
}

/** Changes of a route, made in the order in which they stand here. */
export interface PolicyChanges {
  readonly localPref?: number;
  /** Null removes it. */
  readonly med?: number | null;
  /** Added to MED after `med`, kept within 0 .. 2^32-1; may be negative. */
  readonly addMed?: number;
  /** `asn` absent: our own AS on export, the AS of the peer on import. */
  readonly prepend?: { readonly asn?: number; readonly count: number };
  /** Names of community sets: what matches is removed. */
  readonly removeCommunities?: readonly string[];
  /** In place of all of this kind; before what is added. */
  readonly setCommunities?: readonly number[];
  readonly setLargeCommunities?: readonly LargeCommunity[];
  readonly addCommunities?: readonly number[];
  readonly addLargeCommunities?: readonly LargeCommunity[];
  /** RFC 4360, each eight octets as two unsigned words. */
  readonly addExtendedCommunities?: readonly (readonly [number, number])[];
  /** `self`: our own address (export only). `peer`: the address of the peer. */
  readonly nextHop?: 'self' | 'peer' | IpAddress;
}

export type PolicyVerdict = 'accept' | 'reject' | 'next';

export interface PolicyTerm {
  /** Unique in its policy; shown where a route is rejected. */
  readonly name: string;
  readonly match: PolicyMatch;
  readonly changes: PolicyChanges;
  readonly verdict: PolicyVerdict;
}

export interface Policy {
  readonly terms: readonly PolicyTerm[];
  /** What becomes of a route that no term decided. */
  readonly otherwise: PolicyVerdict;
}

/** Everything policies are made of, by name. */
export interface PolicySet {
  readonly prefixLists: Readonly<Record<string, PrefixList>>;
  readonly asPaths: Readonly<Record<string, readonly AsPathExpression[]>>;
  readonly communitySets: Readonly<Record<string, readonly CommunityPattern[]>>;
  readonly policies: Readonly<Record<string, Policy>>;
}

/** Community GRACEFUL_SHUTDOWN (RFC 8326), as an unsigned word. */
export const WELL_KNOWN_GRACEFUL_SHUTDOWN = 0xffff_0000;

export const NO_POLICIES: PolicySet = { prefixLists: {}, asPaths: {}, communitySets: {}, policies: {} };

/** How many prefixes a peer may tell, and what follows when it tells more. */
export interface MaxPrefixes {
  readonly limit: number;
  /** From so many on a warning is logged. */
  readonly warnAt?: number;
  /**
   * `warn`: only say so. `idle`: end the session (RFC 4486, Cease/Maximum Number of Prefixes Reached) until an operator
   * enables or resets the peer. `restart`: end it and begin again after `restartAfter` seconds.
   */
  readonly action: 'warn' | 'idle' | 'restart';
  readonly restartAfter: number;
}
