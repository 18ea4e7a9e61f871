/** Routes as people read them: attribute blocks decoded on demand, prefixes as text, queries. */

import type { PathAttribute } from '../bgp/attributes.js';
import { FAMILIES, type FamilyIndex } from '../bgp/families.js';
import { formatAsPath } from '../bgp/wire/asPath.js';
import { decodeBlock } from '../bgp/wire/attributeCodec.js';
import { formatCommunity, formatExtendedCommunity, formatLargeCommunity } from '../bgp/wire/communityText.js';
import { formatAddress, formatIpv4, formatIpv6, parseAddress, parsePrefix, type IpAddress } from '../core/ip.js';
import type { PrefixId, PrefixTable } from '../rib/prefixTable.js';
import type { RouteQuery, RouteView } from './view.js';

/** The fields of a RouteView that its attributes determine. */
export type AttributeView = Pick<
  RouteView,
  | 'origin'
  | 'asPath'
  | 'localPref'
  | 'med'
  | 'communities'
  | 'extendedCommunities'
  | 'largeCommunities'
  | 'originatorId'
  | 'clusterList'
  | 'other'
>;

/** Below this many prefixes a listing is sorted; sorting more would hold up the event loop. */
const SORTED = 50_000;

/** Decodes a normal-form block octets[start .. start + length). */
export function viewAttributes(octets: Uint8Array, start: number, length: number): AttributeView {
  const view = {
    origin: 'incomplete' as RouteView['origin'],
    asPath: '',
    localPref: null as number | null,
    med: null as number | null,
    communities: [] as string[],
    extendedCommunities: [] as string[],
    largeCommunities: [] as string[],
    originatorId: null as string | null,
    clusterList: [] as string[],
    other: {} as Record<string, string>,
  };
  for (const attribute of decodeBlock(octets, start, start + length)) put(view, attribute);
  return view;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function put(
  view: Mutable<Omit<AttributeView, 'other'>> & { other: Record<string, string> },
  attribute: PathAttribute,
): void {
  switch (attribute.kind) {
    case 'origin':
      view.origin = attribute.origin;
      return;
    case 'asPath':
      view.asPath = formatAsPath(attribute.segments);
      return;
    case 'localPref':
      view.localPref = attribute.localPref;
      return;
    case 'med':
      view.med = attribute.med;
      return;
    case 'communities':
      view.communities = attribute.communities.map(formatCommunity);
      return;
    case 'extendedCommunities':
      view.extendedCommunities = attribute.communities.map(formatExtendedCommunity);
      return;
    case 'largeCommunities':
      view.largeCommunities = attribute.communities.map(formatLargeCommunity);
      return;
    case 'originatorId':
      view.originatorId = formatIpv4(attribute.routerId);
      return;
    case 'clusterList':
      view.clusterList = attribute.clusters.map(formatIpv4);
      return;
    case 'aggregator':
      view.other['aggregator'] = `AS${attribute.asn} ${formatIpv4(attribute.routerId)}`;
      return;
    case 'atomicAggregate':
      view.other['atomic-aggregate'] = 'yes';
      return;
    case 'aigp':
      view.other['aigp'] = attribute.metric.toString();
      return;
    case 'otc':
      view.other['otc'] = `AS${attribute.asn}`;
      return;
    case 'ipv6ExtendedCommunities':
      view.other['ipv6-extended-communities'] = attribute.communities.map(hex).join(' ');
      return;
    case 'unknown':
      view.other[String(attribute.code)] = hex(attribute.value);
      return;
    case 'nextHop':
    case 'mpReach':
    case 'mpUnreach':
    case 'as4Path':
    case 'as4Aggregator':
      // Never in a normal-form block: they belong to the message, or were merged in.
      return;
  }
}

/** Prefix as text. */
export function prefixText(prefixes: PrefixTable, id: number): string {
  return `${prefixAddress(prefixes, id)}/${prefixes.lengths[id]!}`;
}

function prefixAddress(prefixes: PrefixTable, id: number): string {
  const { words } = prefixes;
  if (prefixes.stride === 1) return formatIpv4(words[id]!);
  const at = id * 4;
  return formatIpv6([words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!]);
}

/** Families a query asks about. @throws RangeError naming what is wrong with the prefix of the query */
export function queriedFamilies(query: RouteQuery): FamilyIndex[] {
  const target = query.prefix === undefined ? undefined : parseTarget(query.prefix).address;
  return ([0, 1] as const).filter(
    family =>
      (query.family === undefined || query.family === FAMILIES[family]) &&
      (target === undefined || (target.version === 4) === (family === 0)),
  );
}

/**
 * Ids of one table that a query selects: all; one prefix; what it covers (`longer`); or, for a bare address, what covers
 * it, longest first. Sorted when there are not too many.
 */
export function selectPrefixes(
  prefixes: PrefixTable,
  query: RouteQuery,
  present: (id: number) => boolean,
): Iterable<number> {
  if (query.prefix === undefined) return all(prefixes, present);
  const { address, length, bare } = parseTarget(query.prefix);
  const words = address.version === 4 ? [address.value] : address.words;
  if (bare) return covering(prefixes, words, length).filter(present);
  if (query.longer !== true) return [find(prefixes, words, length)].filter(id => id !== 0 && present(id));
  return all(
    prefixes,
    id => present(id) && prefixes.lengths[id]! >= length && sharesPrefix(prefixes, id, words, length),
  );
}

function parseTarget(text: string): { readonly address: IpAddress; readonly length: number; readonly bare: boolean } {
  if (!text.includes('/')) {
    const address = parseAddress(text);
    if (!address.ok) throw new RangeError(address.error);
    return { address: address.value, length: address.value.version === 4 ? 32 : 128, bare: true };
  }
  const prefix = parsePrefix(text);
  if (!prefix.ok) throw new RangeError(prefix.error);
  return { ...prefix.value, bare: false };
}

function* all(prefixes: PrefixTable, present: (id: number) => boolean): Iterable<number> {
  if (prefixes.size > SORTED) {
    for (let id = 1; id < prefixes.limit; id++) if (present(id)) yield id;
    return;
  }
  const ids: number[] = [];
  for (let id = 1; id < prefixes.limit; id++) if (present(id)) ids.push(id);
  yield* ids.sort((a, b) => comparePrefixes(prefixes, a, b));
}

function comparePrefixes(prefixes: PrefixTable, a: number, b: number): number {
  const { words, stride, lengths } = prefixes;
  for (let i = 0; i < stride; i++) {
    const difference = words[a * stride + i]! - words[b * stride + i]!;
    if (difference !== 0) return difference;
  }
  return lengths[a]! - lengths[b]!;
}

function covering(prefixes: PrefixTable, words: readonly number[], longest: number): number[] {
  const found: number[] = [];
  for (let length = longest; length >= 0; length--) {
    const id = find(prefixes, words, length);
    if (id !== 0) found.push(id);
  }
  return found;
}

function find(prefixes: PrefixTable, words: readonly number[], length: number): PrefixId {
  const masked = words.map((word, i) => (word & mask(length - 32 * i)) >>> 0);
  if (prefixes.stride === 1) return prefixes.find4(masked[0]!, length);
  return prefixes.find6(masked[0]!, masked[1]!, masked[2]!, masked[3]!, length);
}

function sharesPrefix(prefixes: PrefixTable, id: number, words: readonly number[], length: number): boolean {
  return words.every((word, i) => ((prefixes.words[id * prefixes.stride + i]! ^ word) & mask(length - 32 * i)) === 0);
}

function mask(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

export function addressText(address: IpAddress): string {
  return formatAddress(address);
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex');
}
