/**
 * The policies between this node, other nodes and external routers, as kube-router means them: pod networks to all, service
 * addresses outwards, and nothing taken in that would divert what is ours. Route reflectors have them too.
 */

import type {
  NetworkTag,
  Policy,
  PolicyChanges,
  PolicyMatch,
  PolicySet,
  PolicyTerm,
  PrefixList,
} from '../bgp/policyTypes.js';
import { addressBits, parsePrefix, type IpPrefix } from '../core/ip.js';
import type { NodeSettings } from './nodeSettings.js';
import type { RoutingOptions } from './routingOptions.js';

/** Names of the policies that sessions refer to. */
export const CLUSTER_POLICIES = {
  fromNodes: 'cluster/from-nodes',
  fromRouters: 'cluster/from-routers',
  toNodes: 'cluster/to-nodes',
  toRouters: 'cluster/to-routers',
} as const;

const LISTS = {
  ownPods: 'cluster/own-pods',
  rejected: 'cluster/rejected',
  services: 'cluster/services',
  default: 'cluster/default',
  allowed: 'cluster/allowed',
  notToNodes: 'cluster/not-to-nodes',
} as const;

export interface PolicyInput {
  readonly options: RoutingOptions;
  readonly settings: NodeSettings;
  /** This node is a route reflector. */
  readonly reflects: boolean;
  readonly ownPods: readonly IpPrefix[];
  /** Service addresses that are in none of the configured ranges. */
  readonly strayServices: readonly IpPrefix[];
}

const SERVICE_TAGS: readonly NetworkTag[] = ['clusterIp', 'externalIp', 'loadBalancerIp', 'aggregate'];

export function clusterPolicies(input: PolicyInput): PolicySet {
  return {
    prefixLists: prefixLists(input),
    asPaths: {},
    communitySets: {},
    policies: {
      [CLUSTER_POLICIES.fromNodes]: fromPeers(input, 'nodes'),
      [CLUSTER_POLICIES.fromRouters]: fromPeers(input, 'routers'),
      [CLUSTER_POLICIES.toNodes]: toNodes(input),
      [CLUSTER_POLICIES.toRouters]: toRouters(input),
    },
  };
}

function prefixLists({ options, settings, ownPods, strayServices }: PolicyInput): Readonly<Record<string, PrefixList>> {
  const { clusterIpRanges, externalIpRanges, loadBalancerIpRanges } = options.services;
  return {
    [LISTS.ownPods]: insideOf(ownPods),
    [LISTS.rejected]: insideOf([...options.import.reject, ...settings.importReject]),
    [LISTS.services]: insideOf([...clusterIpRanges, ...externalIpRanges, ...loadBalancerIpRanges, ...strayServices]),
    [LISTS.default]: ['0.0.0.0/0', '::/0'].map(text => ({ prefix: prefixOf(text), action: 'permit' })),
    [LISTS.allowed]: insideOf(options.import.allowFromExternal),
    [LISTS.notToNodes]: options.networks
      .filter(({ toNodes: isTold }) => !isTold)
      .map(({ prefix }) => ({ prefix, action: 'permit' })),
  };
}

/** These prefixes and all that is more specific. */
function insideOf(prefixes: readonly IpPrefix[]): PrefixList {
  return prefixes.map(prefix => ({ prefix, le: addressBits(prefix.address), action: 'permit' }));
}

function fromPeers(input: PolicyInput, from: 'nodes' | 'routers'): Policy {
  const { allowFromExternal, serviceAddresses, defaultRoute } = input.options.import;
  const terms = [
    reject('own pod networks', LISTS.ownPods, true),
    reject('rejected prefixes', LISTS.rejected, true),
    reject('service addresses', LISTS.services, !serviceAddresses),
    reject('default route', LISTS.default, !defaultRoute),
  ].flat();
  if (from === 'nodes' || allowFromExternal.length === 0) return { terms, otherwise: 'accept' };
  return { terms: [...terms, accept('allowed prefixes', { prefixes: [LISTS.allowed] })], otherwise: 'reject' };
}

function toNodes({ options, reflects }: PolicyInput): Policy {
  const tags: readonly NetworkTag[] = ['pod', 'static', ...(options.advertise.toNodes ? SERVICE_TAGS : [])];
  return {
    terms: [
      ...reject(
        'networks for routers only',
        LISTS.notToNodes,
        options.networks.some(({ toNodes: isTold }) => !isTold),
        'static',
      ),
      accept('own networks', { tags }),
      ...(reflects ? [accept('reflected', { sources: ['ibgp'] })] : []),
    ],
    otherwise: 'reject',
  };
}

function toRouters({ options, settings, reflects }: PolicyInput): Policy {
  const changes = routerChanges(settings);
  const tags: readonly NetworkTag[] = [
    'static',
    ...SERVICE_TAGS,
    ...(options.advertise.podCidr ? (['pod'] as const) : []),
  ];
  const reflected = reflects && options.reflectToExternal;
  return {
    terms: [
      accept('own networks', { tags }, changes),
      ...(reflected ? [accept('reflected', { sources: ['ibgp'] }, changes)] : []),
    ],
    otherwise: 'reject',
  };
}

function routerChanges({ communities: { standard, large }, prepend }: NodeSettings): PolicyChanges {
  return {
    ...(prepend === undefined ? {} : { prepend }),
    ...(standard.length === 0 ? {} : { addCommunities: standard }),
    ...(large.length === 0 ? {} : { addLargeCommunities: large }),
  };
}

function reject(name: string, list: string, isWanted: boolean, tag?: NetworkTag): readonly PolicyTerm[] {
  const match = { prefixes: [list], ...(tag === undefined ? {} : { tags: [tag] }) };
  return isWanted ? [{ name, match, changes: {}, verdict: 'reject' }] : [];
}

function accept(name: string, match: PolicyMatch, changes: PolicyChanges = {}): PolicyTerm {
  return { name, match, changes, verdict: 'accept' };
}

function prefixOf(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
