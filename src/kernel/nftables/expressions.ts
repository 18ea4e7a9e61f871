/**
 * Expressions of nf_tables rules as values, and how they are written to netlink (linux/netfilter/nf_tables.h). Rules are
 * written so because the language of nft(8) cannot keep what one map answered as part of the key of the next lookup.
 */

import { assertNever } from '../../core/assertNever.js';
import type { NetlinkWriter } from '../netlink/writer.js';
import * as nft from './numbers.js';

/** Index of a register of four octets, 0 .. 15. Longer values take those that follow. */
export type Register = number;
const FIRST_REGISTER = 8;
const VERDICT_REGISTER = 0;

export type RuleVerdict =
  /** `continue`, in a map: go on with the rule; without an element its end is reached at once. */
  | { readonly kind: 'accept' | 'drop' | 'return' | 'continue' }
  | { readonly kind: 'goto' | 'jump'; readonly chain: string };

export type Expression =
  | {
      readonly kind: 'payload';
      readonly base: 'network' | 'transport';
      readonly offset: number;
      readonly length: number;
      readonly to: Register;
    }
  | { readonly kind: 'meta'; readonly key: MetaKey; readonly to: Register }
  | { readonly kind: 'setMark'; readonly from: Register }
  | { readonly kind: 'ct'; readonly key: 'state' | 'direction' | 'status' | 'mark'; readonly to: Register }
  /** Of the connection as its first packet was before translation: an address is 4 or 16 octets, a port 2. */
  | { readonly kind: 'original'; readonly key: 'daddr4' | 'daddr6' | 'protocol' | 'dport'; readonly to: Register }
  /** What route lookup says of an address: unicast 1, local 2 and so on (RTN_*). */
  | { readonly kind: 'fibType'; readonly of: 'saddr' | 'daddr'; readonly to: Register }
  /** Goes on when the key is in the set, or with `inverted` when it is not. With `to`, the map's value goes there. */
  | {
      readonly kind: 'lookup';
      readonly set: string;
      readonly from: Register;
      readonly to?: Register;
      readonly inverted?: boolean;
    }
  /** A verdict map: no element, no verdict. */
  | { readonly kind: 'vmap'; readonly set: string; readonly from: Register }
  /** A number below `modulus`, plus `offset`. */
  | { readonly kind: 'random'; readonly modulus: number; readonly offset: number; readonly to: Register }
  | { readonly kind: 'immediate'; readonly octets: readonly number[]; readonly to: Register }
  | { readonly kind: 'verdict'; readonly verdict: RuleVerdict }
  /** `(from & mask) ^ xor`, over as many octets as both have. */
  | {
      readonly kind: 'bitwise';
      readonly from: Register;
      readonly to: Register;
      readonly mask: readonly number[];
      readonly xor: readonly number[];
    }
  | { readonly kind: 'compare'; readonly from: Register; readonly equal: boolean; readonly octets: readonly number[] }
  /** Goes on when the value is neither below nor above, in network order. */
  | {
      readonly kind: 'range';
      readonly from: Register;
      readonly first: readonly number[];
      readonly last: readonly number[];
    }
  /** Goes on for so many packets. */
  | { readonly kind: 'limit'; readonly perSecond: number; readonly burst: number }
  /** Hands a copy of the packet's headers to whoever listens to the group (nfnetlink_log). The prefix is at most 127 octets. */
  | { readonly kind: 'log'; readonly group: number; readonly prefix: string; readonly octets: number }
  | { readonly kind: 'dnat'; readonly family: 4 | 6; readonly address: Register; readonly port: Register }
  /** From the next packet on, the connection takes the flowtable's way, past all hooks. In the hook `forward` only. */
  | { readonly kind: 'offload'; readonly flowtable: string }
  /** Each connection gets a source port chosen wholly at random. */
  | { readonly kind: 'masquerade' }
  | { readonly kind: 'reject'; readonly with: 'tcpReset' | 'portUnreachable'; readonly family: 4 | 6 }
  /** Changes a dynamic set or map from the packet; `add` only finds what is there. Milliseconds. Ends the rule when it is full. */
  | {
      readonly kind: 'dynamic';
      readonly operation: 'add' | 'update' | 'delete';
      readonly set: string;
      readonly key: Register;
      /** Of maps. */
      readonly data?: Register;
      readonly timeout?: number;
    };

/** Writes NFTA_RULE_EXPRESSIONS. */
export function writeExpressions(writer: NetlinkWriter, expressions: readonly Expression[]): void {
  const list = writer.beginNested(nft.NFTA_RULE_EXPRESSIONS, true);
  for (const expression of expressions) writeExpression(writer, expression);
  writer.endNested(list);
}

