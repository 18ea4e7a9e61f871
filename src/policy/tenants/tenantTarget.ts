/**
 * The table of tenants as a target of the reconciler: its structure is one key, every element is one. One commit is one
 * transaction, so that no packet sees half of a change. Impure: netlink.
 */

import { createHash } from 'node:crypto';
import type { Delta } from '../../core/deltaTable.js';
import type { Target } from '../../core/reconciler.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { readElements, readStructure, type FoundStructure } from '../../kernel/nftables/dump.js';
import { elementKey, elementText, keyOctets, setOf, type ElementKey } from '../../kernel/nftables/elements.js';
import * as message from '../../kernel/nftables/messages.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import { writeInHalves } from '../../kernel/nftables/halves.js';
import { TransactionError, type Transactions } from '../../kernel/nftables/transaction.js';
import { SETS, tenantLayout, TENANT_TABLE, type TenantLayout } from './tenantTable.js';

/** Key of sets, chains and rules together. Its value is their fingerprint: a table of another version is replaced whole. */
export const STRUCTURE: ElementKey = 'structure ';

export interface TenantTarget extends Target<ElementKey, string> {
  readonly table: message.TableName;
  /** What the structure's key shall have as value, and the elements that are always there. */
  readonly fixed: ReadonlyMap<ElementKey, string>;
}

export function createTenantTarget(family: Family, channel: NetlinkChannel, transactions: Transactions): TenantTarget {
  return new OpenTable(family, channel, transactions);
}

class OpenTable implements TenantTarget {
  readonly table: message.TableName;
  readonly fixed: ReadonlyMap<ElementKey, string>;
  private readonly layout: TenantLayout;
  private readonly mark: string;
  private readonly shapes: ReadonlyMap<string, message.SetShape>;
  /** What our own rules look like in the kernel's words is learnt, not foretold. */
  private learnt: string | undefined;

  constructor(
    family: Family,
    private readonly channel: NetlinkChannel,
    private readonly transactions: Transactions,
  ) {
    this.table = { family: family === 4 ? 'ip' : 'ip6', name: TENANT_TABLE };
    this.layout = tenantLayout(family);
    this.shapes = new Map(this.layout.sets.map(shape => [shape.name, shape]));
    this.mark = createHash('sha256').update(JSON.stringify(this.layout)).digest('hex').slice(0, 12);
    this.fixed = new Map([[STRUCTURE, this.mark], ...this.layout.elements]);
  }

  async read(): Promise<ReadonlyMap<ElementKey, string>> {
    const found = await readStructure(this.channel, this.table);
    if (found === undefined) return new Map();
    // A structure that is not as it should be is read as a table without elements: one transaction replaces it whole.
    if (!this.isIntact(found)) return new Map([[STRUCTURE, 'another']]);
    const values = new Map([[STRUCTURE, this.mark]]);
    for (const shape of this.layout.sets)
      for (const { key, keyEnd, value } of await readElements(this.channel, this.table, shape.name))
        values.set(elementKey(shape.name, key, keyEnd?.slice(-endSize(shape))), elementText(value));
    return values;
  }

  async commit(delta: Delta<ElementKey, string>): Promise<ReadonlyMap<ElementKey, string>> {
    const keys = [...delta.removed.keys(), ...delta.set.keys()];
    const refused = await this.write(delta, keys);
    return refused === undefined ? new Map() : this.writeApart(delta, keys);
  }

  /** After a refusal: what all stand on, then addresses, in halves, until those that are refused stand alone. */
  private async writeApart(
    delta: Delta<ElementKey, string>,
    keys: readonly ElementKey[],
  ): Promise<ReadonlyMap<ElementKey, string>> {
    const groups = groupsOf(keys);
    const structure = groups.get(STRUCTURE);
    groups.delete(STRUCTURE);
    const refused = structure && (await this.write(delta, structure));
    // Nothing stands without it.
    if (refused !== undefined) return new Map(keys.map(key => [key, refused]));
    return writeInHalves([...groups.values()], part => this.write(delta, part));
  }

