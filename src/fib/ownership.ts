/** Which kernel routes are ours: told by protocol and table alone, so that a restart recognises them without memory. */

import { RTPROT_BGP, RT_TABLE_MAIN } from '../kernel/rtnetlink.js';

export interface Ownership {
  /** RTPROT_* of our routes; nobody else on the machine may use it in this table. */
  readonly protocol: number;
  readonly table: number;
  /**
   * Kernel metric of our routes. IPv4 and IPv6 tell routes to one destination apart by it and replace by it, so one
   * that nobody else uses makes sure that we never replace a stranger's route.
   */
  readonly metric: number;
}

export const DEFAULT_OWNERSHIP: Ownership = { protocol: RTPROT_BGP, table: RT_TABLE_MAIN, metric: 20 };

/** Ours, or left by one of our kind: with another metric it is what an earlier configuration made, and is removed. */
export function isOurs(owner: Ownership, route: { readonly protocol: number; readonly table: number }): boolean {
  return route.protocol === owner.protocol && route.table === owner.table;
}

/** In the very place where our route to that destination stands. */
export function inOurPlace(owner: Ownership, route: { readonly metric: number; readonly table: number }): boolean {
  return route.table === owner.table && route.metric === owner.metric;
}
