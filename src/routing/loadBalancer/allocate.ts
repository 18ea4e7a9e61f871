/**
 * Who gets which load-balancer address: a pure function of all services, so that any leader comes to the same answer.
 * Nothing is remembered but what stands in the services themselves. Addresses that are held stay, then those that are
 * asked for are given, then the next free ones; each time the oldest service first.
 */

import { formatAddress, type IpAddress } from '../../core/ip.js';
import type { Claimant } from './claimants.js';
import { addressKey, isUsable, poolText, usableAddresses, type Pool } from './pools.js';

export interface Allocation {
  /** One for each family at most, IPv4 first. */
  readonly addresses: readonly IpAddress[];
  readonly complaints: readonly string[];
}

interface Draft {
  readonly claimant: Claimant;
  readonly given: Map<4 | 6, IpAddress>;
  readonly complaints: string[];
}

/** Who has which address so far, and where the search for a free one of a range goes on. */
interface Book {
  readonly holders: Map<string, Claimant[]>;
  readonly searches: Map<string, Iterator<IpAddress>>;
  /** Addresses by sharing key and family. */
  readonly shared: Map<string, IpAddress[]>;
  /** Texts of addresses that others have given out. */
  readonly reserved: ReadonlySet<string>;
}

/** @param reserved texts of addresses that somebody else has given out  @returns keyed by service */
export function allocate(
  claimants: readonly Claimant[],
  reserved: ReadonlySet<string> = new Set(),
): ReadonlyMap<string, Allocation> {
  const book: Book = { holders: new Map(), searches: new Map(), shared: new Map(), reserved };
  const drafts = [...claimants]
    .sort(byAge)
    .map((claimant): Draft => ({ claimant, given: new Map(), complaints: [...claimant.complaints] }));
  for (const draft of drafts) keepHeld(draft, book);
  for (const draft of drafts) giveRequested(draft, book);
  for (const draft of drafts) giveFree(draft, book);
  return new Map(
    drafts.map(({ claimant: { name }, given, complaints }) => [name, { addresses: inOrder(given), complaints }]),
  );
}

function byAge(a: Claimant, b: Claimant): number {
  const [ageA, ageB] = [`${a.createdAt} ${a.name}`, `${b.createdAt} ${b.name}`];
  return ageA < ageB ? -1 : ageA > ageB ? 1 : 0;
}

function inOrder(given: ReadonlyMap<4 | 6, IpAddress>): readonly IpAddress[] {
  return [given.get(4), given.get(6)].filter(address => address !== undefined);
}

function keepHeld(draft: Draft, book: Book): void {
  const { claimant } = draft;
  for (const address of claimant.held) {
    const asked = claimant.requested.find(({ version }) => version === address.version);
    if (asked !== undefined && addressKey(asked) !== addressKey(address)) continue;
    if (isOpen(draft, address) && isOffered(claimant, address) && isTaken(claimant, address, book) === undefined)
      give(draft, address, book);
  }
}

function giveRequested(draft: Draft, book: Book): void {
  const { claimant, complaints, given } = draft;
  for (const address of claimant.requested) {
    const text = formatAddress(address);
    const held = given.get(address.version);
    if (held !== undefined && addressKey(held) === addressKey(address)) continue;
    const why = whyNot(draft, address, book);
    if (why === undefined) give(draft, address, book);
    else complaints.push(`asks for ${text}, ${why}`);
  }
}

function whyNot({ claimant, given }: Draft, address: IpAddress, book: Book): string | undefined {
  if (!claimant.versions.includes(address.version)) return `and has no cluster IP of IPv${address.version}`;
  if (given.has(address.version)) return 'and for another address of the same family before';
  if (!isOffered(claimant, address)) return `which is no address of ${poolText(claimant.pools)} that can be given out`;
  return isTaken(claimant, address, book);
}

/** Whoever asks for an address gets that or none of its family: another one would be a surprise. */
function giveFree(draft: Draft, book: Book): void {
  const { claimant, given, complaints } = draft;
  for (const version of claimant.versions) {
    if (given.has(version) || claimant.requested.some(address => address.version === version)) continue;
    const address = sharedAddress(claimant, version, book) ?? freeAddress(claimant, version, book);
    if (address !== undefined) give(draft, address, book);
    else complaints.push(`gets no IPv${version} address: none is free in ${poolText(claimant.pools)}`);
  }
}

function isOpen({ claimant, given }: Draft, { version }: IpAddress): boolean {
  return claimant.versions.includes(version) && !given.has(version);
}

function isOffered({ pools }: Claimant, address: IpAddress): boolean {
  return pools.some(({ ranges }) => ranges.some(range => isUsable(range, address)));
}

/** @returns why the address cannot be had; undefined: it can */
function isTaken(claimant: Claimant, address: IpAddress, { holders, reserved }: Book): string | undefined {
  if (reserved.has(addressKey(address))) return 'which a service of another load balancer has';
  const rival = holders.get(addressKey(address))?.find(holder => whyApart(claimant, holder) !== undefined);
  return rival && `which Service ${rival.name} has: ${whyApart(claimant, rival) ?? ''}`;
}

/** Why two services cannot have one address. */
function whyApart(a: Claimant, b: Claimant): string | undefined {
  if (a.sharingKey === undefined || a.sharingKey !== b.sharingKey) return 'they do not have the same sharing key';
  if (a.isLocal || b.isLocal) return 'an address with external traffic policy Local is not shared';
  const port = a.ports.find(text => b.ports.includes(text));
  return port === undefined ? undefined : `both use ${port}`;
}

function sharedAddress(claimant: Claimant, version: 4 | 6, book: Book): IpAddress | undefined {
  if (claimant.sharingKey === undefined) return undefined;
  const candidates = book.shared.get(`${version} ${claimant.sharingKey}`) ?? [];
  return candidates.find(address => isOffered(claimant, address) && isTaken(claimant, address, book) === undefined);
}

function freeAddress({ pools }: Claimant, version: 4 | 6, book: Book): IpAddress | undefined {
  for (const pool of pools.filter(({ automatic }) => automatic)) {
    const address = freeOf(pool, version, book);
    if (address !== undefined) return address;
  }
  return undefined;
}

/** Searches go on where the last one ended: nothing comes free while addresses are given out. */
function freeOf(pool: Pool, version: 4 | 6, { holders, searches, reserved }: Book): IpAddress | undefined {
  for (const range of pool.ranges.filter(({ address }) => address.version === version)) {
    const key = `${addressKey(range.address)}/${range.length}`;
    const search = searches.get(key) ?? usableAddresses(range)[Symbol.iterator]();
    searches.set(key, search);
    for (let step = search.next(); step.done !== true; step = search.next())
      if (!holders.has(addressKey(step.value)) && !reserved.has(addressKey(step.value))) return step.value;
  }
  return undefined;
}

function give({ claimant, given }: Draft, address: IpAddress, { holders, shared }: Book): void {
  given.set(address.version, address);
  const key = addressKey(address);
  holders.set(key, [...(holders.get(key) ?? []), claimant]);
  if (claimant.sharingKey === undefined) return;
  const sharing = `${address.version} ${claimant.sharingKey}`;
  shared.set(sharing, [...(shared.get(sharing) ?? []), address]);
}
