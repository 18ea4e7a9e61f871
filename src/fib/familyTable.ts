/** All prefixes of one family as columns: what is wanted of each, what the kernel has, and the queue of differences. */

import type { FamilyIndex } from '../bgp/families.js';
import { growU32, growU8 } from '../core/columns.js';
import { formatPrefix, type IpPrefix } from '../core/ip.js';
import type { RouteScan } from '../kernel/routeScan.js';
import { addressOf } from '../kernel/routes.js';
import { AF_INET, AF_INET6, type AddressFamily } from '../kernel/rtnetlink.js';
import type { DesiredSets } from './desiredSets.js';
import { NO_ROUTE, ODD_ROUTE, type NextHopTable } from './nextHopTable.js';
import { PrefixIndex } from './prefixIndex.js';

const QUEUED = 1;
/** Found in the kernel, and nobody has wanted (and been able to resolve) it yet: stays until the sources are complete. */
const ADOPTED = 2;
/** Part of a batch that the kernel has not answered. */
const IN_FLIGHT = 4;
/** The id stands for a prefix; others are free. */
const LIVE = 8;
/** Somebody else touched the route while it was in flight: which of the two came last is not known. */
const SUSPECT = 16;

/** What a reading of the kernel found to be other than believed. */
export interface Verdict {
  readonly id: number;
  readonly before: number;
}

export class FamilyTable {
  readonly index: PrefixIndex;
  readonly addressFamily: AddressFamily;
  /** Until the first reading nobody knows what the kernel has, and nothing is written. */
  known = false;
  /** Routes in the kernel. */
  installed = 0;
  private desired: Uint32Array;
  private applied: Uint32Array;
  private flags: Uint8Array;
  /** Number of the reading that found the route, or during which it was written. */
  private seen: Uint8Array;
  private reading = 0;
  private isReading = false;
  private queue: number[] = [];
  private head = 0;

  constructor(
    readonly family: FamilyIndex,
    private readonly sets: DesiredSets,
    private readonly kernelSets: NextHopTable,
    firstCapacity?: number,
  ) {
    this.index = new PrefixIndex(family === 0 ? 1 : 4, firstCapacity);
    this.addressFamily = family === 0 ? AF_INET : AF_INET6;
    const { capacity } = this.index;
    this.desired = new Uint32Array(capacity);
    this.applied = new Uint32Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.seen = new Uint8Array(capacity);
  }

  /** Id of the prefix, which is added if need be. */
  idOf(words: Uint32Array, at: number, length: number): number {
    const id = this.index.insert(words, at, length);
    if (this.index.capacity > this.desired.length) this.grow(this.index.capacity);
    this.flags[id]! |= LIVE;
    return id;
  }

  /** Sets what the RIB wants; 0 for nothing. @returns the id, -1 when nothing is wanted of a prefix that was never there */
  want(words: Uint32Array, at: number, length: number, set: number): number {
    const id = set === 0 ? this.index.find(words, at, length) : this.idOf(words, at, length);
    if (id < 0) return id;
    const before = this.desired[id]!;
    if (set !== 0) this.sets.hold(set);
    this.desired[id] = set;
    if (before !== 0) this.sets.release(before);
    return id;
  }

  /** The kernel set that the route should have now. */
  wantedOf(id: number): number {
    const set = this.desired[id]!;
    return set === 0 ? NO_ROUTE : this.sets.kernelSet(set, this.family);
  }

  desiredOf(id: number): number {
    return this.desired[id]!;
  }

  appliedOf(id: number): number {
    return this.applied[id]!;
  }

  isAdopted(id: number): boolean {
    return (this.flags[id]! & ADOPTED) !== 0;
  }

  /** The kernel was told, or found, to have this set for the route. */
  setApplied(id: number, kernelSet: number): void {
    const before = this.applied[id]!;
    if (before === kernelSet) return;
    if (before === NO_ROUTE) this.installed += 1;
    if (kernelSet === NO_ROUTE) this.installed -= 1;
    this.kernelSets.hold(kernelSet);
    this.kernelSets.release(before);
    this.applied[id] = kernelSet;
  }

  /** Queues the route if the kernel has another than it should. @returns whether it is queued now */
  touch(id: number): boolean {
    const wanted = this.wantedOf(id);
    // Claimed: from here on it is like any other route.
    if (wanted !== NO_ROUTE) this.flags[id]! &= ~ADOPTED;
    if ((this.flags[id]! & QUEUED) !== 0) return true;
    if (wanted !== this.applied[id]) {
      this.flags[id]! |= QUEUED;
      this.queue.push(id);
      return true;
    }
    this.forgetIfEmpty(id);
    return false;
  }

