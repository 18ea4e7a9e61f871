/** AS numbers. */

import type { Brand } from '../core/brand.js';

/** A four-octet AS number, 1 .. 2^32-1. Source: RFC 6793; 0 is barred by RFC 7607. */
export type Asn = Brand<number, 'Asn'>;
/** @throws RangeError when `n` is no AS number: the caller's mistake, never a peer's. */
export function Asn(n: number): Asn {
  if (!Number.isInteger(n) || n < 1 || n > 0xffff_ffff) throw new RangeError(`not an AS number: ${n}`);
  return n as Asn;
}

/** Stands in two-octet fields for an AS number that does not fit (RFC 6793 section 9). */
export const AS_TRANS = 23456;
