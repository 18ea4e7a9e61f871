/** What the machine's own links and addresses say of the network between the nodes; reads along with the kernel feed. */

import { formatPrefix, maskAddress, type IpAddress, type IpPrefix } from '../../core/ip.js';
import type { InterfaceAddress } from '../../kernel/addresses.js';
import type { Link } from '../../kernel/links.js';
import type { Change } from '../../kernel/monitor.js';
import type { RouteScan } from '../../kernel/routeScan.js';
import type { Route } from '../../kernel/routes.js';
import { IFF_LOOPBACK, RT_TABLE_MAIN } from '../../kernel/rtnetlink.js';
import { addressKey } from '../foreignRoutes.js';

export interface Underlay {
  /** Networks that links of ours are on. */
  readonly subnets: readonly IpPrefix[];
  /** Most octets of a packet from this address of ours to other nodes. */
  mtuFor(own: IpAddress): number;
}

/** Of Ethernet, where nothing better is known. */
export const USUAL_MTU = 1500;

/** Takes the feed's words in; `changed` says whether they mean something new. */
export class UnderlayReader {
  private readonly links = new Map<number, Link>();
  private readonly addresses = new Map<string, InterfaceAddress>();
  /** Links that routes of others with a gateway go through. */
  private readonly gatewayed = new Set<number>();
  private stale = false;

  /** @param protocol RTPROT_* of our own routes, which say nothing of the network */
  constructor(private readonly protocol: number) {}

  interfaces(links: readonly Link[], addresses: readonly InterfaceAddress[]): void {
    this.links.clear();
    this.addresses.clear();
    for (const link of links) this.links.set(link.index, link);
    for (const address of addresses) this.addressChanged('set', address);
    this.stale = true;
  }

  linkChanged(change: Change, link: Link): void {
    const before = this.links.get(link.index);
    if (change === 'gone') this.links.delete(link.index);
    else this.links.set(link.index, link);
    if (change === 'gone' || before?.mtu !== link.mtu) this.stale = true;
  }

  addressChanged(change: Change, address: InterfaceAddress): void {
    const key = `${address.ifindex} ${addressKey(address.address)}/${address.length}`;
    if (change === 'gone') this.addresses.delete(key);
    else this.addresses.set(key, address);
    this.stale = true;
  }

  readRoute(scan: RouteScan): void {
    if (scan.table !== RT_TABLE_MAIN || scan.protocol === this.protocol) return;
    for (let hop = 0; hop < scan.hopCount; hop++)
      if (scan.hopFamily[hop] !== 0) this.noteGateway(scan.hopIfindex[hop]!);
  }

  routeChanged(change: Change, route: Route): void {
    if (change === 'gone' || route.table !== RT_TABLE_MAIN || route.protocol === this.protocol) return;
    for (const hop of route.hops) if (hop.gateway !== null) this.noteGateway(hop.ifindex);
  }

  /** @returns what is known now, if it is another than at the last call */
  changed(): Underlay | undefined {
    if (!this.stale) return undefined;
    this.stale = false;
    const networks = [...this.addresses.values()].map(({ address, length }) => ({
      address: maskAddress(address, length),
      length,
    }));
    const subnets = [...new Map(networks.map(prefix => [formatPrefix(prefix), prefix])).values()];
    return { subnets, mtuFor: own => this.mtuFor(own) };
  }

  private noteGateway(ifindex: number): void {
    if (this.gatewayed.has(ifindex)) return;
    this.gatewayed.add(ifindex);
    this.stale = true;
  }

  /**
   * That of the link with the address. A node whose address is on its loopback reaches others through any link that has a
   * gateway: the smallest of them.
   */
  private mtuFor(own: IpAddress): number {
    const holders = [...this.addresses.values()].filter(({ address }) => addressKey(address) === addressKey(own));
    const direct = this.mtusOf(holders.map(({ ifindex }) => ifindex));
    const mtus = direct.length > 0 ? direct : this.mtusOf([...this.gatewayed]);
    return mtus.length > 0 ? Math.min(...mtus) : USUAL_MTU;
  }

  private mtusOf(indices: readonly number[]): readonly number[] {
    return indices.flatMap(index => {
      const link = this.links.get(index);
      return link === undefined || (link.flags & IFF_LOOPBACK) !== 0 ? [] : [link.mtu];
    });
  }
}
