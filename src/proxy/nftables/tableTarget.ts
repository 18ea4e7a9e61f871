/**
 * A table of one family as a target of the reconciler. The structure (sets, chains, rules that depend on no
 * service) is one key; every fan chain and every element is one. Impure: netlink.
 */

import { createHash } from 'node:crypto';
import type { Delta } from '../../core/deltaTable.js';
import type { Target } from '../../core/reconciler.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { readElements, readStructure, type FoundStructure } from '../../kernel/nftables/dump.js';
import { writeInHalves } from '../../kernel/nftables/halves.js';
import * as message from '../../kernel/nftables/messages.js';
import { TransactionError, type Transactions } from '../../kernel/nftables/transaction.js';
import type { Family } from '../proxyTypes.js';
import {
  elementKey,
  elementText,
  keyOctets,
  setOf,
  verdictOfText,
  type ElementKey,
} from '../../kernel/nftables/elements.js';
import { fanChain, parseFan } from './fanChains.js';
import type { Layout } from './layout.js';
import { CHAINS } from './plan.js';

export const STRUCTURE = 'structure ';

/** Value of the structure's key; a table of another version or of other settings has another one and is replaced whole. */
export function fingerprint(layout: Layout): string {
  // The dynamic chains are made by the same program, so a sample stands for all of them.
  const sample = fanChain({ by: 'node', list: 'local', slots: 2, shard: 1, affinity: 1 }, 4);
  return createHash('sha256')
    .update(JSON.stringify([layout, sample]))
    .digest('hex')
    .slice(0, 12);
}

export interface TableTarget extends Target<ElementKey, string> {
  readonly table: message.TableName;
  /** Other settings: from the next reading on the table shall look so. */
  setLayout(layout: Layout): void;
}

export interface TableTargetOptions {
  /** Name of the table. */
  readonly table: string;
  readonly family: Family;
  readonly transactions: Transactions;
  readonly channel: NetlinkChannel;
  /** Sets that packets meet first. */
  readonly entrances: readonly string[];
  /** Names what belongs together, for a transaction that is refused: elements of one service port go together or not at all. */
  groupsOf(keys: readonly ElementKey[]): ReadonlyMap<ElementKey, string>;
}

export function createTableTarget(options: TableTargetOptions, layout: Layout): TableTarget {
  return new OpenTable(options, layout);
}

class OpenTable implements TableTarget {
  readonly table: message.TableName;
  /** What our own rules look like in the kernel's words is learnt, not foretold: by chain. */
  private readonly learnt = new Map<string, string>();
  private readonly addressSize: number;
  private mark: string;

  constructor(
    private readonly options: TableTargetOptions,
    private layout: Layout,
  ) {
    this.table = { family: options.family === 4 ? 'ip' : 'ip6', name: options.table };
    this.addressSize = options.family === 4 ? 4 : 16;
    this.mark = fingerprint(layout);
  }

  setLayout(layout: Layout): void {
    this.layout = layout;
    this.mark = fingerprint(layout);
    this.learnt.clear();
  }

  async read(): Promise<ReadonlyMap<ElementKey, string>> {
    const found = await readStructure(this.options.channel, this.table);
    if (found === undefined) return new Map();
    // A structure that is not as it should be is read as a table without elements: one transaction replaces it whole.
    if (!this.isIntact(found)) return new Map([[STRUCTURE, 'another']]);
    const values = new Map([[STRUCTURE, this.mark]]);
    for (const chain of found.chains) {
      if (parseFan(chain) !== undefined)
        values.set(elementKey(CHAINS, chain), this.isFanIntact(found, chain) ? '' : 'broken');
    }
    for (const { name, dynamic } of this.layout.sets) {
      // What packets made is theirs.
      if (dynamic !== undefined) continue;
      for (const { key, keyEnd, value } of await readElements(this.options.channel, this.table, name))
        values.set(elementKey(name, key, keyEnd?.slice(-this.addressSize)), elementText(value));
    }
    return values;
  }

  async commit(delta: Delta<ElementKey, string>): Promise<ReadonlyMap<ElementKey, string>> {
    try {
      const isNew = delta.set.has(STRUCTURE) && delta.set.get(STRUCTURE)?.before === undefined;
      if (isNew && delta.set.size > PART) await this.commitNew(delta);
      else await this.options.transactions.run(writer => this.compose(writer, delta));
      if (delta.set.has(STRUCTURE)) this.learnt.clear();
      return new Map();
    } catch (error) {
      if (!(error instanceof TransactionError)) throw error;
      return this.commitApart(delta, error.message);
    }
  }

