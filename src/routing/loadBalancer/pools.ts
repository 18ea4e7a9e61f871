/** Pools that load-balancer addresses are given out of: ranges, and which services may have an address of them. */

import { addressBits, formatAddress, ipv4, prefixContains, type IpAddress, type IpPrefix } from '../../core/ip.js';
import type { Service } from '../../kube/objectTypes.js';

export interface Pool {
  readonly name: string;
  readonly ranges: readonly IpPrefix[];
  /** Only services of these namespaces; undefined: of all. */
  readonly namespaces?: readonly string[];
  /** Only services that have these labels; undefined: all. */
  readonly labels?: Readonly<Record<string, string>>;
  /** False: only addresses that are asked for. */
  readonly automatic: boolean;
}

export interface LoadBalancerOptions {
  /** In order of preference. */
  readonly pools: readonly Pool[];
  /** Services without spec.loadBalancerClass are ours too. */
  readonly defaultClass: boolean;
  /** spec.loadBalancerClass of services that are ours. */
  readonly classes: readonly string[];
}

/** kube-router's names of its class, and our own. */
export const BALANCER_CLASSES: readonly string[] = ['kube-router', 'default', 'peerage'];

export function mayUse({ namespaces, labels }: Pool, service: Service): boolean {
  const isOfNamespace = namespaces?.includes(service.namespace) ?? true;
  return isOfNamespace && Object.entries(labels ?? {}).every(([key, value]) => service.labels[key] === value);
}

/**
 * Whether an address of a range can be given out. The first and the last of an IPv4 range are its network and broadcast
 * addresses where it is a subnet, and many a router refuses them; of an IPv6 range the first is the routers' (RFC 4291
 * section 2.6.1). Ranges of one or two addresses have neither (RFC 3021, RFC 6164).
 */
export function isUsable(range: IpPrefix, address: IpAddress): boolean {
  if (!prefixContains(range, address)) return false;
  const hostBits = addressBits(address) - range.length;
  if (hostBits <= 1) return true;
  const offset = hostPart(address, hostBits);
  if (offset === 0n) return false;
  return address.version === 6 || offset !== (1n << BigInt(hostBits)) - 1n;
}

/** The addresses of a range that can be given out, in order, one at a time: a range may hold 2^96 of them. */
export function* usableAddresses(range: IpPrefix): Iterable<IpAddress> {
  const count = 1n << BigInt(addressBits(range.address) - range.length);
  for (let offset = 0n; offset < count; offset++) {
    const address = addressAfter(range.address, offset);
    if (isUsable(range, address)) yield address;
  }
}

export function poolText(pools: readonly Pool[]): string {
  return pools.length === 0 ? 'no pool' : `pool ${pools.map(({ name }) => name).join(', ')}`;
}

export function addressKey(address: IpAddress): string {
  return formatAddress(address);
}

const WORD = 0xffff_ffffn;

function hostPart(address: IpAddress, bits: number): bigint {
  return valueOf(address) & ((1n << BigInt(bits)) - 1n);
}

function valueOf(address: IpAddress): bigint {
  const words = address.version === 4 ? [address.value] : address.words;
  return words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
}

/** @returns the address so many further on */
export function addressAfter(address: IpAddress, offset: bigint): IpAddress {
  const value = valueOf(address) + offset;
  if (address.version === 4) return ipv4(Number(value & WORD));
  const word = (shift: bigint): number => Number((value >> shift) & WORD);
  return { version: 6, words: [word(96n), word(64n), word(32n), word(0n)] };
}
