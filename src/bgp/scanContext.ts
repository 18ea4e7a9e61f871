/** What the meaning of an UPDATE's octets depends on, for one session; made once when the session comes up. */

import type { PerFamily } from './families.js';

export interface ScanContext {
  readonly ebgp: boolean;
  readonly fourOctetAs: boolean;
  readonly families: PerFamily<boolean>;
  readonly addPathReceive: PerFamily<boolean>;
  readonly extendedNextHop: PerFamily<boolean>;
  readonly localAsn: number;
  readonly remoteAsn: number;
  readonly localId: number;
  /** 0 when this speaker reflects for nobody. */
  readonly clusterId: number;
  /** Refuse eBGP routes whose AS_PATH does not begin with the peer's AS (RFC 4271 section 6.3). Off towards route servers. */
  readonly enforceFirstAs: boolean;
  /** The peer itself speaks from a loopback address, so that its next hops may be such addresses; from others they lead to ourselves. */
  readonly loopbackNextHops: boolean;
}