  /**
   * A table that is not there yet, in several transactions, so that the kernel is at work on one while the next is
   * composed. What clients send to comes with the last: before it, nothing of the table meets a packet.
   */
  private async commitNew({ set }: Delta<ElementKey, string>): Promise<void> {
    const { transactions, entrances } = this.options;
    const elements = bySet(set.keys());
    const last = entrances.map(name => [name, elements.get(name) ?? []] as const);
    for (const name of entrances) elements.delete(name);
    const value = (key: ElementKey): string => set.get(key)?.value ?? '';
    let before = transactions.run(writer => {
      this.composeStructure(writer);
      for (const key of elements.get(CHAINS) ?? []) this.composeFan(writer, keyOctets(key), false);
    });
    for (const part of [...partsOf(elements), last]) {
      const next = transactions.run(writer => {
        for (const [name, keys] of part) this.composeSet(writer, 'add', name, keys, value);
      });
      // Both may be refused, and the second is not waited for then.
      next.catch(() => undefined);
      await before;
      before = next;
    }
    await before;
  }

  /**
   * After a refusal: what all need, then the service ports, in halves, until those that are refused stand alone. Chains that
   * go are last, since a kernel may count what referred to them until the transaction that took it away is over.
   */
  private async commitApart(delta: Delta<ElementKey, string>, text: string): Promise<ReadonlyMap<ElementKey, string>> {
    const isLast = (key: ElementKey): boolean => setOf(key) === CHAINS && delta.removed.has(key);
    const keys = [...delta.set.keys(), ...delta.removed.keys()];
    const groups = this.grouped(keys.filter(key => !isLast(key)));
    const chains = keys.filter(isLast).map(key => [key]);
    if (groups.size + chains.length === 1) return new Map(keys.map(key => [key, text]));
    const shared = groups.get('');
    groups.delete('');
    const write = (part: readonly ElementKey[]): Promise<string | undefined> =>
      this.write(partOf(delta, new Set(part)));
    const ofAll = shared === undefined ? [] : await writeInHalves([shared], write);
    const ofPorts = await writeInHalves([...groups.values()], write);
    return new Map([...ofAll, ...ofPorts, ...(await writeInHalves(chains, write))]);
  }

  /** By what they belong to; what several need is under ''. */
  private grouped(keys: readonly ElementKey[]): Map<string, ElementKey[]> {
    const groups = new Map<string, ElementKey[]>();
    const named = this.options.groupsOf(keys);
    for (const key of keys) {
      const group = named.get(key) ?? '';
      const members = groups.get(group);
      if (members === undefined) groups.set(group, [key]);
      else members.push(key);
    }
    return groups;
  }

  /** @returns why it was refused @throws Error when nothing can be said of it */
  private async write(part: Delta<ElementKey, string>): Promise<string | undefined> {
    try {
      await this.options.transactions.run(writer => this.compose(writer, part));
      return undefined;
    } catch (error) {
      if (error instanceof TransactionError) return error.message;
      throw error;
    }
  }

  private compose(writer: NetlinkWriter, { set, removed }: Delta<ElementKey, string>): void {
    if (set.has(STRUCTURE)) this.composeStructure(writer);
    for (const [key, { before }] of set)
      if (setOf(key) === CHAINS) this.composeFan(writer, keyOctets(key), before !== undefined);
    const changed = [...set].flatMap(([key, { before }]) => (before === undefined ? [] : [key]));
    this.composeElements(writer, 'delete', [...removed.keys(), ...changed], () => '');
    this.composeElements(writer, 'add', set.keys(), key => set.get(key)?.value ?? '');
    for (const key of removed.keys())
      if (setOf(key) === CHAINS) message.writeChainRemoval(writer, this.table, keyOctets(key));
  }

  private composeStructure(writer: NetlinkWriter): void {
    // Adding before deleting makes deleting work whether it is there or not.
    for (const command of ['add', 'delete', 'add'] as const) message.writeTable(writer, command, this.table);
    this.layout.sets.forEach((set, i) => message.writeSet(writer, this.table, set, i + 1));
    for (const chain of this.layout.chains) message.writeChain(writer, this.table, chain);
    for (const chain of this.layout.chains) this.composeRules(writer, chain);
  }

  private composeFan(writer: NetlinkWriter, name: string, isThere: boolean): void {
    const fan = parseFan(name);
    if (fan === undefined) return;
    const chain = fanChain(fan, this.options.family);
    if (isThere) message.writeRuleRemoval(writer, this.table, name);
    else message.writeChain(writer, this.table, chain);
    this.composeRules(writer, chain);
  }

