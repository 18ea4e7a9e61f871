/** A route as policies see it, and how their changes alter it. Pure. */

import type { EditableKind, Replacements } from '../../bgp/attributeBlocks.js';
import { ORIGINS, type AttributeOf, type LargeCommunity, type Origin } from '../../bgp/attributes.js';
import type { NetworkTag, RouteSource } from '../../bgp/policyTypes.js';
import type { IpAddress } from '../../core/ip.js';
import type { CommunityTest } from './communityMatcher.js';

export interface Route {
  readonly source: RouteSource;
  /** Name of the peer it comes from. */
  readonly peer: () => string;
  /** Of a network of our own. */
  readonly tag: NetworkTag | undefined;
  /** Index into ORIGINS. */
  readonly origin: number;
  /** 100 and 0 when the route has none. */
  readonly localPref: number;
  readonly med: number;
  readonly asPathLength: number;
  /** `self`: our own address, filled in when it is sent. */
  readonly nextHop: IpAddress | 'self';
  /** The attribute it came with, decoded when it is asked for. */
  readonly original: <K extends EditableKind>(kind: K) => AttributeOf<K> | undefined;
  /** What policies have put in place of those. */
  readonly replaced: Replacements;
  /** A policy has said something of MED, of the next hop. */
  readonly isMedSaid: boolean;
  readonly isNextHopSaid: boolean;
}

/** PolicyChanges with names looked up and defaults filled in. */
export interface Changes {
  readonly localPref?: number;
  readonly med?: number | null;
  readonly addMed?: number;
  readonly prepend?: readonly number[];
  readonly remove?: readonly CommunityTest[];
  readonly set?: readonly number[];
  readonly setLarge?: readonly LargeCommunity[];
  readonly add?: readonly number[];
  readonly addLarge?: readonly LargeCommunity[];
  readonly addExtended?: readonly bigint[];
  readonly nextHop?: IpAddress | 'self';
}

const MAX_MED = 0xffff_ffff;
/** AS numbers in one segment. */
const MAX_SEGMENT = 255;

/** The attribute as it is now. */
export function attributeOf<K extends EditableKind>(route: Route, kind: K): AttributeOf<K> | undefined {
  const replaced: AttributeOf<K> | null | undefined = route.replaced[kind];
  if (replaced === undefined) return route.original(kind);
  return replaced === null ? undefined : replaced;
}

export function originOf(route: Route): Origin {
  return ORIGINS[route.origin]!;
}

/** The route after the changes. */
export function changed(route: Route, changes: Changes): Route {
  const { localPref, prepend } = changes;
  const med = newMed(route.med, changes);
  const path = prepend === undefined ? undefined : attributeOf(route, 'asPath');
  return {
    ...route,
    localPref: localPref ?? route.localPref,
    med: med === undefined ? route.med : (med ?? 0),
    asPathLength: route.asPathLength + (prepend?.length ?? 0),
    nextHop: changes.nextHop ?? route.nextHop,
    replaced: {
      ...route.replaced,
      ...(localPref === undefined ? undefined : { localPref: { kind: 'localPref', localPref } }),
      ...(med === undefined ? undefined : { med: med === null ? null : { kind: 'med', med } }),
      ...(prepend === undefined ? undefined : { asPath: prepended(path, prepend) }),
      ...standard(route, changes),
      ...large(route, changes),
      ...extended(route, changes),
    },
    isMedSaid: route.isMedSaid || med !== undefined,
    isNextHopSaid: route.isNextHopSaid || changes.nextHop !== undefined,
  };
}

/** MED after the changes: null to remove it, undefined to leave it alone. */
function newMed(before: number, { med, addMed }: Changes): number | null | undefined {
  if (addMed === undefined) return med;
  return Math.min(MAX_MED, Math.max(0, (med ?? (med === null ? 0 : before)) + addMed));
}

function prepended(path: AttributeOf<'asPath'> | undefined, asns: readonly number[]): AttributeOf<'asPath'> {
  const [first, ...rest] = path?.segments ?? [];
  const isJoined = first?.type === 'sequence' && first.asns.length + asns.length <= MAX_SEGMENT;
  const segments = isJoined
    ? [{ ...first, asns: [...asns, ...first.asns] }, ...rest]
    : [{ type: 'sequence' as const, asns }, ...(path?.segments ?? [])];
  return { kind: 'asPath', segments };
}

function standard(route: Route, { remove, set, add }: Changes): Replacements {
  if (remove === undefined && set === undefined && add === undefined) return {};
  const before = attributeOf(route, 'communities')?.communities ?? [];
  const kept = set ?? before.filter(community => remove?.some(test => test.standard(community)) !== true);
  const communities = [...new Set([...kept, ...(add ?? [])])];
  return { communities: communities.length === 0 ? null : { kind: 'communities', communities } };
}

function large(route: Route, { remove, setLarge, addLarge }: Changes): Replacements {
  if (remove === undefined && setLarge === undefined && addLarge === undefined) return {};
  const before = attributeOf(route, 'largeCommunities')?.communities ?? [];
  const kept = setLarge ?? before.filter(community => remove?.some(test => test.large(community)) !== true);
  const all = [...kept, ...(addLarge ?? [])];
  const communities = [...new Map(all.map(community => [community.join(':'), community])).values()];
  return { largeCommunities: communities.length === 0 ? null : { kind: 'largeCommunities', communities } };
}

function extended(route: Route, { remove, addExtended }: Changes): Replacements {
  if (remove === undefined && addExtended === undefined) return {};
  const before = attributeOf(route, 'extendedCommunities')?.communities ?? [];
  const kept = before.filter(community => remove?.some(test => test.extended(community)) !== true);
  const communities = [...new Set([...kept, ...(addExtended ?? [])])];
  return { extendedCommunities: communities.length === 0 ? null : { kind: 'extendedCommunities', communities } };
}
