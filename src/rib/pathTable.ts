/**
 * Paths: one row for each (prefix, peer, path identifier), linked by prefix. Together they are every Adj-RIB-In.
 *
 * A row costs 15 octets, and 4 more once any peer sends path identifiers (RFC 7911), and once any policy alters a route.
 */

import { capacityFor, growU16, growU32, growU8, octetsOf, type MakeResident } from '../core/columns.js';

/** Bits of {@link PathTable.flags}. */
export const PathFlag = {
  /** Our AS stands in AS_PATH, or RFC 4456 names us as originator or cluster: kept for people to see, never chosen. */
  loop: 1,
  /** Kept over a restart of the peer (RFC 4724 section 4.2) and not announced again yet. */
  stale: 2,
  /** Import policy refuses it: kept, so that another policy may take it, and never chosen. */
  rejected: 4,
  /** Import policy changed it: `attr` is what came of it, `original` what was received. */
  altered: 8,
  /** A network of our own that an aggregate hides: best, but told to nobody. */
  suppressed: 16,
} as const;

/** The bits above hold the tag of a network of our own: an index into NETWORK_TAGS. */
export const TAG_SHIFT = 5;

/** A path with one of these takes no part in the decision. */
export const INELIGIBLE: number = PathFlag.loop | PathFlag.rejected;

export class PathTable {
  /** PrefixId of the row; 0 when the row is free. */
  prefix: Uint32Array;
  /** Next row of the same prefix, 0 at the end; in a free row the next free row. */
  next: Uint32Array;
  /** AttrId; the row holds a reference. */
  attr: Uint32Array;
  peer: Uint16Array;
  flags: Uint8Array;
  /** Path identifiers, empty while nobody sends any. */
  pathId: Uint32Array = new Uint32Array(0);
  /** AttrId as received, of altered rows, which hold a reference to that too; empty while there are none. */
  original: Uint32Array = new Uint32Array(0);
  size = 0;
  /** Rows from 1 up to, not including, this have been used at some time. */
  limit = 1;
  private firstFree = 0;
  private capacity: number;

  constructor(private readonly firstCapacity?: number) {
    const n = (this.capacity = capacityFor(0, firstCapacity));
    this.prefix = new Uint32Array(n);
    this.next = new Uint32Array(n);
    this.attr = new Uint32Array(n);
    this.peer = new Uint16Array(n);
    this.flags = new Uint8Array(n);
  }

  /** Has room, and memory, for so many rows from the start. */
  reserve(count: number, makeResident: MakeResident): void {
    if (count >= this.capacity) this.grow(count + 1);
    for (const column of [this.prefix, this.next, this.attr, this.peer, this.flags])
      makeResident(octetsOf(column, count + 1));
  }

  allocate(): number {
    this.size++;
    if (this.firstFree !== 0) {
      const row = this.firstFree;
      this.firstFree = this.next[row]!;
      return row;
    }
    if (this.limit === this.capacity) this.grow(this.capacity + 1);
    return this.limit++;
  }

  free(row: number): void {
    this.prefix[row] = 0;
    this.attr[row] = 0;
    this.next[row] = this.firstFree;
    this.firstFree = row;
    this.size--;
  }

  setPathId(row: number, pathId: number): void {
    if (this.pathId.length === 0) {
      if (pathId === 0) return;
      this.pathId = new Uint32Array(this.capacity);
    }
    this.pathId[row] = pathId;
  }

  /** The attributes the peer sent, before any policy. */
  receivedAttr(row: number): number {
    return this.flags[row]! & PathFlag.altered ? this.original[row]! : this.attr[row]!;
  }

  setOriginal(row: number, attr: number): void {
    if (this.original.length === 0) this.original = new Uint32Array(this.capacity);
    this.original[row] = attr;
  }

  pathIdOf(row: number): number {
    return this.pathId.length === 0 ? 0 : this.pathId[row]!;
  }

  private grow(needed: number): void {
    const n = (this.capacity = capacityFor(needed, this.firstCapacity));
    this.prefix = growU32(this.prefix, n);
    this.next = growU32(this.next, n);
    this.attr = growU32(this.attr, n);
    this.peer = growU16(this.peer, n);
    this.flags = growU8(this.flags, n);
    if (this.pathId.length > 0) this.pathId = growU32(this.pathId, n);
    if (this.original.length > 0) this.original = growU32(this.original, n);
  }
}
