/** A table of given prefixes (from an MRT file): found again through an open-addressing hash. */

import type { Family } from '../../src/bgp/families.js';
import type { PrefixTable } from './prefixTable.js';
import { mix32 } from './random.js';

export interface ListedPrefix {
  readonly length: number;
  /** The first 64 bits of the address; no prefix in the Internet's tables needs more. */
  readonly high: number;
  readonly low: number;
}

/** @throws RangeError for a prefix longer than 64 bits or one listed twice: the reader of the file leaves those out */
export function listedPrefixes(family: Family, prefixes: readonly ListedPrefix[]): PrefixTable {
  return new ListedPrefixes(family, prefixes);
}

class ListedPrefixes implements PrefixTable {
  readonly size: number;
  private readonly highs: Uint32Array;
  private readonly lows: Uint32Array;
  private readonly lengths: Uint8Array;
  private readonly slots: Int32Array;

  constructor(
    readonly family: Family,
    prefixes: readonly ListedPrefix[],
  ) {
    this.size = prefixes.length;
    this.highs = Uint32Array.from(prefixes, p => p.high);
    this.lows = Uint32Array.from(prefixes, p => p.low);
    this.lengths = Uint8Array.from(prefixes, p => p.length);
    this.slots = new Int32Array(2 ** Math.ceil(Math.log2(this.size * 2 + 2))).fill(-1);
    prefixes.forEach((prefix, index) => this.insert(prefix, index));
  }

  announceOrder(): Uint32Array {
    return Uint32Array.from({ length: this.size }, (_, i) => i);
  }

  write(index: number, octets: Uint8Array, at: number): number {
    const length = this.lengths[index]!;
    octets[at] = length;
    const end = at + 1 + ((length + 7) >>> 3);
    for (let i = at + 1, shift = 24; i < end; i++, shift -= 8)
      octets[i] = shift >= 0 ? this.highs[index]! >>> shift : this.lows[index]! >>> (shift + 32);
    return end;
  }

  indexOf(length: number, high: number, low: number): number {
    const mask = this.slots.length - 1;
    for (let slot = hashOf(length, high, low) & mask; ; slot = (slot + 1) & mask) {
      const index = this.slots[slot]!;
      if (index < 0) return -1;
      if (this.highs[index] === high && this.lows[index] === low && this.lengths[index] === length) return index;
    }
  }

  private insert(prefix: ListedPrefix, index: number): void {
    if (prefix.length > 64) throw new RangeError(`prefix ${index} is longer than 64 bits`);
    if (this.indexOf(prefix.length, prefix.high, prefix.low) >= 0)
      throw new RangeError(`prefix ${index} is listed twice`);
    const mask = this.slots.length - 1;
    let slot = hashOf(prefix.length, prefix.high, prefix.low) & mask;
    while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.slots[slot] = index;
  }
}

function hashOf(length: number, high: number, low: number): number {
  return mix32(high ^ Math.imul(low, 0x85ebca6b) ^ Math.imul(length, 0x27d4eb2f));
}
