/**
 * Tables of any size with the shape of today's Internet tables, made by arithmetic alone: prefix k of a length stands at
 * an address found by an invertible multiplication, so that the counting clients need no lookup table (which would cost
 * them a cache miss for each prefix and make them, not the speaker, the limit of the measurement).
 *
 * Shares of prefix lengths: rounded from the public reports on the IPv4 and IPv6 tables (CIDR report, potaroo) of 2024-25.
 */

import type { PrefixTable } from './prefixTable.js';
import { apportion, mix32, randomWords, shuffle } from './random.js';

/** Prefixes in 100,000, by length. */
const SHARE4: Readonly<Record<number, number>> = {
  8: 2, 9: 1, 10: 4, 11: 10, 12: 30, 13: 57, 14: 118, 15: 200, 16: 1330, 17: 820, 18: 1360, 19: 2480, 20: 4420,
  21: 5200, 22: 11000, 23: 10300, 24: 62668,
}; // prettier-ignore
const SHARE6: Readonly<Record<number, number>> = {
  28: 150, 29: 2600, 30: 400, 31: 200, 32: 11500, 33: 2200, 34: 1200, 35: 900, 36: 5500, 37: 700, 38: 1500, 39: 600,
  40: 9500, 41: 600, 42: 2200, 43: 500, 44: 10500, 45: 700, 46: 3500, 47: 3000, 48: 42250,
}; // prettier-ignore

/** Neighbouring prefixes come in runs of this many, as the networks of one AS do. */
const RUN_BITS = 3;
const RUN = 1 << RUN_BITS;
/** Odd, so that multiplying by it modulo a power of two can be undone. */
const MULTIPLIER = 0x9e3779b1;
const INVERSE = inverseOf(MULTIPLIER);

/** IPv4 prefixes lie in 128.0.0.0/2, IPv6 ones in 2000::/3: no martians, nothing of the test network's own 10.0.0.0/8. */
const TOP4 = { bits: 2, value: 0b10 };
const TOP6 = { bits: 3, value: 0b001 };

/** Where the prefixes of one length start among the indices, and how many there are. */
interface LengthRange {
  readonly length: number;
  readonly base: number;
  readonly count: number;
}

export function generatedPrefixes4(size: number): PrefixTable {
  return new GeneratedPrefixes4(size);
}

export function generatedPrefixes6(size: number): PrefixTable {
  return new GeneratedPrefixes6(size);
}

/** How many prefixes of each length a table of this size has, shortest first. */
export function lengthRanges(family: 'ipv4-unicast' | 'ipv6-unicast', size: number): readonly LengthRange[] {
  const shares = family === 'ipv4-unicast' ? SHARE4 : SHARE6;
  const lengths = Object.keys(shares)
    .map(Number)
    .sort((a, b) => a - b);
  const capacities = lengths.map(l => Math.min(size, capacityOf(family, l)));
  const counts = fitInto(
    apportion(
      size,
      lengths.map(l => shares[l]!),
    ),
    capacities,
  );
  let base = 0;
  return lengths.map((length, i) => {
    const range = { length, base, count: counts[i]! };
    base += range.count;
    return range;
  });
}

/** What does not fit into a length's part of the address space goes to the longest one. */
function fitInto(counts: number[], capacities: readonly number[]): number[] {
  const fitted = counts.map((count, i) => Math.min(count, capacities[i]!));
  const rest = counts.reduce((a, b) => a + b, 0) - fitted.reduce((a, b) => a + b, 0);
  const last = fitted.length - 1;
  fitted[last]! += rest;
  if (fitted[last]! > capacities[last]!) throw new RangeError('the table is larger than its part of the address space');
  return fitted;
}

function capacityOf(family: 'ipv4-unicast' | 'ipv6-unicast', length: number): number {
  if (family === 'ipv4-unicast') return 2 ** (length - TOP4.bits);
  return length <= 32 ? 2 ** (length - TOP6.bits) : 2 ** 29 * Math.min(RUN, 2 ** (length - 32));
}

class GeneratedPrefixes4 implements PrefixTable {
  readonly family = 'ipv4-unicast';
  private readonly base = new Int32Array(33).fill(-1);
  private readonly count = new Int32Array(33);

  constructor(readonly size: number) {
    for (const range of lengthRanges('ipv4-unicast', size)) {
      this.base[range.length] = range.base;
      this.count[range.length] = range.count;
    }
  }

  announceOrder(): Uint32Array {
    return runsShuffled(this.size, 4);
  }

  write(index: number, octets: Uint8Array, at: number): number {
    const length = lengthAt(this.base, this.count, index);
    const network = networkOf(index - this.base[length]!, length - TOP4.bits);
    const address = ((TOP4.value << 30) | shiftLeft(network, 32 - length)) >>> 0;
    return writeWords(octets, at, length, address, 0);
  }

