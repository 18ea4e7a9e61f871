/** Things that may stand in a configuration once only. Pure. */

import { formatAddress, formatPrefix } from '../../core/ip.js';
import type { EngineDynamicRange, EngineNetwork, EnginePeer } from '../../engine/engineTypes.js';
import type { Complain } from './configError.js';

interface Lists {
  /** Undefined: one that has mistakes of its own. */
  readonly peers: readonly (EnginePeer | undefined)[];
  readonly ranges: readonly EngineDynamicRange[];
  readonly networks: readonly EngineNetwork[];
}

/** @param lists indexed as in the file */
export function complainOfDoubles({ peers, ranges, networks }: Lists, complain: Complain): void {
  eachDouble(
    peers.map(peer => peer?.name),
    (name, i, first) => complain(`peers[${i}].name`, `"${name}" is the name of peers[${first}] too`),
  );
  // One router may be met on two sessions, from two addresses of ours.
  eachDouble(
    peers.map(peer => peer && endsOf(peer)),
    (_ends, i, first) => complain(`peers[${i}].address`, `is the address of peers[${first}] too`),
  );
  eachDouble(
    ranges.map(range => formatPrefix(range.prefix)),
    (prefix, i, first) =>
      complain(`dynamicPeers[${i}].prefix`, `${prefix} is the prefix of dynamicPeers[${first}] too`),
  );
  eachDouble(
    networks.map(network => formatPrefix(network.prefix)),
    (prefix, i, first) => complain(`networks[${i}]`, `${prefix} is networks[${first}] too`),
  );
}

function endsOf({ session: { remote, local } }: EnginePeer): string {
  return `${formatAddress(remote)} ${local === undefined ? '' : formatAddress(local)}`;
}

function eachDouble(
  keys: readonly (string | undefined)[],
  tell: (key: string, index: number, first: number) => void,
): void {
  const seen = new Map<string, number>();
  for (const [i, key] of keys.entries()) {
    if (key === undefined) continue;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, i);
    else tell(key, i, first);
  }
}
