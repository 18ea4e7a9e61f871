/**
 * Adj-RIBs-In and Loc-RIB of one address family (RFC 4271 section 3.2), in columns by PrefixId.
 *
 * Changes of paths only mark prefixes; `decide` runs the decision once for each marked prefix and writes the ones whose
 * best path changed to the journal, from which update groups and the kernel feed read.
 */

import type { FamilyIndex } from '../bgp/families.js';
import { growU32, growU8, octetsOf, type MakeResident } from '../core/columns.js';
import type { AttributeStore, AttrId } from './attributeStore.js';
import type { DecisionProcess } from './decision.js';
import { Journal } from './journal.js';
import { PathFlag, type PathTable } from './pathTable.js';
import { MAX_PEERS, type PeerId } from './peerTable.js';
import { REJECTED } from './policy/evaluation.js';
import type { ImportFilter } from './policy/importFilter.js';
import { PrefixTable, type PrefixId } from './prefixTable.js';

/** Bits of the per-prefix state. */
const Marked = 1;
const BestTouched = 2;
const EmptyListed = 4;

/** Rows looked at in one slice of a sweep: about a millisecond. */
const SWEEP_ROWS = 1 << 17;
/** Rows changed in one slice of a sweep. */
const SWEEP_CHANGES = 1 << 13;
/** Rows put through a filter in one slice: each may need attributes decoded and made anew. */
const FILTERED_ROWS = 1 << 9;
/** Empty prefixes freed in one call. */
const RECLAIM = 1 << 14;

/** Flags of rows that something is kept beside. */
const BOOKED = PathFlag.stale | PathFlag.altered;

/** What a sweep does with the rows of a peer. */
export type Sweep = 'withdraw' | 'withdrawStale' | 'markStale';

export class LocRib {
  readonly prefixes: PrefixTable;
  readonly journal: Journal;
  /** First path of each prefix, 0 for none. */
  head: Uint32Array;
  /** Best path of each prefix, 0 for none; true after `decide`. */
  best: Uint32Array;
  /** Paths held from each peer, by PeerId. */
  readonly received = new Uint32Array(MAX_PEERS + 1);
  readonly stale = new Uint32Array(MAX_PEERS + 1);

  private state: Uint8Array;
  private marked: Uint32Array = new Uint32Array(1024);
  private markedCount = 0;
  private empty: Uint32Array = new Uint32Array(1024);
  private emptyCount = 0;
  private decision!: DecisionProcess;

  constructor(
    readonly family: FamilyIndex,
    readonly paths: PathTable,
    private readonly attributes: AttributeStore,
    firstCapacity?: number,
  ) {
    this.prefixes = new PrefixTable(family === 0 ? 1 : 4, firstCapacity);
    const n = this.prefixes.capacity;
    this.journal = new Journal(n);
    this.head = new Uint32Array(n);
    this.best = new Uint32Array(n);
    this.state = new Uint8Array(n);
  }

  /** Gives an empty RIB room, and memory, for `count` prefixes with a path each. */
  reserve(count: number, makeResident: MakeResident): void {
    this.prefixes.reserve(count, makeResident);
    this.paths.reserve(count, makeResident);
    if (this.prefixes.capacity > this.head.length) this.growColumns();
    for (const column of [this.head, this.best, this.state]) makeResident(octetsOf(column, count + 1));
    this.journal.reserve(count, makeResident);
  }

  /** Sets or replaces how best paths are chosen; {@link markAll} applies it to what is held. */
  useDecision(decision: DecisionProcess): void {
    this.decision = decision;
  }

