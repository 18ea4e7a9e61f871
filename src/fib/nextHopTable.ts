/** Interned next-hop sets as the kernel holds them: a set is a small number, and the netlink octets of it are made once. */

import { growU32 } from '../core/columns.js';
import { NetlinkWriter } from '../kernel/netlink/writer.js';
import type { IpAddress } from '../core/ip.js';
import type { RouteScan } from '../kernel/routeScan.js';
import { addressOf, singleHopFlags, writeAddress, writeHops, writeMtu, type RouteHop } from '../kernel/routes.js';
import { AF_INET, AF_INET6, RTA_PREFSRC, RTNH_F_ONLINK, RTN_UNICAST, type AddressFamily } from '../kernel/rtnetlink.js';

/** No route. */
export const NO_ROUTE = 0;
/** There is, or may be, a route of ours that is unlike any that we would write. */
export const ODD_ROUTE = 1;
const FIRST_SET = 2;

/** Words a hop: family, onlink and weight; interface; four of the gateway. */
const HOP_WORDS = 6;
/** First word of what a set says besides its hops, with the family of the source; then the MTU and four words of the source. */
const TERMS = 0xffff_ff00;

/** What a route says besides where it leads. */
export interface RouteTerms {
  /** Source of packets of this machine's own; of the route's family. */
  readonly source: IpAddress | undefined;
  /** Most octets of a packet; null: as many as the link takes. */
  readonly mtu: number | null;
}

interface KernelSet {
  readonly hash: number;
  /** Hops in canonical order, {@link HOP_WORDS} each. */
  readonly key: Uint32Array;
  readonly hops: readonly RouteHop[];
  readonly terms: RouteTerms | undefined;
  /** RTNH_F_* for rtm_flags. */
  readonly flags: number;
  /** What stands behind the destination in a route message, by family. */
  readonly blocks: { v4?: Uint32Array; v6?: Uint32Array };
}

/** Ids are counted by their users: one that nobody holds is forgotten at the next `collect`, and used again. */
export class NextHopTable {
  private readonly sets: (KernelSet | undefined)[] = [undefined, undefined];
  private readonly byHash = new Map<number, number[]>();
  private readonly free: number[] = [];
  private references: Uint32Array = new Uint32Array(64);
  private unheld: number[] = [];
  private scratch = new Uint32Array(16 * HOP_WORDS);
  private readonly writer = new NetlinkWriter(256);

  /** @returns the id of these hops, in whatever order they are given; {@link NO_ROUTE} for none. Held by nobody yet. */
  intern(hops: readonly RouteHop[], terms?: RouteTerms): number {
    if (hops.length === 0) return NO_ROUTE;
    this.reserve(hops.length + 1);
    hops.forEach((hop, i) => {
      const gateway = hop.gateway;
      const family = gateway === null ? 0 : gateway.version === 4 ? AF_INET : AF_INET6;
      this.putHead(i, family, hop.onlink, hops.length === 1 ? 1 : hop.weight, hop.ifindex);
      for (let w = 0; w < 4; w++) {
        this.scratch[i * HOP_WORDS + 2 + w] =
          gateway === null ? 0 : gateway.version === 6 ? gateway.words[w]! : w === 0 ? gateway.value : 0;
      }
    });
    return this.lookUp(hops.length, terms === undefined ? 0 : this.putTerms(hops.length, terms));
  }

  /** The set of a route read from the kernel; {@link ODD_ROUTE} when we would never write one like it. */
  internScan(scan: RouteScan): number {
    const count = scan.hopCount;
    if (scan.special || scan.type !== RTN_UNICAST || count === 0) return ODD_ROUTE;
    this.reserve(count + 1);
    for (let i = 0; i < count; i++) {
      const onlink = (scan.hopFlags[i]! & RTNH_F_ONLINK) !== 0;
      this.putHead(i, scan.hopFamily[i]!, onlink, count === 1 ? 1 : scan.hopWeight[i]!, scan.hopIfindex[i]!);
      const words = scan.hopFamily[i] === AF_INET6 ? 4 : scan.hopFamily[i] === AF_INET ? 1 : 0;
      for (let w = 0; w < 4; w++) {
        this.scratch[i * HOP_WORDS + 2 + w] = w < words ? scan.hopGateway[i * 4 + w]! : 0;
      }
    }
    if (!scan.hasSource && scan.mtu === 0) return this.lookUp(count, 0);
    const source = scan.hasSource ? addressOf(scan.family, scan.source, 0) : undefined;
    return this.lookUp(count, this.putTerms(count, { source, mtu: scan.mtu === 0 ? null : scan.mtu }));
  }

  hops(id: number): readonly RouteHop[] {
    return this.sets[id]?.hops ?? [];
  }

  /** RTNH_F_* that belong into `rtm_flags` of a route with this set. */
  flags(id: number): number {
    return this.sets[id]!.flags;
  }

  /** The attributes of the set in a route message of the family, ready to be copied. */
  block(id: number, family: AddressFamily): Uint32Array {
    const set = this.sets[id]!;
    const known = family === AF_INET ? set.blocks.v4 : set.blocks.v6;
    if (known !== undefined) return known;
    this.writer.reset();
    if (set.terms?.source !== undefined) writeAddress(this.writer, RTA_PREFSRC, set.terms.source);
    if (set.terms !== undefined && set.terms.mtu !== null) writeMtu(this.writer, family, set.terms.mtu);
    writeHops(this.writer, family, set.hops);
    const block = new Uint32Array(this.writer.finished().slice().buffer);
    if (family === AF_INET) set.blocks.v4 = block;
    else set.blocks.v6 = block;
    return block;
  }

