/**
 * Interned path attributes: one copy of each distinct set, decision fields in columns by AttrId, counted references.
 *
 * What makes two sets equal is their normal-form block (see bgp/updateRecord.ts) and their next hop.
 */

import { AttrFlag, type UpdateRecord } from '../bgp/updateRecord.js';
import type { Brand } from '../core/brand.js';
import { capacityFor, growU16, growU32, growU8, octetsOf, type Column, type MakeResident } from '../core/columns.js';
import { BlockArena, type BlockRef } from './blockArena.js';
import type { NextHopId, NextHops } from './nextHops.js';

/** Index of an attribute set; 0 stands for none. */
export type AttrId = Brand<number, 'AttrId'>;

/** RFC 4271 section 9.1.1 leaves the degree of preference to configuration; 100 is what every implementation assumes. */
export const DEFAULT_LOCAL_PREF = 100;

/** Times four while half of them are taken: 2^19 hold the Internet's attribute sets. */
const FIRST_SLOTS = 1 << 11;

/** Octets of a usual block, rounded up: a path of four or five ASes and a few communities. */
const USUAL_BLOCK = 72;

export class AttributeStore {
  /** Bits of AttrFlag. */
  flags: Uint32Array;
  /** 100 when the attribute is absent. */
  localPref: Uint32Array;
  /** 0 when the attribute is absent; see AttrFlag.med. */
  med: Uint32Array;
  asPathLength: Uint16Array;
  origin: Uint8Array;
  neighborAs: Uint32Array;
  originatorId: Uint32Array;
  clusterListLength: Uint16Array;
  nextHop: Uint32Array;
  references: Uint32Array;
  size = 0;
  /** Ids from 1 up to, not including, this have been handed out at some time. */
  limit = 1;

  private readonly arena = new BlockArena();
  private blocks: Uint32Array;
  private lengths: Uint32Array;
  private hashes: Uint32Array;
  private capacity: number;
  /** Pairs: the hash, and the id; 0 as id in an empty slot. */
  private slots: Uint32Array = new Uint32Array(2 * FIRST_SLOTS);
  private readonly free: number[] = [];

  constructor(
    private readonly nextHops: NextHops,
    private readonly firstCapacity?: number,
  ) {
    const n = (this.capacity = capacityFor(0, firstCapacity));
    this.flags = new Uint32Array(n);
    this.localPref = new Uint32Array(n);
    this.med = new Uint32Array(n);
    this.asPathLength = new Uint16Array(n);
    this.origin = new Uint8Array(n);
    this.neighborAs = new Uint32Array(n);
    this.originatorId = new Uint32Array(n);
    this.clusterListLength = new Uint16Array(n);
    this.nextHop = new Uint32Array(n);
    this.references = new Uint32Array(n);
    this.blocks = new Uint32Array(n);
    this.lengths = new Uint32Array(n);
    this.hashes = new Uint32Array(n);
  }

  /** Has room, and memory, for so many sets from the start. */
  reserve(count: number, makeResident: MakeResident): void {
    if (count >= this.capacity) this.grow(count + 1);
    for (const column of this.columns()) makeResident(octetsOf(column, count + 1));
    let length = this.slots.length;
    while (count * 4 > length) length *= 4;
    this.rehash(length);
    makeResident(octetsOf(this.slots, this.slots.length));
    this.arena.reserve(count * USUAL_BLOCK, makeResident);
  }

  /** The id of the record's attributes with this next hop, with one reference added for the caller. */
  intern(record: UpdateRecord, nextHop: NextHopId): AttrId {
    const hash = hashBlock(record, nextHop);
    const { slots } = this;
    const mask = slots.length - 2;
    let slot = (hash << 1) & mask;
    for (;;) {
      const id = slots[slot + 1]!;
      if (id === 0) break;
      if (slots[slot] === hash && this.equals(id, record, nextHop)) {
        this.references[id]!++;
        return id as AttrId;
      }
      slot = (slot + 2) & mask;
    }
    const id = this.insert(record, nextHop, hash);
    slots[slot] = hash;
    slots[slot + 1] = id;
    if (++this.size * 4 > slots.length) this.rehash(slots.length * 4);
    return id;
  }

  retain(id: AttrId): void {
    this.references[id]!++;
  }

  /** Drops one reference; the last one frees the set and its id. */
  release(id: AttrId): void {
    if (--this.references[id]! === 0) this.remove(id);
  }

  /** The array that holds the block of `id`, from {@link blockStart}, {@link blockLength} octets. */
  blockArray(id: AttrId): Uint8Array {
    return this.arena.pageOf(this.blocks[id]! as BlockRef);
  }

  blockStart(id: AttrId): number {
    return this.arena.offsetOf(this.blocks[id]! as BlockRef);
  }

  blockLength(id: AttrId): number {
    return this.lengths[id]!;
  }

