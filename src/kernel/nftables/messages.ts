/** Messages of an nf_tables transaction: tables, sets, chains, rules and elements as values, written to netlink. */

import { NLM_F_CREATE, NLM_F_REQUEST } from '../netlink/numbers.js';
import type { NetlinkWriter } from '../netlink/writer.js';
import { attributeBe32, writeExpressions, writeVerdict, type Expression, type RuleVerdict } from './expressions.js';
import * as nft from './numbers.js';

/** `inet`: packets of both. */
export type TableFamily = 'ip' | 'ip6' | 'inet';
export interface TableName {
  readonly family: TableFamily;
  readonly name: string;
}
/** NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET. */
export const FAMILY_NUMBERS: Readonly<Record<TableFamily, number>> = { ip: 2, ip6: 10, inet: 1 };

export interface SetShape {
  readonly name: string;
  readonly key: readonly nft.UserType[];
  /** Absent: a set; `verdict`: a verdict map. */
  readonly data?: readonly nft.UserType[] | 'verdict';
  /** nft(8) shall show data as one number. */
  readonly untyped?: boolean;
  /** Every element is a range from one key to another, field by field. Of concatenations only. */
  readonly interval?: boolean;
  /** Elements come in pairs: where a range begins, and with `closes` the first key after it. Ranges do not touch. */
  readonly ranges?: boolean;
  /** Filled by rules from packets, with time-outs; at most so many elements. */
  readonly dynamic?: number;
  /** Every element counts the packets that found it (Linux 5.7). A deleted element's count is gone with it. */
  readonly counted?: boolean;
}

export interface ChainShape {
  readonly name: string;
  /** Absent: reached by jumps only. */
  readonly hook?: {
    readonly type: 'nat' | 'filter';
    readonly at: nft.HookName;
    readonly priority: number;
  };
  readonly rules: readonly (readonly Expression[])[];
}

/** Octets of a key or of data, as registers hold them. */
export function sizeOf(types: readonly nft.UserType[]): number {
  return types.reduce((sum, type) => sum + nft.USER_TYPE_SIZES[type], 0);
}

function begin(writer: NetlinkWriter, type: number, flags: number, family: TableFamily): void {
  writer.begin(type, NLM_F_REQUEST | flags);
  writer.u8x4(FAMILY_NUMBERS[family], 0, 0, 0);
}

/** Starts or ends a transaction: `struct nfgenmsg` names the subsystem. */
export function writeBatchEdge(writer: NetlinkWriter, edge: 'begin' | 'end'): void {
  writer.begin(edge === 'begin' ? nft.NFNL_MSG_BATCH_BEGIN : nft.NFNL_MSG_BATCH_END, NLM_F_REQUEST);
  writer.u8x4(0, 0, 0, nft.NFNL_SUBSYS_NFTABLES);
  writer.end();
}

/** Adding works whether it is there or not. */
export function writeTable(writer: NetlinkWriter, command: 'add' | 'delete', table: TableName): void {
  begin(
    writer,
    command === 'add' ? nft.NFT_MSG_NEWTABLE : nft.NFT_MSG_DELTABLE,
    command === 'add' ? NLM_F_CREATE : 0,
    table.family,
  );
  writer.attributeText(nft.NFTA_TABLE_NAME, table.name);
  writer.end();
}

/** @param id a number of the caller's own, different for each set of a transaction */
export function writeSet(writer: NetlinkWriter, table: TableName, set: SetShape, id: number): void {
  begin(writer, nft.NFT_MSG_NEWSET, NLM_F_CREATE, table.family);
  writer.attributeText(nft.NFTA_SET_TABLE, table.name);
  writer.attributeText(nft.NFTA_SET_NAME, set.name);
  attributeBe32(writer, nft.NFTA_SET_FLAGS, setFlags(set));
  attributeBe32(writer, nft.NFTA_SET_KEY_TYPE, userType(set.key));
  attributeBe32(writer, nft.NFTA_SET_KEY_LEN, sizeOf(set.key));
  if (set.data === 'verdict') attributeBe32(writer, nft.NFTA_SET_DATA_TYPE, nft.TYPE_VERDICT);
  else if (set.data !== undefined) {
    attributeBe32(writer, nft.NFTA_SET_DATA_TYPE, set.untyped === true ? nft.TYPE_INTEGER : userType(set.data));
    attributeBe32(writer, nft.NFTA_SET_DATA_LEN, sizeOf(set.data));
  }
  attributeBe32(writer, nft.NFTA_SET_ID, id);
  writeDescription(writer, set);
  if (set.counted === true) writeCounter(writer);
  writer.end();
}