  /** One transaction. @returns why it was refused @throws Error when nothing can be said of it */
  private async write(delta: Delta<ElementKey, string>, keys: readonly ElementKey[]): Promise<string | undefined> {
    try {
      await this.transactions.run(writer => this.compose(writer, delta, keys));
    } catch (error) {
      if (error instanceof TransactionError) return error.message;
      throw error;
    }
    if (keys.includes(STRUCTURE)) this.learnt = undefined;
    return undefined;
  }

  private compose(
    writer: NetlinkWriter,
    { set, removed }: Delta<ElementKey, string>,
    keys: readonly ElementKey[],
  ): void {
    if (keys.includes(STRUCTURE) && set.has(STRUCTURE)) this.composeStructure(writer);
    // A table that is replaced takes its elements with it, and is read as one that has none.
    const old = keys.filter(key => removed.has(key) || set.get(key)?.before !== undefined);
    this.composeElements(writer, 'delete', old, () => '');
    this.composeElements(
      writer,
      'add',
      keys.filter(key => set.has(key)),
      key => set.get(key)?.value ?? '',
    );
  }

  private composeStructure(writer: NetlinkWriter): void {
    // Adding before deleting makes deleting work whether it is there or not.
    for (const command of ['add', 'delete', 'add'] as const) message.writeTable(writer, command, this.table);
    const { sets, chains } = this.layout;
    sets.forEach((set, i) => message.writeSet(writer, this.table, set, i + 1));
    for (const chain of chains) message.writeChain(writer, this.table, chain);
    for (const { name, rules } of chains)
      for (const rule of rules) message.writeRule(writer, this.table, name, rule, `peerage ${this.mark}`);
  }

  private composeElements(
    writer: NetlinkWriter,
    command: 'add' | 'delete',
    keys: readonly ElementKey[],
    valueOf: (key: ElementKey) => string,
  ): void {
    const bySet = new Map<string, message.WireElement[]>();
    for (const key of keys) {
      const shape = this.shapes.get(setOf(key));
      if (shape === undefined) continue;
      const elements = bySet.get(shape.name) ?? [];
      elements.push(wireElement(shape, keyOctets(key), valueOf(key)));
      bySet.set(shape.name, elements);
    }
    for (const [name, elements] of bySet) message.writeElements(writer, command, this.table, name, elements);
  }

  private isIntact({ sets, chains, altered, rules }: FoundStructure): boolean {
    if (altered.length > 0) return false;
    const sizes = new Map(sets.map(({ name, keySize }) => [name, keySize]));
    if (this.layout.sets.some(shape => sizes.get(shape.name) !== message.sizeOf(shape.key))) return false;
    const wanted = this.layout.chains.flatMap(chain => chain.rules.map(() => chain.name));
    if (this.layout.chains.some(({ name }) => !chains.includes(name)) || rules.length !== wanted.length) return false;
    if (rules.some(({ mark }) => mark !== `peerage ${this.mark}`)) return false;
    const octets = rules.map(({ chain, octets: rule }) => `${chain} ${rule}`).join('\n');
    this.learnt ??= octets;
    return this.learnt === octets;
  }
}

/** By what a refusal shall cost: the structure and what is always there, a network, an address. */
function groupsOf(keys: readonly ElementKey[]): Map<string, ElementKey[]> {
  const groups = new Map<string, ElementKey[]>();
  for (const key of keys) {
    const group = groupOf(key);
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [key]);
    else members.push(key);
  }
  return groups;
}

function groupOf(key: ElementKey): string {
  const set = setOf(key);
  if (key === STRUCTURE || set === SETS.discovery) return STRUCTURE;
  const octets = keyOctets(key);
  if (set === SETS.podNetworks) return `network ${octets}`;
  // Behind the number, where there is one.
  return set === SETS.members ? octets.slice(4) : octets;
}

function wireElement(shape: message.SetShape, octets: string, text: string): message.WireElement {
  const value = shape.data === undefined ? undefined : text;
  if (shape.interval !== true) return { key: octets, value };
  const [size, all] = [endSize(shape), octets.length];
  return {
    key: octets.slice(0, all - size),
    keyEnd: octets.slice(0, all - 2 * size) + octets.slice(all - size),
    value,
  };
}

/** Ranges are of the last field: the key's others are the same at both ends, and are kept once. */
function endSize({ key }: message.SetShape): number {
  return message.sizeOf(key.slice(-1));
}