  /** A path for one prefix from one peer; replaces the peer's former one. Takes a reference of its own on `attr`. */
  announce(prefix: PrefixId, peer: PeerId, pathId: number, attr: AttrId, flags: number): void {
    if (prefix >= this.head.length) this.growColumns();
    const { paths, attributes } = this;
    const row = this.find(prefix, peer, pathId);
    if (row !== 0) {
      if (paths.flags[row]! & BOOKED) this.unbook(row);
      const old = paths.attr[row]! as AttrId;
      if (old === attr && paths.flags[row] === flags) return;
      attributes.references[attr]!++;
      paths.attr[row] = attr;
      paths.flags[row] = flags;
      attributes.release(old);
      this.mark(prefix, row === this.best[prefix]! ? Marked | BestTouched : Marked);
      return;
    }
    const fresh = paths.allocate();
    attributes.references[attr]!++;
    paths.prefix[fresh] = prefix;
    paths.attr[fresh] = attr;
    paths.peer[fresh] = peer;
    paths.flags[fresh] = flags;
    paths.setPathId(fresh, pathId);
    paths.next[fresh] = this.head[prefix]!;
    this.head[prefix] = fresh;
    this.received[peer]!++;
    this.mark(prefix, Marked);
  }

  /** As {@link announce}, through an import filter. What was received is kept beside what the filter made of it. */
  announceFiltered(
    prefix: PrefixId,
    peer: PeerId,
    pathId: number,
    received: AttrId,
    flags: number,
    filter: ImportFilter,
  ): void {
    if (prefix >= this.head.length) this.growColumns();
    const attr = filter.apply(prefix, received);
    if (attr === REJECTED || attr === received) {
      this.announce(prefix, peer, pathId, received, attr === REJECTED ? flags | PathFlag.rejected : flags);
      return;
    }
    const { paths } = this;
    const known = this.find(prefix, peer, pathId);
    const isSame = known !== 0 && paths.attr[known] === attr && paths.flags[known] === (flags | PathFlag.altered);
    if (isSame && paths.original[known] === received) return;
    this.announce(prefix, peer, pathId, attr, flags);
    this.book(known === 0 ? this.head[prefix]! : known, received);
  }

  /**
   * Puts the paths of a peer through its import filter again, a slice at a time. Arguments and result as {@link sweep}.
   * @param filter undefined: all are taken as they were received
   */
  refilter(peer: PeerId, filter: ImportFilter | undefined, from: number): number {
    const { paths } = this;
    const end = Math.min(paths.limit, from + SWEEP_ROWS);
    let looked = 0;
    for (let row = from; row < end; row++) {
      if (paths.peer[row] !== peer || paths.prefix[row] === 0) continue;
      const received = paths.receivedAttr(row) as AttrId;
      const prefix = paths.prefix[row]! as PrefixId;
      this.reassign(row, received, filter === undefined ? received : filter.apply(prefix, received));
      if (++looked === FILTERED_ROWS) return row + 1;
    }
    return end >= paths.limit ? 0 : end;
  }

  /** Removes the peer's path for this prefix, if it has one. */
  withdraw(prefix: PrefixId, peer: PeerId, pathId: number): void {
    const row = this.find(prefix, peer, pathId);
    if (row !== 0) this.drop(row);
  }

  /** The row of (prefix, peer, path id), 0 for none. */
  find(prefix: PrefixId, peer: PeerId, pathId: number): number {
    const { next, peer: peers } = this.paths;
    const plain = this.paths.pathId.length === 0;
    for (let row = this.head[prefix]!; row !== 0; row = next[row]!) {
      if (peers[row] === peer && (plain ? pathId === 0 : this.paths.pathId[row] === pathId)) return row;
    }
    return 0;
  }

  /**
   * Goes over the rows of one peer, a slice at a time.
   * @param from row to go on from; 1 at first @returns the next `from`, or 0 when done
   */
  sweep(peer: PeerId, what: Sweep, from: number): number {
    const { paths } = this;
    const end = Math.min(paths.limit, from + SWEEP_ROWS);
    let changes = 0;
    for (let row = from; row < end; row++) {
      if (paths.peer[row] !== peer || paths.prefix[row] === 0) continue;
      if (what === 'markStale') {
        if (!(paths.flags[row]! & PathFlag.stale)) this.stale[peer]!++;
        paths.flags[row]! |= PathFlag.stale;
        continue;
      }
      if (what === 'withdrawStale' && !(paths.flags[row]! & PathFlag.stale)) continue;
      this.drop(row);
      if (++changes === SWEEP_CHANGES) return row + 1;
    }
    return end >= paths.limit ? 0 : end;
  }