  indexOf(length: number, high: number): number {
    const base = this.base[length];
    if (base === undefined || base < 0 || high >>> 30 !== TOP4.value) return -1;
    const bits = length - TOP4.bits;
    const k = ordinalOf((high >>> (32 - length)) & maskOf(bits), bits);
    return k < this.count[length]! ? base + k : -1;
  }
}

class GeneratedPrefixes6 implements PrefixTable {
  readonly family = 'ipv6-unicast';
  private readonly base = new Int32Array(129).fill(-1);
  private readonly count = new Int32Array(129);

  constructor(readonly size: number) {
    for (const range of lengthRanges('ipv6-unicast', size)) {
      this.base[range.length] = range.base;
      this.count[range.length] = range.count;
    }
  }

  announceOrder(): Uint32Array {
    return runsShuffled(this.size, 6);
  }

  write(index: number, octets: Uint8Array, at: number): number {
    const length = lengthAt(this.base, this.count, index);
    const k = index - this.base[length]!;
    const top = (TOP6.value << 29) >>> 0;
    if (length <= 32) {
      const network = networkOf(k, length - TOP6.bits);
      return writeWords(octets, at, length, (top | shiftLeft(network, 32 - length)) >>> 0, 0);
    }
    const run = runBits6(length);
    const block = k >>> run;
    const high = (top | scramble(block, 29)) >>> 0;
    return writeWords(octets, at, length, high, lowWord(block, k & maskOf(run), length, run));
  }

  indexOf(length: number, high: number, low: number): number {
    const base = this.base[length];
    if (base === undefined || base < 0 || high >>> 29 !== TOP6.value) return -1;
    const bits = length - TOP6.bits;
    if (length <= 32) {
      const ordinal = ordinalOf((high >>> (32 - length)) & maskOf(bits), bits);
      return ordinal < this.count[length]! ? base + ordinal : -1;
    }
    const run = runBits6(length);
    const block = unscramble(high & maskOf(29), 29);
    const inRun = (low >>> (64 - length)) & maskOf(run);
    const k = block * (1 << run) + inRun;
    return k < this.count[length]! && low === lowWord(block, inRun, length, run) ? base + k : -1;
  }
}

/** Network number (of `bits` bits) of the k-th prefix: scattered runs of eight neighbours. */
function networkOf(k: number, bits: number): number {
  const run = Math.min(RUN_BITS, bits);
  return (scramble(k >>> run, bits - run) << run) | (k & maskOf(run));
}

function ordinalOf(network: number, bits: number): number {
  const run = Math.min(RUN_BITS, bits);
  return ((unscramble(network >>> run, bits - run) << run) | (network & maskOf(run))) >>> 0;
}

function scramble(value: number, bits: number): number {
  return Math.imul(value, MULTIPLIER) & maskOf(bits);
}

function unscramble(value: number, bits: number): number {
  return Math.imul(value, INVERSE) & maskOf(bits);
}

/** Below a /32 the high word says which run; the run's own bits end the prefix, and those between are made from the run. */
function lowWord(block: number, inRun: number, length: number, run: number): number {
  const bits = length - 32;
  const between = (mix32(block) & maskOf(bits - run)) << run;
  return shiftLeft(between | inRun, 32 - bits) >>> 0;
}

function runBits6(length: number): number {
  return Math.min(RUN_BITS, length - 32);
}

function lengthAt(base: Int32Array, count: Int32Array, index: number): number {
  for (let length = 0; length < base.length; length++)
    if (base[length]! >= 0 && index >= base[length]! && index < base[length]! + count[length]!) return length;
  throw new RangeError(`no prefix has index ${index}`);
}

/** Indices with whole runs shuffled, so that lengths and addresses are mixed as in a real feed. */
function runsShuffled(size: number, seed: number): Uint32Array {
  const runs = Uint32Array.from({ length: Math.ceil(size / RUN) }, (_, i) => i);
  shuffle(randomWords(seed), runs);
  const order = new Uint32Array(size);
  let at = 0;
  for (const run of runs) for (let i = run * RUN; i < Math.min(size, (run + 1) * RUN); i++) order[at++] = i;
  return order;
}

function writeWords(octets: Uint8Array, at: number, length: number, high: number, low: number): number {
  octets[at] = length;
  const end = at + 1 + ((length + 7) >>> 3);
  for (let i = at + 1, shift = 24; i < end; i++, shift -= 8)
    octets[i] = shift >= 0 ? high >>> shift : low >>> (shift + 32);
  return end;
}

/** 0 for no bits up to 2^31-1 for 31. */
function maskOf(bits: number): number {
  return bits >= 32 ? -1 : (1 << bits) - 1;
}

/** `<<` takes its distance modulo 32; a distance of 32 must give 0. */
function shiftLeft(value: number, distance: number): number {
  return distance >= 32 ? 0 : value << distance;
}

/** Inverse of an odd number modulo 2^32 (Newton: each step doubles the correct bits). */
function inverseOf(odd: number): number {
  let inverse = odd;
  for (let step = 0; step < 5; step++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse));
  return inverse;
}
