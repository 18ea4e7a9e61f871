/**
 * From changes of services to changes of what IPVS shall have: a change of one endpoint costs a look at one service port,
 * however many services there are. Pure.
 */

import { formatAddress, isLoopback, parseAddress, prefixContains, type IpAddress } from '../../core/ip.js';
import type { IpText } from '../../kube/objectTypes.js';
import type {
  BackendLists,
  Family,
  Frontend,
  FrontendKey,
  ProxyDelta,
  ProxySettings,
  ServiceAddress,
  ServicePortKey,
} from '../proxyTypes.js';
import { serverIds, serverKey, virtualServers, type VirtualServer } from './virtualServers.js';
import * as wish from './wishes.js';
import type { Wish, WishKey } from './wishes.js';

/** What came, with its value, or goes. */
export type WishChanges = Map<WishKey, Wish | undefined>;

export interface IpvsPlanChanges {
  readonly wishes: WishChanges;
  /** Frontends that are concerned, wanted ones and those that went. */
  readonly touched: ReadonlySet<FrontendKey>;
}

export interface IpvsPlan {
  apply(delta: ProxyDelta): IpvsPlanChanges;
  /** @param local addresses of this machine that are not on the services' link, all of them */
  configure(settings: ProxySettings, local: readonly IpAddress[]): IpvsPlanChanges;
  frontend(key: FrontendKey): Frontend | undefined;
  listsOf(port: ServicePortKey): BackendLists | undefined;
  /** Everything that must be there for a frontend to be served. */
  wishesOf(key: FrontendKey): readonly WishKey[];
  /** The virtual servers of a frontend, by {@link serverKey}; none where nobody serves it. */
  serversOf(key: FrontendKey): ReadonlyMap<string, VirtualServer>;
  /** Whose a virtual server is, whether anybody serves it or not. @param server as {@link serverKey} has it */
  ownerOf(server: string): FrontendKey | undefined;
  frontendsAt(address: string): readonly FrontendKey[];
  readonly frontends: Iterable<Frontend>;
  /** Addresses of this machine that serve node ports. */
  readonly nodePortAddresses: readonly IpAddress[];
}

export function createIpvsPlan(): IpvsPlan {
  return new Plan();
}

const NONE: ReadonlyMap<string, VirtualServer> = new Map();

interface Placed {
  readonly servers: ReadonlyMap<string, VirtualServer>;
  /** Where it would be served, if anybody did: keys of {@link servers}, and more. */
  readonly places: readonly string[];
}

const NOWHERE: Placed = { servers: NONE, places: [] };

class Plan implements IpvsPlan {
  private readonly byKey = new Map<FrontendKey, Frontend>();
  private readonly byPort = new Map<ServicePortKey, Set<FrontendKey>>();
  private readonly byAddress = new Map<IpText, Set<FrontendKey>>();
  private readonly lists = new Map<ServicePortKey, BackendLists>();
  private readonly addresses = new Map<IpText, ServiceAddress>();
  private readonly placed = new Map<FrontendKey, Placed>();
  /** Who would be served at a place; of several, the first of {@link rank} is. */
  private readonly claimants = new Map<string, Set<FrontendKey>>();
  /** What each place wants now. */
  private readonly wanted = new Map<string, ReadonlyMap<WishKey, Wish>>();
  private readonly vips = new Map<IpText, Wish>();
  private local: ReadonlySet<string> = new Set();
  private sources: ReadonlyMap<Family, IpAddress> = new Map();
  private families: ReadonlySet<Family> = new Set();
  nodePortAddresses: readonly IpAddress[] = [];

  get frontends(): Iterable<Frontend> {
    return this.byKey.values();
  }

  apply({ frontends, backends, addresses }: ProxyDelta): IpvsPlanChanges {
    const touched = new Set<FrontendKey>();
    for (const key of frontends.removed) this.removeFrontend(key, touched);
    for (const frontend of frontends.set.values()) this.setFrontend(frontend, touched);
    for (const port of backends.removed) if (this.lists.delete(port)) this.touchPort(port, touched);
    for (const lists of backends.set.values()) {
      this.lists.set(lists.servicePort, lists);
      this.touchPort(lists.servicePort, touched);
    }
    const texts = new Set<IpText>([...addresses.removed, ...addresses.set.keys()]);
    for (const text of addresses.removed) this.addresses.delete(text);
    for (const [text, address] of addresses.set) this.addresses.set(text, address);
    return this.replan(touched, texts);
  }

