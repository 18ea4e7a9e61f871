/**
 * The policy table of one family as a target of the reconciler: what is in it, and how a difference is written. Keys are
 * elements, the chains and sets themselves, and the structure, which is what depends on no policy. Impure: netlink.
 */

import type { Delta } from '../../core/deltaTable.js';
import type { Target } from '../../core/reconciler.js';
import { elementKey, keyOctets, setOf, type ElementKey } from '../../kernel/nftables/elements.js';
import {
  readElements,
  readStructure,
  type FoundRule,
  type FoundSet,
  type FoundStructure,
} from '../../kernel/nftables/dump.js';
import * as message from '../../kernel/nftables/messages.js';
import { NFT_SET_EVAL, NFT_SET_INTERVAL } from '../../kernel/nftables/numbers.js';
import type { Family, Rule } from '../../kernel/nftables/ruleParts.js';
import { TransactionError, type Transactions } from '../../kernel/nftables/transaction.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { NetlinkWriter } from '../../kernel/netlink/writer.js';
import type { Layout } from './layout.js';
import { TABLE } from './layout.js';
import { CHAINS, NAMED_SETS } from './plan.js';
import { elementOf, wireElement } from './setElements.js';

/** Everything that depends on no policy, under one key; its value is a fingerprint. */
export const STRUCTURE: ElementKey = '@structure ';

export type PolicyDifference = Delta<ElementKey, string>;

/** What chains and sets are, by name, whose elements and rules are to be written. */
export interface Contents {
  chain(name: string): { readonly rules: readonly Rule[] } | undefined;
  set(name: string): message.SetShape | undefined;
}

export interface PolicyTargetOptions {
  readonly family: Family;
  readonly channel: NetlinkChannel;
  readonly transactions: Transactions;
  readonly contents: Contents;
  /** A difference that was refused as a whole: parts of it again. @returns keys that failed, with the reason */
  commitApart(
    delta: PolicyDifference,
    text: string,
    write: (part: PolicyDifference) => Promise<void>,
  ): Promise<ReadonlyMap<ElementKey, string>>;
}

export interface PolicyTarget extends Target<ElementKey, string> {
  readonly table: message.TableName;
  setLayout(layout: Layout, fingerprint: string): void;
}

export function createPolicyTarget(options: PolicyTargetOptions): PolicyTarget {
  return new PolicyTable(options);
}

class PolicyTable implements PolicyTarget {
  readonly table: message.TableName;
  private layout: Layout = { sets: [], chains: [], elements: new Map(), decisions: [] };
  private fingerprint = '';
  /** What our own rules look like in the kernel's words is learnt, not foretold: by chain. */
  private readonly learnt = new Map<string, string>();

  constructor(private readonly options: PolicyTargetOptions) {
    this.table = { family: options.family === 4 ? 'ip' : 'ip6', name: TABLE };
  }

  setLayout(layout: Layout, fingerprint: string): void {
    this.layout = layout;
    this.fingerprint = fingerprint;
    this.learnt.clear();
  }

  async read(): Promise<ReadonlyMap<ElementKey, string>> {
    const found = await readStructure(this.options.channel, this.table);
    if (found === undefined) return new Map();
    const rules = byChain(found.rules);
    // A structure that is not as it should be is read as a table without elements: one transaction replaces it whole.
    if (!this.isIntact(found, rules)) return new Map([[STRUCTURE, 'another']]);
    const values = new Map([[STRUCTURE, this.fingerprint]]);
    const ours = new Set(this.layout.chains.map(({ name }) => name));
    for (const name of found.chains)
      if (!ours.has(name)) values.set(elementKey(CHAINS, name), this.isChain(name, rules.get(name)) ? '' : 'broken');
    const fixed = new Set(this.layout.sets.map(({ name }) => name));
    for (const { name, flags } of found.sets) {
      if (!fixed.has(name)) values.set(elementKey(NAMED_SETS, name), '');
      // What packets made is theirs.
      if ((flags & NFT_SET_EVAL) !== 0) continue;
      const ranges = (flags & NFT_SET_INTERVAL) !== 0;
      for (const element of await readElements(this.options.channel, this.table, name)) {
        const [key, text] = elementOf({ ranges }, element);
        values.set(elementKey(name, key), text);
      }
    }
    return values;
  }

