/** What the kernel feed has to say to the overlay: what the network between the nodes is like, and who touches what is ours. */

import type { InterfaceAddress } from '../../kernel/addresses.js';
import type { Link } from '../../kernel/links.js';
import type { Change } from '../../kernel/monitor.js';
import type { Neighbour, VxlanForwarding } from '../../kernel/neighbours.js';
import type { RouteScan } from '../../kernel/routeScan.js';
import type { Route } from '../../kernel/routes.js';
import { IFF_UP } from '../../kernel/rtnetlink.js';
import type { Rule } from '../../kernel/rules.js';
import type { FeedReader } from '../kernelFeed.js';
import { objectKey } from './nodePlan.js';
import { OVERLAY_TABLE } from './overlayOptions.js';
import type { Overlay } from './overlay.js';
import type { OverlayObject } from './overlayTypes.js';
import { UnderlayReader } from './underlay.js';

/** @param protocol RTPROT_* of our routes */
export function createOverlayReader(overlay: Overlay, protocol: number): FeedReader {
  return new OverlayReader(overlay, new UnderlayReader(protocol));
}

class OverlayReader implements FeedReader {
  /** Names of links, to know ours by number when they go. */
  private readonly names = new Map<number, string>();

  constructor(
    private readonly overlay: Overlay,
    private readonly underlay: UnderlayReader,
  ) {}

  interfaces(links: readonly Link[], addresses: readonly InterfaceAddress[]): void {
    this.names.clear();
    for (const link of links) this.names.set(link.index, link.name);
    this.underlay.interfaces(links, addresses);
  }

  linkChanged(change: Change, link: Link): void {
    this.underlay.linkChanged(change, link);
    if (change === 'gone') this.names.delete(link.index);
    else this.names.set(link.index, link.name);
    const ours = this.overlay.present.get(`device ${link.name}`);
    if (ours?.kind !== 'device') return;
    const isUp = (link.flags & IFF_UP) !== 0;
    if (change === 'gone' || link.mtu !== ours.device.mtu || !isUp) this.overlay.readSoon();
  }

  addressChanged(change: Change, address: InterfaceAddress): void {
    this.underlay.addressChanged(change, address);
  }

  beginRead(): void {
    // The underlay forgets nothing: a route that is gone does not change what its link takes.
  }

  readRoute(route: RouteScan): void {
    this.underlay.readRoute(route);
  }

  endRead(): void {
    // Conclusions are drawn when all is settled.
  }

  routeChanged(change: Change, route: Route): void {
    this.underlay.routeChanged(change, route);
    if (route.table !== OVERLAY_TABLE || change === 'set') return;
    this.missing({ kind: 'route', destination: route.destination, device: '', gateway: null, source: undefined });
  }

  neighbourChanged(change: Change, { ifindex, address, lladdr = '' }: Neighbour): void {
    const device = this.names.get(ifindex);
    if (device !== undefined && change === 'gone') this.missing({ kind: 'neighbour', device, address, lladdr });
  }

  forwardingChanged(change: Change, { ifindex, lladdr, remote }: VxlanForwarding): void {
    const device = this.names.get(ifindex);
    if (device !== undefined && change === 'gone') this.missing({ kind: 'forwarding', device, lladdr, remote });
  }

  ruleChanged(change: Change, { table, source }: Rule): void {
    if (change === 'gone' && table === OVERLAY_TABLE && source !== undefined) this.missing({ kind: 'rule', source });
  }

  overrun(): void {
    this.overlay.readSoon();
  }

  settled(): void {
    const underlay = this.underlay.changed();
    if (underlay !== undefined) this.overlay.underlayChanged(underlay);
  }

  /** Gone, and not by our own hand: then it would be believed gone already. */
  private missing(object: OverlayObject): void {
    if (this.overlay.present.has(objectKey(object))) this.overlay.readSoon();
  }
}
