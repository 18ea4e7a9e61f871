/**
 * What a service port is known by in the proxy's maps: eight octets made from the `address . protocol . port` of its cluster
 * IP, the same in every life of the program, so that nothing has to be remembered to find it in the kernel again. IPv4
 * fits as it is. Of IPv6 it is a hash: of 100,000 service ports two are alike once in four billion clusters.
 */

import { createHash } from 'node:crypto';
import type { Family } from '../proxyTypes.js';
import { describeEndpoint } from '../../kernel/nftables/elements.js';

/** Octets of an identity. */
export const IDENTITY_SIZE = 8;
/**
 * Backends are spread over so many maps, since the kernel begins at a map's first element for each page of a dump: reading
 * one map of 250,000 elements takes 3.5 s, reading sixteen of a sixteenth 0.3 s.
 */
export const SHARDS = 16;

/** @param endpoint octets of `address . protocol . port` */
export function identityOctets(endpoint: string, family: Family): string {
  if (family === 6)
    return createHash('sha256').update(endpoint, 'latin1').digest().toString('latin1', 0, IDENTITY_SIZE);
  // The protocol's register and the port's have two octets each that are always 0.
  return `${endpoint.slice(0, 5)}\0${endpoint.slice(8, 10)}`;
}

/** 0 .. SHARDS - 1; neighbouring addresses are spread evenly. */
export function shardOf(identity: string): number {
  let sum = 0;
  for (let i = 0; i < IDENTITY_SIZE; i++) sum = (Math.imul(sum, 31) + identity.charCodeAt(i)) >>> 0;
  return ((sum ^ (sum >>> 4) ^ (sum >>> 8)) >>> 0) % SHARDS;
}

/** For messages: an endpoint, or of IPv6 the identity itself. */
export function describeIdentity(identity: string, family: Family): string {
  if (family === 6) return Buffer.from(identity, 'latin1').toString('hex');
  return describeEndpoint(`${identity.slice(0, 5)}\0\0\0${identity.slice(6, 8)}\0\0`, family);
}
