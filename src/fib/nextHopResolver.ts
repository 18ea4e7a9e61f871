/**
 * Says how a BGP next hop is reached (RFC 4271 section 5.1.3 and 9.1.2.1): through a link it is on, or through the
 * gateway of a route that somebody else put into the kernel. Routes of our own never resolve a next hop.
 */

import type { FamilyIndex } from '../bgp/families.js';
import { assertNever } from '../core/assertNever.js';
import { formatAddress, type IpAddress } from '../core/ip.js';
import type { InterfaceAddress } from '../kernel/addresses.js';
import { isUsable, type Link } from '../kernel/links.js';
import type { Change } from '../kernel/monitor.js';
import type { RouteScan } from '../kernel/routeScan.js';
import { routeOf, type Route, type RouteHop } from '../kernel/routes.js';
import { AF_INET, RTPROT_SERVICES, RT_TABLE_MAIN } from '../kernel/rtnetlink.js';
import { addressKey, ForeignRoutes } from './foreignRoutes.js';
import type { FeedReader, KernelFeed } from './kernelFeed.js';
import type { NodeWay } from './overlay/overlay.js';
import type { TunnelTerms } from './overlay/overlayTypes.js';
import { isOurs, type Ownership } from './ownership.js';

/** How a next hop is reached. Also a `NextHopState` as the engine wants it. */
export interface NextHopAnswer {
  readonly address: IpAddress;
  readonly reachable: boolean;
  /** 0 on a connected network, otherwise the kernel metric of the route that leads there. */
  readonly metric: number;
  /** Ways there that work, each with a gateway: the next hop itself when it is on the link. Empty when unreachable. */
  readonly hops: readonly RouteHop[];
  /** Name of the first hop's link. */
  readonly device: string | null;
  /** What routes through a tunnel say besides. */
  readonly terms: TunnelTerms | null;
  /** Why it is unreachable, or no route of ours leads there, for people. */
  readonly reason: string | null;
}

/** Who knows the nodes of the cluster, and how packets get to them. */
export interface NodeWays {
  /** Undefined: the address is no node's. */
  wayTo(address: IpAddress): NodeWay | undefined;
  onWaysChanged(listener: () => void): () => void;
}

export interface NextHopResolver {
  /** Answers now, and tells subscribers whenever the answer changes; counts, so that several users may watch the same. */
  watch(address: IpAddress): NextHopAnswer;
  unwatch(address: IpAddress): void;
  resolve(address: IpAddress): NextHopAnswer;
  /** Hears of changed answers, all of one batch of kernel events together. @returns a function that ends it */
  subscribe(listener: (changed: readonly NextHopAnswer[]) => void): () => void;
  deviceName(ifindex: number): string | undefined;
}

interface Incoming {
  readonly routes: ForeignRoutes;
  readonly changes: { readonly change: Change; readonly route: Route }[];
}

interface Watched {
  users: number;
  answer: NextHopAnswer;
}

/** Reads from the feed, which must be started afterwards. @param nodes absent: a next hop is a next hop */
export function createNextHopResolver(feed: KernelFeed, owner: Ownership, nodes?: NodeWays): NextHopResolver {
  const resolver = new Resolver(owner, nodes);
  feed.subscribe(resolver);
  nodes?.onWaysChanged(() => resolver.waysChanged());
  return resolver;
}

class Resolver implements NextHopResolver, FeedReader {
  private readonly links = new Map<number, Link>();
  /** Addresses of our own, with the links that have them. */
  private readonly own = new Map<string, Set<number>>();
  private readonly routes: [ForeignRoutes, ForeignRoutes] = [new ForeignRoutes(), new ForeignRoutes()];
  /** What a reading that is under way has found so far, and what was told meanwhile. */
  private readonly incoming: [Incoming | undefined, Incoming | undefined] = [undefined, undefined];
  private readonly watched = new Map<string, Watched>();
  private readonly listeners = new Set<(changed: readonly NextHopAnswer[]) => void>();
  private stale = false;

  constructor(
    private readonly owner: Ownership,
    private readonly nodes: NodeWays | undefined,
  ) {}

  watch(address: IpAddress): NextHopAnswer {
    const key = formatAddress(address);
    const known = this.watched.get(key);
    if (known !== undefined) {
      known.users += 1;
      return known.answer;
    }
    const answer = this.resolve(address);
    this.watched.set(key, { users: 1, answer });
    return answer;
  }

  unwatch(address: IpAddress): void {
    const key = formatAddress(address);
    const known = this.watched.get(key);
    if (known === undefined) return;
    known.users -= 1;
    if (known.users === 0) this.watched.delete(key);
  }

