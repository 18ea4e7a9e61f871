/** Sessions that routing wants, as peers of the engine: made from two templates that the configuration fills in. */

import type { PerFamily } from '../bgp/families.js';
import type { SessionConfig } from '../bgp/session/sessionTypes.js';
import type { EnginePeer, PeerRouting } from '../engine/engineTypes.js';
import { servedCluster, type MeshPeer, type OwnNode, type PeerIntent, type RouterPeer } from '../routing/intent.js';
import { CLUSTER_POLICIES } from '../routing/policies.js';
import type { RoutingOptions } from '../routing/routingOptions.js';

export interface Templates {
  readonly node: EnginePeer;
  readonly router: EnginePeer;
  readonly options: RoutingOptions;
  readonly own: OwnNode;
}

export function enginePeer(peer: PeerIntent, templates: Templates): EnginePeer {
  return peer.kind === 'node' ? nodePeer(peer, templates) : routerPeer(peer, templates);
}

function nodePeer({ name, address, local, reflectorClient }: MeshPeer, { node, options, own }: Templates): EnginePeer {
  const isReflector = servedCluster(own) !== undefined;
  return {
    name,
    session: { ...node.session, remote: address, local, families: served(node.session.families, options) },
    routing: {
      ...chained(node.routing, 'fromNodes', 'toNodes'),
      routeReflectorClient: reflectorClient,
      announce: isReflector ? 'all' : 'own',
    },
  };
}

function routerPeer(peer: RouterPeer, { router, options, own }: Templates): EnginePeer {
  const { holdTime, multihopTtl, local, password } = peer;
  const session: SessionConfig = {
    ...router.session,
    remote: peer.address,
    remotePort: peer.port,
    remoteAsn: peer.asn,
    families: served(router.session.families, options),
    ...(holdTime === undefined ? {} : { holdTime }),
    ...(multihopTtl === undefined ? {} : { hops: { kind: 'multihop', ttl: multihopTtl } }),
    ...(local === undefined ? {} : { local }),
    ...(password === undefined ? {} : { password }),
  };
  const reflects = options.reflectToExternal && servedCluster(own) !== undefined;
  return {
    name: peer.name,
    session,
    routing: {
      ...chained(router.routing, 'fromRouters', 'toRouters'),
      announce: reflects ? 'all' : 'own',
      ...(options.overrideNextHop ? { nextHopSelf: 'always' } : {}),
    },
  };
}

/** `--enable-ipv4`, `--enable-ipv6`. */
function served([v4, v6]: PerFamily<boolean>, { ipv4, ipv6 }: RoutingOptions): PerFamily<boolean> {
  return [v4 && ipv4, v6 && ipv6];
}

/**
 * A peer of the configuration file is treated as a router around the cluster. Its own policies come first and may decide;
 * one that is to be told everything (announce: all) is told so.
 */
export function withClusterPolicies<T extends { readonly routing: PeerRouting }>(peer: T): T {
  const { importPolicy, exportPolicy } = chained(peer.routing, 'fromRouters', 'toRouters');
  const told = peer.routing.announce === 'all' ? {} : { exportPolicy };
  return { ...peer, routing: { ...peer.routing, importPolicy, ...told } };
}

function chained(
  routing: PeerRouting,
  from: keyof typeof CLUSTER_POLICIES,
  to: keyof typeof CLUSTER_POLICIES,
): PeerRouting & Required<Pick<PeerRouting, 'importPolicy' | 'exportPolicy'>> {
  return {
    ...routing,
    importPolicy: [...(routing.importPolicy ?? []), CLUSTER_POLICIES[from]],
    exportPolicy: [...(routing.exportPolicy ?? []), CLUSTER_POLICIES[to]],
  };
}
