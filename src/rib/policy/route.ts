/** A route as policies see it, and how their changes alter it. Pure. */

import { ORIGINS, type LargeCommunity, type Origin, type PathAttribute } from '../../bgp/attributes.js';
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
  /** Decoded when first asked for. */
  readonly attributes: () => readonly PathAttribute[];
  /** A policy has changed the attributes, MED among them, the next hop. */
  readonly isEdited: boolean;
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

/** The route after the changes. */
export function changed(route: Route, changes: Changes): Route {
  const med = newMed(route.med, changes);
  const attributes = edited(route.attributes(), changes, med);
  return {
    ...route,
    localPref: changes.localPref ?? route.localPref,
    med: med === undefined ? route.med : (med ?? 0),
    asPathLength: route.asPathLength + (changes.prepend?.length ?? 0),
    nextHop: changes.nextHop ?? route.nextHop,
    attributes: () => attributes,
    isEdited: true,
    isMedSaid: route.isMedSaid || med !== undefined,
    isNextHopSaid: route.isNextHopSaid || changes.nextHop !== undefined,
  };
}

export function originOf(route: Route): Origin {
  return ORIGINS[route.origin]!;
}

/** MED after the changes: null to remove it, undefined to leave it alone. */
function newMed(before: number, { med, addMed }: Changes): number | null | undefined {
  if (addMed === undefined) return med;
  return Math.min(MAX_MED, Math.max(0, (med ?? (med === null ? 0 : before)) + addMed));
}

type Edit = (attributes: readonly PathAttribute[]) => readonly PathAttribute[];

function edited(
  before: readonly PathAttribute[],
  changes: Changes,
  med: number | null | undefined,
): readonly PathAttribute[] {
  const { localPref, prepend } = changes;
  const edits: readonly (Edit | undefined)[] = [
    localPref === undefined ? undefined : list => [...without(list, 'localPref'), { kind: 'localPref', localPref }],
    med === undefined
      ? undefined
      : list => [...without(list, 'med'), ...(med === null ? [] : [{ kind: 'med', med } as const])],
    prepend === undefined ? undefined : list => list.map(attribute => prepended(attribute, prepend)),
    list => withCommunities(list, changes),
    list => withLargeCommunities(list, changes),
    list => withExtendedCommunities(list, changes),
  ];
  return edits.reduce((list, edit) => edit?.(list) ?? list, before);
}

function prepended(attribute: PathAttribute, asns: readonly number[]): PathAttribute {
  if (attribute.kind !== 'asPath') return attribute;
  const [first, ...rest] = attribute.segments;
  const joins = first?.type === 'sequence' && first.asns.length + asns.length <= MAX_SEGMENT;
  const segments = joins
    ? [{ ...first, asns: [...asns, ...first.asns] }, ...rest]
    : [{ type: 'sequence' as const, asns }, ...attribute.segments];
  return { kind: 'asPath', segments };
}

function withCommunities(list: readonly PathAttribute[], { remove, set, add }: Changes): readonly PathAttribute[] {
  const before = list.find(attribute => attribute.kind === 'communities')?.communities ?? [];
  const kept = set ?? before.filter(community => remove?.some(test => test.standard(community)) !== true);
  const after = [...new Set([...kept, ...(add ?? [])])];
  if (set === undefined && add === undefined && after.length === before.length) return list;
  const rest = without(list, 'communities');
  return after.length === 0 ? rest : [...rest, { kind: 'communities', communities: after }];
}

function withLargeCommunities(
  list: readonly PathAttribute[],
  { remove, setLarge, addLarge }: Changes,
): readonly PathAttribute[] {
  const before = list.find(attribute => attribute.kind === 'largeCommunities')?.communities ?? [];
  const kept = setLarge ?? before.filter(community => remove?.some(test => test.large(community)) !== true);
  const all = [...kept, ...(addLarge ?? [])];
  const after = [...new Map(all.map(community => [community.join(':'), community])).values()];
  if (setLarge === undefined && addLarge === undefined && after.length === before.length) return list;
  const rest = without(list, 'largeCommunities');
  return after.length === 0 ? rest : [...rest, { kind: 'largeCommunities', communities: after }];
}

function withExtendedCommunities(
  list: readonly PathAttribute[],
  { remove, addExtended }: Changes,
): readonly PathAttribute[] {
  const before = list.find(attribute => attribute.kind === 'extendedCommunities')?.communities ?? [];
  const kept = before.filter(community => remove?.some(test => test.extended(community)) !== true);
  const after = [...new Set([...kept, ...(addExtended ?? [])])];
  if (addExtended === undefined && after.length === before.length) return list;
  const rest = without(list, 'extendedCommunities');
  return after.length === 0 ? rest : [...rest, { kind: 'extendedCommunities', communities: after }];
}

function without(list: readonly PathAttribute[], kind: PathAttribute['kind']): readonly PathAttribute[] {
  return list.filter(attribute => attribute.kind !== kind);
}
