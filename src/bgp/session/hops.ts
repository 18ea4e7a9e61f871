/** TTL of what a session sends and accepts. RFC 4271 leaves it open; GTSM is RFC 5082. */

import type { HopLimit } from './sessionTypes.js';
import type { SocketHops } from './socketTypes.js';

const MAX_TTL = 255;

/** @param kind undefined while the peer's AS is not known (dynamic peers): the system's default until it is */
export function socketHops(hops: HopLimit, kind: 'ebgp' | 'ibgp' | undefined): SocketHops {
  switch (hops.kind) {
    case 'direct':
      return kind === 'ebgp' ? { ttl: 1 } : {};
    case 'multihop':
      return { ttl: hops.ttl };
    case 'gtsm':
      return { ttl: MAX_TTL, minTtl: MAX_TTL + 1 - hops.hops };
  }
}
