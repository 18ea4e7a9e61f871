/** Addresses inside netlink attributes as values. */

import { ipv4, type IpAddress } from '../core/ip.js';
import type { AttributeCursor } from './netlink/reader.js';
import { AF_INET, AF_INET6 } from './rtnetlink.js';

/** @returns undefined for a family that is neither IPv4 nor IPv6, and for an attribute of the wrong size */
export function readAddress(attribute: AttributeCursor, family: number): IpAddress | undefined {
  if (family === AF_INET && attribute.size === 4) return ipv4(attribute.addressWord(0));
  if (family !== AF_INET6 || attribute.size !== 16) return undefined;
  const word = (i: number): number => attribute.addressWord(i * 4);
  return { version: 6, words: [word(0), word(1), word(2), word(3)] };
}