  get queued(): number {
    return this.queue.length - this.head;
  }

  /** Next of the queue, in flight from here on; -1 when it is empty. Give it back with `answered`. */
  take(): number {
    if (this.head === this.queue.length) {
      this.queue = [];
      this.head = 0;
      return -1;
    }
    const id = this.queue[this.head++]!;
    this.flags[id] = (this.flags[id]! & ~(QUEUED | SUSPECT)) | IN_FLIGHT;
    return id;
  }

  /** The kernel has accepted what was sent for the route. */
  accepted(id: number, kernelSet: number): void {
    this.setApplied(id, (this.flags[id]! & SUSPECT) !== 0 ? ODD_ROUTE : kernelSet);
  }

  /** The route is no longer in flight: nothing had to be written, or the kernel has answered. */
  answered(id: number): void {
    this.flags[id]! &= ~IN_FLIGHT;
    if (this.isReading) this.seen[id] = this.reading;
  }

  /** Gives the id back when nothing is wanted, applied or under way. */
  forgetIfEmpty(id: number): void {
    // While a reading is under way, the mark of what was just deleted is still needed.
    if (this.isReading || this.desired[id] !== 0 || this.applied[id] !== NO_ROUTE) return;
    if ((this.flags[id]! & (LIVE | QUEUED | IN_FLIGHT)) !== LIVE) return;
    this.flags[id] = 0;
    this.index.remove(id);
  }

  /** Live ids. */
  *ids(): Generator<number> {
    for (let id = 0; id < this.index.end; id++) if (this.isLive(id)) yield id;
  }

  /** Queues the routes for whose desired set the test holds. */
  touchWhere(test: (desiredSet: number) => boolean): void {
    for (let id = 0; id < this.index.end; id++) if (this.isLive(id) && test(this.desired[id]!)) this.touch(id);
  }

  beginRead(): void {
    this.isReading = true;
    this.reading = this.reading === 255 ? 1 : this.reading + 1;
    if (this.reading === 1) this.seen.fill(0);
  }

  /** A route of ours stands in the kernel. @returns what was believed of it, if that was something else */
  found(scan: RouteScan): Verdict | undefined {
    const kernelSet = this.kernelSets.internScan(scan);
    const id = this.idOf(scan.destination, 0, scan.length);
    // Written since the reading began: what the dump says of it may be older.
    if (this.seen[id] === this.reading || (this.flags[id]! & IN_FLIGHT) !== 0) return undefined;
    this.seen[id] = this.reading;
    const before = this.applied[id]!;
    if (before === kernelSet) return undefined;
    this.setApplied(id, kernelSet);
    if (this.wantedOf(id) === NO_ROUTE) this.flags[id]! |= ADOPTED;
    return { id, before };
  }

  /** Ends a reading: what it did not find is not there. @returns the ids of which that was not known */
  endRead(): number[] {
    this.isReading = false;
    const missing: number[] = [];
    for (let id = 0; id < this.index.end; id++) {
      const lost = this.seen[id] !== this.reading && this.applied[id] !== NO_ROUTE;
      if (lost && (this.flags[id]! & IN_FLIGHT) === 0) {
        this.setApplied(id, NO_ROUTE);
        missing.push(id);
      } else {
        this.forgetIfEmpty(id);
      }
    }
    this.known = true;
    return missing;
  }

  /** Somebody touched a route of ours: it may look like anything now, or be gone. */
  distrust(id: number, gone: boolean): void {
    this.setApplied(id, gone ? NO_ROUTE : ODD_ROUTE);
    // What a dump under way says of it may be older.
    if (this.isReading) this.seen[id] = this.reading;
    if ((this.flags[id]! & IN_FLIGHT) !== 0) this.flags[id]! |= SUSPECT;
  }

  prefixOf(id: number): IpPrefix {
    const { addresses, lengths, wordsPerAddress } = this.index;
    return { address: addressOf(this.addressFamily, addresses, id * wordsPerAddress), length: lengths[id]! };
  }

  textOf(id: number): string {
    return formatPrefix(this.prefixOf(id));
  }

  private isLive(id: number): boolean {
    return (this.flags[id]! & LIVE) !== 0;
  }

  private grow(capacity: number): void {
    this.desired = growU32(this.desired, capacity);
    this.applied = growU32(this.applied, capacity);
    this.flags = growU8(this.flags, capacity);
    this.seen = growU8(this.seen, capacity);
  }
}