/** Nothing may look it up any more. Its elements go with it. */
export function writeSetRemoval(writer: NetlinkWriter, table: TableName, set: string): void {
  begin(writer, nft.NFT_MSG_DELSET, 0, table.family);
  writer.attributeText(nft.NFTA_SET_TABLE, table.name);
  writer.attributeText(nft.NFTA_SET_NAME, set);
  writer.end();
}

/** Elements that are added get a counter of their own, from zero. */
function writeCounter(writer: NetlinkWriter): void {
  const expression = writer.beginNested(nft.NFTA_SET_EXPR, true);
  writer.attributeText(nft.NFTA_EXPR_NAME, 'counter');
  writer.endNested(writer.beginNested(nft.NFTA_EXPR_DATA, true));
  writer.endNested(expression);
}

function setFlags({ data, interval, ranges, dynamic }: SetShape): number {
  return (
    (data === undefined ? 0 : nft.NFT_SET_MAP) |
    (interval === true ? nft.NFT_SET_INTERVAL | nft.NFT_SET_CONCAT : 0) |
    (ranges === true ? nft.NFT_SET_INTERVAL : 0) |
    (dynamic === undefined ? 0 : nft.NFT_SET_EVAL | nft.NFT_SET_TIMEOUT)
  );
}

function userType(types: readonly nft.UserType[]): number {
  if (types.length > MOST_FIELDS) return nft.TYPE_INTEGER;
  return types.reduce((sum, type) => (sum << 6) | nft.USER_TYPES[type], 0);
}

/** Six bits each in 32. */
const MOST_FIELDS = 5;

function writeDescription(writer: NetlinkWriter, { interval, dynamic, key }: SetShape): void {
  const concatenated = interval === true;
  if (dynamic === undefined && !concatenated) return;
  const description = writer.beginNested(nft.NFTA_SET_DESC, true);
  if (dynamic !== undefined) attributeBe32(writer, nft.NFTA_SET_DESC_SIZE, dynamic);
  if (concatenated) {
    const fields = writer.beginNested(nft.NFTA_SET_DESC_CONCAT, true);
    for (const type of key) {
      const field = writer.beginNested(nft.NFTA_LIST_ELEM, true);
      attributeBe32(writer, nft.NFTA_SET_FIELD_LEN, nft.USER_TYPE_SIZES[type]);
      writer.endNested(field);
    }
    writer.endNested(fields);
  }
  writer.endNested(description);
}

/** The chain alone; its rules follow once all chains are there. */
export function writeChain(writer: NetlinkWriter, table: TableName, chain: Pick<ChainShape, 'name' | 'hook'>): void {
  begin(writer, nft.NFT_MSG_NEWCHAIN, NLM_F_CREATE, table.family);
  writer.attributeText(nft.NFTA_CHAIN_TABLE, table.name);
  writer.attributeText(nft.NFTA_CHAIN_NAME, chain.name);
  if (chain.hook !== undefined) {
    const hook = writer.beginNested(nft.NFTA_CHAIN_HOOK, true);
    attributeBe32(writer, nft.NFTA_HOOK_HOOKNUM, nft.HOOKS[chain.hook.at]);
    attributeBe32(writer, nft.NFTA_HOOK_PRIORITY, chain.hook.priority);
    writer.endNested(hook);
    attributeBe32(writer, nft.NFTA_CHAIN_POLICY, nft.NF_ACCEPT);
    writer.attributeText(nft.NFTA_CHAIN_TYPE, chain.hook.type);
  }
  writer.end();
}

/** The kernel takes the rules with a chain. */
export function writeChainRemoval(writer: NetlinkWriter, table: TableName, chain: string): void {
  writeRuleRemoval(writer, table, chain);
  begin(writer, nft.NFT_MSG_DELCHAIN, 0, table.family);
  writer.attributeText(nft.NFTA_CHAIN_TABLE, table.name);
  writer.attributeText(nft.NFTA_CHAIN_NAME, chain);
  writer.end();
}

