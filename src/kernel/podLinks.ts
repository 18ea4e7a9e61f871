/**
 * Which link of this machine leads to which pod: pure, from what the kernel tells of links, of the namespaces behind
 * them, of routes and of neighbours. Right for every CNI plugin that gives a pod a link of its own.
 */

import { formatAddress, type IpAddress } from '../core/ip.js';
import type { InterfaceAddress } from './addresses.js';
import type { Neighbour } from './neighbours.js';

/** A link of this machine, with what is at its other end. */
export interface HostLink {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  /** Administratively. */
  readonly up: boolean;
  /** IFLA_INFO_KIND: veth, bridge, ifb, …; empty for hardware. */
  readonly kind: string;
  /** Index of the bridge it belongs to. */
  readonly master: number | null;
  /** The other end, where it is in another network namespace: our number for the namespace, and the link's number there. */
  readonly peer: { readonly namespace: number; readonly index: number } | null;
}

/** A link-layer address that a bridge has seen (or was told to be) behind a port. */
export interface BridgeEntry {
  readonly port: number;
  readonly bridge: number;
  readonly lladdr: string;
}

export interface PodLinkFacts {
  readonly links: readonly HostLink[];
  /** Addresses in namespaces behind links, by our number for the namespace. */
  readonly inside: ReadonlyMap<number, readonly InterfaceAddress[]>;
  /** Routes to single addresses without a gateway. */
  readonly routes: readonly { readonly address: IpAddress; readonly ifindex: number }[];
  readonly neighbours: readonly Neighbour[];
  readonly forwarding: readonly BridgeEntry[];
}

/**
 * How a link is known to be an address's. `namespace`: the other end of the link has the address, as the kernel itself
 * says. `route`: a route leads to this one address through the link. `neighbour`: the bridge has seen the link-layer
 * address, which goes by what pods say and may be old.
 */
export type PodLinkEvidence = 'namespace' | 'route' | 'neighbour';

/** The host's end of a pod's link. */
export interface PodLink {
  readonly ifindex: number;
  readonly name: string;
  /** Octets. */
  readonly mtu: number;
  /** Index of the bridge that it is a port of; null: packets are routed to it. */
  readonly bridge: number | null;
  readonly by: PodLinkEvidence;
}

/** Links by address (canonical text). */
export type PodLinks = ReadonlyMap<string, PodLink>;

/**
 * @param before what was known: where two links claim one address with the same evidence, the one that had it keeps it, or
 * else the older one (with the lower number) has it, so that no pod takes an address from another by giving it to itself
 */
export function mapPodLinks(facts: PodLinkFacts, before: PodLinks = new Map()): PodLinks {
  const found = new Map<string, PodLink>();
  const byIndex = new Map(facts.links.map(link => [link.index, link]));
  const claim = (address: IpAddress, ifindex: number, by: PodLinkEvidence): void => {
    const link = byIndex.get(ifindex);
    if (link === undefined) return;
    const key = formatAddress(address);
    const holder = found.get(key);
    if (holder === undefined || (holder.by === by && isPreferred(ifindex, holder, before.get(key))))
      found.set(key, podLinkOf(link, by));
  };
  for (const { index, peer } of facts.links) {
    if (peer === null) continue;
    for (const { ifindex, address, scope } of facts.inside.get(peer.namespace) ?? [])
      if (ifindex === peer.index && scope === 0) claim(address, index, 'namespace');
  }
  for (const { address, ifindex } of facts.routes)
    if (byIndex.get(ifindex)?.kind !== 'bridge') claim(address, ifindex, 'route');
  const ports = new Map(facts.forwarding.map(({ port, bridge, lladdr }) => [`${bridge} ${lladdr}`, port]));
  for (const { address, ifindex, lladdr } of facts.neighbours) {
    const port = lladdr === undefined ? undefined : ports.get(`${ifindex} ${lladdr}`);
    if (port !== undefined) claim(address, port, 'neighbour');
  }
  return found;
}

function isPreferred(candidate: number, holder: PodLink, before: PodLink | undefined): boolean {
  if (before?.ifindex === holder.ifindex) return false;
  return before?.ifindex === candidate || candidate < holder.ifindex;
}

function podLinkOf({ index, name, mtu, master }: HostLink, by: PodLinkEvidence): PodLink {
  return { ifindex: index, name, mtu, bridge: master, by };
}