  private composeRules(writer: NetlinkWriter, chain: message.ChainShape): void {
    for (const rule of chain.rules) message.writeRule(writer, this.table, chain.name, rule, `peerage ${this.mark}`);
  }

  private composeElements(
    writer: NetlinkWriter,
    command: 'add' | 'delete',
    keys: Iterable<ElementKey>,
    valueOf: (key: ElementKey) => string,
  ): void {
    for (const [name, ofSet] of bySet(keys)) this.composeSet(writer, command, name, ofSet, valueOf);
  }

  private composeSet(
    writer: NetlinkWriter,
    command: 'add' | 'delete',
    name: string,
    keys: readonly ElementKey[],
    valueOf: (key: ElementKey) => string,
  ): void {
    const shape = this.layout.sets.find(set => set.name === name);
    if (shape === undefined) return;
    message.writeElements(writer, command, this.table, name, wireElements(shape, keys, valueOf));
  }

  private isIntact(found: FoundStructure): boolean {
    const sets = new Map(found.sets.map(set => [set.name, set]));
    const ours = new Set(this.layout.chains.map(({ name }) => name));
    return (
      [...found.chains, ...found.altered].every(name => ours.has(name) || parseFan(name) !== undefined) &&
      this.layout.sets.every(shape => {
        const set = sets.get(shape.name);
        return set !== undefined && set.keySize === message.sizeOf(shape.key);
      }) &&
      this.layout.chains.every(chain => this.isChainIntact(found, chain))
    );
  }

  private isFanIntact(found: FoundStructure, name: string): boolean {
    const fan = parseFan(name);
    return fan !== undefined && this.isChainIntact(found, fanChain(fan, this.options.family));
  }

  private isChainIntact(found: FoundStructure, { name, rules }: message.ChainShape): boolean {
    if (!found.chains.includes(name)) return false;
    const there = found.rules.filter(rule => rule.chain === name);
    if (there.length !== rules.length || !there.every(({ mark }) => mark === `peerage ${this.mark}`)) return false;
    const octets = there.map(rule => rule.octets).join('');
    const learnt = this.learnt.get(name);
    if (learnt === undefined) this.learnt.set(name, octets);
    return learnt === undefined || learnt === octets;
  }
}

function* wireElements(
  shape: message.SetShape,
  keys: readonly ElementKey[],
  valueOf: (key: ElementKey) => string,
): Iterable<message.WireElement> {
  for (const key of keys) yield wireElement(shape, keyOctets(key), valueOf(key));
}

/** Keys by the set they are in; what is in none is under its own name. */
function bySet(keys: Iterable<ElementKey>): Map<string, ElementKey[]> {
  const sets = new Map<string, ElementKey[]>();
  for (const key of keys) {
    const name = setOf(key);
    const ofSet = sets.get(name);
    if (ofSet === undefined) sets.set(name, [key]);
    else ofSet.push(key);
  }
  return sets;
}

/** Elements of one transaction of many: some tens of milliseconds for the kernel. */
const PART = 20_000;

/** Whole sets, until there are enough of them for one transaction. */
function* partsOf(
  sets: ReadonlyMap<string, readonly ElementKey[]>,
): Iterable<(readonly [string, readonly ElementKey[]])[]> {
  let part: (readonly [string, readonly ElementKey[]])[] = [];
  let size = 0;
  for (const [name, keys] of sets) {
    part.push([name, keys]);
    size += keys.length;
    if (size < PART) continue;
    yield part;
    part = [];
    size = 0;
  }
  if (part.length > 0) yield part;
}

function wireElement(shape: message.SetShape, octets: string, text: string): message.WireElement {
  const value = shape.data === undefined ? undefined : shape.data === 'verdict' ? verdictOfText(text) : text;
  if (shape.interval !== true) return { key: octets, value };
  return { key: octets.slice(0, octets.length - endSize(shape)), keyEnd: intervalEnd(shape, octets), value };
}

/** Ranges are of the last field: the key's others are the same at both ends, and are kept once. */
function endSize({ key }: message.SetShape): number {
  return message.sizeOf(key.slice(-1));
}

function intervalEnd(shape: message.SetShape, octets: string): string {
  const size = endSize(shape);
  return octets.slice(0, octets.length - 2 * size) + octets.slice(-size);
}

function partOf(delta: Delta<ElementKey, string>, keys: ReadonlySet<ElementKey>): Delta<ElementKey, string> {
  return {
    set: new Map([...delta.set].filter(([key]) => keys.has(key))),
    removed: new Map([...delta.removed].filter(([key]) => keys.has(key))),
  };
}