  async commit(delta: PolicyDifference): Promise<ReadonlyMap<ElementKey, string>> {
    const sorted = sortedBySet(delta);
    const contents = contentsOf(sorted, this.options.contents);
    const write = (part: PolicyDifference, parts = sortedBySet(part)): Promise<void> =>
      this.options.transactions.run(writer => this.compose(writer, part.set, parts, contents));
    try {
      await write(delta, sorted);
      return new Map();
    } catch (error) {
      if (!(error instanceof TransactionError)) throw error;
      return this.options.commitApart(delta, error.message, part => write(part));
    }
  }

  /** What is referred to comes first, and goes last. */
  private compose(
    writer: NetlinkWriter,
    set: PolicyDifference['set'],
    { wanted, changed, gone }: Sorted,
    contents: Contents,
  ): void {
    if (set.has(STRUCTURE)) this.composeStructure(writer);
    let id = this.layout.sets.length;
    for (const name of namesIn(wanted, NAMED_SETS)) {
      const shape = contents.set(name);
      if (shape !== undefined) message.writeSet(writer, this.table, shape, ++id);
    }
    this.composeChains(writer, namesIn(wanted, CHAINS), set, contents);
    const [goneSets, goneChains] = [namesIn(gone, NAMED_SETS), namesIn(gone, CHAINS)];
    // The elements of a set go with it.
    const whole = new Set(goneSets);
    const single = whole.size === 0 ? gone : new Map([...gone].filter(([name]) => !whole.has(name)));
    this.composeElements(writer, 'delete', single, contents, () => '');
    this.composeElements(writer, 'delete', changed, contents, () => '');
    this.composeElements(writer, 'add', wanted, contents, key => set.get(key)?.value ?? '');
    for (const name of goneChains) message.writeRuleRemoval(writer, this.table, name);
    for (const name of goneChains) message.writeChainRemoval(writer, this.table, name);
    for (const name of goneSets) message.writeSetRemoval(writer, this.table, name);
    for (const name of goneChains) this.learnt.delete(name);
  }

  private composeStructure(writer: NetlinkWriter): void {
    this.learnt.clear();
    // Adding before deleting makes deleting work whether it is there or not.
    for (const command of ['add', 'delete', 'add'] as const) message.writeTable(writer, command, this.table);
    this.layout.sets.forEach((set, i) => message.writeSet(writer, this.table, set, i + 1));
    for (const chain of this.layout.chains) message.writeChain(writer, this.table, chain);
    for (const { name, rules } of this.layout.chains) this.composeRules(writer, name, rules);
  }

  /** Chains first: they jump to each other. */
  private composeChains(
    writer: NetlinkWriter,
    names: readonly string[],
    set: PolicyDifference['set'],
    contents: Contents,
  ): void {
    for (const name of names) {
      // One that is there is not as it was written.
      const isThere = set.get(elementKey(CHAINS, name))?.before !== undefined;
      if (isThere) message.writeRuleRemoval(writer, this.table, name);
      else message.writeChain(writer, this.table, { name });
      this.learnt.delete(name);
    }
    for (const name of names) this.composeRules(writer, name, contents.chain(name)?.rules ?? []);
  }

  private composeRules(writer: NetlinkWriter, chain: string, rules: readonly Rule[]): void {
    for (const rule of rules) message.writeRule(writer, this.table, chain, rule, this.mark);
  }

  private composeElements(
    writer: NetlinkWriter,
    command: 'add' | 'delete',
    keys: ReadonlyMap<string, readonly ElementKey[]>,
    contents: Contents,
    textOf: (key: ElementKey) => string,
  ): void {
    const fixed = new Map(this.layout.sets.map(shape => [shape.name, shape]));
    for (const [name, ofSet] of keys) {
      const shape = fixed.get(name) ?? (name.startsWith('@') ? undefined : (contents.set(name) ?? left(name)));
      if (shape === undefined) continue;
      // The kernel takes no end of a range before its beginning, and changes come in any order.
      const ordered = shape.ranges === true ? ofSet.toSorted() : ofSet;
      const elements = ordered.map(key => wireElement(shape, keyOctets(key), textOf(key)));
      message.writeElements(writer, command, this.table, name, elements);
    }
  }

  private get mark(): string {
    return `peerage ${this.fingerprint}`;
  }

