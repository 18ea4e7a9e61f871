/** What is in one nf_tables table, read over netlink: its chains, rules, sets and elements; other tables are never asked for. */

import { errnoName } from '../libc.js';
import { NetlinkError, type DumpOutcome, type NetlinkChannel } from '../netlink/channel.js';
import { NLM_F_DUMP, NLM_F_REQUEST } from '../netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from '../netlink/reader.js';
import { NetlinkWriter } from '../netlink/writer.js';
import { verdictKind, type RuleVerdict } from './expressions.js';
import { FAMILY_NUMBERS, type TableName, type WireElement } from './messages.js';
import * as nft from './numbers.js';

export interface FoundRule {
  readonly chain: string;
  /** As `writeRule` was given it. */
  readonly mark: string;
  /** NFTA_RULE_EXPRESSIONS in the kernel's own words, as latin1 text: equal rules have equal octets. */
  readonly octets: string;
}

export interface FoundSet {
  readonly name: string;
  readonly flags: number;
  readonly keySize: number;
  readonly dataSize: number;
}

export interface FoundStructure {
  /** Those that do what ours do: in a table that is awake, letting through what their rules say nothing of. */
  readonly chains: readonly string[];
  /** The other ones. */
  readonly altered: readonly string[];
  readonly rules: readonly FoundRule[];
  readonly sets: readonly FoundSet[];
}

/** The dump was interrupted by changes over and over. */
export class UnsteadyTable extends Error {
  override readonly name = 'UnsteadyTable';
}

const ATTEMPTS = 10;

