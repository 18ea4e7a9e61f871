/** Tells what changes in the kernel's network state, as typed events, a batch for each turn of the event loop. */

import { assertNever } from '../core/assertNever.js';
import { decodeInterfaceAddress, type InterfaceAddress } from './addresses.js';
import { decodeLink, type Link } from './links.js';
import { decodeNeighbour, decodeVxlanForwarding, type Neighbour, type VxlanForwarding } from './neighbours.js';
import { NETLINK_ROUTE } from './netlink/numbers.js';
import { MessageCursor } from './netlink/reader.js';
import { openNetlink, type NetlinkSocket } from './netlink/socket.js';
import { RouteScan } from './routeScan.js';
import { routeOf, type Route } from './routes.js';
import * as rt from './rtnetlink.js';
import { decodeRule, type Rule } from './rules.js';

/** `set`: it is new or has changed. */
export type Change = 'set' | 'gone';

export type KernelEvent =
  | { readonly kind: 'link'; readonly change: Change; readonly link: Link }
  | { readonly kind: 'address'; readonly change: Change; readonly address: InterfaceAddress }
  | { readonly kind: 'route'; readonly change: Change; readonly route: Route }
  | { readonly kind: 'neighbour'; readonly change: Change; readonly neighbour: Neighbour }
  | { readonly kind: 'forwarding'; readonly change: Change; readonly forwarding: VxlanForwarding }
  | { readonly kind: 'rule'; readonly change: Change; readonly rule: Rule }
  /** More happened than the socket could hold: whoever keeps a copy of the kernel's state must read it again. */
  | { readonly kind: 'overrun' };

/** Forwarding entries of VXLAN devices come with neighbours. */
export type Topic = Exclude<KernelEvent['kind'], 'overrun' | 'forwarding'>;

export interface KernelMonitor {
  /** @returns a function that ends the subscription */
  subscribe(listener: (events: readonly KernelEvent[]) => void): () => void;
  close(): void;
}

export interface MonitorOptions {
  readonly topics: readonly Topic[];
  /** Port id of a channel whose own changes shall not be told. */
  readonly ignoreCausedBy?: number;
}

/** Octets of socket buffer: about 10,000 route notifications. */
const BUFFER = 8 << 20;
const DATAGRAM = 64 << 10;
/** Datagrams handled before the event loop gets a turn. */
const DATAGRAMS_PER_TURN = 512;

/** Subscribes in the network namespace of the calling thread. @throws SyscallError */
export function openMonitor(options: MonitorOptions): KernelMonitor {
  const socket = openNetlink(NETLINK_ROUTE, BUFFER);
  try {
    // The filter first: between joining and filtering our own changes could slip in.
    if (options.ignoreCausedBy !== undefined) socket.ignoreCausedBy(options.ignoreCausedBy);
    for (const group of options.topics.flatMap(groupsOf)) socket.join(group);
    return new SocketMonitor(socket);
  } catch (error) {
    socket.close();
    throw error;
  }
}

class SocketMonitor implements KernelMonitor {
  private readonly listeners = new Set<(events: readonly KernelEvent[]) => void>();
  private readonly messages = new MessageCursor(new Uint8Array(DATAGRAM));
  private readonly scan = new RouteScan();

  constructor(private readonly socket: NetlinkSocket) {
    socket.onReadable(() => this.drain());
  }

  subscribe(listener: (events: readonly KernelEvent[]) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.listeners.clear();
    this.socket.close();
  }

  private drain(): void {
    const events: KernelEvent[] = [];
    for (let i = 0; i < DATAGRAMS_PER_TURN; i++) {
      const received = this.socket.receive(this.messages.octets);
      if (received === 'empty') break;
      if (received === 'overrun') {
        events.push({ kind: 'overrun' });
        continue;
      }
      const messages = this.messages.over(received.octets);
      while (messages.next()) {
        const event = decodeEvent(messages, this.scan);
        if (event !== undefined) events.push(event);
      }
    }
    if (events.length > 0) for (const listener of this.listeners) listener(events);
  }
}

/** @returns undefined for messages that say nothing of interest */
export function decodeEvent(message: MessageCursor, scan: RouteScan): KernelEvent | undefined {
  const change = isRemoval(message.type) ? 'gone' : 'set';
  switch (message.type) {
    case rt.RTM_NEWROUTE:
    case rt.RTM_DELROUTE:
      return scan.read(message) && !scan.cloned ? { kind: 'route', change, route: routeOf(scan) } : undefined;
    case rt.RTM_NEWLINK:
    case rt.RTM_DELLINK: {
      const link = decodeLink(message);
      return link && { kind: 'link', change, link };
    }
    case rt.RTM_NEWADDR:
    case rt.RTM_DELADDR: {
      const address = decodeInterfaceAddress(message);
      return address && { kind: 'address', change, address };
    }
    case rt.RTM_NEWNEIGH:
    case rt.RTM_DELNEIGH: {
      const neighbour = decodeNeighbour(message);
      if (neighbour !== undefined) return { kind: 'neighbour', change, neighbour };
      const forwarding = decodeVxlanForwarding(message);
      return forwarding && { kind: 'forwarding', change, forwarding };
    }
    case rt.RTM_NEWRULE:
    case rt.RTM_DELRULE: {
      const rule = decodeRule(message);
      return rule && { kind: 'rule', change, rule };
    }
    default:
      return undefined;
  }
}

/** rtnetlink numbers its messages in fours: new, del, get, set. */
function isRemoval(type: number): boolean {
  return (type & 3) === 1;
}

function groupsOf(topic: Topic): readonly number[] {
  switch (topic) {
    case 'link':
      return [rt.RTNLGRP_LINK];
    case 'address':
      return [rt.RTNLGRP_IPV4_IFADDR, rt.RTNLGRP_IPV6_IFADDR];
    case 'route':
      return [rt.RTNLGRP_IPV4_ROUTE, rt.RTNLGRP_IPV6_ROUTE];
    case 'neighbour':
      return [rt.RTNLGRP_NEIGH];
    case 'rule':
      return [rt.RTNLGRP_IPV4_RULE, rt.RTNLGRP_IPV6_RULE];
    default:
      return assertNever(topic);
  }
}