  /**
   * Marks, a slice at a time, the prefixes with a path through one of these next hops. Arguments and result as
   * {@link sweep}.
   * @param chosen 1 by NextHopId of those that are meant; ids beyond its end are not
   */
  markNextHops(chosen: Uint8Array, from: number): number {
    const { paths } = this;
    const end = Math.min(paths.limit, from + SWEEP_ROWS);
    let changes = 0;
    for (let row = from; row < end; row++) {
      if (paths.prefix[row] === 0 || chosen[this.attributes.nextHop[paths.attr[row]!]!] !== 1) continue;
      this.mark(paths.prefix[row]! as PrefixId, Marked);
      if (++changes === SWEEP_CHANGES) return row + 1;
    }
    return end >= paths.limit ? 0 : end;
  }

  /**
   * Marks, a slice at a time, the prefixes with a path from this peer, whose router id or kind has become another: where
   * that path is best, readers judge it again. Arguments and result as {@link sweep}.
   */
  markPeer(peer: PeerId, from: number): number {
    const { paths } = this;
    const end = Math.min(paths.limit, from + SWEEP_ROWS);
    let changes = 0;
    for (let row = from; row < end; row++) {
      if (paths.peer[row] !== peer || paths.prefix[row] === 0) continue;
      this.mark(paths.prefix[row]! as PrefixId, Marked | BestTouched);
      if (++changes === SWEEP_CHANGES) return row + 1;
    }
    return end >= paths.limit ? 0 : end;
  }

  /** Marks every prefix, a slice at a time: the rules of the decision changed, and of how many paths are used. */
  markAll(from: number): number {
    const end = Math.min(this.prefixes.limit, from + SWEEP_CHANGES);
    for (let prefix = from; prefix < end; prefix++)
      if (this.head[prefix] !== 0) this.mark(prefix as PrefixId, Marked | BestTouched);
    return end >= this.prefixes.limit ? 0 : end;
  }

  /** Runs the decision for every marked prefix. Nothing may read `best` between a change and this. */
  decide(): void {
    const { marked, head, best, state, journal } = this;
    const next = this.paths.next;
    const count = this.markedCount;
    const multipath = this.decision.options.maximumPaths.ebgp > 1 || this.decision.options.maximumPaths.ibgp > 1;
    for (let i = 0; i < count; i++) {
      const prefix = marked[i]! as PrefixId;
      const first = head[prefix]!;
      let winner = 0;
      let several = false;
      if (first !== 0) {
        if (next[first] === 0) winner = this.decision.eligible(first) ? first : 0;
        else {
          winner = this.decision.best(first);
          several = multipath;
        }
      } else this.noteEmpty(prefix);
      // With multipath the set may have changed although its first member did not.
      const changed = winner !== best[prefix] || state[prefix]! & BestTouched || several;
      state[prefix]! &= ~(Marked | BestTouched);
      if (!changed) continue;
      best[prefix] = winner;
      journal.append(prefix);
    }
    this.markedCount = 0;
  }

  /** Gives back ids of prefixes without any path, once no reader can ask for them. @returns whether more are waiting */
  reclaim(): boolean {
    if (this.emptyCount === 0 || !this.journal.trim()) return false;
    const until = Math.max(0, this.emptyCount - RECLAIM);
    for (let i = this.emptyCount - 1, ahead = i; i >= until; i--) {
      if (i === ahead) ahead = this.touchEmpty(i, until);
      const prefix = this.empty[i]! as PrefixId;
      this.state[prefix]! &= ~EmptyListed;
      if (this.head[prefix] === 0 && this.state[prefix] === 0) this.prefixes.remove(prefix);
    }
    this.emptyCount = until;
    return until > 0;
  }

