/**
 * Next hops as small integers, with what is known about how to reach them (RFC 4271 section 5.1.3 and 9.1.2.1).
 *
 * There are few of them, so they are objects; routes refer to them through their attributes by NextHopId.
 */

import type { Brand } from '../core/brand.js';
import { formatAddress, ipv4, type IpAddress } from '../core/ip.js';

export type NextHopId = Brand<number, 'NextHopId'>;

/** The next hop of our own networks: filled in for each peer when it is sent. */
export const SELF_NEXT_HOP = 0 as NextHopId;

interface NextHop {
  readonly address: IpAddress;
  /** Link-local companion of a global IPv6 next hop (RFC 2545 section 3). */
  readonly linkLocal: IpAddress | undefined;
  readonly key: string;
  /** What is known of the address that packets go to. */
  readonly reach: Reach;
  references: number;
}

/** What is known of one address, for all next hops that lead there: with and without a link-local companion. */
interface Reach {
  readonly text: string;
  readonly ids: Set<NextHopId>;
  reachable: number;
  metric: number;
}

export class NextHops {
  /** Reachability and IGP metric by id; the decision process reads them. */
  reachable = new Uint8Array(256);
  metric = new Uint32Array(256);
  private readonly entries: (NextHop | undefined)[] = [
    {
      address: ipv4(0),
      linkLocal: undefined,
      key: '',
      reach: { text: '', ids: new Set(), reachable: 1, metric: 0 },
      references: 1,
    },
  ];
  private readonly byKey = new Map<string, NextHopId>();
  private readonly by4 = new Map<number, NextHopId>();
  /** By address. One that nobody uses is remembered until that has been told: it may be back before. */
  private readonly reaches = new Map<string, Reach>();
  private readonly idle = new Set<Reach>();
  private readonly free: number[] = [];
  private added: IpAddress[] = [];
  private removed: IpAddress[] = [];

  /** @param tracked false: every next hop counts as reachable at metric 0 (a route reflector outside the data path) */
  constructor(private readonly tracked: boolean) {
    this.reachable[SELF_NEXT_HOP] = 1;
  }

  idOf4(word: number): NextHopId {
    const known = this.by4.get(word);
    if (known !== undefined) return known;
    const id = this.make(ipv4(word), undefined, '');
    this.by4.set(word, id);
    return id;
  }

  /** @param linkLocal undefined when the peer sent a single address */
  idOf6(address: IpAddress, linkLocal: IpAddress | undefined): NextHopId {
    const key = formatAddress(address) + (linkLocal === undefined ? '' : ` ${formatAddress(linkLocal)}`);
    return this.byKey.get(key) ?? this.make(address, linkLocal, key);
  }

  retain(id: NextHopId): void {
    this.entries[id]!.references++;
  }

  release(id: NextHopId): void {
    const entry = this.entries[id]!;
    if (--entry.references > 0) return;
    if (entry.key === '') this.by4.delete(entry.address.version === 4 ? entry.address.value : 0);
    else this.byKey.delete(entry.key);
    this.entries[id] = undefined;
    this.free.push(id);
    entry.reach.ids.delete(id);
    if (entry.reach.ids.size === 0) this.idle.add(entry.reach);
    this.removed.push(trackedAddress(entry));
  }

  address(id: NextHopId): IpAddress {
    return this.entries[id]!.address;
  }

  linkLocal(id: NextHopId): IpAddress | undefined {
    return this.entries[id]!.linkLocal;
  }

  /** Where packets go: the link-local address when the peer gave one, as RFC 2545 wants it on a shared link. */
  forwardingAddress(id: NextHopId): IpAddress {
    return trackedAddress(this.entries[id]!);
  }

  /** @returns ids whose state changed */
  update(address: IpAddress, reachable: boolean, metric: number): NextHopId[] {
    const reach = this.reaches.get(formatAddress(address));
    if (reach === undefined || (reach.reachable === Number(reachable) && reach.metric === metric)) return [];
    reach.reachable = Number(reachable);
    reach.metric = metric;
    for (const id of reach.ids) this.note(id, reach);
    return [...reach.ids];
  }

  /** Addresses that came into or went out of use since the last call. One that came and went stands in both. */
  takeChanges(): { readonly added: readonly IpAddress[]; readonly removed: readonly IpAddress[] } {
    const changes = { added: this.added, removed: this.removed };
    if (this.added.length > 0) this.added = [];
    if (this.removed.length > 0) this.removed = [];
    for (const { text, ids } of this.idle) if (ids.size === 0) this.reaches.delete(text);
    this.idle.clear();
    return changes;
  }

  private make(address: IpAddress, linkLocal: IpAddress | undefined, key: string): NextHopId {
    const id = (this.free.pop() ?? this.entries.length) as NextHopId;
    const reach = this.reachOf(linkLocal ?? address);
    const entry = { address, linkLocal, key, reach, references: 0 };
    this.entries[id] = entry;
    if (key !== '') this.byKey.set(key, id);
    if (id >= this.reachable.length) this.grow();
    reach.ids.add(id);
    this.note(id, reach);
    this.added.push(trackedAddress(entry));
    return id;
  }

  private reachOf(address: IpAddress): Reach {
    const text = formatAddress(address);
    const known = this.reaches.get(text);
    if (known !== undefined) return known;
    const made = { text, ids: new Set<NextHopId>(), reachable: Number(!this.tracked), metric: 0 };
    this.reaches.set(text, made);
    return made;
  }

  private note(id: NextHopId, { reachable, metric }: Reach): void {
    this.reachable[id] = reachable;
    this.metric[id] = metric;
  }

  private grow(): void {
    const reachable = new Uint8Array(this.reachable.length * 2);
    reachable.set(this.reachable);
    this.reachable = reachable;
    const metric = new Uint32Array(this.metric.length * 2);
    metric.set(this.metric);
    this.metric = metric;
  }
}

function trackedAddress(entry: NextHop): IpAddress {
  return entry.linkLocal ?? entry.address;
}
