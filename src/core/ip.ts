/** IP addresses and prefixes on the cold paths (configuration, API, sessions). The hot paths use bare 32-bit words. */

import { Address4, Address6 } from 'ip-address';
import type { Brand } from './brand.js';
import { err, ok, type Result } from './result.js';

/** An IPv4 address (or a BGP identifier) as an unsigned 32-bit number in network order: 10.0.0.1 is 0x0a000001. */
export type Ipv4 = Brand<number, 'Ipv4'>;
/** @throws RangeError when `n` is not an unsigned 32-bit integer: the caller's mistake. */
export function Ipv4(n: number): Ipv4 {
  if (!Number.isInteger(n) || n < 0 || n > 0xffff_ffff) throw new RangeError(`not an IPv4 address: ${n}`);
  return n as Ipv4;
}

/** Four unsigned 32-bit words, most significant first. */
export type Ipv6Words = readonly [number, number, number, number];

export type IpAddress =
  | { readonly version: 4; readonly value: Ipv4 }
  /** `zone` names the link of a link-local address (RFC 4007), as in fe80::1%eth0. */
  | { readonly version: 6; readonly words: Ipv6Words; readonly zone?: string };

/** Host bits are zero (see {@link parsePrefix}), so equal prefixes have equal fields. */
export interface IpPrefix {
  readonly address: IpAddress;
  readonly length: number;
}

/** Reads an IPv4 or IPv6 address without a length. The error is a sentence for a person. */
export function parseAddress(text: string): Result<IpAddress, string> {
  const plain4 = dottedIpv4(text);
  if (plain4 !== undefined) return ok(ipv4(plain4));
  if (text.includes('/')) return err(`"${text}" is a prefix where an address is expected`);
  if (!text.includes(':') && Address4.isValid(text)) return ok(ipv4(Number(new Address4(text).bigInt())));
  const [plain, zone] = text.split('%', 2);
  if (plain !== undefined && Address6.isValid(plain)) {
    const words = wordsOf(new Address6(plain).bigInt());
    return ok(zone === undefined ? { version: 6, words } : { version: 6, words, zone });
  }
  return err(`"${text}" is not an IP address`);
}

/** The usual address, many thousands of which are read at once. @returns undefined for anything that needs a closer look */
export function dottedIpv4(text: string): Ipv4 | undefined {
  let [octet, digits, dots, value] = [0, 0, 0, 0];
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || octet > 255 || dots === 4) return undefined;
      value = value * 256 + octet;
      [octet, digits, dots] = [0, 0, dots + 1];
    } else {
      // A leading zero is a mistake or an octal number.
      if (code < ZERO || code > NINE || (digits > 0 && octet === 0)) return undefined;
      octet = octet * 10 + code - ZERO;
      digits += 1;
    }
  }
  return dots === 4 ? Ipv4(value) : undefined;
}
const [DOT, ZERO, NINE] = [0x2e, 0x30, 0x39] as const;

/** Reads `address/length`; refuses a length out of range and host bits that are set, naming the prefix that was meant. */
export function parsePrefix(text: string): Result<IpPrefix, string> {
  const slash = text.indexOf('/');
  if (slash < 0) return err(withoutLength(text));
  const address = parseAddress(text.slice(0, slash));
  if (!address.ok) return address;
  const digits = text.slice(slash + 1);
  const length = Number(digits);
  const bits = addressBits(address.value);
  if (!/^\d{1,3}$/.test(digits) || length > bits) return err(`"${text}": a prefix length is 0 to ${bits}`);
  const prefix = { address: maskAddress(address.value, length), length };
  if (!sameAddress(prefix.address, address.value))
    return err(`"${text}" has host bits set; did you mean ${formatPrefix(prefix)}?`);
  return ok(prefix);
}

function withoutLength(text: string): string {
  const address = parseAddress(text);
  return address.ok
    ? `"${text}" has no prefix length, such as ${text}/${addressBits(address.value)}`
    : `"${text}" is not a prefix, such as 10.0.0.0/8`;
}

export function ipv4(n: number): IpAddress {
  return { version: 4, value: Ipv4(n) };
}

/** Number of bits in an address of this family. */
export function addressBits(address: IpAddress): 32 | 128 {
  return address.version === 4 ? 32 : 128;
}

/** Dotted quad. */
export function formatIpv4(n: number): string {
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

/** RFC 5952 text of four words. */
export function formatIpv6(words: Ipv6Words): string {
  return Address6.fromBigInt(bigOf(words)).correctForm();
}

export function formatAddress(address: IpAddress): string {
  if (address.version === 4) return formatIpv4(address.value);
  const text = formatIpv6(address.words);
  return address.zone === undefined ? text : `${text}%${address.zone}`;
}

export function formatPrefix(prefix: IpPrefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

export function sameAddress(a: IpAddress, b: IpAddress): boolean {
  if (a.version === 4) return b.version === 4 && a.value === b.value;
  return b.version === 6 && a.words.every((word, i) => word === b.words[i]) && a.zone === b.zone;
}

/** The address with all bits after `length` cleared. */
export function maskAddress(address: IpAddress, length: number): IpAddress {
  if (address.version === 4) return ipv4((address.value & maskWord(length)) >>> 0);
  const [a, b, c, d] = address.words;
  const words: Ipv6Words = [
    (a & maskWord(length)) >>> 0,
    (b & maskWord(length - 32)) >>> 0,
    (c & maskWord(length - 64)) >>> 0,
    (d & maskWord(length - 96)) >>> 0,
  ];
  return { version: 6, words };
}

/** True when the prefix covers the address. */
export function prefixContains(prefix: IpPrefix, address: IpAddress): boolean {
  if (prefix.address.version !== address.version) return false;
  const bare: IpAddress = address.version === 6 ? { version: 6, words: address.words } : address;
  return sameAddress(maskAddress(bare, prefix.length), prefix.address);
}

/** The mask of a 32-bit word that keeps its first `length` bits; lengths outside 0..32 are clamped. Signed, as `&` takes it. */
export function maskWord(length: number): number {
  return length <= 0 ? 0 : length >= 32 ? -1 : -1 << (32 - length);
}

function wordsOf(value: bigint): Ipv6Words {
  const word = (shift: bigint): number => Number((value >> shift) & 0xffff_ffffn);
  return [word(96n), word(64n), word(32n), word(0n)];
}

function bigOf(words: Ipv6Words): bigint {
  return words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
}

/** Whether the address is in 127.0.0.0/8 or ::1 (RFC 6890). */
export function isLoopback(address: IpAddress): boolean {
  if (address.version === 4) return address.value >>> 24 === 127;
  const [a, b, c, d] = address.words;
  return a === 0 && b === 0 && c === 0 && d === 1;
}
