/** What the kernel has of ours on IPVS, told without memory: by the services' link, by what is written down, by what is wanted. Pure. */

import { formatAddress, prefixContains, type IpPrefix } from '../../core/ip.js';
import type { FoundDestination, FoundServer, ServerId, Timeouts } from '../../kernel/ipvs/messages.js';
import type { Draining } from './draining.js';
import type { LinkReading } from './serviceLink.js';
import { destinationKey, serverKey } from './virtualServers.js';
import * as wish from './wishes.js';
import type { Wish, WishKey } from './wishes.js';

export interface Reading {
  readonly link: LinkReading | undefined;
  readonly claims: readonly ServerId[];
  readonly servers: readonly FoundServer[];
  /** Of those servers that are ours, by {@link serverKey}. */
  readonly destinations: ReadonlyMap<string, readonly FoundDestination[]>;
  readonly timeouts: Timeouts | undefined;
}

export interface ReadingRules {
  /** Virtual servers in these are nobody's to delete. */
  readonly excluded: readonly IpPrefix[];
  readonly isWanted: (key: WishKey) => boolean;
  /** Whether a frontend is at this place, even if nobody serves it. */
  readonly isPlace: (server: string) => boolean;
  /** Whether a destination that nobody wants may let its connections run out, and until when. */
  readonly mayDrain: (server: ServerId) => boolean;
  readonly until: number;
}

/** Which servers are ours. */
export function ownServers(
  { link, claims, servers }: Pick<Reading, 'link' | 'claims' | 'servers'>,
  { excluded, isWanted }: Pick<ReadingRules, 'excluded' | 'isWanted'>,
): readonly FoundServer[] {
  const claimed = new Set(claims.map(serverKey));
  const vips = new Set([
    ...(link?.vips ?? []).map(({ address }) => formatAddress(address)),
    ...(link?.addresses ?? []).map(({ address }) => formatAddress(address)),
  ]);
  return servers.filter(server => {
    const key = serverKey(server);
    if (isWanted(wish.keyOfServer(key))) return true;
    if (isExcluded(server, excluded)) return false;
    return claimed.has(key) || vips.has(formatAddress(server.address));
  });
}

export function isExcluded({ address }: Pick<ServerId, 'address'>, excluded: readonly IpPrefix[]): boolean {
  return excluded.some(prefix => prefixContains(prefix, address));
}

/**
 * What the reconciler is told. Destinations of weight 0 that nobody wants are draining, by us or by the process before us:
 * they and servers that are there for their sake only are noted as such, and not told.
 * @param reading with the destinations of {@link ownServers}
 */
export function foundWishes(reading: Reading, rules: ReadingRules, draining: Draining): ReadonlyMap<WishKey, Wish> {
  const found = new Map<WishKey, Wish>();
  const tell = (value: Wish): void => void found.set(wish.wishKey(value), value);
  if (reading.link?.isUp === true) tell({ kind: 'link' });
  for (const vip of reading.link?.vips ?? []) tell({ kind: 'vip', ...vip });
  for (const address of reading.link?.addresses ?? []) tell({ kind: 'address', address });
  for (const server of ownServers(reading, rules)) {
    const place = serverKey(server);
    const all = reading.destinations.get(place) ?? [];
    const told = all.filter(destination => !isDraining(server, destination, rules, draining));
    for (const destination of told) tell({ kind: 'destination', server, destination });
    const isWanted = rules.isWanted(wish.keyOfServer(place));
    if (!isWanted && told.length === 0 && all.length > 0 && rules.isPlace(place)) draining.keepServer(server);
    else tell({ kind: 'server', server });
  }
  for (const server of reading.claims) if (!draining.isKept(serverKey(server))) tell({ kind: 'claim', server });
  if (reading.timeouts !== undefined && rules.isWanted(wish.TIMEOUTS_KEY))
    tell({ kind: 'timeouts', timeouts: reading.timeouts });
  return found;
}

function isDraining(server: ServerId, destination: FoundDestination, rules: ReadingRules, draining: Draining): boolean {
  const [place, key] = [serverKey(server), destinationKey(destination)];
  if (rules.isWanted(wish.keyOfDestination(place, key))) {
    draining.release(place, key);
    return false;
  }
  if (destination.weight !== 0 || !rules.isPlace(place) || !rules.mayDrain(server)) return false;
  draining.add(server, destination, rules.until);
  return true;
}