/** @returns undefined when there is no such table */
export async function readStructure(channel: NetlinkChannel, table: TableName): Promise<FoundStructure | undefined> {
  try {
    return await readParts(channel, table);
  } catch (error) {
    if (error instanceof NetlinkError && errnoName(error.errno) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where the table is asleep, packets meet none of its chains. @returns undefined when there is no such table */
export async function readTableState(
  channel: NetlinkChannel,
  table: TableName,
): Promise<'awake' | 'dormant' | undefined> {
  const request = new NetlinkWriter(256);
  beginRequest(request, nft.NFT_MSG_GETTABLE, 0, table, nft.NFTA_TABLE_NAME, undefined);
  request.end();
  let flags = 0;
  try {
    await channel.dump(request, message =>
      attributes(message, attribute => {
        if (attribute.type === nft.NFTA_TABLE_FLAGS) flags = attribute.addressWord(0);
      }),
    );
  } catch (error) {
    if (error instanceof NetlinkError && errnoName(error.errno) === 'ENOENT') return undefined;
    throw error;
  }
  return (flags & nft.NFT_TABLE_F_DORMANT) === 0 ? 'awake' : 'dormant';
}

async function readParts(channel: NetlinkChannel, table: TableName): Promise<FoundStructure | undefined> {
  const state = await readTableState(channel, table);
  if (state === undefined) return undefined;
  const sets = await dump(channel, table, nft.NFT_MSG_GETSET, nft.NFTA_SET_TABLE, undefined, decodeSet);
  const chains = await dump(channel, table, nft.NFT_MSG_GETCHAIN, nft.NFTA_CHAIN_TABLE, undefined, decodeChain);
  const own = chains.filter(chain => chain.table === table.name);
  const isAsOurs = ({ policy }: FoundChain): boolean => state === 'awake' && policy === nft.NF_ACCEPT;
  const namesOf = (found: readonly FoundChain[]): readonly string[] => found.map(({ name }) => name);
  const ownSets = sets.filter(set => set.table === table.name);
  const rules = await dump(channel, table, nft.NFT_MSG_GETRULE, nft.NFTA_RULE_TABLE, undefined, decodeRule);
  const altered = own.filter(chain => !isAsOurs(chain));
  return { chains: namesOf(own.filter(isAsOurs)), altered: namesOf(altered), sets: ownSets, rules };
}

/** All elements of one set. @returns rejects with NetlinkError (ENOENT) when there is no such set */
export function readElements(channel: NetlinkChannel, table: TableName, set: string): Promise<readonly WireElement[]> {
  const cursors = new ElementCursors();
  return dump(channel, table, nft.NFT_MSG_GETSETELEM, nft.NFTA_SET_ELEM_LIST_TABLE, set, (message, add) =>
    decodeElements(message, cursors, add),
  );
}

/**
 * One element of a set without ranges, however many others there are.
 * @param key octets as latin1 text
 * @returns undefined when the set has none of this key, and where there is no such set; rejects with NetlinkError
 */
export function readElement(
  channel: NetlinkChannel,
  table: TableName,
  set: string,
  key: string,
): Promise<WireElement | undefined> {
  return askForElement(channel, table, set, key, decodeElement);
}

async function askForElement<T>(
  channel: NetlinkChannel,
  table: TableName,
  set: string,
  key: string,
  decode: (message: MessageCursor, list: AttributeCursor, cursors: ElementCursors) => T | undefined,
): Promise<T | undefined> {
  const request = new NetlinkWriter(256);
  beginRequest(request, nft.NFT_MSG_GETSETELEM, 0, table, nft.NFTA_SET_ELEM_LIST_TABLE, set);
  const list = request.beginNested(nft.NFTA_SET_ELEM_LIST_ELEMENTS, true);
  const element = request.beginNested(nft.NFTA_LIST_ELEM, true);
  const value = request.beginNested(nft.NFTA_SET_ELEM_KEY, true);
  request.attributeOctets(nft.NFTA_DATA_VALUE, Buffer.from(key, 'latin1'));
  for (const nest of [value, element, list]) request.endNested(nest);
  request.end();
  let found: T | undefined;
  const cursors = new ElementCursors();
  try {
    await channel.dump(request, message =>
      visitElements(message, cursors, visited => {
        found = decode(message, visited, cursors);
      }),
    );
  } catch (error) {
    if (error instanceof NetlinkError && errnoName(error.errno) === 'ENOENT') return undefined;
    throw error;
  }
  return found;
}

/** Packets that found an element, and their octets from the network header on. */
export interface ElementCount {
  readonly packets: bigint;
  readonly octets: bigint;
}

/** By key: what the elements of a counted set have counted. @returns rejects with NetlinkError (ENOENT) when there is no such set */
export async function readCounts(
  channel: NetlinkChannel,
  table: TableName,
  set: string,
): Promise<ReadonlyMap<string, ElementCount>> {
  const cursors = new ElementCursors();
  const counts = await dump<readonly [string, ElementCount]>(
    channel,
    table,
    nft.NFT_MSG_GETSETELEM,
    nft.NFTA_SET_ELEM_LIST_TABLE,
    set,
    (message, add) =>
      visitElements(message, cursors, list => {
        const counted = decodeCount(message, list, cursors);
        if (counted !== undefined) add(counted);
      }),
  );
  return new Map(counts);
}

/** The same of one element. @returns undefined when the set has none of this key, and where there is no such set */
export async function readCount(
  channel: NetlinkChannel,
  table: TableName,
  set: string,
  key: string,
): Promise<ElementCount | undefined> {
  const [, count] = (await askForElement(channel, table, set, key, decodeCount)) ?? [];
  return count;
}

async function dump<T>(
  channel: NetlinkChannel,
  table: TableName,
  type: number,
  tableAttribute: number,
  set: string | undefined,
  decode: (message: MessageCursor, add: (value: T) => void) => void,
): Promise<readonly T[]> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const request = new NetlinkWriter(256);
    beginRequest(request, type, NLM_F_DUMP, table, tableAttribute, set);
    request.end();
    const found: T[] = [];
    const outcome: DumpOutcome = await channel.dump(request, message => decode(message, value => found.push(value)));
    if (outcome === 'complete') return found;
  }
  throw new UnsteadyTable(`table ${table.family} ${table.name} does not stand still`);
}

function beginRequest(
  request: NetlinkWriter,
  type: number,
  flags: number,
  table: TableName,
  tableAttribute: number,
  set: string | undefined,
): void {
  request.begin(type, NLM_F_REQUEST | flags);
  request.u8x4(FAMILY_NUMBERS[table.family], 0, 0, 0);
  request.attributeText(tableAttribute, table.name);
  if (set !== undefined) request.attributeText(nft.NFTA_SET_ELEM_LIST_SET, set);
}

/** Shows every attribute of a message after `struct nfgenmsg`. */
function attributes(message: MessageCursor, visit: (attribute: AttributeCursor) => void): void {
  const cursor = new AttributeCursor().over(message.view, message.start + nft.NFGENMSG, message.end);
  while (cursor.next()) visit(cursor);
}

interface FoundChain {
  readonly table: string;
  readonly name: string;
  /** NF_*; of chains that no packet begins with, as if they let all through. */
  readonly policy: number;
}

function decodeChain(message: MessageCursor, add: (chain: FoundChain) => void): void {
  let [table, name] = ['', ''];
  let policy: number = nft.NF_ACCEPT;
  attributes(message, attribute => {
    if (attribute.type === nft.NFTA_CHAIN_TABLE) table = attribute.text();
    else if (attribute.type === nft.NFTA_CHAIN_NAME) name = attribute.text();
    else if (attribute.type === nft.NFTA_CHAIN_POLICY) policy = attribute.addressWord(0);
  });
  add({ table, name, policy });
}

function decodeSet(message: MessageCursor, add: (set: FoundSet & { table: string }) => void): void {
  let [table, name] = ['', ''];
  let [flags, keySize, dataSize] = [0, 0, 0];
  attributes(message, attribute => {
    if (attribute.type === nft.NFTA_SET_TABLE) table = attribute.text();
    else if (attribute.type === nft.NFTA_SET_NAME) name = attribute.text();
    else if (attribute.type === nft.NFTA_SET_FLAGS) flags = attribute.addressWord(0);
    else if (attribute.type === nft.NFTA_SET_KEY_LEN) keySize = attribute.addressWord(0);
    else if (attribute.type === nft.NFTA_SET_DATA_LEN) dataSize = attribute.addressWord(0);
  });
  add({ table, name, flags, keySize, dataSize });
}

function decodeRule(message: MessageCursor, add: (rule: FoundRule) => void): void {
  let [chain, mark, octets] = ['', '', ''];
  attributes(message, attribute => {
    if (attribute.type === nft.NFTA_RULE_CHAIN) chain = attribute.text();
    else if (attribute.type === nft.NFTA_RULE_EXPRESSIONS) octets = latin1(message, attribute.start, attribute.end);
    else if (attribute.type === nft.NFTA_RULE_USERDATA)
      // A comment: type, length, text with its closing zero.
      mark = latin1(message, attribute.start + 2, attribute.end).replace(/\0.*$/s, '');
  });
  add({ chain, mark, octets });
}

class ElementCursors {
  readonly list = new AttributeCursor();
  readonly element = new AttributeCursor();
  readonly field = new AttributeCursor();
  readonly inner = new AttributeCursor();
}

/** Cursors within cursors: this runs once for each of hundreds of thousands of elements. */
function decodeElements(message: MessageCursor, cursors: ElementCursors, add: (element: WireElement) => void): void {
  visitElements(message, cursors, list => add(decodeElement(message, list, cursors)));
}

function visitElements(message: MessageCursor, { list }: ElementCursors, visit: (list: AttributeCursor) => void): void {
  attributes(message, attribute => {
    if (attribute.type !== nft.NFTA_SET_ELEM_LIST_ELEMENTS) return;
    list.over(message.view, attribute.start, attribute.end);
    while (list.next()) visit(list);
  });
}

/** @returns undefined for an element without a counter */
function decodeCount(
  message: MessageCursor,
  list: AttributeCursor,
  { element, field, inner }: ElementCursors,
): readonly [string, ElementCount] | undefined {
  let key = '';
  let [packets, octets] = [-1n, 0n];
  element.over(message.view, list.start, list.end);
  while (element.next()) {
    if (element.type === nft.NFTA_SET_ELEM_KEY) key = valueOctets(message, element, field);
    if (element.type !== nft.NFTA_SET_ELEM_EXPR) continue;
    field.over(message.view, element.start, element.end);
    while (field.next()) {
      if (field.type !== nft.NFTA_EXPR_DATA) continue;
      inner.over(message.view, field.start, field.end);
      while (inner.next()) {
        if (inner.type === nft.NFTA_COUNTER_PACKETS) packets = inner.u64();
        else if (inner.type === nft.NFTA_COUNTER_BYTES) octets = inner.u64();
      }
    }
  }
  return packets < 0n ? undefined : [key, { packets, octets }];
}

function decodeElement(message: MessageCursor, list: AttributeCursor, cursors: ElementCursors): WireElement {
  let key = '';
  let keyEnd: string | undefined;
  let value: string | RuleVerdict | undefined;
  let flags = 0;
  const element = cursors.element.over(message.view, list.start, list.end);
  while (element.next()) {
    if (element.type === nft.NFTA_SET_ELEM_KEY) key = valueOctets(message, element, cursors.field);
    else if (element.type === nft.NFTA_SET_ELEM_KEY_END) keyEnd = valueOctets(message, element, cursors.field);
    else if (element.type === nft.NFTA_SET_ELEM_FLAGS) flags = element.addressWord(0);
    else if (element.type === nft.NFTA_SET_ELEM_DATA) value = decodeData(message, element, cursors);
  }
  if ((flags & nft.NFT_SET_ELEM_INTERVAL_END) !== 0) return { key, value, closes: true };
  return keyEnd === undefined ? { key, value } : { key, keyEnd, value };
}

function valueOctets(message: MessageCursor, data: AttributeCursor, field: AttributeCursor): string {
  field.over(message.view, data.start, data.end);
  while (field.next()) if (field.type === nft.NFTA_DATA_VALUE) return latin1(message, field.start, field.end);
  return '';
}

function decodeData(
  message: MessageCursor,
  data: AttributeCursor,
  { field, inner }: ElementCursors,
): string | RuleVerdict | undefined {
  field.over(message.view, data.start, data.end);
  while (field.next()) {
    if (field.type === nft.NFTA_DATA_VALUE) return latin1(message, field.start, field.end);
    if (field.type === nft.NFTA_DATA_VERDICT) return decodeVerdict(inner.over(message.view, field.start, field.end));
  }
  return undefined;
}

function decodeVerdict(attribute: AttributeCursor): RuleVerdict | undefined {
  let code = 0;
  let chain = '';
  while (attribute.next()) {
    if (attribute.type === nft.NFTA_VERDICT_CODE) code = attribute.addressWord(0) | 0;
    else if (attribute.type === nft.NFTA_VERDICT_CHAIN) chain = attribute.text();
  }
  const kind = verdictKind(code);
  if (kind === undefined) return undefined;
  return kind === 'goto' || kind === 'jump' ? { kind, chain } : { kind };
}

function latin1({ octets }: MessageCursor, start: number, end: number): string {
  return Buffer.from(octets.buffer, octets.byteOffset + start, end - start).toString('latin1');
}