function writeExpression(writer: NetlinkWriter, expression: Expression): void {
  const element = writer.beginNested(nft.NFTA_LIST_ELEM, true);
  writer.attributeText(nft.NFTA_EXPR_NAME, NAMES[expression.kind]);
  const data = writer.beginNested(nft.NFTA_EXPR_DATA, true);
  writeData(writer, expression);
  writer.endNested(data);
  writer.endNested(element);
}

const NAMES: Readonly<Record<Expression['kind'], string>> = {
  payload: 'payload',
  meta: 'meta',
  setMark: 'meta',
  ct: 'ct',
  original: 'ct',
  fibType: 'fib',
  lookup: 'lookup',
  vmap: 'lookup',
  random: 'numgen',
  immediate: 'immediate',
  verdict: 'immediate',
  bitwise: 'bitwise',
  compare: 'cmp',
  range: 'range',
  limit: 'limit',
  log: 'log',
  dnat: 'nat',
  offload: 'flow_offload',
  masquerade: 'masq',
  reject: 'reject',
  dynamic: 'dynset',
};

const META_KEYS = { mark: 3, iif: 4, oif: 5, iifname: 6, nfproto: 15, l4proto: 16 } as const;
type MetaKey = keyof typeof META_KEYS;
const CT_KEYS = { state: 0, direction: 1, status: 2, mark: 3 } as const;
/** Addresses by family, not NFT_CT_DST, which nft(8) knows no length of. */
const TUPLE_KEYS = { protocol: 10, dport: 12, daddr4: 20, daddr6: 22 } as const;
/** IP_CT_DIR_ORIGINAL */
const ORIGINAL = 0;
const NFT_FIB_RESULT_ADDRTYPE = 3;
const NFT_LOOKUP_F_INV = 1;
const NFT_NAT_DNAT = 1;
const NF_NAT_RANGE_PROTO_RANDOM_FULLY = 0x10;
/** NFPROTO_IPV4 and NFPROTO_IPV6. */
const PROTOCOL_FAMILIES = { 4: 2, 6: 10 } as const;
/** NFT_REJECT_ICMP_UNREACH with ICMP_PORT_UNREACH or ICMPV6_PORT_UNREACH. */
const PORT_UNREACHABLE = { 4: 3, 6: 4 } as const;
const DYNAMIC_OPERATIONS = { add: 0, update: 1, delete: 2 } as const;

/** Integers of nf_tables are in network order. */
export function attributeBe32(writer: NetlinkWriter, type: number, value: number): void {
  writer.attributeHead(type, 4);
  writer.addressWord(value);
}

function register(writer: NetlinkWriter, type: number, index: Register): void {
  attributeBe32(writer, type, FIRST_REGISTER + index);
}