  hold(id: number): void {
    if (id >= FIRST_SET) this.references[id]! += 1;
  }

  release(id: number): void {
    if (id < FIRST_SET) return;
    this.references[id]! -= 1;
    if (this.references[id] === 0) this.unheld.push(id);
  }

  /** Forgets the sets that nobody holds. Call when no unheld id is in anybody's hands. */
  collect(): void {
    if (this.unheld.length === 0) return;
    for (const id of this.unheld) {
      const set = this.sets[id];
      if (set === undefined || this.references[id] !== 0) continue;
      const others = this.byHash.get(set.hash)!.filter(other => other !== id);
      if (others.length === 0) this.byHash.delete(set.hash);
      else this.byHash.set(set.hash, others);
      this.sets[id] = undefined;
      this.free.push(id);
    }
    this.unheld = [];
  }

  /** Number of sets known now. */
  get size(): number {
    return this.sets.length - FIRST_SET - this.free.length;
  }

  private reserve(hops: number): void {
    if (hops * HOP_WORDS > this.scratch.length) this.scratch = new Uint32Array(hops * HOP_WORDS * 2);
  }

  private putHead(hop: number, family: number, onlink: boolean, weight: number, ifindex: number): void {
    this.scratch[hop * HOP_WORDS] = family | (onlink ? 0x100 : 0) | (weight << 16);
    this.scratch[hop * HOP_WORDS + 1] = ifindex;
  }

  /** Behind the hops, as one more record. @returns how many records that is */
  private putTerms(hops: number, { source, mtu }: RouteTerms): 0 | 1 {
    if (source === undefined && mtu === null) return 0;
    const at = hops * HOP_WORDS;
    const family = source === undefined ? 0 : source.version === 4 ? AF_INET : AF_INET6;
    this.scratch[at] = TERMS | family;
    this.scratch[at + 1] = mtu ?? 0;
    const words = source === undefined ? [] : source.version === 4 ? [source.value] : source.words;
    for (let w = 0; w < 4; w++) this.scratch[at + 2 + w] = words[w] ?? 0;
    return 1;
  }

  private lookUp(hops: number, terms: 0 | 1): number {
    if (hops > 1) sortHops(this.scratch, hops);
    const words = (hops + terms) * HOP_WORDS;
    let hash = 0x811c_9dc5;
    for (let i = 0; i < words; i++) hash = Math.imul(hash ^ this.scratch[i]!, 0x0100_0193) ^ (hash >>> 15);
    const candidates = this.byHash.get(hash);
    if (candidates !== undefined) {
      for (const id of candidates) if (this.matches(this.sets[id]!.key, words)) return id;
    }
    return this.add(hash, this.scratch.slice(0, words), candidates);
  }

  private matches(key: Uint32Array, words: number): boolean {
    if (key.length !== words) return false;
    for (let i = 0; i < words; i++) if (key[i] !== this.scratch[i]) return false;
    return true;
  }

  private add(hash: number, key: Uint32Array, candidates: number[] | undefined): number {
    const id = this.free.pop() ?? this.sets.length;
    const { hops, terms } = readKey(key);
    this.sets[id] = { hash, key, hops, terms, flags: singleHopFlags(hops), blocks: {} };
    if (id >= this.references.length) this.references = growU32(this.references, this.references.length * 2);
    this.references[id] = 0;
    // Unless somebody takes hold of it, the next `collect` forgets it.
    this.unheld.push(id);
    if (candidates === undefined) this.byHash.set(hash, [id]);
    else candidates.push(id);
    return id;
  }
}

function readKey(key: Uint32Array): { readonly hops: readonly RouteHop[]; readonly terms: RouteTerms | undefined } {
  const hops: RouteHop[] = [];
  let terms: RouteTerms | undefined;
  for (let at = 0; at < key.length; at += HOP_WORDS) {
    const head = key[at]!;
    const family = head & 0xff;
    if (head >= TERMS) {
      const source = family === 0 ? undefined : addressOf(family, key, at + 2);
      terms = { source, mtu: key[at + 1] === 0 ? null : key[at + 1]! };
      continue;
    }
    hops.push({
      gateway: family === 0 ? null : addressOf(family, key, at + 2),
      ifindex: key[at + 1]!,
      onlink: (head & 0x100) !== 0,
      weight: head >>> 16,
    });
  }
  return { hops, terms };
}

/** Insertion sort of records of {@link HOP_WORDS} words: sets are small and mostly sorted already. */
function sortHops(words: Uint32Array, hops: number): void {
  for (let i = 1; i < hops; i++) {
    for (let j = i; j > 0 && isBefore(words, j, j - 1); j--) {
      for (let w = 0; w < HOP_WORDS; w++) {
        const [a, b] = [j * HOP_WORDS + w, (j - 1) * HOP_WORDS + w];
        const kept = words[a]!;
        words[a] = words[b]!;
        words[b] = kept;
      }
    }
  }
}

function isBefore(words: Uint32Array, a: number, b: number): boolean {
  for (let w = 0; w < HOP_WORDS; w++) {
    const difference = words[a * HOP_WORDS + w]! - words[b * HOP_WORDS + w]!;
    if (difference !== 0) return difference < 0;
  }
  return false;
}
