/**
 * Path attributes as an iBGP feed of the Internet's table carries them: AS paths of 2 to 10 hops with some prepending,
 * few neighbours and many origins, communities on most routes, large communities and an AGGREGATOR on some.
 *
 * The low four bits of MULTI_EXIT_DISC carry a marker, by which the counting clients tell old routes from new ones and
 * the path that must win from the one that must lose. It stands behind LOCAL_PREF, path length and origin in the
 * decision, which settle everything here.
 */

import { randomBelow, randomWeighted, randomWords, type RandomWords } from './random.js';

/** What the last four bits of MED say of a route; 0 is kept for "not held". */
export type Marker = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15;

/** What distinguishes one announcement of the table from another. */
export interface FeedVariant {
  /** Other seeds give other paths and communities to the same prefixes. */
  readonly seed: number;
  readonly marker: Marker;
  /** Own AS numbers prepended to every path: 1 makes each path lose against the same one without. */
  readonly prepend: number;
}

/** Code and flags; the length is written when the value is known. */
const ORIGIN = 0x4001;
const AS_PATH = 0x4002;
const NEXT_HOP = 0x4003;
const MED = 0x8004;
const LOCAL_PREF = 0x4005;
const AGGREGATOR = 0xc007;
const COMMUNITIES = 0xc008;
const LARGE_COMMUNITIES = 0xc020;

const HOPS = [2, 3, 4, 5, 6, 7];
const HOP_WEIGHTS = [10, 33, 33, 15, 6, 3];
const COMMUNITY_COUNT_WEIGHTS = [25, 10, 15, 15, 10, 8, 6, 5, 6];
const NEIGHBOURS = 12;
const TRANSITS = 400;
const ORIGINS = 76_000;
const LARGEST_BLOCK = 512;

/** Routes go to this many next hops, as border routers of one network are few. */
export const NEXT_HOPS = 8;

/**
 * Writes the attributes of attribute set number `set`, MP_REACH_NLRI not included.
 * @param nextHop4 the classic NEXT_HOP, absent for IPv6 routes
 * @returns the offset after them; at most 512 octets further
 */
export function writeAttributes(
  octets: Buffer,
  at: number,
  set: number,
  variant: FeedVariant,
  nextHop4: number | undefined,
): number {
  // The hops of a path are a matter of the set alone, so that two variants tie on length unless one prepends.
  const shape = randomWords(Math.imul(set + 1, 0x632be5ab));
  const words = randomWords(Math.imul(set + 1, 0x85157af5) ^ variant.seed);
  let end = writeOne(octets, at, ORIGIN, randomBelow(shape, 100) < 88 ? 0 : 2);
  end = writePath(octets, end, shape, words, variant.prepend);
  if (nextHop4 !== undefined) end = writeWord(octets, end, NEXT_HOP, nextHop4);
  end = writeWord(octets, end, MED, (randomBelow(words, 64) << 4) | variant.marker);
  end = writeWord(octets, end, LOCAL_PREF, 100);
  if (randomBelow(words, 100) < 8) end = writeAggregator(octets, end, words);
  end = writeCommunities(octets, end, words);
  if (randomBelow(words, 100) < 12) end = writeLargeCommunities(octets, end, words);
  return end;
}

/** Room to keep free for one {@link writeAttributes}. */
export const ATTRIBUTE_ROOM = LARGEST_BLOCK;

/** Skewed towards small numbers: a few networks are in most paths. */
function popular(words: RandomWords, of: number): number {
  return Math.floor(of * (words() / 0x1_0000_0000) ** 3);
}

function writePath(octets: Buffer, at: number, shape: RandomWords, words: RandomWords, prepend: number): number {
  const hops = HOPS[randomWeighted(shape, HOP_WEIGHTS)]!;
  const repeats = randomBelow(shape, 100) < 20 ? 1 + randomBelow(shape, 3) : 0;
  const path: number[] = [];
  const first = 1000 + popular(words, NEIGHBOURS) * 37;
  for (let i = 0; i <= prepend; i++) path.push(first);
  for (let i = 2; i < hops; i++) path.push(3000 + popular(words, TRANSITS) * 13);
  const index = popular(words, ORIGINS);
  // About a third of today's origins have numbers above 65535 (allocated from 131072 on).
  const origin = index < 48_000 ? 8000 + index : 196_608 + index;
  for (let i = 0; i <= repeats; i++) path.push(origin);
  octets.writeUInt16BE(AS_PATH, at);
  octets[at + 2] = 2 + 4 * path.length;
  octets[at + 3] = 2;
  octets[at + 4] = path.length;
  path.forEach((asn, i) => octets.writeUInt32BE(asn, at + 5 + 4 * i));
  return at + 5 + 4 * path.length;
}

function writeAggregator(octets: Buffer, at: number, words: RandomWords): number {
  octets.writeUInt16BE(AGGREGATOR, at);
  octets[at + 2] = 8;
  octets.writeUInt32BE(8000 + popular(words, 40_000), at + 3);
  octets.writeUInt32BE(words(), at + 7);
  return at + 11;
}

function writeCommunities(octets: Buffer, at: number, words: RandomWords): number {
  const count = randomWeighted(words, COMMUNITY_COUNT_WEIGHTS);
  if (count === 0) return at;
  octets.writeUInt16BE(COMMUNITIES, at);
  octets[at + 2] = 4 * count;
  for (let i = 0; i < count; i++) {
    // Below 0xffff0000, so that none is a well-known one such as NO_EXPORT.
    const network = 1000 + popular(words, NEIGHBOURS + TRANSITS) * 13;
    octets.writeUInt32BE(network * 0x1_0000 + randomBelow(words, 3000), at + 3 + 4 * i);
  }
  return at + 3 + 4 * count;
}

function writeLargeCommunities(octets: Buffer, at: number, words: RandomWords): number {
  const count = 1 + randomBelow(words, 3);
  octets.writeUInt16BE(LARGE_COMMUNITIES, at);
  octets[at + 2] = 12 * count;
  for (let i = 0; i < count; i++) {
    octets.writeUInt32BE(200_000 + popular(words, 500), at + 3 + 12 * i);
    octets.writeUInt32BE(randomBelow(words, 200), at + 7 + 12 * i);
    octets.writeUInt32BE(randomBelow(words, 65_000), at + 11 + 12 * i);
  }
  return at + 3 + 12 * count;
}

function writeOne(octets: Buffer, at: number, head: number, value: number): number {
  octets.writeUInt16BE(head, at);
  octets[at + 2] = 1;
  octets[at + 3] = value;
  return at + 4;
}

function writeWord(octets: Buffer, at: number, head: number, value: number): number {
  octets.writeUInt16BE(head, at);
  octets[at + 2] = 4;
  octets.writeUInt32BE(value, at + 3);
  return at + 7;
}