function writeData(writer: NetlinkWriter, e: Expression): void {
  switch (e.kind) {
    case 'payload':
      register(writer, 1, e.to);
      attributeBe32(writer, 2, e.base === 'network' ? 1 : 2);
      attributeBe32(writer, 3, e.offset);
      attributeBe32(writer, 4, e.length);
      return;
    case 'meta':
      register(writer, 1, e.to);
      attributeBe32(writer, 2, META_KEYS[e.key]);
      return;
    case 'setMark':
      attributeBe32(writer, 2, META_KEYS.mark);
      register(writer, 3, e.from);
      return;
    case 'ct':
      register(writer, 1, e.to);
      attributeBe32(writer, 2, CT_KEYS[e.key]);
      return;
    case 'original':
      register(writer, 1, e.to);
      attributeBe32(writer, 2, TUPLE_KEYS[e.key]);
      writer.attributeOctets(3, Uint8Array.of(ORIGINAL));
      return;
    case 'fibType':
      register(writer, 1, e.to);
      attributeBe32(writer, 2, NFT_FIB_RESULT_ADDRTYPE);
      attributeBe32(writer, 3, e.of === 'saddr' ? 1 : 2);
      return;
    case 'lookup': {
      writeLookup(writer, e.set, e.from, e.to, e.inverted === true);
      return;
    }
    case 'vmap':
      writer.attributeText(1, e.set);
      register(writer, 2, e.from);
      attributeBe32(writer, 3, VERDICT_REGISTER);
      return;
    case 'random':
      register(writer, 1, e.to);
      attributeBe32(writer, 2, e.modulus);
      attributeBe32(writer, 3, 1);
      attributeBe32(writer, 4, e.offset);
      return;
    case 'immediate':
      register(writer, 1, e.to);
      writeValue(writer, 2, Uint8Array.from(e.octets));
      return;
    case 'verdict':
      attributeBe32(writer, 1, VERDICT_REGISTER);
      writeVerdict(writer, 2, e.verdict);
      return;
    case 'bitwise':
      register(writer, 1, e.from);
      register(writer, 2, e.to);
      attributeBe32(writer, 3, e.mask.length);
      writeValue(writer, 4, Uint8Array.from(e.mask));
      writeValue(writer, 5, Uint8Array.from(e.xor));
      return;
    case 'compare':
      register(writer, 1, e.from);
      attributeBe32(writer, 2, e.equal ? 0 : 1);
      writeValue(writer, 3, Uint8Array.from(e.octets));
      return;
    case 'range':
      register(writer, 1, e.from);
      attributeBe32(writer, 2, 0);
      writeValue(writer, 3, Uint8Array.from(e.first));
      writeValue(writer, 4, Uint8Array.from(e.last));
      return;
    case 'limit':
      attributeBe64(writer, 1, e.perSecond);
      attributeBe64(writer, 2, 1);
      attributeBe32(writer, 3, e.burst);
      return;
    case 'log':
      writer.attributeOctets(1, Uint8Array.of(e.group >>> 8, e.group & 255));
      writer.attributeText(2, e.prefix);
      attributeBe32(writer, 3, e.octets);
      return;
    case 'dnat':
      attributeBe32(writer, 1, NFT_NAT_DNAT);
      attributeBe32(writer, 2, PROTOCOL_FAMILIES[e.family]);
      register(writer, 3, e.address);
      register(writer, 5, e.port);
      return;
    case 'offload': {
      writer.attributeText(1, e.flowtable);
      return;
    }
    case 'masquerade': {
      attributeBe32(writer, 1, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
      return;
    }
    case 'reject':
      attributeBe32(writer, 1, e.with === 'tcpReset' ? 1 : 0);
      writer.attributeOctets(2, Uint8Array.of(e.with === 'tcpReset' ? 0 : PORT_UNREACHABLE[e.family]));
      return;
    case 'dynamic': {
      writeDynamic(writer, e);
      return;
    }
    default:
      return assertNever(e);
  }
}

function writeLookup(
  writer: NetlinkWriter,
  set: string,
  from: Register,
  to: Register | undefined,
  inverted: boolean,
): void {
  writer.attributeText(1, set);
  register(writer, 2, from);
  if (to !== undefined) register(writer, 3, to);
  if (inverted) attributeBe32(writer, 5, NFT_LOOKUP_F_INV);
}

function writeDynamic(writer: NetlinkWriter, e: Extract<Expression, { kind: 'dynamic' }>): void {
  writer.attributeText(1, e.set);
  attributeBe32(writer, 3, DYNAMIC_OPERATIONS[e.operation]);
  register(writer, 4, e.key);
  if (e.data !== undefined) register(writer, 5, e.data);
  if (e.timeout === undefined) return;
  attributeBe64(writer, 6, e.timeout);
}

function attributeBe64(writer: NetlinkWriter, type: number, value: number): void {
  writer.attributeHead(type, 8);
  writer.addressWord(Math.floor(value / 2 ** 32));
  writer.addressWord(value >>> 0);
}

/** An attribute that holds `struct nft_data` with a value. */
export function writeValue(writer: NetlinkWriter, type: number, octets: Uint8Array): void {
  const at = writer.beginNested(type, true);
  writer.attributeOctets(nft.NFTA_DATA_VALUE, octets);
  writer.endNested(at);
}

const VERDICT_CODES: Readonly<Record<RuleVerdict['kind'], number>> = {
  accept: nft.NF_ACCEPT,
  drop: nft.NF_DROP,
  continue: nft.NFT_CONTINUE,
  return: nft.NFT_RETURN,
  goto: nft.NFT_GOTO,
  jump: nft.NFT_JUMP,
};
const VERDICT_NAMES = ['accept', 'drop', 'continue', 'return', 'goto', 'jump'] as const;

/** @returns undefined for a verdict that we never use */
export function verdictKind(code: number): RuleVerdict['kind'] | undefined {
  return VERDICT_NAMES.find(kind => VERDICT_CODES[kind] === code);
}

/** An attribute that holds `struct nft_data` with a verdict. */
export function writeVerdict(writer: NetlinkWriter, type: number, verdict: RuleVerdict): void {
  const at = writer.beginNested(type, true);
  const inner = writer.beginNested(nft.NFTA_DATA_VERDICT, true);
  attributeBe32(writer, nft.NFTA_VERDICT_CODE, VERDICT_CODES[verdict.kind]);
  if (verdict.kind === 'goto' || verdict.kind === 'jump') writer.attributeText(nft.NFTA_VERDICT_CHAIN, verdict.chain);
  writer.endNested(inner);
  writer.endNested(at);
}

/** Octets of a number as it lies in a register: in host order. */
export function hostU32(value: number): readonly number[] {
  return [...new Uint8Array(new Uint32Array([value >>> 0]).buffer)];
}