  subscribe(listener: (changed: readonly NextHopAnswer[]) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  deviceName(ifindex: number): string | undefined {
    return this.links.get(ifindex)?.name;
  }

  resolve(address: IpAddress): NextHopAnswer {
    const answer = this.onLinks(address);
    const way = answer.reachable ? this.nodes?.wayTo(address) : undefined;
    switch (way?.kind) {
      case undefined:
      case 'direct':
        return answer;
      case 'fabric':
        // Usable, so that it can be told to others; but packets find their way without us.
        return {
          ...answer,
          hops: [],
          device: null,
          reason: 'left to the network: a node in another subnet, no overlay',
        };
      case 'blocked':
        return unreachable(address, way.reason);
      case 'tunnel':
        return { ...answer, hops: [way.hop], device: this.deviceName(way.hop.ifindex) ?? null, terms: way.terms };
      default:
        return assertNever(way);
    }
  }

  waysChanged(): void {
    this.stale = true;
    this.settled();
  }

  /** Through a link it is on, or somebody else's route. */
  private onLinks(address: IpAddress): NextHopAnswer {
    if (address.version === 6 && address.zone !== undefined) return this.onZone(address, address.zone);
    if (this.own.has(addressKey(address))) return unreachable(address, 'it is an address of this machine');
    if (isLinkLocal(address)) return unreachable(address, 'a link-local address without a zone says no link');
    const [route] = this.routes[address.version === 4 ? 0 : 1].lookUp(address);
    if (route === undefined) return unreachable(address, 'no route to it');
    if (route.type !== 'unicast') return unreachable(address, `the route to it is of type ${route.type}`);
    const usable = this.usableOf(address, route);
    if (usable.hops.length === 0) return unreachable(address, `link ${usable.missing} is down`);
    const connected = usable.hops.every(hop => hop.gateway === address);
    return this.reachable(address, connected ? 0 : route.metric, usable.hops);
  }

  interfaces(links: readonly Link[], addresses: readonly InterfaceAddress[]): void {
    this.links.clear();
    this.own.clear();
    for (const link of links) this.links.set(link.index, link);
    for (const address of addresses) this.addressChanged('set', address);
    this.stale = true;
  }

  linkChanged(change: Change, link: Link): void {
    if (change === 'gone') this.links.delete(link.index);
    else this.links.set(link.index, link);
    this.stale = true;
  }

  addressChanged(change: Change, { address, ifindex }: InterfaceAddress): void {
    const key = addressKey(address);
    const links = this.own.get(key) ?? new Set<number>();
    if (change === 'set') links.add(ifindex);
    else links.delete(ifindex);
    if (links.size > 0) this.own.set(key, links);
    else this.own.delete(key);
    this.stale = true;
  }

  beginRead(family: FamilyIndex): void {
    this.incoming[family] = { routes: new ForeignRoutes(), changes: [] };
  }

  readRoute(scan: RouteScan): void {
    if (!resolves(this.owner, scan)) return;
    this.incoming[scan.family === AF_INET ? 0 : 1]?.routes.add(routeOf(scan));
  }

  endRead(family: FamilyIndex): void {
    const incoming = this.incoming[family];
    if (incoming === undefined) return;
    // A dump's answers may be older than what was told while they came.
    for (const { change, route } of incoming.changes) takeChange(incoming.routes, change, route);
    this.routes[family] = incoming.routes;
    this.incoming[family] = undefined;
    this.stale = true;
  }

  routeChanged(change: Change, route: Route): void {
    if (!resolves(this.owner, route)) return;
    const family = route.destination.address.version === 4 ? 0 : 1;
    takeChange(this.routes[family], change, route);
    this.incoming[family]?.changes.push({ change, route });
    this.stale = true;
  }

  settled(): void {
    if (!this.stale) return;
    this.stale = false;
    const changed: NextHopAnswer[] = [];
    for (const watched of this.watched.values()) {
      const answer = this.resolve(watched.answer.address);
      if (sameAnswer(answer, watched.answer)) continue;
      watched.answer = answer;
      changed.push(answer);
    }
    if (changed.length > 0) for (const listener of this.listeners) listener(changed);
  }

  private onZone(address: IpAddress, zone: string): NextHopAnswer {
    const link = [...this.links.values()].find(({ name, index }) => name === zone || String(index) === zone);
    if (link === undefined) return unreachable(address, `there is no link ${zone}`);
    if (!isUsable(link)) return unreachable(address, `link ${zone} is down`);
    if (this.own.get(addressKey(address))?.has(link.index) === true)
      return unreachable(address, 'it is an address of this machine');
    const gateway: IpAddress = address.version === 6 ? { version: 6, words: address.words } : address;
    return this.reachable(address, 0, [{ gateway, ifindex: link.index, onlink: false, weight: 1 }]);
  }

  /** The route's hops whose links work; a hop without a gateway has the next hop itself on its link. */
  private usableOf(address: IpAddress, route: Route): { readonly hops: readonly RouteHop[]; readonly missing: string } {
    const works = (hop: RouteHop): boolean => {
      const link = this.links.get(hop.ifindex);
      return link !== undefined && isUsable(link);
    };
    const hops = route.hops.filter(works).map(hop => (hop.gateway === null ? { ...hop, gateway: address } : hop));
    const dead = route.hops.find(hop => !works(hop))?.ifindex ?? 0;
    return { hops, missing: this.deviceName(dead) ?? String(dead) };
  }

  private reachable(address: IpAddress, metric: number, hops: readonly RouteHop[]): NextHopAnswer {
    const device = this.deviceName(hops[0]?.ifindex ?? 0) ?? null;
    return { address, reachable: true, metric, hops, device, terms: null, reason: null };
  }
}

function unreachable(address: IpAddress, reason: string): NextHopAnswer {
  return { address, reachable: false, metric: 0, hops: [], device: null, terms: null, reason };
}

function takeChange(routes: ForeignRoutes, change: Change, route: Route): void {
  if (change === 'set') routes.add(route);
  else routes.remove(route);
}

function isLinkLocal(address: IpAddress): boolean {
  return address.version === 6 && address.words[0] >>> 22 === 0xfe80 >>> 6;
}

/** Whether next hops may be looked up in this route: somebody else's, and not one to addresses of services either. */
function resolves(owner: Ownership, route: { readonly protocol: number; readonly table: number }): boolean {
  return route.table === RT_TABLE_MAIN && route.protocol !== RTPROT_SERVICES && !isOurs(owner, route);
}

function sameAnswer(a: NextHopAnswer, b: NextHopAnswer): boolean {
  const text = ({ reachable, metric, hops, device, terms, reason }: NextHopAnswer): string =>
    JSON.stringify([reachable, metric, hops, device, terms, reason]);
  return text(a) === text(b);
}