  private isIntact(found: FoundStructure, rules: ReadonlyMap<string, readonly FoundRule[]>): boolean {
    const sets = new Map(found.sets.map(set => [set.name, set]));
    const chains = new Set(found.chains);
    const isAnother = ({ name, keySize }: FoundSet): boolean => {
      const shape = this.options.contents.set(name);
      return shape !== undefined && message.sizeOf(shape.key) !== keySize;
    };
    return (
      found.altered.length === 0 &&
      !found.sets.some(isAnother) &&
      this.layout.sets.every(shape => sets.get(shape.name)?.keySize === message.sizeOf(shape.key)) &&
      this.layout.chains.every(
        chain => chains.has(chain.name) && this.isAsWritten(chain.name, rules.get(chain.name), chain.rules.length),
      )
    );
  }

  /** One that nobody wants any more is as good as any. */
  private isChain(name: string, rules: readonly FoundRule[] | undefined): boolean {
    const wanted = this.options.contents.chain(name);
    return wanted === undefined || this.isAsWritten(name, rules, wanted.rules.length);
  }

  private isAsWritten(name: string, rules: readonly FoundRule[] = [], length: number): boolean {
    if (rules.length !== length || !rules.every(({ mark }) => mark === this.mark)) return false;
    const octets = rules.map(rule => rule.octets).join('');
    const learnt = this.learnt.get(name);
    if (learnt === undefined) this.learnt.set(name, octets);
    return learnt === undefined || learnt === octets;
  }
}

function byChain(rules: readonly FoundRule[]): ReadonlyMap<string, readonly FoundRule[]> {
  const chains = new Map<string, FoundRule[]>();
  for (const rule of rules) {
    const known = chains.get(rule.chain);
    if (known === undefined) chains.set(rule.chain, [rule]);
    else known.push(rule);
  }
  return chains;
}

/**
 * Of what a change is about, as it is wanted now. What is refused is tried again in parts, while wishes go on: a chain that
 * nobody wants any more by then would be written without its rules, and lets everything through.
 */
function contentsOf({ wanted, gone }: Sorted, contents: Contents): Contents {
  const chains = new Map(namesIn(wanted, CHAINS).map(name => [name, contents.chain(name)]));
  const names = [wanted, gone].flatMap(some => [...some.keys(), ...namesIn(some, NAMED_SETS)]);
  const sets = new Map([...new Set(names)].map(name => [name, contents.set(name)]));
  return { chain: name => chains.get(name), set: name => sets.get(name) };
}

/** A set of a former life, of which only the kind of its elements is to be known to take them out. */
function left(name: string): Pick<message.SetShape, 'ranges'> {
  return { ranges: name.startsWith('blocks-') };
}

/** Keys of a difference by the set that they are of. */
interface Sorted {
  readonly wanted: ReadonlyMap<string, readonly ElementKey[]>;
  /** Of those that are wanted: their elements are there with other values. */
  readonly changed: ReadonlyMap<string, readonly ElementKey[]>;
  readonly gone: ReadonlyMap<string, readonly ElementKey[]>;
}

function sortedBySet({ set, removed }: PolicyDifference): Sorted {
  return { wanted: bySet(set.keys()), changed: bySet(changedKeys(set)), gone: bySet(removed.keys()) };
}

/** Keys of one set come one after the other, mostly: the name of the set is read once for all of them. */
function bySet(keys: Iterable<ElementKey>): ReadonlyMap<string, readonly ElementKey[]> {
  const sets = new Map<string, ElementKey[]>();
  let [prefix, last]: [string | undefined, ElementKey[]] = [undefined, []];
  for (const key of keys) {
    if (prefix === undefined || !key.startsWith(prefix)) {
      const name = setOf(key);
      prefix = `${name} `;
      last = sets.get(name) ?? [];
      sets.set(name, last);
    }
    last.push(key);
  }
  return sets;
}

/** Keys whose element is there with another value. */
function* changedKeys(set: PolicyDifference['set']): Iterable<ElementKey> {
  for (const [key, { before }] of set) if (before !== undefined) yield key;
}

type Kind = typeof CHAINS | typeof NAMED_SETS;

function namesIn(keys: ReadonlyMap<string, readonly ElementKey[]>, kind: Kind): readonly string[] {
  return (keys.get(kind) ?? []).map(keyOctets);
}
