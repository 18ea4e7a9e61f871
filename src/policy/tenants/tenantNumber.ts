/**
 * Numbers of tenant networks. Namespaces with the same number are one network; 0 is the network that reaches all and is
 * reached by all. The numbers are those of OpenShift SDN (VNIDs), so that a cluster can be read by who knows that.
 */

import type { Brand } from '../../core/brand.js';

export type TenantNumber = Brand<number, 'TenantNumber'>;

/** @throws RangeError when `n` is none: the caller's mistake */
export function TenantNumber(n: number): TenantNumber {
  if (!Number.isInteger(n) || n < 0 || n > 0xffff_ffff) throw new RangeError(`not the number of a tenant: ${n}`);
  return n as TenantNumber;
}

/** Reaches all, and all reach it. */
export const GLOBAL = TenantNumber(0);
/** Of who has no number (yet), or none that can be used: reaches nobody but global ones, not even its own kind. */
export const CLOSED = TenantNumber(1);
/** 1 to 9 are reserved. */
export const FIRST = 10;
/** As many as VXLAN has. */
export const LAST = 0xff_ffff;

/** @returns undefined for what is no number that may be given out, or 0 */
export function parseTenantNumber(text: string): TenantNumber | undefined {
  if (!/^\d{1,8}$/.test(text)) return undefined;
  const number = Number(text);
  return number === 0 || (number >= FIRST && number <= LAST) ? TenantNumber(number) : undefined;
}

/**
 * A number made from a name, where nobody can write down which one was given: above all that are given out, the same on
 * every node. Two names rarely have the same (FNV-1a, 31 bits).
 */
export function derivedNumber(name: string): TenantNumber {
  let hash = 0x811c_9dc5;
  for (const octet of Buffer.from(name)) hash = Math.imul(hash ^ octet, 0x0100_0193) >>> 0;
  return TenantNumber(LAST + 1 + ((hash ^ (hash >>> 31)) & 0x7fff_ffff));
}
