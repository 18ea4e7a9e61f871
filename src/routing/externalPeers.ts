/** Routers outside the cluster that this node speaks with: those of the configuration and those of its annotations together. */

import { formatAddress } from '../core/ip.js';
import type { Problem } from '../kube/problems.js';
import type { RouterPeer } from './intent.js';
import type { ExternalDefaults, ExternalPeer, RoutingOptions } from './routingOptions.js';

/**
 * Where both name an address the annotation goes before: it is closer to the node.
 * @returns keyed by name
 */
export function externalPeers(
  { externalPeers: everywhere, externalDefaults }: RoutingOptions,
  ofNode: readonly ExternalPeer[],
): ReadonlyMap<string, RouterPeer> {
  const peers = [...everywhere, ...ofNode].map(peer => routerPeer(peer, externalDefaults));
  return new Map(peers.map(peer => [peer.name, peer]));
}

function routerPeer(peer: ExternalPeer, defaults: ExternalDefaults): RouterPeer {
  const { multihopTtl: ttl = 0, ...rest } = { ...defaults, ...peer };
  return {
    kind: 'router',
    name: `router/${formatAddress(peer.address)}`,
    ...rest,
    ...(ttl >= 2 ? { multihopTtl: ttl } : {}),
  };
}

/** What is asked of these peers and cannot be had. */
export function externalProblems(peers: Iterable<RouterPeer>): readonly Problem[] {
  return [...peers].flatMap(({ name, bfd }) =>
    bfd === undefined
      ? []
      : [{ subject: name, text: 'BFD is asked for, and not built yet: the hold time watches alone' }],
  );
}