  configure(settings: ProxySettings, local: readonly IpAddress[]): IpvsPlanChanges {
    this.families = new Set(([4, 6] as const).filter(family => (family === 4 ? settings.ipv4 : settings.ipv6)));
    this.local = new Set(local.map(formatAddress));
    this.nodePortAddresses = nodePortAddresses(settings, local);
    this.sources = preferredSources(settings, this.local);
    const changes = this.replan(new Set(this.byKey.keys()), this.addresses.keys());
    changes.wishes.set(wish.LINK_KEY, { kind: 'link' });
    const { tcpTimeout: tcp, tcpFinTimeout: tcpFin, udpTimeout: udp } = settings.ipvs;
    const isSet = [tcp, tcpFin, udp].some(timeout => timeout !== 0);
    changes.wishes.set(wish.TIMEOUTS_KEY, isSet ? { kind: 'timeouts', timeouts: { tcp, tcpFin, udp } } : undefined);
    return changes;
  }

  frontend(key: FrontendKey): Frontend | undefined {
    return this.byKey.get(key);
  }

  listsOf(port: ServicePortKey): BackendLists | undefined {
    return this.lists.get(port);
  }

  wishesOf(key: FrontendKey): readonly WishKey[] {
    const { servers } = this.placed.get(key) ?? NOWHERE;
    const text = this.byKey.get(key)?.address;
    const vip = text !== undefined && this.vips.has(text) ? [wish.LINK_KEY, wish.vipKey(text)] : [];
    // A place that is another's is that one's to answer for.
    const own = [...servers.keys()].filter(server => this.ownerOf(server) === key);
    return [...vip, ...own.flatMap(server => [...(this.wanted.get(server)?.keys() ?? [])])];
  }

  serversOf(key: FrontendKey): ReadonlyMap<string, VirtualServer> {
    return this.placed.get(key)?.servers ?? NONE;
  }

  ownerOf(server: string): FrontendKey | undefined {
    let owner: FrontendKey | undefined;
    for (const key of this.claimants.get(server) ?? [])
      if (owner === undefined || rank(this.byKey.get(key)) < rank(this.byKey.get(owner))) owner = key;
    return owner;
  }

  frontendsAt(address: string): readonly FrontendKey[] {
    return [...(this.byAddress.get(address as IpText) ?? [])];
  }

  private removeFrontend(key: FrontendKey, touched: Set<FrontendKey>): void {
    const before = this.byKey.get(key);
    if (before === undefined) return;
    this.byKey.delete(key);
    touched.add(key);
    const keys = this.byPort.get(before.servicePort);
    keys?.delete(key);
    if (keys?.size === 0) this.byPort.delete(before.servicePort);
    if (before.address === undefined) return;
    const others = this.byAddress.get(before.address);
    others?.delete(key);
    if (others?.size === 0) this.byAddress.delete(before.address);
  }

  private setFrontend(frontend: Frontend, touched: Set<FrontendKey>): void {
    // It may have another owner than before.
    this.removeFrontend(frontend.key, touched);
    this.byKey.set(frontend.key, frontend);
    this.byPort.set(frontend.servicePort, (this.byPort.get(frontend.servicePort) ?? new Set()).add(frontend.key));
    if (frontend.address !== undefined)
      this.byAddress.set(frontend.address, (this.byAddress.get(frontend.address) ?? new Set()).add(frontend.key));
    touched.add(frontend.key);
  }

  private touchPort(port: ServicePortKey, touched: Set<FrontendKey>): void {
    for (const key of this.byPort.get(port) ?? []) touched.add(key);
  }

  private replan(touched: Set<FrontendKey>, texts: Iterable<IpText>): IpvsPlanChanges {
    const wishes: WishChanges = new Map();
    // Whether a server needs a claim depends on whether its address is on the services' link.
    for (const text of texts)
      if (this.replanVip(text, wishes)) for (const key of this.byAddress.get(text) ?? []) touched.add(key);
    const places = new Set<string>();
    for (const key of touched) this.place(key, places);
    for (const place of places) this.replanPlace(place, wishes);
    return { wishes, touched };
  }

