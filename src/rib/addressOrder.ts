/** The order of addresses for the last tie-break of RFC 4271 section 9.1.2.2 (g): as unsigned numbers, IPv4 before IPv6. */

import type { IpAddress } from '../core/ip.js';

/** Negative when `a` comes first, 0 when equal. */
export function compareAddresses(a: IpAddress, b: IpAddress): number {
  if (a.version === 4) return b.version === 4 ? a.value - b.value : -1;
  if (b.version === 4) return 1;
  for (let i = 0; i < 4; i++) {
    const difference = a.words[i]! - b.words[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
