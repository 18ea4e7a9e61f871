/** Things that may stand in a configuration once only. Pure. */

import type { SessionConfig } from '../../bgp/session/sessionTypes.js';
import { formatAddress, formatPrefix } from '../../core/ip.js';
import type { EngineDynamicRange, EnginePeer } from '../../engine/engineTypes.js';
import type { Complain } from './configError.js';

/** Lists are indexed as in the file; what had mistakes of its own is undefined. */
export function complainOfDoubles(
  peers: readonly (EnginePeer | undefined)[],
  ranges: readonly EngineDynamicRange[],
  complain: Complain,
): void {
  const earlier = <T>(list: readonly (T | undefined)[], i: number, key: (item: T) => string): number => {
    const item = list[i];
    return item === undefined
      ? -1
      : list.findIndex((other, j) => j < i && other !== undefined && key(other) === key(item));
  };
  peers.forEach((peer, i) => {
    if (peer === undefined) return;
    const sameName = earlier(peers, i, p => p.name);
    if (sameName >= 0) complain(`peers[${i}].name`, `"${peer.name}" is the name of peers[${sameName}] too`);
    const sameAddress = earlier(peers, i, p => `${formatAddress(p.session.remote)} ${localText(p.session)}`);
    if (sameAddress >= 0)
      complain(
        `peers[${i}].address`,
        `${formatAddress(peer.session.remote)} is the address of peers[${sameAddress}] too`,
      );
  });
  ranges.forEach((range, i) => {
    const same = earlier(ranges, i, r => formatPrefix(r.prefix));
    if (same >= 0)
      complain(`dynamicPeers[${i}].prefix`, `${formatPrefix(range.prefix)} is the prefix of dynamicPeers[${same}] too`);
  });
}

function localText(session: SessionConfig): string {
  return session.local === undefined ? '' : formatAddress(session.local);
}
