/**
 * One nftables table of ours as a target: chains and rules that never change, and sets whose elements do. It is ours by
 * its name; other tables are neither written nor listed.
 */

import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Delta } from '../core/deltaTable.js';
import type { Target } from '../core/reconciler.js';
import type { FoundTable, Nft } from './nft.js';

export interface NftSetShape {
  readonly name: string;
  readonly type: 'ipv4_addr' | 'ipv6_addr';
  /** It holds prefixes, none of them inside another; otherwise single addresses. */
  readonly interval: boolean;
}

export interface NftChainShape {
  readonly name: string;
  /** As in `type nat hook postrouting priority 110; policy accept;` */
  readonly head: string;
  readonly rules: readonly string[];
}

export interface NftTableShape {
  readonly family: 'inet';
  readonly name: string;
  readonly sets: readonly NftSetShape[];
  readonly chains: readonly NftChainShape[];
}

/** Key of everything but the elements. */
export const STRUCTURE = 'structure';
/** `pods4 10.1.0.0/24`; for single addresses `nodes4 10.0.0.1`. */
export function elementKey(set: string, element: string): string {
  return `${set} ${element}`;
}

/** Value of an element's key: that it is there is all there is to say. */
export const PRESENT = '';

/** Value of the structure's key. A table made by another version has another one and is replaced whole. */
export function fingerprint(shape: NftTableShape): string {
  return createHash('sha256').update(JSON.stringify(shape)).digest('hex').slice(0, 12);
}

/**
 * The table as a target of the reconciler. Values: the fingerprint for the structure, and nothing for elements. A
 * structure that is not as it should be is read as a table without elements, so that one transaction puts a new one in
 * its place.
 */
export function nftTableTarget(nft: Nft, shape: NftTableShape): Target<string, string> {
  const mark = fingerprint(shape);
  const seen: { rules?: unknown } = {};
  return {
    read: async () => {
      const found = await nft.readTable(shape.family, shape.name);
      if (found === undefined) return new Map();
      const elements = elementsOf(found, shape);
      // What our own rules look like in nft's words is learnt, not foretold: that differs from version to version.
      const isIntact =
        isMarked(found, shape, mark) && (!('rules' in seen) || isDeepStrictEqual(seen.rules, bare(found)));
      if (elements === undefined || !isIntact) return new Map([[STRUCTURE, `not ${mark}`]]);
      seen.rules ??= bare(found);
      return new Map([[STRUCTURE, mark], ...elements.map(key => [key, PRESENT] as const)]);
    },
    commit: async delta => {
      if (delta.set.has(STRUCTURE) || delta.removed.has(STRUCTURE)) delete seen.rules;
      await nft.run(tableScript(shape, delta));
      return new Map();
    },
  };
}

/** The delta as one transaction: what is to go first, since a new prefix may cover an old one. */
export function tableScript(shape: NftTableShape, delta: Delta<string, string>): string {
  const table = `${shape.family} ${shape.name}`;
  // Adding before deleting makes deleting work whether it is there or not.
  const anew = [`add table ${table}`, `delete table ${table}`];
  if (delta.removed.has(STRUCTURE)) return lines(anew);
  const add = elementCommands('add', table, delta.set.keys());
  if (delta.set.has(STRUCTURE)) return lines([...anew, ...structureCommands(shape, table), ...add]);
  return lines([...elementCommands('delete', table, delta.removed.keys()), ...add]);
}

function lines(commands: readonly string[]): string {
  return commands.map(command => `${command}\n`).join('');
}

function structureCommands(shape: NftTableShape, table: string): readonly string[] {
  const mark = fingerprint(shape);
  return [
    `add table ${table}`,
    ...shape.sets.map(
      ({ name, type, interval }) => `add set ${table} ${name} { type ${type};${interval ? ' flags interval;' : ''} }`,
    ),
    ...shape.chains.flatMap(({ name, head, rules }) => [
      `add chain ${table} ${name} { ${head} }`,
      ...rules.map(rule => `add rule ${table} ${name} ${rule} comment "peerage ${mark}"`),
    ]),
  ];
}

/** Elements of one set in one command each. */
function elementCommands(verb: 'add' | 'delete', table: string, keys: Iterable<string>): readonly string[] {
  const bySet = new Map<string, string[]>();
  for (const key of keys) {
    if (key === STRUCTURE) continue;
    const space = key.indexOf(' ');
    const set = key.slice(0, space);
    const elements = bySet.get(set) ?? [];
    elements.push(key.slice(space + 1));
    bySet.set(set, elements);
  }
  return [...bySet].map(([set, elements]) => `${verb} element ${table} ${set} { ${elements.join(', ')} }`);
}

/** Rules as they are listed, without what counts or numbers them. */
function bare({ chains, rules }: FoundTable): unknown {
  const isCounter = (expression: unknown): boolean =>
    typeof expression === 'object' && expression !== null && 'counter' in expression;
  return { chains, rules: rules.map(({ chain, expr }) => ({ chain, expr: expr.filter(e => !isCounter(e)) })) };
}

/** Made by this version, and nothing came or went since: chains, rules and sets by name and number. */
function isMarked({ chains, rules, sets }: FoundTable, shape: NftTableShape, mark: string): boolean {
  return (
    isDeepStrictEqual(chains.map(({ name }) => name).sort(), shape.chains.map(({ name }) => name).sort()) &&
    isDeepStrictEqual(sets.map(({ name }) => name).sort(), shape.sets.map(({ name }) => name).sort()) &&
    chains.every(({ hook }) => hook !== undefined) &&
    shape.chains.every(chain => rules.filter(rule => rule.chain === chain.name).length === chain.rules.length) &&
    rules.every(({ comment }) => comment === `peerage ${mark}`)
  );
}

/** @returns keys of all elements; undefined when a set is of another type or holds what we never put in */
function elementsOf({ sets }: FoundTable, shape: NftTableShape): readonly string[] | undefined {
  const keys: string[] = [];
  for (const { name, type, interval } of shape.sets) {
    const set = sets.find(other => other.name === name);
    if (set?.type !== type || set.flags.join() !== (interval ? 'interval' : '')) return undefined;
    for (const element of set.elem) {
      const text = elementText(element, interval, type === 'ipv4_addr' ? 32 : 128);
      if (text === undefined) return undefined;
      keys.push(elementKey(name, text));
    }
  }
  return keys;
}

/** nft lists a prefix of full length as a bare address. */
function elementText(element: unknown, interval: boolean, bits: 32 | 128): string | undefined {
  if (typeof element === 'string') return interval ? `${element}/${bits}` : element;
  if (!interval || typeof element !== 'object' || element === null || !('prefix' in element)) return undefined;
  const { prefix } = element;
  if (typeof prefix !== 'object' || prefix === null || !('addr' in prefix) || !('len' in prefix)) return undefined;
  return typeof prefix.addr === 'string' && typeof prefix.len === 'number' ? `${prefix.addr}/${prefix.len}` : undefined;
}
