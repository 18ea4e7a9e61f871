/**
 * What stands in annotations, read strictly: numbers as Go writes them, comma lists, communities, cluster ids.
 * An entry of a list that cannot be read is left out; an annotation that cannot be read at all leaves the value in force
 * that it had before.
 */

import { Asn } from '../bgp/asn.js';
import type { LargeCommunity } from '../bgp/attributes.js';
import { parseCommunity, parseLargeCommunity } from '../bgp/wire/communityText.js';
import { Ipv4, parseAddress, type IpPrefix } from '../core/ip.js';
import { err, ok, type Result } from '../core/result.js';
import { parseCidr } from '../kube/schemaParts.js';

export type Annotations = Readonly<Record<string, string>>;

/** A value, and what could not be taken into it; or, where nothing could be read, why not. */
export type Reading<T> =
  | { readonly readable: true; readonly value: T; readonly complaints: readonly string[] }
  | { readonly readable: false; readonly complaints: readonly string[] };

export function read<T>(result: Result<T, string>): Reading<T> {
  return result.ok
    ? { readable: true, value: result.value, complaints: [] }
    : { readable: false, complaints: [result.error] };
}

/** The value in force: what was read, or what was in force before. */
export function inForce<T>(
  key: string,
  reading: Reading<T>,
  former: T,
): { readonly value: T; readonly complaints: readonly string[] } {
  const effect = reading.readable ? 'it is left out' : 'the former value stays in force';
  const complaints = reading.complaints.map(text => `annotation ${key}: ${text}; ${effect}`);
  return { value: reading.readable ? reading.value : former, complaints };
}

/** Items between commas, without blanks around them; none for an annotation that is missing or empty. */
export function listItems(text: string | undefined): readonly string[] {
  return text === undefined || text.trim() === '' ? [] : text.split(',').map(item => item.trim());
}

export function readList<T>(
  items: readonly string[],
  parse: (item: string) => Result<T, string>,
): Reading<readonly T[]> {
  const results = items.map(parse);
  return {
    readable: true,
    value: results.flatMap(result => (result.ok ? [result.value] : [])),
    complaints: results.flatMap(result => (result.ok ? [] : [result.error])),
  };
}

/** An unsigned integer the way Go's strconv reads one with base 0: decimal, 0x, 0o, 0b, or octal after a bare 0. */
export function parseNumber(text: string, most: number): Result<number, string> {
  const plain = text.trim().toLowerCase();
  const isNumber = /^(0x[0-9a-f]+|0b[01]+|0o[0-7]+|0[0-7]*|[1-9][0-9]*)$/.test(plain);
  const value = isNumber ? (/^0[0-7]+$/.test(plain) ? parseInt(plain, 8) : Number(plain)) : Number.NaN;
  return value <= most ? ok(value) : err(`"${text}" is not a number of 0 to ${most}`);
}

export function parseAsn(text: string): Result<Asn, string> {
  const number = parseNumber(text, 0xffff_ffff);
  if (!number.ok) return number;
  return number.value === 0 ? err('AS 0 is nobody (RFC 7607)') : ok(Asn(number.value));
}

/** A number of 32 bits or an IPv4 address. */
export function parseClusterId(text: string): Result<Ipv4, string> {
  const address = parseAddress(text.trim());
  if (address.ok && address.value.version === 4) return ok(address.value.value);
  const number = parseNumber(text, 0xffff_ffff);
  return number.ok ? ok(Ipv4(number.value)) : err(`"${text}" is not a cluster id: a number, or an IPv4 address`);
}

export function readPrefixes(text: string | undefined): Reading<readonly IpPrefix[]> {
  return readList(listItems(text), parseCidr);
}

/** strconv.ParseBool. */
export function parseBool(text: string): Result<boolean, string> {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return ok(true);
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? ok(false) : err(`"${text}" is neither true nor false`);
}

export interface Communities {
  /** RFC 1997 values. */
  readonly standard: readonly number[];
  /** RFC 8092 values. */
  readonly large: readonly LargeCommunity[];
}

export const NO_COMMUNITIES: Communities = { standard: [], large: [] };

/** Names that kube-router takes and IANA does not list so. */
const OLDER_NAMES: Readonly<Record<string, number>> = { internet: 0, 'planned-shut': 0xffff_0000 };

/** A comma list of numbers, `a:b`, `a:b:c` and names. */
export function readCommunities(text: string | undefined): Reading<Communities> {
  const reading = readList(listItems(text), parseEither);
  if (!reading.readable) return reading;
  const standard = reading.value.filter(item => typeof item === 'number');
  const large = reading.value.filter(item => typeof item !== 'number');
  return { ...reading, value: { standard, large } };
}

function parseEither(item: string): Result<number | LargeCommunity, string> {
  if (item.split(':').length === 3) return parseLargeCommunity(item);
  const older = Object.hasOwn(OLDER_NAMES, item) ? OLDER_NAMES[item] : undefined;
  if (older !== undefined) return ok(older);
  return /^\d+$/.test(item) ? parseNumber(item, 0xffff_ffff) : parseCommunity(item);
}
