/** Who peers with whom inside the cluster. A pure function of two nodes, so that roles (route reflectors) have a place to join. */

import { formatAddress } from '../core/ip.js';
import type { Problem } from '../kube/problems.js';
import { addressesOf, type Claims } from './claims.js';
import type { MeshPeer } from './intent.js';
import type { NodeFacts } from './nodeFacts.js';

export interface MeshOptions {
  /** False: no sessions between nodes. */
  readonly mesh: boolean;
}

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
  // A node without addresses is a problem of its own, reported with its facts.
  if (!options.mesh || addressesOf(other).length === 0 || addressesOf(own).length === 0) return NO_PEER;
  const pair =
    own.v4 !== undefined && other.v4 !== undefined
      ? { local: own.v4, address: other.v4 }
      : own.v6 !== undefined && other.v6 !== undefined
        ? { local: own.v6, address: other.v6 }
        : undefined;
  if (pair === undefined) {
    const text = `has no address of a family that ${own.name} has: no BGP session between them`;
    return { peer: undefined, problems: [{ subject: `Node ${other.name}`, text }] };
  }
  // Who else has the address is told by claimProblems in nodes.ts; whoever has it first is the one to talk to, and never oneself.
  const isTaken = claims.ownerOfAddress(other, pair.address) !== undefined;
  if (isTaken || formatAddress(pair.address) === formatAddress(pair.local)) return NO_PEER;
  return { peer: { name: `node/${other.name}`, ...pair }, problems: [] };
}
