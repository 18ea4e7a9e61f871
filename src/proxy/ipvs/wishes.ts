/**
 * What the kernel shall have for services on IPVS, one by one and by key: the reconciler's keys and values. Every kind of thing
 * has a place of its own, so that one endpoint's change is one entry for each virtual server that it is behind. Pure.
 */

import { assertNever } from '../../core/assertNever.js';
import { formatAddress, sameAddress, type IpAddress } from '../../core/ip.js';
import type { InterfaceAddress } from '../../kernel/addresses.js';
import type { Destination, Server, ServerId, Timeouts } from '../../kernel/ipvs/messages.js';
import { destinationKey, serverKey } from './virtualServers.js';

export type Wish =
  /** The link that service addresses are on, up. */
  | { readonly kind: 'link' }
  /** An address of services is one of this machine's. */
  | { readonly kind: 'vip'; readonly address: IpAddress; readonly source: IpAddress | undefined }
  /** An address on the link: somebody else's way of the same. Found, and never wanted. */
  | { readonly kind: 'address'; readonly address: InterfaceAddress }
  /** Says that a server is ours where its address does not: on a real address of this machine. */
  | { readonly kind: 'claim'; readonly server: ServerId }
  | { readonly kind: 'server'; readonly server: Server }
  | { readonly kind: 'destination'; readonly server: ServerId; readonly destination: Destination }
  | { readonly kind: 'timeouts'; readonly timeouts: Timeouts };

export type WishKey = string;

export const LINK_KEY: WishKey = 'link';
export const TIMEOUTS_KEY: WishKey = 'timeouts';

export function wishKey(wish: Wish): WishKey {
  switch (wish.kind) {
    case 'link':
      return LINK_KEY;
    case 'timeouts':
      return TIMEOUTS_KEY;
    case 'vip':
      return vipKey(formatAddress(wish.address));
    case 'address':
      return `address ${formatAddress(wish.address.address)}/${wish.address.length}`;
    case 'claim':
      return claimKey(serverKey(wish.server));
    case 'server':
      return keyOfServer(serverKey(wish.server));
    case 'destination':
      return keyOfDestination(serverKey(wish.server), destinationKey(wish.destination));
    default:
      return assertNever(wish);
  }
}

/** @param text of an address */
export function vipKey(text: string): WishKey {
  return `vip ${text}`;
}

/** @param server as {@link serverKey} has it, here and below */
export function claimKey(server: string): WishKey {
  return `claim ${server}`;
}

export function keyOfServer(server: string): WishKey {
  return `server ${server}`;
}

export function keyOfDestination(server: string, destination: string): WishKey {
  return `destination ${server} ${destination}`;
}

/** The server that a claim, a server or a destination belongs to. @returns undefined for other keys */
export function serverOf(key: WishKey): string | undefined {
  const [kind, address, protocol, port] = key.split(' ');
  return kind === 'claim' || kind === 'server' || kind === 'destination' ? `${address} ${protocol} ${port}` : undefined;
}

/** The address of a VIP's key. @returns undefined for other keys */
export function vipOf(key: WishKey): string | undefined {
  return key.startsWith('vip ') ? key.slice(4) : undefined;
}

/** Whether writing the one over the other would change nothing. Both are of one key. */
export function sameWish(a: Wish, b: Wish): boolean {
  if (a === b) return true;
  if (a.kind === 'vip' && b.kind === 'vip') return sameSource(a.source, b.source);
  if (a.kind === 'server' && b.kind === 'server')
    return (
      a.server.scheduler === b.server.scheduler &&
      a.server.flags === b.server.flags &&
      a.server.timeout === b.server.timeout
    );
  if (a.kind === 'destination' && b.kind === 'destination')
    return a.destination.weight === b.destination.weight && a.destination.method === b.destination.method;
  if (a.kind === 'timeouts' && b.kind === 'timeouts') return sameTimeouts(a.timeouts, b.timeouts);
  return a.kind === b.kind;
}

function sameSource(a: IpAddress | undefined, b: IpAddress | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameAddress(a, b);
}

/** 0 is whatever the kernel has. */
function sameTimeouts(a: Timeouts, b: Timeouts): boolean {
  const same = (x: number, y: number): boolean => x === 0 || y === 0 || x === y;
  return same(a.tcp, b.tcp) && same(a.tcpFin, b.tcpFin) && same(a.udp, b.udp);
}
