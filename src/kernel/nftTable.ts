/**
 * One nftables table of ours as a target: chains and rules that never change, and sets whose elements do. It is ours by
 * its name; other tables are neither written nor listed.
 */

import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Delta } from '../core/deltaTable.js';
import type { Target } from '../core/reconciler.js';
import type { FoundTable, Nft } from './nft.js';
import { listedElement, type NftElementShape } from './nftElements.js';

export interface NftSetShape extends NftElementShape {
  readonly name: string;
  /** Where the type has no name of its own: what it is the type of, as in `typeof iifname . @nh,384,128`. */
  readonly typeOf?: string;
  /** Its elements are made by rules from packets and are none of our business: these are its flags and size. */
  readonly dynamic?: string;
}

export interface NftChainShape {
  readonly name: string;
  /** As in `type nat hook postrouting priority 110; policy accept;`; empty: rules of other chains lead to it. */
  readonly head: string;
  readonly rules: readonly string[];
}

export interface NftTableShape {
  readonly family: 'inet' | 'bridge';
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

/** Value of the key of a set's element: that it is there is all there is to say. Of a map's: what it stands for. */
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
      return new Map([[STRUCTURE, mark], ...elements]);
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
  const add = elementCommands(
    'add',
    table,
    [...delta.set].map(([key, { value }]) => [key, value] as const),
  );
  if (delta.set.has(STRUCTURE)) return lines([...anew, ...structureCommands(shape, table), ...add]);
  // What stands for something else now has to go before it can come again.
  const changed = [...delta.set].flatMap(([key, { before }]) => (before === undefined ? [] : [key]));
  const gone = [...delta.removed.keys(), ...changed].map(key => [key, PRESENT] as const);
  return lines([...elementCommands('delete', table, gone), ...add]);
}

function lines(commands: readonly string[]): string {
  return commands.map(command => `${command}\n`).join('');
}

function structureCommands(shape: NftTableShape, table: string): readonly string[] {
  const mark = fingerprint(shape);
  return [
    `add table ${table}`,
    ...shape.sets.map(set => `add ${set.data === undefined ? 'set' : 'map'} ${table} ${set.name} { ${setHead(set)} }`),
    ...shape.chains.map(({ name, head }) => `add chain ${table} ${name}${head === '' ? '' : ` { ${head} }`}`),
    ...shape.chains.flatMap(({ name, rules }) =>
      rules.map(rule => `add rule ${table} ${name} ${rule} comment "peerage ${mark}"`),
    ),
  ];
}

function setHead({ type, typeOf, data, interval, dynamic }: NftSetShape): string {
  const fields = typeof type === 'string' ? type : type.join(' . ');
  const key = typeOf === undefined ? `type ${fields}` : `typeof ${typeOf}`;
  return `${key}${data === undefined ? '' : ` : ${data}`};${interval ? ' flags interval;' : ''}${dynamic === undefined ? '' : ` ${dynamic}`}`;
}

/** Elements of one set in one command each. */
function elementCommands(
  verb: 'add' | 'delete',
  table: string,
  elements: Iterable<readonly [key: string, value: string]>,
): readonly string[] {
  const bySet = new Map<string, string[]>();
  for (const [key, value] of elements) {
    if (key === STRUCTURE) continue;
    const space = key.indexOf(' ');
    const set = key.slice(0, space);
    const texts = bySet.get(set) ?? [];
    texts.push(`${key.slice(space + 1)}${value === PRESENT ? '' : ` : ${value}`}`);
    bySet.set(set, texts);
  }
  return [...bySet].map(([set, texts]) => `${verb} element ${table} ${set} { ${texts.join(', ')} }`);
}

/** Rules as they are listed, without what counts or numbers them. */
function bare({ chains, rules }: FoundTable): unknown {
  const isCounter = (expression: unknown): boolean =>
    typeof expression === 'object' && expression !== null && 'counter' in expression;
  return { chains, rules: rules.map(({ chain, expr }) => ({ chain, expr: expr.filter(e => !isCounter(e)) })) };
}

/** Made by this version, and nothing came or went since: chains, rules and sets by name and number. */
function isMarked({ chains, rules, sets, maps }: FoundTable, shape: NftTableShape, mark: string): boolean {
  const names = (things: readonly { readonly name: string }[]): readonly string[] =>
    things.map(({ name }) => name).sort();
  return (
    isDeepStrictEqual(names(chains), names(shape.chains)) &&
    isDeepStrictEqual(names([...sets, ...maps]), names(shape.sets)) &&
    shape.chains.every(chain => {
      const found = chains.find(({ name }) => name === chain.name);
      return (found?.hook !== undefined) === (chain.head !== '');
    }) &&
    shape.chains.every(chain => rules.filter(rule => rule.chain === chain.name).length === chain.rules.length) &&
    rules.every(({ comment }) => comment === `peerage ${mark}`)
  );
}

/** @returns all elements by key; undefined when a set is of another type or holds what we never put in */
function elementsOf({ sets, maps }: FoundTable, shape: NftTableShape): ReadonlyMap<string, string> | undefined {
  const elements = new Map<string, string>();
  for (const ours of shape.sets) {
    if (ours.dynamic !== undefined) continue;
    const { name, type, interval, data } = ours;
    const map = maps.find(other => other.name === name);
    const set = data === undefined ? sets.find(other => other.name === name) : map;
    if (set === undefined || !isDeepStrictEqual(set.type, type) || map?.map !== data) return undefined;
    if (set.flags.join() !== (interval ? 'interval' : '')) return undefined;
    for (const listed of set.elem) {
      const element = listedElement(listed, ours);
      if (element === undefined) return undefined;
      elements.set(elementKey(name, element.key), element.value);
    }
  }
  return elements;
}
