/** The kernel routes that others made, for longest-prefix lookups of next hops. Few in number; looked up rarely. */

import { maskAddress, type IpAddress } from '../core/ip.js';
import type { Route } from '../kernel/routes.js';

/** Text by which equal addresses are equal keys; a zone is no part of it. */
export function addressKey(address: IpAddress): string {
  return address.version === 4 ? String(address.value) : address.words.join(':');
}

export class ForeignRoutes {
  /** By prefix; the routes of one in ascending order of metric, which is the kernel's order of preference. */
  private readonly byPrefix = new Map<string, readonly Route[]>();
  /** How many prefixes there are of each length. */
  private readonly lengths = new Uint32Array(129);

  /** Adds the route, in the place of one that the kernel would have replaced with it. */
  add(route: Route): void {
    const key = prefixKey(route.destination.address, route.destination.length);
    const others = (this.byPrefix.get(key) ?? []).filter(other => !sameSlot(other, route));
    if (others.length === 0 && !this.byPrefix.has(key)) this.lengths[route.destination.length]! += 1;
    this.byPrefix.set(
      key,
      [...others, route].sort((a, b) => a.metric - b.metric),
    );
  }

  /** Takes out what the kernel says is gone: a route, or some next hops of an IPv6 route. */
  remove(gone: Route): void {
    const key = prefixKey(gone.destination.address, gone.destination.length);
    const routes = this.byPrefix.get(key);
    if (routes === undefined) return;
    const left = routes.flatMap(route => without(route, gone));
    if (left.length > 0) {
      this.byPrefix.set(key, left);
      return;
    }
    this.byPrefix.delete(key);
    this.lengths[gone.destination.length]! -= 1;
  }

  /** The routes of the longest prefix that covers the address, best metric first; empty when none does. */
  lookUp(address: IpAddress): readonly Route[] {
    const bare: IpAddress = address.version === 6 ? { version: 6, words: address.words } : address;
    for (let length = address.version === 4 ? 32 : 128; length >= 0; length--) {
      if (this.lengths[length] === 0) continue;
      const routes = this.byPrefix.get(prefixKey(maskAddress(bare, length), length));
      if (routes !== undefined) return routes;
    }
    return [];
  }
}

function prefixKey(address: IpAddress, length: number): string {
  return `${addressKey(address)}/${length}`;
}

/**
 * Whether one takes the place of the other. IPv4 has one route for each destination and metric; IPv6 gathers routes with
 * gateways into one multipath route, and lets routes of the same metric through different links stand side by side.
 */
function sameSlot(a: Route, b: Route): boolean {
  if (a.metric !== b.metric) return false;
  if (a.destination.address.version === 4) return true;
  const gatewayed = (route: Route): boolean => route.hops.some(hop => hop.gateway !== null);
  return (gatewayed(a) && gatewayed(b)) || sharesLink(a, b);
}

function sharesLink(a: Route, b: Route): boolean {
  if (a.hops.length === 0 && b.hops.length === 0) return true;
  return a.hops.some(hop => b.hops.some(other => other.ifindex === hop.ifindex));
}

function without(route: Route, gone: Route): readonly Route[] {
  if (route.metric !== gone.metric || route.protocol !== gone.protocol) return [route];
  if (route.destination.address.version === 4 || route.hops.length <= 1) return sharesLink(route, gone) ? [] : [route];
  const same = (a: IpAddress | null, b: IpAddress | null): boolean =>
    a === null || b === null ? a === b : addressKey(a) === addressKey(b);
  const hops = route.hops.filter(
    hop => !gone.hops.some(other => other.ifindex === hop.ifindex && same(other.gateway, hop.gateway)),
  );
  return hops.length === 0 ? [] : [{ ...route, hops }];
}
