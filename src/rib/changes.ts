/** What leaves the Loc-RIB for readers outside the engine: one batch, one family, typed arrays that can cross a thread. */

import type { IpAddress } from '../core/ip.js';
import type { FamilyIndex } from '../bgp/families.js';

/** An interned, ordered set of next hops (more than one with multipath). Ids are small and used again once unused. */
export interface NextHopSet {
  readonly id: number;
  readonly nextHops: readonly IpAddress[];
}

export interface RibChanges {
  readonly family: FamilyIndex;
  readonly count: number;
  /** One word per prefix for IPv4, four for IPv6. */
  readonly addresses: Uint32Array;
  readonly lengths: Uint8Array;
  /** Per prefix the id of its next-hop set; 0: no route (withdrawn, or originated here: the kernel has its own). */
  readonly nextHopSets: Uint32Array;
  /** Sets that stand in this batch for the first time, or again with another meaning. */
  readonly definitions: readonly NextHopSet[];
}
