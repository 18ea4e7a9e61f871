/**
 * Which routes this machine itself needs to reach cluster IPs: by a link that could carry the packet, with the node's own
 * address as source. Packets are turned round to an endpoint before they leave, so nothing is ever sent by such a route; it
 * has to be there only for connect(2) to find a way and a source.
 *
 * The routes are unicast ones of the main table. A `local` route on the loopback would do as well, but makes every cluster IP
 * an address of this machine for other people's rules: what matches `-m addrtype --dst-type LOCAL` (host ports of the CNI
 * plugin portmap, published ports of Docker) would take connections to services, whatever listens on the host would answer
 * where no rule is, and segments would be measured by the loopback's MTU. IPv6 knows no unicast route on the loopback at all.
 * Pure.
 */

import {
  addressBits,
  formatAddress,
  formatPrefix,
  parseAddress,
  prefixContains,
  type IpAddress,
  type IpPrefix,
} from '../../core/ip.js';
import type { InterfaceAddress } from '../../kernel/addresses.js';
import { isUsable, type Link } from '../../kernel/links.js';
import { IFF_LOOPBACK } from '../../kernel/rtnetlink.js';
import type { IpText } from '../../kube/objectTypes.js';
import type { Family, KeyedChange, ServiceAddress } from '../proxyTypes.js';

/** How packets of this machine to services are addressed before they are turned round. */
export interface RouteTerms {
  readonly ifindex: number;
  readonly source: IpAddress;
}

/** What is there on this machine. */
export interface HostLinks {
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
}

/**
 * The link that has the node's address. Where that is on the loopback, as with routing to the host, any other that works:
 * the one of before, or the first, those with an address of the family before others.
 * @param nodeAddresses the node's, in the order of preference
 * @returns undefined where the node's address is not on this machine, or nothing but the loopback works
 */
export function routeTerms(
  family: Family,
  nodeAddresses: readonly IpAddress[],
  { links, addresses }: HostLinks,
  before?: RouteTerms,
): RouteTerms | undefined {
  const ofFamily = addresses.filter(({ address }) => address.version === family);
  const source = nodeAddresses.find(wanted =>
    ofFamily.some(({ address }) => formatAddress(address) === formatAddress(wanted)),
  );
  if (source === undefined) return undefined;
  const holders = indicesOf(ofFamily.filter(({ address }) => formatAddress(address) === formatAddress(source)));
  const able = links
    .filter(link => isUsable(link) && (link.flags & IFF_LOOPBACK) === 0 && link.master === null)
    // A link without an IPv6 address has IPv6 switched off.
    .filter(({ index }) => family === 4 || indicesOf(ofFamily).has(index))
    .map(({ index }) => index)
    .sort((a, b) => a - b);
  const addressed = indicesOf(ofFamily.filter(({ scope }) => scope === RT_SCOPE_GLOBAL));
  const ifindex =
    able.find(index => holders.has(index)) ??
    able.find(index => index === before?.ifindex) ??
    able.find(index => addressed.has(index)) ??
    able[0];
  return ifindex === undefined ? undefined : { ifindex, source };
}

const RT_SCOPE_GLOBAL = 0;

function indicesOf(addresses: readonly InterfaceAddress[]): ReadonlySet<number> {
  return new Set(addresses.map(({ ifindex }) => ifindex));
}

/** Prefix text → what the route says: the reconciler's key and value. Undefined: no such route. */
export type HostRouteChanges = Map<string, string | undefined>;

export interface HostRoutePlan {
  /** The services' networks: one route for each, and none for single addresses in them. */
  setNetworks(networks: readonly IpPrefix[]): HostRouteChanges;
  setTerms(family: Family, terms: RouteTerms | undefined): HostRouteChanges;
  apply(addresses: KeyedChange<IpText, ServiceAddress>): HostRouteChanges;
}

export function createHostRoutePlan(): HostRoutePlan {
  const terms = new Map<Family, RouteTerms>();
  /** Cluster IPs, each as a prefix of its own. */
  const single = new Map<IpText, IpPrefix>();
  let networks: readonly IpPrefix[] = [];

  const valueOf = ({ address: { version } }: IpPrefix): string | undefined => {
    const known = terms.get(version);
    return known && routeValue(known);
  };
  const isCovered = (prefix: IpPrefix): boolean => networks.some(network => prefixContains(network, prefix.address));
  const changesOf = (prefixes: Iterable<IpPrefix>): HostRouteChanges => {
    const changes: HostRouteChanges = new Map();
    for (const prefix of prefixes) changes.set(formatPrefix(prefix), valueOf(prefix));
    return changes;
  };
  const uncovered = (): readonly IpPrefix[] => [...single.values()].filter(prefix => !isCovered(prefix));
  return {
    setNetworks: next => {
      const gone = [...networks, ...uncovered()].map(prefix => [formatPrefix(prefix), undefined] as const);
      networks = next;
      return new Map([...gone, ...changesOf([...networks, ...uncovered()])]);
    },
    setTerms: (family, next) => {
      if (next === undefined) terms.delete(family);
      else terms.set(family, next);
      return changesOf([...networks, ...uncovered()].filter(({ address }) => address.version === family));
    },
    apply: ({ set, removed }) => {
      const changes: HostRouteChanges = new Map();
      const note = (prefix: IpPrefix, value: string | undefined): void => {
        if (!isCovered(prefix)) changes.set(formatPrefix(prefix), value);
      };
      for (const text of removed) {
        const prefix = single.get(text);
        if (prefix !== undefined && single.delete(text)) note(prefix, undefined);
      }
      for (const [text, { isClusterIp }] of set) {
        const prefix = isClusterIp ? hostPrefix(text) : single.get(text);
        if (prefix === undefined) continue;
        if (isClusterIp) single.set(text, prefix);
        else single.delete(text);
        note(prefix, isClusterIp ? valueOf(prefix) : undefined);
      }
      return changes;
    },
  };
}

/** @returns undefined for what is no address: the objects' parsers have refused it before */
function hostPrefix(text: IpText): IpPrefix | undefined {
  const parsed = parseAddress(text);
  return parsed.ok ? { address: parsed.value, length: addressBits(parsed.value) } : undefined;
}

/** What of a route is compared. */
export function routeValue({ ifindex, source }: RouteTerms): string {
  return `${ifindex} ${formatAddress(source)}`;
}

/** @returns undefined when it is no value of ours */
export function parseRouteValue(value: string): RouteTerms | undefined {
  const [index = '', text = ''] = value.split(' ');
  const source = parseAddress(text);
  return source.ok && /^\d+$/.test(index) ? { ifindex: Number(index), source: source.value } : undefined;
}
