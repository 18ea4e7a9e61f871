/**
 * Which subnet each host outside the cluster gets that asks for one: a pure function of what all of them ask and have, so that
 * any leader comes to the same answer. What is held stays; the oldest request goes first.
 */

import { addressBits, formatPrefix, parsePrefix, prefixContains, type IpPrefix } from '../core/ip.js';
import { addressAfter } from './loadBalancer/pools.js';

/** Prefix lengths that are asked for. */
export interface SubnetAsk {
  readonly ipv4?: number;
  readonly ipv6?: number;
}

export interface SubnetRequest {
  readonly name: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly ask: SubnetAsk;
  readonly held: readonly IpPrefix[];
}

export interface SubnetGrant {
  /** One of each family at most, IPv4 first. */
  readonly subnets: readonly IpPrefix[];
  readonly complaints: readonly string[];
}

/** @returns keyed by name */
export function allocateSubnets(
  requests: readonly SubnetRequest[],
  ranges: readonly IpPrefix[],
): ReadonlyMap<string, SubnetGrant> {
  const taken: IpPrefix[] = [];
  const grants = new Map<string, { readonly subnets: Map<4 | 6, IpPrefix>; readonly complaints: string[] }>();
  const inOrder = [...requests].sort((a, b) => (ageOf(a) < ageOf(b) ? -1 : ageOf(a) > ageOf(b) ? 1 : 0));
  for (const { name, ask, held } of inOrder) {
    const kept = held.filter(subnet => isKept(subnet, ask, ranges, taken));
    const subnets = new Map(kept.map(subnet => [subnet.address.version, subnet] as const));
    taken.push(...subnets.values());
    grants.set(name, { subnets, complaints: [] });
  }
  for (const { name, ask } of inOrder) {
    const { subnets, complaints } = grants.get(name) ?? { subnets: new Map<4 | 6, IpPrefix>(), complaints: [] };
    for (const version of [4, 6] as const) {
      const length = lengthOf(ask, version);
      if (length === undefined || subnets.has(version)) continue;
      const free = freeSubnet(version, length, ranges, taken);
      if (free === undefined) complaints.push(`gets no IPv${version} subnet: no /${length} is free`);
      else {
        taken.push(free);
        subnets.set(version, free);
      }
    }
  }
  return new Map(
    [...grants].map(([name, { subnets, complaints }]) => [name, { subnets: listOf(subnets), complaints }]),
  );
}

function ageOf({ createdAt, name }: SubnetRequest): string {
  return `${createdAt} ${name}`;
}

function listOf(subnets: ReadonlyMap<4 | 6, IpPrefix>): readonly IpPrefix[] {
  return [subnets.get(4), subnets.get(6)].filter(subnet => subnet !== undefined);
}

function lengthOf({ ipv4, ipv6 }: SubnetAsk, version: 4 | 6): number | undefined {
  return version === 4 ? ipv4 : ipv6;
}

function isKept(subnet: IpPrefix, ask: SubnetAsk, ranges: readonly IpPrefix[], taken: readonly IpPrefix[]): boolean {
  const isAsked = lengthOf(ask, subnet.address.version) === subnet.length;
  return isAsked && ranges.some(range => isInside(subnet, range)) && !taken.some(other => overlaps(subnet, other));
}

function freeSubnet(
  version: 4 | 6,
  length: number,
  ranges: readonly IpPrefix[],
  taken: readonly IpPrefix[],
): IpPrefix | undefined {
  for (const range of ranges) {
    if (range.address.version !== version || range.length > length) continue;
    const size = 1n << BigInt(addressBits(range.address) - length);
    const count = 1n << BigInt(length - range.length);
    for (let i = 0n; i < count; i++) {
      const subnet = { address: addressAfter(range.address, i * size), length };
      if (!taken.some(other => overlaps(subnet, other))) return subnet;
    }
  }
  return undefined;
}

function overlaps(a: IpPrefix, b: IpPrefix): boolean {
  return isInside(a, b) || isInside(b, a);
}

function isInside(inner: IpPrefix, outer: IpPrefix): boolean {
  return inner.length >= outer.length && prefixContains(outer, inner.address);
}

/** `ipv4/24, ipv6/64`, as it stands in the cluster. */
export function formatAsk({ ipv4, ipv6 }: SubnetAsk): string {
  return [ipv4 === undefined ? [] : [`ipv4/${ipv4}`], ipv6 === undefined ? [] : [`ipv6/${ipv6}`]].flat().join(', ');
}

/** @returns undefined for what nobody of us wrote */
export function parseAsk(text: string): SubnetAsk | undefined {
  const ask: { ipv4?: number; ipv6?: number } = {};
  for (const part of text.split(',')) {
    const [, family, digits] = /^\s*(ipv4|ipv6)\/(\d{1,3})\s*$/.exec(part) ?? [];
    const length = Number(digits);
    if ((family !== 'ipv4' && family !== 'ipv6') || length > (family === 'ipv4' ? 32 : 128)) return undefined;
    ask[family] = length;
  }
  return ask;
}

export function formatSubnets(subnets: readonly IpPrefix[]): string {
  return subnets.map(formatPrefix).join(', ');
}

/** What cannot be read is left out. */
export function parseSubnets(text: string): readonly IpPrefix[] {
  return text.split(',').flatMap(part => {
    const parsed = parsePrefix(part.trim());
    return parsed.ok ? [parsed.value] : [];
  });
}