  /** See PrefixTable.touch4. @returns the index of the first that was not touched */
  private touchEmpty(from: number, until: number): number {
    const end = Math.max(until, from - 31) - 1;
    let sum = 0;
    for (let i = from; i > end; i--) sum ^= this.prefixes.touch(this.empty[i]! as PrefixId);
    this.prefixes.touched = sum;
    return end;
  }

  private drop(row: number): void {
    const { paths } = this;
    const prefix = paths.prefix[row]! as PrefixId;
    const peer = paths.peer[row]!;
    if (this.head[prefix] === row) this.head[prefix] = paths.next[row]!;
    else {
      let before = this.head[prefix]!;
      while (paths.next[before] !== row) before = paths.next[before]!;
      paths.next[before] = paths.next[row]!;
    }
    this.received[peer]!--;
    if (paths.flags[row]! & BOOKED) this.unbook(row);
    this.attributes.release(paths.attr[row]! as AttrId);
    this.mark(prefix, row === this.best[prefix]! ? Marked | BestTouched : Marked);
    paths.free(row);
  }

  /** Gives a row what its filter makes of it now. */
  private reassign(row: number, received: AttrId, filtered: AttrId): void {
    const { paths, attributes } = this;
    const before = paths.flags[row]!;
    const old = paths.attr[row]! as AttrId;
    const attr = filtered === REJECTED ? received : filtered;
    const kept = before & ~(PathFlag.rejected | PathFlag.altered);
    const after = kept | (filtered === REJECTED ? PathFlag.rejected : 0) | (attr === received ? 0 : PathFlag.altered);
    if (attr === old && after === before) return;
    attributes.retain(attr);
    // One reference for a moment more: the row may hold the only one.
    attributes.retain(received);
    if (before & PathFlag.altered) this.unalter(row);
    attributes.release(old);
    paths.attr[row] = attr;
    paths.flags[row] = after & ~PathFlag.altered;
    if (after & PathFlag.altered) this.book(row, received);
    attributes.release(received);
    const prefix = paths.prefix[row]! as PrefixId;
    this.mark(prefix, row === this.best[prefix]! ? Marked | BestTouched : Marked);
  }

  /** Notes what an altered row was received with. */
  private book(row: number, received: AttrId): void {
    this.attributes.retain(received);
    this.paths.setOriginal(row, received);
    this.paths.flags[row]! |= PathFlag.altered;
  }

  /** Takes back what is kept beside a row: its place among the stale ones, and what it was received with. */
  private unbook(row: number): void {
    const { paths } = this;
    if (paths.flags[row]! & PathFlag.stale) this.stale[paths.peer[row]!]!--;
    paths.flags[row]! &= ~PathFlag.stale;
    if (paths.flags[row]! & PathFlag.altered) this.unalter(row);
  }

  private unalter(row: number): void {
    const { paths } = this;
    paths.flags[row]! &= ~PathFlag.altered;
    this.attributes.release(paths.original[row]! as AttrId);
  }

  private mark(prefix: PrefixId, bits: number): void {
    const state = this.state[prefix]!;
    this.state[prefix] = state | bits;
    if (state & Marked) return;
    if (this.markedCount === this.marked.length) this.marked = growU32(this.marked, this.marked.length * 4);
    this.marked[this.markedCount++] = prefix;
  }

  private noteEmpty(prefix: PrefixId): void {
    if (this.state[prefix]! & EmptyListed) return;
    this.state[prefix]! |= EmptyListed;
    if (this.emptyCount === this.empty.length) this.empty = growU32(this.empty, this.empty.length * 4);
    this.empty[this.emptyCount++] = prefix;
  }

  private growColumns(): void {
    const n = this.prefixes.capacity;
    this.head = growU32(this.head, n);
    this.best = growU32(this.best, n);
    this.state = growU8(this.state, n);
    this.journal.growPrefixes(n);
  }
}
