/**
 * Prefixes as small integers: (address, length) to PrefixId and back.
 *
 * An open-addressing hash in 256 segments that grow one at a time, so that no insertion ever waits for the whole table
 * to be hashed again. Ids are dense and used again after `remove`.
 */

import type { Brand } from '../core/brand.js';
import { capacityFor, growU32, growU8 } from '../core/columns.js';

/** Index of a prefix in its family's table; 0 stands for none. Made by {@link PrefixTable} only. */
export type PrefixId = Brand<number, 'PrefixId'>;

const SEGMENTS = 256;
const FIRST_SLOTS = 16;

export class PrefixTable {
  /** Address words of prefix `id` at [id * stride, (id + 1) * stride), most significant first. Host bits are zero. */
  words: Uint32Array;
  /** Prefix length in bits. */
  lengths: Uint8Array;
  /** Ids from 1 up to, not including, this have been handed out at some time. */
  limit = 1;
  /** Ids for which the columns have room; owners of parallel columns grow theirs when it changes. */
  capacity: number;
  size = 0;

  private readonly segments: Uint32Array[] = [];
  private readonly used = new Uint32Array(SEGMENTS);
  private free: Uint32Array = new Uint32Array(64);
  private freeCount = 0;

  /** @param stride 32-bit words in an address: 1 for IPv4, 4 for IPv6 */
  constructor(readonly stride: 1 | 4) {
    this.capacity = capacityFor(0);
    this.words = new Uint32Array(this.capacity * stride);
    this.lengths = new Uint8Array(this.capacity);
    for (let i = 0; i < SEGMENTS; i++) this.segments.push(new Uint32Array(FIRST_SLOTS));
  }

  /** The id of an IPv4 prefix, made when it is new. @param word the address with host bits zero, unsigned or signed */
  idOf4(word: number, length: number): PrefixId {
    const hash = hash4(word, length);
    const segmentIndex = hash >>> 24;
    const segment = this.segments[segmentIndex]!;
    const mask = segment.length - 1;
    const unsigned = word >>> 0;
    let slot = hash & mask;
    for (;;) {
      const id = segment[slot]!;
      if (id === 0) break;
      if (this.words[id] === unsigned && this.lengths[id] === length) return id as PrefixId;
      slot = (slot + 1) & mask;
    }
    const id = this.allocate();
    this.words[id] = unsigned;
    this.lengths[id] = length;
    this.place(segmentIndex, slot, id);
    return id;
  }

  /** The id of an IPv6 prefix, made when it is new. Host bits of the four words are zero. */
  idOf6(w0: number, w1: number, w2: number, w3: number, length: number): PrefixId {
    const hash = hash6(w0, w1, w2, w3, length);
    const segmentIndex = hash >>> 24;
    const found = this.probe6(segmentIndex, hash, w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0, length);
    if (found > 0) return found as PrefixId;
    const id = this.allocate();
    const at = id * 4;
    this.words[at] = w0;
    this.words[at + 1] = w1;
    this.words[at + 2] = w2;
    this.words[at + 3] = w3;
    this.lengths[id] = length;
    this.place(segmentIndex, ~found, id);
    return id;
  }

  /** @returns the id, or 0 when the prefix is not in the table */
  find4(word: number, length: number): PrefixId {
    const hash = hash4(word, length);
    const segment = this.segments[hash >>> 24]!;
    const mask = segment.length - 1;
    const unsigned = word >>> 0;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = segment[slot]!;
      if (id === 0 || (this.words[id] === unsigned && this.lengths[id] === length)) return id as PrefixId;
    }
  }

  /** @returns the id, or 0 when the prefix is not in the table */
  find6(w0: number, w1: number, w2: number, w3: number, length: number): PrefixId {
    const hash = hash6(w0, w1, w2, w3, length);
    const found = this.probe6(hash >>> 24, hash, w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0, length);
    return (found > 0 ? found : 0) as PrefixId;
  }

  /** Forgets a prefix; its id may be handed out again at once. */
  remove(id: PrefixId): void {
    const hash = this.hashOf(id);
    const segment = this.segments[hash >>> 24]!;
    const mask = segment.length - 1;
    let hole = hash & mask;
    while (segment[hole] !== id) hole = (hole + 1) & mask;
    // Backward shift: pull later members of the probe chain into the hole, so that no tombstones collect.
    for (let next = (hole + 1) & mask; segment[next] !== 0; next = (next + 1) & mask) {
      const home = this.hashOf(segment[next]!) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      segment[hole] = segment[next]!;
      hole = next;
    }
    segment[hole] = 0;
    this.used[hash >>> 24]!--;
    this.lengths[id] = 0;
    if (this.freeCount === this.free.length) this.free = growU32(this.free, this.free.length * 4);
    this.free[this.freeCount++] = id;
    this.size--;
  }

  /** @returns the id (positive), or the complement of the free slot where the chain ends (negative) */
  private probe6(
    segmentIndex: number,
    hash: number,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    length: number,
  ): number {
    const segment = this.segments[segmentIndex]!;
    const words = this.words;
    const mask = segment.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = segment[slot]!;
      if (id === 0) return ~slot;
      const at = id * 4;
      // The second word tells most IPv6 prefixes apart.
      if (
        words[at + 1] === w1 &&
        words[at] === w0 &&
        words[at + 2] === w2 &&
        words[at + 3] === w3 &&
        this.lengths[id] === length
      )
        return id;
    }
  }

  private allocate(): PrefixId {
    this.size++;
    if (this.freeCount > 0) return this.free[--this.freeCount]! as PrefixId;
    if (this.limit === this.capacity) {
      this.capacity = capacityFor(this.capacity + 1);
      this.words = growU32(this.words, this.capacity * this.stride);
      this.lengths = growU8(this.lengths, this.capacity);
    }
    return this.limit++ as PrefixId;
  }

  private place(segmentIndex: number, slot: number, id: number): void {
    const segment = this.segments[segmentIndex]!;
    segment[slot] = id;
    if (++this.used[segmentIndex]! * 2 <= segment.length) return;
    const grown = new Uint32Array(segment.length * 2);
    const mask = grown.length - 1;
    for (const member of segment) {
      if (member === 0) continue;
      let to = this.hashOf(member) & mask;
      while (grown[to] !== 0) to = (to + 1) & mask;
      grown[to] = member;
    }
    this.segments[segmentIndex] = grown;
  }

  private hashOf(id: number): number {
    if (this.stride === 1) return hash4(this.words[id]!, this.lengths[id]!);
    const at = id * 4;
    return hash6(this.words[at]!, this.words[at + 1]!, this.words[at + 2]!, this.words[at + 3]!, this.lengths[id]!);
  }
}

/** Bits 24..31 choose the segment, the lower ones the slot: the final mix makes both depend on every input bit. */
function hash4(word: number, length: number): number {
  let h = Math.imul(word ^ Math.imul(length, 0x9e3779b1), 0x85ebca6b);
  h ^= h >>> 15;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 13)) >>> 0;
}

function hash6(w0: number, w1: number, w2: number, w3: number, length: number): number {
  let h = Math.imul(w0, 0x9e3779b1) ^ length;
  h = Math.imul(h ^ (h >>> 15) ^ w1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13) ^ w2, 0xc2b2ae35);
  return hash4(h ^ (h >>> 16) ^ w3, length);
}