/** All rules of a chain. */
export function writeRuleRemoval(writer: NetlinkWriter, table: TableName, chain: string): void {
  begin(writer, nft.NFT_MSG_DELRULE, 0, table.family);
  writer.attributeText(nft.NFTA_RULE_TABLE, table.name);
  writer.attributeText(nft.NFTA_RULE_CHAIN, chain);
  writer.end();
}

/** NLM_F_APPEND. */
const APPEND = 0x800;

/** @param mark kept with the rule: who made it. As nft(8) keeps comments, so that it shows them. */
export function writeRule(
  writer: NetlinkWriter,
  table: TableName,
  chain: string,
  rule: readonly Expression[],
  mark: string,
): void {
  begin(writer, nft.NFT_MSG_NEWRULE, NLM_F_CREATE | APPEND, table.family);
  writer.attributeText(nft.NFTA_RULE_TABLE, table.name);
  writer.attributeText(nft.NFTA_RULE_CHAIN, chain);
  writeExpressions(writer, rule);
  const text = new TextEncoder().encode(`${mark}\0`);
  writer.attributeOctets(nft.NFTA_RULE_USERDATA, Uint8Array.of(COMMENT, text.length, ...text));
  writer.end();
}
/** NFTNL_UDATA_RULE_COMMENT, a type of libnftnl's. */
const COMMENT = 0;

/** Value of an element: octets (of a map), a verdict (of a verdict map), or none (of a set). Octets are latin1 text. */
export type ElementValue = string | RuleVerdict | undefined;

export interface WireElement {
  /** Octets as latin1 text. */
  readonly key: string;
  /** Where the range ends, of sets with intervals. */
  readonly keyEnd?: string;
  readonly value: ElementValue;
  /** Of sets of ranges: the range ends before this key. */
  readonly closes?: boolean;
}

/** Octets of one message's list: an attribute is at most 64 KiB. */
const LARGEST_LIST = 60_000;

/** Elements of one set, in as many messages as they need. */
export function writeElements(
  writer: NetlinkWriter,
  command: 'add' | 'delete',
  table: TableName,
  set: string,
  elements: Iterable<WireElement>,
): void {
  let list: number | undefined;
  for (const element of elements) {
    if (list !== undefined && writer.length - list > LARGEST_LIST) {
      writer.endNested(list);
      writer.end();
      list = undefined;
    }
    list ??= beginList(writer, command, table, set);
    writeElement(writer, element, command === 'add');
  }
  if (list === undefined) return;
  writer.endNested(list);
  writer.end();
}

function beginList(writer: NetlinkWriter, command: 'add' | 'delete', table: TableName, set: string): number {
  const adding = command === 'add';
  begin(writer, adding ? nft.NFT_MSG_NEWSETELEM : nft.NFT_MSG_DELSETELEM, adding ? NLM_F_CREATE : 0, table.family);
  writer.attributeText(nft.NFTA_SET_ELEM_LIST_TABLE, table.name);
  writer.attributeText(nft.NFTA_SET_ELEM_LIST_SET, set);
  return writer.beginNested(nft.NFTA_SET_ELEM_LIST_ELEMENTS, true);
}

function writeElement(writer: NetlinkWriter, { key, keyEnd, value, closes }: WireElement, withValue: boolean): void {
  const at = writer.beginNested(nft.NFTA_LIST_ELEM, true);
  writeOctets(writer, nft.NFTA_SET_ELEM_KEY, key);
  if (keyEnd !== undefined) writeOctets(writer, nft.NFTA_SET_ELEM_KEY_END, keyEnd);
  if (closes === true) attributeBe32(writer, nft.NFTA_SET_ELEM_FLAGS, nft.NFT_SET_ELEM_INTERVAL_END);
  if (withValue && value !== undefined) {
    if (typeof value === 'string') writeOctets(writer, nft.NFTA_SET_ELEM_DATA, value);
    else writeVerdict(writer, nft.NFTA_SET_ELEM_DATA, value);
  }
  writer.endNested(at);
}

/** An attribute that holds `struct nft_data` with a value. */
function writeOctets(writer: NetlinkWriter, type: number, octets: string): void {
  const at = writer.beginNested(type, true);
  writer.attributeLatin1(nft.NFTA_DATA_VALUE, octets);
  writer.endNested(at);
}
