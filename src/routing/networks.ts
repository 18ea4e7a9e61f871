/** The networks this node announces whatever services there are: its pods', aggregates, and static ones. */

import { formatPrefix, type IpPrefix } from '../core/ip.js';
import type { Claims } from './claims.js';
import type { NetworkIntent } from './intent.js';
import type { NodeFacts } from './nodeFacts.js';
import type { NetworkAttributes, RoutingOptions } from './routingOptions.js';

/**
 * The node's own pod networks, without those that an earlier node has a claim to, and what the configuration adds.
 * Where two are the same prefix, pods go before static networks and those before aggregates.
 * @param own undefined while the node has no object  @returns keyed by prefix text
 */
export function ownNetworks(
  own: NodeFacts | undefined,
  claims: Claims,
  options: Pick<RoutingOptions, 'networks' | 'aggregates' | 'ipv4' | 'ipv6'>,
): ReadonlyMap<string, NetworkIntent> {
  if (own === undefined) return new Map();
  const aggregates = options.aggregates.map(({ summaryOnly, ...rest }): NetworkIntent => ({
    ...rest,
    tag: 'aggregate',
    aggregate: { summaryOnly },
  }));
  const statics = options.networks.map(({ prefix, ...rest }): NetworkIntent => ({
    ...attributesOf(rest),
    prefix,
    tag: 'static',
  }));
  const pods = own.podCidrs
    .filter(prefix => claims.ownerOfPrefix(own, prefix) === undefined)
    .map((prefix): NetworkIntent => ({ prefix, tag: 'pod' }));
  const all = [...aggregates, ...statics, ...pods].filter(({ prefix }) => isServed(options, prefix));
  return new Map(all.map(network => [formatPrefix(network.prefix), network]));
}

/** Whether this family is announced at all. */
export function isServed({ ipv4, ipv6 }: Pick<RoutingOptions, 'ipv4' | 'ipv6'>, { address }: IpPrefix): boolean {
  return address.version === 4 ? ipv4 : ipv6;
}

function attributesOf({ med, localPref, communities, largeCommunities }: NetworkAttributes): NetworkAttributes {
  return {
    ...(med === undefined ? {} : { med }),
    ...(localPref === undefined ? {} : { localPref }),
    ...(communities === undefined ? {} : { communities }),
    ...(largeCommunities === undefined ? {} : { largeCommunities }),
  };
}
