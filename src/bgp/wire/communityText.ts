/** Communities as operators write them: RFC 1997 (`65000:1`, names), RFC 8092 (`65000:1:2`), RFC 4360 (`rt:65000:1`). */

import { formatIpv4, parseAddress } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import type { LargeCommunity } from '../attributes.js';
import { WellKnownCommunity } from './iana.js';

/** Names of IANA "BGP Well-known Communities". */
const NAMES: readonly (readonly [string, number])[] = [
  ['graceful-shutdown', WellKnownCommunity.gracefulShutdown],
  ['accept-own', WellKnownCommunity.acceptOwn],
  ['llgr-stale', WellKnownCommunity.llgrStale],
  ['no-llgr', WellKnownCommunity.noLlgr],
  ['blackhole', WellKnownCommunity.blackhole],
  ['no-export', WellKnownCommunity.noExport],
  ['no-advertise', WellKnownCommunity.noAdvertise],
  ['no-export-subconfed', WellKnownCommunity.noExportSubconfed],
  ['no-peer', WellKnownCommunity.noPeer],
];

const NAME_OF: ReadonlyMap<number, string> = new Map(NAMES.map(([name, value]) => [value, name]));
const VALUE_OF: ReadonlyMap<string, number> = new Map(NAMES);

/** A name where the value is well known, `high:low` otherwise. */
export function formatCommunity(community: number): string {
  return NAME_OF.get(community) ?? `${community >>> 16}:${community & 0xffff}`;
}

/** Reads what {@link formatCommunity} writes, to an unsigned word. The error is a sentence for a person. */
export function parseCommunity(text: string): Result<number, string> {
  const named = VALUE_OF.get(text);
  if (named !== undefined) return ok(named);
  const parts = numbers(text, 2, 0xffff);
  if (parts === undefined) {
    const known = NAMES.map(([name]) => name).join(', ');
    return err(`"${text}" is not a community: two numbers of 0..65535 as in 65000:1, or one of ${known}`);
  }
  return ok(parts[0]! * 0x10000 + parts[1]!);
}

export function formatLargeCommunity(community: LargeCommunity): string {
  return community.join(':');
}

/** Reads `administrator:data1:data2`, each 0..4294967295. */
export function parseLargeCommunity(text: string): Result<LargeCommunity, string> {
  const parts = numbers(text, 3, 0xffff_ffff);
  if (parts === undefined) {
    return err(`"${text}" is not a large community: three numbers of 0..4294967295 as in 65000:1:2`);
  }
  return ok([parts[0]!, parts[1]!, parts[2]!]);
}

/** High octet of the type: how the administrator is written (RFC 4360 section 3, RFC 5668). The transitive bit is apart. */
const ExtendedType = { asTwo: 0, address: 1, asFour: 2 } as const;
const NON_TRANSITIVE = 0x40;
/** Low octet of the type: RFC 4360 sections 4 and 5. */
const SUBTYPES: readonly (readonly [string, number])[] = [
  ['rt', 2],
  ['soo', 3],
];
const SUBTYPE_NAME: ReadonlyMap<number, string> = new Map(SUBTYPES.map(([name, code]) => [code, name]));
const SUBTYPE_CODE: ReadonlyMap<string, number> = new Map(SUBTYPES);

/** `rt:65000:1`, `soo:10.0.0.1:7`; anything else as sixteen hexadecimal digits. */
export function formatExtendedCommunity(community: bigint): string {
  const kind = Number(community >> 56n);
  const name = SUBTYPE_NAME.get(Number((community >> 48n) & 0xffn));
  const field = (shift: bigint, bits: bigint): number => Number((community >> shift) & ((1n << bits) - 1n));
  if (name !== undefined && (kind & NON_TRANSITIVE) === 0) {
    if (kind === ExtendedType.asTwo) return `${name}:${field(32n, 16n)}:${field(0n, 32n)}`;
    if (kind === ExtendedType.address) return `${name}:${formatIpv4(field(16n, 32n))}:${field(0n, 16n)}`;
    if (kind === ExtendedType.asFour) return `${name}:${field(16n, 32n)}:${field(0n, 16n)}`;
  }
  return `0x${community.toString(16).padStart(16, '0')}`;
}

/** Reads what {@link formatExtendedCommunity} writes. */
export function parseExtendedCommunity(text: string): Result<bigint, string> {
  if (/^0x[0-9a-f]{16}$/i.test(text)) return ok(BigInt(text));
  const parsed = parseNamedExtended(text);
  return parsed === undefined
    ? err(`"${text}" is not an extended community: rt:65000:1, soo:10.0.0.1:7 or 0x and sixteen digits`)
    : ok(parsed);
}

function parseNamedExtended(text: string): bigint | undefined {
  const [name = '', administrator = '', ...rest] = text.split(':');
  const subtype = SUBTYPE_CODE.get(name);
  const value = numbers(rest.join(':'), 1, 0xffff_ffff)?.[0];
  if (subtype === undefined || value === undefined) return undefined;
  const address = addressWord(administrator);
  const admin = address ?? numbers(administrator, 1, 0xffff_ffff)?.[0];
  if (admin === undefined) return undefined;
  if (address === undefined && admin <= 0xffff) return extended(ExtendedType.asTwo, subtype, admin, 32n, value);
  if (value > 0xffff) return undefined;
  const type = address === undefined ? ExtendedType.asFour : ExtendedType.address;
  return extended(type, subtype, admin, 16n, value);
}

function addressWord(text: string): number | undefined {
  const address = parseAddress(text);
  return address.ok && address.value.version === 4 ? address.value.value : undefined;
}

function extended(type: number, subtype: number, admin: number, shift: bigint, value: number): bigint {
  return (BigInt(type) << 56n) | (BigInt(subtype) << 48n) | (BigInt(admin) << shift) | BigInt(value);
}

/** Exactly `count` decimal numbers between colons, none above `max`. */
function numbers(text: string, count: number, max: number): number[] | undefined {
  const parts = text.split(':');
  if (parts.length !== count || !parts.every(part => /^\d{1,10}$/.test(part))) return undefined;
  const values = parts.map(Number);
  return values.every(value => value <= max) ? values : undefined;
}
