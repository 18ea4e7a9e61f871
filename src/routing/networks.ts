/** The pod networks this node announces. */

import { formatPrefix } from '../core/ip.js';
import type { Claims } from './claims.js';
import type { PodNetwork } from './intent.js';
import type { NodeFacts } from './nodeFacts.js';

/**
 * The node's own pod networks, without those that an earlier node has a claim to.
 * @returns keyed by prefix text
 */
export function podNetworks(own: NodeFacts, claims: Claims): ReadonlyMap<string, PodNetwork> {
  const granted = own.podCidrs.filter(prefix => claims.ownerOfPrefix(own, prefix) === undefined);
  return new Map(granted.map(prefix => [formatPrefix(prefix), { prefix }]));
}
