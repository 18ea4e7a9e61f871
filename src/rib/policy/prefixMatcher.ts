/**
 * Prefix lists compiled for look-up: for each length that prefixes in the list have, their addresses in order. A look-up
 * is a binary search for each such length, and so never goes over the entries.
 */

import type { PrefixList, PrefixRule } from '../../bgp/policyTypes.js';
import { addressBits, maskWord, type IpPrefix } from '../../core/ip.js';

/** True when the prefix with these address words, from `at` on, and this length is in the list. */
export type PrefixTest = (words: Uint32Array, at: number, length: number) => boolean;

/** Lengths from..to that the rule with this number in the list decides for prefixes inside one. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly rule: number;
}

/** What is said of one prefix, by numbers of rules. */
interface Rules {
  readonly words: readonly number[];
  readonly rules: number[];
}

interface Node {
  readonly words: readonly number[];
  readonly runs: readonly Run[];
}

/** All prefixes of one length, ascending by address. */
interface Level {
  readonly length: number;
  readonly words: Uint32Array;
  readonly runs: readonly (readonly Run[])[];
}

const NEVER: PrefixTest = () => false;

/** @param family of the prefixes that will be asked about: the rules of the other one are left out */
export function compilePrefixList(list: PrefixList, family: 0 | 1): PrefixTest {
  const stride = family === 0 ? 1 : 4;
  const levels = levelsOf(list, family, stride);
  if (levels.length === 0) return NEVER;
  const permits = Uint8Array.from(list, rule => Number(rule.action === 'permit'));
  return (words, at, length) => {
    let first = permits.length;
    for (const level of levels) {
      if (level.length > length) break;
      const index = find(level, words, at, stride);
      if (index >= 0) first = Math.min(first, firstRule(level.runs[index]!, length, first));
    }
    return first < permits.length && permits[first] === 1;
  };
}

function firstRule(runs: readonly Run[], length: number, none: number): number {
  for (const run of runs) if (length >= run.from && length <= run.to) return run.rule;
  return none;
}

/** Binary search for the prefix of the level's length that covers the address. @returns its index, -1 for none */
function find(level: Level, words: Uint32Array, at: number, stride: number): number {
  let low = 0;
  let high = level.runs.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const order = compare(level, middle * stride, words, at, stride);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

function compare(level: Level, entry: number, words: Uint32Array, at: number, stride: number): number {
  for (let i = 0; i < stride; i++) {
    const asked = (words[at + i]! & maskWord(level.length - 32 * i)) >>> 0;
    const difference = level.words[entry + i]! - asked;
    if (difference !== 0) return difference;
  }
  return 0;
}

function levelsOf(list: PrefixList, family: 0 | 1, stride: number): Level[] {
  const byLength = new Map<number, Map<string, Rules>>();
  for (const [i, { prefix }] of list.entries()) {
    if ((prefix.address.version === 4) !== (family === 0)) continue;
    const nodes = entryOf(byLength, prefix.length, () => new Map<string, Rules>());
    const words = wordsOf(prefix);
    entryOf(nodes, words.join(), () => ({ words, rules: [] })).rules.push(i);
  }
  return [...byLength]
    .sort(([a], [b]) => a - b)
    .map(([length, nodes]) =>
      levelOf(
        length,
        stride,
        [...nodes.values()].map(({ words, rules }) => ({ words, runs: runsOf(list, rules) })),
      ),
    );
}

function levelOf(length: number, stride: number, nodes: readonly Node[]): Level {
  const sorted = nodes.toSorted((a, b) => compareWords(a.words, b.words));
  const words = new Uint32Array(sorted.length * stride);
  for (const [i, node] of sorted.entries()) words.set(node.words, i * stride);
  return { length, words, runs: sorted.map(node => node.runs) };
}

/** The rules of one prefix, each only for the lengths that no rule before it decides. */
function runsOf(list: PrefixList, rules: readonly number[]): Run[] {
  const decided = new Set<number>();
  const runs: Run[] = [];
  for (const rule of rules) {
    const { from, to } = lengthsOf(list[rule]!);
    for (let length = from; length <= to; length++) {
      if (decided.has(length)) continue;
      decided.add(length);
      const last = runs.at(-1);
      if (last?.rule === rule && last.to === length - 1) runs[runs.length - 1] = { ...last, to: length };
      else runs.push({ from: length, to: length, rule });
    }
  }
  return runs;
}

/** The lengths a rule speaks of; none when `from` is greater than `to`. */
export function lengthsOf({ prefix, ge, le }: PrefixRule): { readonly from: number; readonly to: number } {
  const to = le ?? (ge === undefined ? prefix.length : addressBits(prefix.address));
  return { from: Math.max(ge ?? prefix.length, prefix.length), to: Math.min(to, addressBits(prefix.address)) };
}

function wordsOf({ address }: IpPrefix): readonly number[] {
  return address.version === 4 ? [address.value] : address.words;
}

function compareWords(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