  private equals(id: number, record: UpdateRecord, nextHop: number): boolean {
    const { block, blockWords, blockLength } = record;
    if (this.lengths[id] !== blockLength || this.nextHop[id] !== nextHop) return false;
    const ref = this.blocks[id]! as BlockRef;
    const start = this.arena.offsetOf(ref);
    const words = this.arena.wordPageOf(ref);
    const whole = blockLength >>> 2;
    for (let i = 0, at = start >>> 2; i < whole; i++, at++) if (words[at] !== blockWords[i]) return false;
    const page = this.arena.pageOf(ref);
    for (let i = whole << 2; i < blockLength; i++) if (page[start + i] !== block[i]) return false;
    return true;
  }

  private insert(record: UpdateRecord, nextHop: NextHopId, hash: number): AttrId {
    const id = this.free.pop() ?? this.limit++;
    if (id >= this.capacity) this.grow(this.capacity + 1);
    const length = record.blockLength;
    const ref = this.arena.allocate(length);
    const words = this.arena.wordPageOf(ref);
    // The last word may bring octets along that belong to nobody: blocks have room for whole words.
    for (let i = 0, at = this.arena.offsetOf(ref) >>> 2; i < length; i += 4) words[at++] = record.blockWords[i >>> 2]!;
    const flags = record.flags;
    this.blocks[id] = ref;
    this.lengths[id] = length;
    this.hashes[id] = hash;
    this.flags[id] = flags;
    this.localPref[id] = flags & AttrFlag.localPref ? record.localPref : DEFAULT_LOCAL_PREF;
    this.med[id] = flags & AttrFlag.med ? record.med : 0;
    this.asPathLength[id] = record.asPathLength;
    this.origin[id] = record.origin;
    this.neighborAs[id] = record.neighborAs;
    this.originatorId[id] = flags & AttrFlag.originatorId ? record.originatorId : 0;
    this.clusterListLength[id] = record.clusterListLength;
    this.nextHop[id] = nextHop;
    this.references[id] = 1;
    this.nextHops.retain(nextHop);
    return id as AttrId;
  }

  private remove(id: AttrId): void {
    const { slots } = this;
    const mask = slots.length - 2;
    let hole = (this.hashes[id]! << 1) & mask;
    while (slots[hole + 1] !== id) hole = (hole + 2) & mask;
    for (let next = (hole + 2) & mask; slots[next + 1] !== 0; next = (next + 2) & mask) {
      const home = (slots[next]! << 1) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      slots[hole] = slots[next]!;
      slots[hole + 1] = slots[next + 1]!;
      hole = next;
    }
    slots[hole + 1] = 0;
    this.arena.release(this.blocks[id]! as BlockRef, this.lengths[id]!);
    this.nextHops.release(this.nextHop[id]! as NextHopId);
    this.free.push(id);
    this.size--;
  }

  private rehash(length: number): void {
    const before = this.slots;
    const slots = new Uint32Array(length);
    const mask = slots.length - 2;
    for (let from = 0; from < before.length; from += 2) {
      if (before[from + 1] === 0) continue;
      let slot = (before[from]! << 1) & mask;
      while (slots[slot + 1] !== 0) slot = (slot + 2) & mask;
      slots[slot] = before[from]!;
      slots[slot + 1] = before[from + 1]!;
    }
    this.slots = slots;
  }

  private columns(): readonly Column[] {
    const { flags, localPref, med, asPathLength, origin, neighborAs, originatorId, clusterListLength } = this;
    const { nextHop, references, blocks, lengths, hashes } = this;
    const ofDecision = [flags, localPref, med, asPathLength, origin, neighborAs, originatorId, clusterListLength];
    return [...ofDecision, nextHop, references, blocks, lengths, hashes];
  }

  private grow(needed: number): void {
    const n = (this.capacity = capacityFor(needed, this.firstCapacity));
    this.flags = growU32(this.flags, n);
    this.localPref = growU32(this.localPref, n);
    this.med = growU32(this.med, n);
    this.asPathLength = growU16(this.asPathLength, n);
    this.origin = growU8(this.origin, n);
    this.neighborAs = growU32(this.neighborAs, n);
    this.originatorId = growU32(this.originatorId, n);
    this.clusterListLength = growU16(this.clusterListLength, n);
    this.nextHop = growU32(this.nextHop, n);
    this.references = growU32(this.references, n);
    this.blocks = growU32(this.blocks, n);
    this.lengths = growU32(this.lengths, n);
    this.hashes = growU32(this.hashes, n);
  }
}

function hashBlock({ block, blockWords, blockLength }: UpdateRecord, nextHop: number): number {
  let h = Math.imul(nextHop + 1, 0x9e3779b1) ^ blockLength;
  const whole = blockLength >>> 2;
  for (let i = 0; i < whole; i++) {
    h = Math.imul(h ^ blockWords[i]!, 0x85ebca6b);
    h ^= h >>> 15;
  }
  for (let i = whole << 2; i < blockLength; i++) h = Math.imul(h ^ block[i]!, 0xc2b2ae35);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
