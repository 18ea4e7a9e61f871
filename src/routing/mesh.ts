/** Who peers with whom inside the cluster. A pure function of two nodes: full mesh, AS of each node, route reflectors. */

import { formatAddress, type IpAddress } from '../core/ip.js';
import type { Problem } from '../kube/problems.js';
import { addressesOf, type Claims } from './claims.js';
import type { MeshPeer } from './intent.js';
import { ASN_ANNOTATION, type NodeFacts } from './nodeFacts.js';
import type { RoutingOptions } from './routingOptions.js';

export type MeshOptions = Pick<RoutingOptions, 'mesh' | 'fullMesh' | 'ipv4' | 'ipv6'>;

export interface MeshVerdict {
  readonly peer: MeshPeer | undefined;
  readonly problems: readonly Problem[];
}

const NO_PEER: MeshVerdict = { peer: undefined, problems: [] };

/**
 * The session between this node and another. IPv4 is taken wherever both have it, else IPv6, so that both ends choose
 * the same pair of addresses whatever order their InternalIPs stand in.
 */
export function meshPeer(own: NodeFacts, other: NodeFacts, claims: Claims, options: MeshOptions): MeshVerdict {
  if (!options.mesh) return NO_PEER;
  if (!options.fullMesh && other.asn === undefined)
    return onlyProblem(
      other,
      `has no annotation ${ASN_ANNOTATION}, which says its AS: no BGP session is set up with it`,
    );
  // A node without addresses is a problem of its own, reported with its facts.
  if (addressesOf(other).length === 0 || addressesOf(own).length === 0) return NO_PEER;
  if ((!options.fullMesh && other.asn !== own.asn) || !rolesMeet(own, other)) return NO_PEER;
  const pair = addressPair(own, other);
  if (pair === undefined)
    return onlyProblem(other, `has no address of a family that ${own.name} has: no BGP session between them`);
  // Who else has the address is told by claimProblems in nodes.ts; whoever has it first is the one to talk to, and never oneself.
  const isTaken = claims.ownerOfAddress(other, pair.address) !== undefined;
  if (isTaken || formatAddress(pair.address) === formatAddress(pair.local)) return NO_PEER;
  const reflectorClient = own.reflector?.role === 'server' && other.reflector?.role === 'client';
  return { peer: { kind: 'node', name: `node/${other.name}`, ...pair, reflectorClient }, problems: [] };
}

/**
 * A client speaks with the servers of its cluster and with nobody else; all others speak with each other. The same
 * from both ends.
 */
function rolesMeet({ reflector: a }: NodeFacts, { reflector: b }: NodeFacts): boolean {
  if (a?.role !== 'client' && b?.role !== 'client') return true;
  return a !== undefined && b !== undefined && a.role !== b.role && a.clusterId === b.clusterId;
}

function addressPair(
  own: NodeFacts,
  other: NodeFacts,
): { readonly local: IpAddress; readonly address: IpAddress } | undefined {
  if (own.v4 !== undefined && other.v4 !== undefined) return { local: own.v4, address: other.v4 };
  if (own.v6 !== undefined && other.v6 !== undefined) return { local: own.v6, address: other.v6 };
  return undefined;
}

function onlyProblem(node: NodeFacts, text: string): MeshVerdict {
  return { peer: undefined, problems: [{ subject: `Node ${node.name}`, text }] };
}
