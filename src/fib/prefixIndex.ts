/** Gives every prefix of one family a small id: an open-addressing hash over columns, with ids that are used again. */

import { capacityFor, growU32, growU8 } from '../core/columns.js';

/** The hash is cut into shards that grow on their own, so that no single insertion pays for rehashing the whole table. */
const SHARD_BITS = 8;
const INITIAL_SLOTS = 16;

/** A set of (address, length) pairs. Ids count from 0; the caller keeps further columns by id, `capacity` long. */
export class PrefixIndex {
  /** Length of every column. */
  capacity: number;
  /** `wordsPerAddress` words a prefix, most significant first. */
  addresses: Uint32Array;
  lengths: Uint8Array;
  /** Ids are below this. */
  end = 0;
  size = 0;
  /** Per shard: id + 1 by hash, 0 for a free slot. A power of two long, at most two thirds full. */
  private readonly shards: Uint32Array[];
  private readonly shardSizes = new Uint32Array(1 << SHARD_BITS);
  private readonly free: number[] = [];

  /**
   * @param wordsPerAddress 1 for IPv4, 4 for IPv6
   * @param firstCapacity ids there is room for at first, a power of two; the Internet's table
   */
  constructor(
    readonly wordsPerAddress: 1 | 4,
    private readonly firstCapacity?: number,
  ) {
    this.capacity = capacityFor(1, firstCapacity);
    this.lengths = new Uint8Array(this.capacity);
    this.addresses = new Uint32Array(this.capacity * wordsPerAddress);
    this.shards = Array.from({ length: 1 << SHARD_BITS }, () => new Uint32Array(INITIAL_SLOTS));
  }

  /** Id of the prefix whose address begins at `words[at]`; -1 when it is not there. */
  find(words: Uint32Array, at: number, length: number): number {
    const hash = this.hashOf(words, at, length);
    const slots = this.shards[hash >>> (32 - SHARD_BITS)]!;
    return slots[this.probe(slots, hash, words, at, length)]! - 1;
  }

  /** Id of the prefix, which is added if it is not there. Columns may have grown: compare `capacity`. */
  insert(words: Uint32Array, at: number, length: number): number {
    const hash = this.hashOf(words, at, length);
    const shard = hash >>> (32 - SHARD_BITS);
    let slots = this.shards[shard]!;
    let slot = this.probe(slots, hash, words, at, length);
    const found = slots[slot]!;
    if (found !== 0) return found - 1;
    if ((this.shardSizes[shard]! + 1) * 3 > slots.length * 2) {
      slots = this.growShard(shard);
      slot = this.probe(slots, hash, words, at, length);
    }
    const id = this.newId();
    for (let i = 0; i < this.wordsPerAddress; i++) this.addresses[id * this.wordsPerAddress + i] = words[at + i]!;
    this.lengths[id] = length;
    slots[slot] = id + 1;
    this.shardSizes[shard]! += 1;
    this.size += 1;
    return id;
  }

  /** Takes the prefix out; its id may come back from a later `insert`. */
  remove(id: number): void {
    const hash = this.hashAt(id);
    const shard = hash >>> (32 - SHARD_BITS);
    const slots = this.shards[shard]!;
    const mask = slots.length - 1;
    let hole = hash & mask;
    while (slots[hole] !== id + 1) hole = (hole + 1) & mask;
    // Close the gap: whoever follows and could not have its own place moves up, so that probing never meets a tombstone.
    for (let next = (hole + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.hashAt(slots[next]! - 1) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      slots[hole] = slots[next]!;
      hole = next;
    }
    slots[hole] = 0;
    this.shardSizes[shard]! -= 1;
    this.size -= 1;
    this.free.push(id);
  }

  private probe(slots: Uint32Array, hash: number, words: Uint32Array, at: number, length: number): number {
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = slots[slot]!;
      if (found === 0 || this.is(found - 1, words, at, length)) return slot;
    }
  }

  private is(id: number, words: Uint32Array, at: number, length: number): boolean {
    if (this.lengths[id] !== length) return false;
    const size = this.wordsPerAddress;
    for (let i = 0; i < size; i++) if (this.addresses[id * size + i] !== words[at + i]) return false;
    return true;
  }

  private hashAt(id: number): number {
    return this.hashOf(this.addresses, id * this.wordsPerAddress, this.lengths[id]!);
  }

  /** MurmurHash3's mixing, word by word. */
  private hashOf(words: Uint32Array, at: number, length: number): number {
    let hash = length;
    for (let i = 0; i < this.wordsPerAddress; i++) {
      hash = Math.imul(hash ^ words[at + i]!, 0x85eb_ca6b);
      hash ^= hash >>> 13;
    }
    hash = Math.imul(hash, 0xc2b2_ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  private newId(): number {
    const again = this.free.pop();
    if (again !== undefined) return again;
    if (this.end === this.capacity) {
      this.capacity = capacityFor(this.end + 1, this.firstCapacity);
      this.addresses = growU32(this.addresses, this.capacity * this.wordsPerAddress);
      this.lengths = growU8(this.lengths, this.capacity);
    }
    return this.end++;
  }

  private growShard(shard: number): Uint32Array {
    const old = this.shards[shard]!;
    const slots = new Uint32Array(old.length * 2);
    const mask = slots.length - 1;
    for (const entry of old) {
      if (entry === 0) continue;
      let slot = this.hashAt(entry - 1) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = entry;
    }
    this.shards[shard] = slots;
    return slots;
  }
}
