/** What the kernel has of ours on IPVS, told without memory: by the services' link, by what is written down, by what is wanted. Pure. */

import { formatAddress, prefixContains, type IpPrefix } from '../../core/ip.js';
import type { ListedDestination } from '../../kernel/ipvs/listing.js';
import type { FoundServer, ServerId, Timeouts } from '../../kernel/ipvs/messages.js';
import type { Draining } from './draining.js';
import type { LinkReading } from './serviceLink.js';
import { destinationKey, serverKey } from './virtualServers.js';
import * as wish from './wishes.js';
import type { Wish, WishKey } from './wishes.js';

export interface Reading {
  readonly link: LinkReading | undefined;
  readonly claims: readonly ServerId[];
  readonly servers: readonly FoundServer[];
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
 * What the reconciler is told of one of {@link ownServers}. Destinations of weight 0 that nobody wants are draining, by us or by
 * the process before us: they and servers that are there for their sake only are noted as such, and not told.
 * @param all its destinations
 */
export function foundOfServer(
  server: FoundServer,
  all: readonly ListedDestination[],
  rules: ReadingRules,
  draining: Draining,
): readonly (readonly [WishKey, Wish])[] {
  const place = serverKey(server);
  const told: [WishKey, Wish][] = [];
  for (const destination of all) {
    const own = destinationKey(destination);
    const key = wish.keyOfDestination(place, own);
    if (!isDraining(server, destination, { place, own, key }, rules, draining))
      told.push([key, { kind: 'destination', server, destination }]);
  }
  const key = wish.keyOfServer(place);
  if (!rules.isWanted(key) && told.length === 0 && all.length > 0 && rules.isPlace(place)) draining.keepServer(server);
  else told.push([key, { kind: 'server', server }]);
  return told;
}

/** What the reconciler is told of all else, once it has been told of servers. */
export function foundBesides(
  { link, claims, timeouts }: Omit<Reading, 'servers'>,
  { isWanted }: Pick<ReadingRules, 'isWanted'>,
  draining: Draining,
): readonly (readonly [WishKey, Wish])[] {
  const told: Wish[] = [];
  if (link?.isUp === true) told.push({ kind: 'link' });
  for (const vip of link?.vips ?? []) told.push({ kind: 'vip', ...vip });
  for (const address of link?.addresses ?? []) told.push({ kind: 'address', address });
  for (const server of claims) if (!draining.isKept(serverKey(server))) told.push({ kind: 'claim', server });
  if (timeouts !== undefined && isWanted(wish.TIMEOUTS_KEY)) told.push({ kind: 'timeouts', timeouts });
  return told.map(value => [wish.wishKey(value), value]);
}

/** Keys, each put together once: there are a hundred thousand destinations. */
interface Keys {
  readonly place: string;
  readonly own: string;
  readonly key: WishKey;
}

function isDraining(
  server: ServerId,
  destination: ListedDestination,
  { place, own, key }: Keys,
  rules: ReadingRules,
  draining: Draining,
): boolean {
  if (rules.isWanted(key)) {
    draining.release(place, own);
    return false;
  }
  if (destination.weight !== 0 || !rules.isPlace(place) || !rules.mayDrain(server)) return false;
  draining.add(server, destination, rules.until);
  return true;
}
