/** What flags' values must be beyond their kind: kube-router's own checks, in words. Pure. */

import { parseAddress, parsePrefix } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import { formatDuration } from './goValues.js';

export function oneOf(...allowed: readonly string[]): (value: string) => string | undefined {
  return value => (allowed.includes(value) ? undefined : `must be one of ${allowed.join(', ')}`);
}

/** Both ends count. */
export function between(low: number, high: number): (value: number) => string | undefined {
  return value => (value >= low && value <= high ? undefined : `must be ${low} to ${high}`);
}

/** Both ends count, in seconds. */
export function lasting(low: number, high: number): (value: number) => string | undefined {
  return value =>
    value >= low && value <= high ? undefined : `must be ${formatDuration(low)} to ${formatDuration(high)}`;
}

export function positive(value: number): string | undefined {
  return value > 0 ? undefined : 'must be more than 0';
}

/** More than nothing, in seconds. */
export function upTo(high: number): (value: number) => string | undefined {
  return value => (value > 0 && value <= high ? undefined : `must be more than 0 and at most ${formatDuration(high)}`);
}

/** Private AS numbers (RFC 6996), as kube-router wants them for the cluster; 0 is its way to say nothing. */
export function clusterAsn(value: number): string | undefined {
  const isPrivate = (value >= 64512 && value <= 65535) || (value >= 4_200_000_000 && value <= 4_294_967_294);
  if (value === 0 || isPrivate) return undefined;
  return 'must be 64512 to 65535 or 4200000000 to 4294967294; router.asn in the configuration file takes any AS number';
}

/** Numbers that no router outside has: 0 (RFC 7607), AS_TRANS (RFC 6793), those for documentation (RFC 5398), the last ones (RFC 7300). */
const RESERVED: readonly (readonly [number, number])[] = [
  [0, 0],
  [23456, 23456],
  [64000, 64511],
  [65535, 131_071],
  [4_294_967_295, 4_294_967_295],
];

export function peerAsns(values: readonly number[]): string | undefined {
  const bad = values.find(value => RESERVED.some(([low, high]) => value >= low && value <= high));
  return bad === undefined ? undefined : `${bad} is a reserved AS number`;
}

export function ports(values: readonly number[]): string | undefined {
  const bad = values.find(value => value < 1 || value > 65535);
  return bad === undefined ? undefined : `${bad}: a port is 1 to 65535`;
}

/** At most one range of each family. */
export function onePerFamily(values: readonly string[]): string | undefined {
  const isV6 = values.map(value => value.includes(':'));
  if (values.length <= 2 && new Set(isV6).size === values.length) return undefined;
  return 'must be one range, or one of each IP version';
}

/** `30000-32767`, also with a colon. */
export function portRange(value: string): string | undefined {
  const [low, high] = /^(\d{1,5})[-:](\d{1,5})$/.exec(value)?.slice(1).map(Number) ?? [];
  const isRange = low !== undefined && high !== undefined && low >= 1 && low <= high && high <= 65535;
  return isRange ? undefined : 'is not a range of ports, such as 30000-32767';
}

/** One part of a list of addresses; the reason leaves the part out, which whoever tells it names. */
export function addressPart(part: string): Result<unknown, string> {
  return parseAddress(part).ok ? ok(undefined) : err('is not an IP address');
}

export function prefixPart(part: string): Result<unknown, string> {
  const parsed = parsePrefix(part);
  return parsed.ok ? parsed : err(parsed.error.replace(`"${part}"`, '').replace(/^[: ]+/, ''));
}

/** Standard base64; empty stands for no key. */
export function base64Part(part: string): Result<unknown, string> {
  return isBase64(part) ? ok(undefined) : err('is not base64');
}

export function isBase64(part: string): boolean {
  return /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/.test(part);
}
