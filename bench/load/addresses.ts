/** Addresses of the test network: one subnet, the speaker at 10.99.0.1, everybody else behind one link. */

import type { FeedNextHops } from '../workload/feed.js';

export const SPEAKER = '10.99.0.1';
export const SPEAKER6 = 'fd99::1';
export const ASN = 65_000;

/** @param n from 1 */
export function feederAddress(n: number): string {
  return `10.99.1.${n}`;
}

/** @param n from 1, at most 250 */
export function clientAddress(n: number): string {
  return `10.99.2.${n}`;
}

/** The one that connects when everybody else has the table. */
export const LATE_CLIENT = '10.99.4.1';
/** A client that is sent no routes at all, only keepalives. */
export const WATCHER = '10.99.4.2';

/** Next hops of all feeds: on the link, so that they resolve, and nobody's. */
export const testNextHops: FeedNextHops = {
  base4: 0x0a_63_03_01,
  base6: Uint8Array.from([0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]),
};

/** A BGP identifier is the address it connects from. */
export function routerIdOf(address: string): number {
  return address.split('.').reduce((id, octet) => id * 256 + Number(octet), 0);
}