  /** @returns whether it came or went */
  private replanVip(text: IpText, wishes: WishChanges): boolean {
    const before = this.vips.get(text);
    const after = this.vipOf(this.addresses.get(text));
    if (after === undefined) this.vips.delete(text);
    else this.vips.set(text, after);
    if (before !== undefined && after === undefined) wishes.set(wish.vipKey(text), undefined);
    if (after !== undefined && (before === undefined || !wish.sameWish(before, after)))
      wishes.set(wish.vipKey(text), after);
    return (before === undefined) !== (after === undefined);
  }

  /** An address that the machine has on another link stays there. */
  private vipOf(known: ServiceAddress | undefined): Wish | undefined {
    if (known === undefined || !this.families.has(known.family)) return undefined;
    const address = parseAddress(known.address);
    if (!address.ok || this.local.has(formatAddress(address.value))) return undefined;
    return { kind: 'vip', address: address.value, source: this.sources.get(known.family) };
  }

  private place(key: FrontendKey, places: Set<string>): void {
    const before = this.placed.get(key) ?? NOWHERE;
    const after = this.placedOf(this.byKey.get(key));
    for (const place of before.places) {
      places.add(place);
      const keys = this.claimants.get(place);
      keys?.delete(key);
      if (keys?.size === 0) this.claimants.delete(place);
    }
    for (const place of after.places) {
      places.add(place);
      this.claimants.set(place, (this.claimants.get(place) ?? new Set()).add(key));
    }
    if (after === NOWHERE) this.placed.delete(key);
    else this.placed.set(key, after);
  }

  private placedOf(frontend: Frontend | undefined): Placed {
    if (frontend === undefined || !this.families.has(frontend.family)) return NOWHERE;
    const places = serverIds(frontend, this.nodePortAddresses).map(serverKey);
    const servers = virtualServers(frontend, this.lists.get(frontend.servicePort), this.nodePortAddresses);
    return { places, servers };
  }

  private replanPlace(place: string, wishes: WishChanges): void {
    const before = this.wanted.get(place);
    const owner = this.ownerOf(place);
    const server = owner === undefined ? undefined : this.placed.get(owner)?.servers.get(place);
    const after = server === undefined ? undefined : this.wishesFor(place, server);
    if (after === undefined) this.wanted.delete(place);
    else this.wanted.set(place, after);
    for (const key of before?.keys() ?? []) if (after?.has(key) !== true) wishes.set(key, undefined);
    for (const [key, value] of after ?? []) {
      const old = before?.get(key);
      if (old === undefined || !wish.sameWish(old, value)) wishes.set(key, value);
    }
  }

  private wishesFor(place: string, { server, destinations }: VirtualServer): ReadonlyMap<WishKey, Wish> {
    const wishes = new Map<WishKey, Wish>([[wish.keyOfServer(place), { kind: 'server', server }]]);
    // Others are recognised by the services' link.
    if (!this.vips.has(formatAddress(server.address) as IpText))
      wishes.set(wish.claimKey(place), { kind: 'claim', server });
    for (const [key, destination] of destinations)
      wishes.set(wish.keyOfDestination(place, key), { kind: 'destination', server, destination });
    return wishes;
  }
}

/** Whoever names the address goes before a node port, which is at every address. */
function rank(frontend: Frontend | undefined): string {
  return frontend === undefined ? '' : `${frontend.address === undefined ? 1 : 0}${frontend.key}`;
}

function nodePortAddresses(
  { nodePortAddresses: prefixes }: ProxySettings,
  local: readonly IpAddress[],
): readonly IpAddress[] {
  const able = local.filter(address => !isLoopback(address) && !isLinkLocal(address));
  if (prefixes === 'all') return able;
  return able.filter(address => prefixes.some(prefix => prefixContains(prefix, address)));
}

function preferredSources(
  { nodeAddresses }: ProxySettings,
  local: ReadonlySet<string>,
): ReadonlyMap<Family, IpAddress> {
  const sources = new Map<Family, IpAddress>();
  for (const text of nodeAddresses) {
    const address = parseAddress(text);
    if (!address.ok || !local.has(formatAddress(address.value))) continue;
    if (!sources.has(address.value.version)) sources.set(address.value.version, address.value);
  }
  return sources;
}

/** An IPVS of one link knows nothing of links: fe80::/10. */
function isLinkLocal(address: IpAddress): boolean {
  return address.version === 6 && address.words[0] >>> 22 === 0xfe80 >>> 6;
}
