/** Parts of rules: what is loaded into which register, conditions, words. Offsets are those of RFC 791 and RFC 8200. */

import { maskWord, type IpPrefix } from '../../core/ip.js';
import { addressOctets } from './elements.js';
import { hostU32, type Expression, type Register } from './expressions.js';
import type { ChainShape } from './messages.js';

export type Family = 4 | 6;
export type Rule = readonly Expression[];

export const to = (kind: 'goto' | 'jump', chain: string): Expression => ({ kind: 'verdict', verdict: { kind, chain } });
export const plain = (kind: 'drop' | 'return' | 'accept'): Expression => ({ kind: 'verdict', verdict: { kind } });
export const lookup = (set: string, from: number): Expression => ({ kind: 'lookup', set, from });
export const vmap = (set: string, from: number): Expression => ({ kind: 'vmap', set, from });

export function hook(
  name: string,
  type: 'nat' | 'filter',
  at: NonNullable<ChainShape['hook']>['at'],
  priority: number,
  rules: ChainShape['rules'],
): ChainShape {
  return { name, hook: { type, at, priority }, rules };
}

/** Registers of an address. */
export function addressSize(family: Family): number {
  return family === 4 ? 1 : 4;
}
/** Registers of `address . protocol . port`. */
export function endpointSize(family: Family): number {
  return addressSize(family) + 2;
}

const ADDRESS_OFFSETS = { saddr: { 4: 12, 6: 8 }, daddr: { 4: 16, 6: 24 } } as const;
function loadAddress(which: 'saddr' | 'daddr', family: Family, to: Register): Rule {
  const length = addressSize(family) * 4;
  return [{ kind: 'payload', base: 'network', offset: ADDRESS_OFFSETS[which][family], length, to }];
}
export function loadSource(family: Family, to: Register): Rule {
  return loadAddress('saddr', family, to);
}
export function loadDestination(family: Family, to: Register): Rule {
  return loadAddress('daddr', family, to);
}

/** Protocol and destination port, which TCP, UDP and SCTP have at the same place. */
export function loadPort(to: Register): Rule {
  return [
    { kind: 'meta', key: 'l4proto', to },
    { kind: 'payload', base: 'transport', offset: 2, length: 2, to: to + 1 },
  ];
}
/** What the packet is sent to: `address . protocol . port`. */
export function loadEndpoint(family: Family, to: Register): Rule {
  return [...loadDestination(family, to), ...loadPort(to + addressSize(family))];
}
/** The same of the packet that began the connection, as the client sent it. */
export function loadOriginal(family: Family, to: Register): Rule {
  const protocol = to + addressSize(family);
  return [
    { kind: 'original', key: family === 4 ? 'daddr4' : 'daddr6', to },
    { kind: 'original', key: 'protocol', to: protocol },
    { kind: 'original', key: 'dport', to: protocol + 1 },
  ];
}

/** Zeros in so many registers. An immediate value is at most 16 octets. */
export function zeros(to: Register, registers: number): Rule {
  return Array.from({ length: Math.ceil(registers / 4) }, (_, i) => ({
    kind: 'immediate',
    octets: Array.from({ length: Math.min(16, registers * 4 - i * 16) }, () => 0),
    to: to + i * 4,
  }));
}

/** At most four registers. */
export function copy(from: Register, to: Register, registers: number): Expression {
  const octets = (octet: number): readonly number[] => Array.from({ length: registers * 4 }, () => octet);
  return { kind: 'bitwise', from, to, mask: octets(255), xor: octets(0) };
}

/** NF_CT_STATE_BIT(IP_CT_NEW), and IPS_DST_NAT. */
const [CT_NEW, DST_NAT] = [0x8, 0x20];
export const hasBit = (to: Register, bit: number): Rule => [
  { kind: 'bitwise', from: to, to, mask: hostU32(bit), xor: hostU32(0) },
  { kind: 'compare', from: to, equal: false, octets: hostU32(0) },
];
export const isNew: Rule = [{ kind: 'ct', key: 'state', to: 0 }, ...hasBit(0, CT_NEW)];
export const isDnat: Rule = [{ kind: 'ct', key: 'status', to: 0 }, ...hasBit(0, DST_NAT)];
export const isTcp: Rule = [
  { kind: 'meta', key: 'l4proto', to: 0 },
  { kind: 'compare', from: 0, equal: true, octets: [6] },
];

/** IP_CT_DIR_REPLY */
export const isReply: Rule = [
  { kind: 'ct', key: 'direction', to: 0 },
  { kind: 'compare', from: 0, equal: true, octets: [1] },
];
/** Arrived through another link than loopback, which is number 1 in every namespace. */
export const notLooped: Rule = [
  { kind: 'meta', key: 'iif', to: 0 },
  { kind: 'compare', from: 0, equal: false, octets: hostU32(1) },
];

export function hasMark(bit: number): Rule {
  return [{ kind: 'meta', key: 'mark', to: 0 }, ...hasBit(0, 2 ** bit)];
}
export function setMark(bit: number): Rule {
  return writeMark(~(2 ** bit), 2 ** bit);
}
export function flipMark(bit: number): Rule {
  return writeMark(~0, 2 ** bit);
}
function writeMark(mask: number, xor: number): Rule {
  return [
    { kind: 'meta', key: 'mark', to: 0 },
    { kind: 'bitwise', from: 0, to: 0, mask: hostU32(mask), xor: hostU32(xor) },
    { kind: 'setMark', from: 0 },
  ];
}

const RTN_LOCAL = 2;
export const isLocal = (of: 'saddr' | 'daddr'): Rule => [
  { kind: 'fibType', of, to: 0 },
  { kind: 'compare', from: 0, equal: true, octets: hostU32(RTN_LOCAL) },
];
/** Sent by this machine itself. */
export const fromThisHost: Rule = isLocal('saddr');

export function ofFamily(prefixes: readonly IpPrefix[], family: Family): readonly IpPrefix[] {
  return prefixes.filter(({ address }) => address.version === family);
}

/** The address is in the prefix. */
export function inPrefix(which: 'saddr' | 'daddr', { address, length }: IpPrefix, equal = true): Rule {
  const words = address.version === 4 ? [0] : [0, 32, 64, 96];
  const mask = words.flatMap(offset => [...networkOctets(maskWord(length - offset))]);
  const octets = [...Buffer.from(addressOctets(address), 'latin1')];
  return [
    ...loadAddress(which, address.version, 0),
    { kind: 'bitwise', from: 0, to: 0, mask, xor: mask.map(() => 0) },
    { kind: 'compare', from: 0, equal, octets },
  ];
}

function networkOctets(word: number): readonly number[] {
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255];
}
