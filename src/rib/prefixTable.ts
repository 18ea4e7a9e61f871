/**
 * Prefixes as small integers: (address, length) to PrefixId and back.
 *
 * An open-addressing hash in 256 segments that grow one at a time, so that no insertion ever waits for the whole table
 * to be hashed again. A slot is two words side by side: enough of the key to tell others apart, and the id; a look-up is
 * therefore one cache miss and not one for each column. Ids are dense and used again after `remove`.
 */

import type { Brand } from '../core/brand.js';
import { capacityFor, growU32, growU8, octetsOf, type MakeResident } from '../core/columns.js';

/** Index of a prefix in its family's table; 0 stands for none. Made by {@link PrefixTable} only. */
export type PrefixId = Brand<number, 'PrefixId'>;

const SEGMENTS = 256;
const FIRST_SLOTS = 32;
/** Segments grow in few, large steps: a prefix moves half a time on the way to a million, instead of one and a half times. */
const GROWTH = 4;
/** Ids an IPv4 slot has room for beside six bits of length. */
const MAX_IDS = 1 << 26;

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
  /** Callers of the touch functions leave here what they read, so that reading is not optimised away. */
  touched = 0;

  /**
   * Slots as pairs. IPv4: the address, and id * 64 + length. IPv6: the hash, and the id, which leads to the rest. An
   * empty slot has 0 in its second word.
   */
  private readonly segments: Uint32Array[] = [];
  private readonly used = new Uint32Array(SEGMENTS);
  private free: Uint32Array = new Uint32Array(64);
  private freeCount = 0;

  /** @param stride 32-bit words in an address: 1 for IPv4, 4 for IPv6 */
  constructor(
    readonly stride: 1 | 4,
    private readonly firstCapacity?: number,
  ) {
    this.capacity = capacityFor(0, firstCapacity);
    this.words = new Uint32Array(this.capacity * stride);
    this.lengths = new Uint8Array(this.capacity);
    for (let i = 0; i < SEGMENTS; i++) this.segments.push(new Uint32Array(FIRST_SLOTS * 2));
  }

  /** Gives an empty table the size that `count` prefixes need, so that it neither grows nor waits for memory on the way. */
  reserve(count: number, makeResident: MakeResident): void {
    if (count >= this.capacity) this.growColumns(count + 1);
    let slots = FIRST_SLOTS;
    // A segment may have a few more than its share.
    while (slots * 3 < ((count / SEGMENTS) * 1.1 + FIRST_SLOTS) * 4) slots *= 2;
    const words = slots * 2;
    const all = new Uint32Array(SEGMENTS * words);
    this.segments.forEach((_, i) => (this.segments[i] = all.subarray(i * words, (i + 1) * words)));
    makeResident(octetsOf(all, all.length));
    makeResident(octetsOf(this.words, (count + 1) * this.stride));
    makeResident(octetsOf(this.lengths, count + 1));
  }

  /** The id of an IPv4 prefix, made when it is new. @param word the address with host bits zero, unsigned or signed */
  idOf4(word: number, length: number): PrefixId {
    const hash = hash4(word, length);
    const segment = this.segments[hash >>> 24]!;
    const mask = segment.length - 2;
    const unsigned = word >>> 0;
    let slot = (hash << 1) & mask;
    for (;;) {
      const packed = segment[slot + 1]!;
      if (packed === 0) break;
      if (segment[slot] === unsigned && (packed & 63) === length) return (packed >>> 6) as PrefixId;
      slot = (slot + 2) & mask;
    }
    const id = this.allocate();
    this.words[id] = unsigned;
    this.lengths[id] = length;
    this.place(hash >>> 24, slot, unsigned, id * 64 + length);
    return id;
  }

  /**
   * Reads the slot a look-up of this prefix will begin at, and nothing more. Look-ups wait for memory one after another;
   * touching the slots of several prefixes first lets the processor wait for all of them at once.
   */
  touch4(word: number, length: number): number {
    const hash = hash4(word, length);
    const segment = this.segments[hash >>> 24]!;
    return segment[((hash << 1) & (segment.length - 2)) + 1]!;
  }

  /** As {@link touch4}, by id. */
  touch(id: PrefixId): number {
    const hash = this.hashOf(id);
    const segment = this.segments[hash >>> 24]!;
    return segment[((hash << 1) & (segment.length - 2)) + 1]!;
  }

  /** As {@link touch4}. */
  touch6(w0: number, w1: number, w2: number, w3: number, length: number): number {
    const hash = hash6(w0, w1, w2, w3, length);
    const segment = this.segments[hash >>> 24]!;
    const id = segment[((hash << 1) & (segment.length - 2)) + 1]!;
    return this.words[id * 4]!;
  }

  /** The id of an IPv6 prefix, made when it is new. Host bits of the four words are zero. */
  idOf6(w0: number, w1: number, w2: number, w3: number, length: number): PrefixId {
    const hash = hash6(w0, w1, w2, w3, length);
    const found = this.probe6(hash, w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0, length);
    if (found > 0) return found as PrefixId;
    const id = this.allocate();
    const at = id * 4;
    this.words[at] = w0;
    this.words[at + 1] = w1;
    this.words[at + 2] = w2;
    this.words[at + 3] = w3;
    this.lengths[id] = length;
    this.place(hash >>> 24, ~found, hash, id);
    return id;
  }

  /** @returns the id, or 0 when the prefix is not in the table */
  find4(word: number, length: number): PrefixId {
    const hash = hash4(word, length);
    const segment = this.segments[hash >>> 24]!;
    const mask = segment.length - 2;
    const unsigned = word >>> 0;
    for (let slot = (hash << 1) & mask; ; slot = (slot + 2) & mask) {
      const packed = segment[slot + 1]!;
      if (packed === 0) return 0 as PrefixId;
      if (segment[slot] === unsigned && (packed & 63) === length) return (packed >>> 6) as PrefixId;
    }
  }

  /** @returns the id, or 0 when the prefix is not in the table */
  find6(w0: number, w1: number, w2: number, w3: number, length: number): PrefixId {
    const found = this.probe6(hash6(w0, w1, w2, w3, length), w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0, length);
    return (found > 0 ? found : 0) as PrefixId;
  }

  /** Forgets a prefix; its id may be handed out again at once. */
  remove(id: PrefixId): void {
    const hash = this.hashOf(id);
    const segment = this.segments[hash >>> 24]!;
    const mask = segment.length - 2;
    const second = this.stride === 1 ? id * 64 + this.lengths[id]! : id;
    let hole = (hash << 1) & mask;
    while (segment[hole + 1] !== second) hole = (hole + 2) & mask;
    // Backward shift: pull later members of the probe chain into the hole, so that no tombstones collect.
    for (let next = (hole + 2) & mask; segment[next + 1] !== 0; next = (next + 2) & mask) {
      const home = (this.slotHash(segment, next) << 1) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      segment[hole] = segment[next]!;
      segment[hole + 1] = segment[next + 1]!;
      hole = next;
    }
    segment[hole + 1] = 0;
    this.used[hash >>> 24]!--;
    this.lengths[id] = 0;
    if (this.freeCount === this.free.length) this.free = growU32(this.free, this.free.length * 4);
    this.free[this.freeCount++] = id;
    this.size--;
  }

  /** @returns the id (positive), or the complement of the free slot where the chain ends (negative) */
  private probe6(hash: number, w0: number, w1: number, w2: number, w3: number, length: number): number {
    const segment = this.segments[hash >>> 24]!;
    const words = this.words;
    const mask = segment.length - 2;
    for (let slot = (hash << 1) & mask; ; slot = (slot + 2) & mask) {
      const id = segment[slot + 1]!;
      if (id === 0) return ~slot;
      if (segment[slot] !== hash) continue;
      const at = id * 4;
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
      if (this.limit >= MAX_IDS) throw new RangeError(`more than ${MAX_IDS} prefixes`);
      this.growColumns(this.capacity + 1);
    }
    return this.limit++ as PrefixId;
  }

  private growColumns(needed: number): void {
    this.capacity = capacityFor(needed, this.firstCapacity);
    this.words = growU32(this.words, this.capacity * this.stride);
    this.lengths = growU8(this.lengths, this.capacity);
  }

  private place(segmentIndex: number, slot: number, first: number, second: number): void {
    const segment = this.segments[segmentIndex]!;
    segment[slot] = first;
    segment[slot + 1] = second;
    // Three quarters full: probes stay within a cache line or two.
    if (++this.used[segmentIndex]! * 8 <= segment.length * 3) return;
    const grown = new Uint32Array(segment.length * GROWTH);
    const mask = grown.length - 2;
    for (let from = 0; from < segment.length; from += 2) {
      if (segment[from + 1] === 0) continue;
      let to = (this.slotHash(segment, from) << 1) & mask;
      while (grown[to + 1] !== 0) to = (to + 2) & mask;
      grown[to] = segment[from]!;
      grown[to + 1] = segment[from + 1]!;
    }
    this.segments[segmentIndex] = grown;
  }

  private slotHash(segment: Uint32Array, slot: number): number {
    return this.stride === 1 ? hash4(segment[slot]!, segment[slot + 1]! & 63) : segment[slot]!;
  }

  private hashOf(id: number): number {
    if (this.stride === 1) return hash4(this.words[id]!, this.lengths[id]!);
    const at = id * 4;
    return hash6(this.words[at]!, this.words[at + 1]!, this.words[at + 2]!, this.words[at + 3]!, this.lengths[id]!);
  }
}

/**
 * Bits 24..31 choose the segment, the lower ones the slot. The last three bits are the network's own: eight neighbours,
 * which are often announced together, stand in one cache line. The bits above them depend on every other input bit.
 */
function hash4(word: number, length: number): number {
  const group = length > 3 ? word >>> (35 - length) : 0;
  return ((mixed(group, length) & ~7) | (length > 0 ? (word >>> (32 - length)) & 7 : 0)) >>> 0;
}

function mixed(word: number, length: number): number {
  let h = Math.imul(word ^ Math.imul(length, 0x9e3779b1), 0x85ebca6b);
  h ^= h >>> 15;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 13);
}

function hash6(w0: number, w1: number, w2: number, w3: number, length: number): number {
  let h = Math.imul(w0, 0x9e3779b1) ^ length;
  h = Math.imul(h ^ (h >>> 15) ^ w1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13) ^ w2, 0xc2b2ae35);
  return mixed(h ^ (h >>> 16) ^ w3, length) >>> 0;
}
