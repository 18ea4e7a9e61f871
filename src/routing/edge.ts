/** A host outside the cluster that runs the agent: it has no Node object, and hears of every pod from nodes or reflectors. */

import type { NodeFacts } from './nodeFacts.js';
import type { EdgeOptions, RoutingOptions } from './routingOptions.js';

/** The host as if it were a node: its addresses, and its subnets in place of pod networks. */
export function edgeFacts(
  name: string,
  { edge, clusterAsn }: { readonly edge: EdgeOptions } & Pick<RoutingOptions, 'clusterAsn'>,
): NodeFacts {
  return {
    name,
    createdAt: undefined,
    v4: edge.addresses.find(address => address.version === 4),
    v6: edge.addresses.find(address => address.version === 6),
    podCidrs: edge.subnets,
    asn: clusterAsn,
    reflector: undefined,
    problems: [],
  };
}

/** Where there are route reflectors, they know everything; nobody else has to be bothered. */
export function isEdgePeer(node: NodeFacts, hasServers: boolean): boolean {
  return !hasServers || node.reflector?.role === 'server';
}
