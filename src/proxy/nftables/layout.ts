/**
 * The table of the service proxy: maps, chains and rules that do not depend on services. Services are elements of the
 * maps alone (reference: kube-proxy's hooks and priorities, with which ours agree, so that other tables find both alike).
 *
 * A service port is known in the maps by its *identity*, the `address . protocol . port` of its cluster IP; other frontends
 * (external addresses, node ports) lead to it through `aliases`. So each endpoint is one element, however many frontends
 * there are, and all of them share one record of session affinity. A node port's key has an address of zeros.
 */

import type { IpPrefix } from '../../core/ip.js';
import type { Expression, RuleVerdict } from '../../kernel/nftables/expressions.js';
import type { ChainShape, SetShape } from '../../kernel/nftables/messages.js';
import type { UserType } from '../../kernel/nftables/numbers.js';
import type { Family, ProxySettings } from '../proxyTypes.js';
import {
  AFTER_NAT,
  BEFORE_NAT,
  hook,
  lookup,
  markOffCluster,
  NAT,
  plain,
  refuseChain,
  SOURCE_NAT,
  sourceRangesChain,
  to,
  vmap,
} from './guardChains.js';
import * as rule from './ruleParts.js';

export const SETS = {
  /** endpoint → goto a fan chain of its list, or drop. */
  services: 'services',
  /** endpoint → jump to a chain of `policyChain`. */
  policies: 'policies',
  /** endpoint → goto a fan chain of its local list, for traffic from outside. */
  locals: 'locals',
  /** endpoint → identity, where they differ. */
  aliases: 'aliases',
  /** 0 . identity . slot → address . port. */
  backends: 'backends',
  /** endpoint → goto refuse, or drop. */
  unavailable: 'unavailable',
  /** Endpoints with source ranges. */
  restricted: 'restricted',
  /** endpoint . source */
  ranges: 'ranges',
  /** Cluster IPs. */
  clusterIps: 'cluster-ips',
  /** pod . pod */
  hairpins: 'hairpins',
  /** source . 0 . identity → address . port, made by packets. */
  affinity: 'affinity',
  /** 0 . identity . address . port: backends that records of affinity may lead to. */
  members: 'members',
  /** The same, of local lists. */
  localMembers: 'local-members',
} as const;
export type SetName = (typeof SETS)[keyof typeof SETS];

/** Slots of local lists begin here; the others at 0. */
export const LOCAL_SLOTS = 1 << 16;
/** Records of session affinity. Beyond that new clients are balanced as if there were no affinity. */
const MOST_RECORDS = 1 << 20;

/** What the rules depend on. */
export type LayoutSettings = Pick<
  ProxySettings,
  'podDetector' | 'nodePortAddresses' | 'serviceCidrs' | 'masqueradeAll' | 'masqueradeBit'
> & { readonly ipvs: Pick<ProxySettings['ipvs'], 'guardAddresses'> };

export interface Layout {
  readonly sets: readonly SetShape[];
  readonly chains: readonly ChainShape[];
}

export function setShapes(family: Family): readonly SetShape[] {
  const address: UserType = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const endpoint = [address, 'inet_proto', 'inet_service'] as const;
  const target = [address, 'inet_service'] as const;
  return [
    { name: SETS.services, key: endpoint, data: 'verdict' },
    { name: SETS.policies, key: endpoint, data: 'verdict' },
    { name: SETS.locals, key: endpoint, data: 'verdict' },
    { name: SETS.aliases, key: endpoint, data: endpoint },
    { name: SETS.backends, key: ['mark', ...endpoint, 'mark'], data: target },
    { name: SETS.unavailable, key: endpoint, data: 'verdict' },
    { name: SETS.restricted, key: endpoint },
    { name: SETS.ranges, key: [...endpoint, address], interval: true },
    { name: SETS.clusterIps, key: [address] },
    { name: SETS.hairpins, key: [address, address] },
    { name: SETS.affinity, key: [address, 'mark', ...endpoint], data: target, dynamic: MOST_RECORDS },
    { name: SETS.members, key: ['mark', ...endpoint, ...target] },
    { name: SETS.localMembers, key: ['mark', ...endpoint, ...target] },
  ];
}

/** Who is masqueraded, and whether only traffic from outside keeps to the local list. */
export interface Policy {
  readonly masquerade: 'always' | 'offCluster' | 'never';
  readonly shortCircuit: boolean;
}

/** @returns the chain that a frontend's element in `policies` jumps to; undefined when it needs none */
export function policyChain({ masquerade, shortCircuit }: Policy, isNodePort: boolean): string | undefined {
  const words = [
    ...(masquerade === 'never' ? [] : [masquerade === 'always' ? 'mark-always' : 'mark-off-cluster']),
    ...(shortCircuit ? [isNodePort ? 'outside-node-port' : 'outside'] : []),
  ];
  return words.length === 0 ? undefined : words.join('-');
}

/** Everything but fan chains. */
export function layoutOf(family: Family, settings: LayoutSettings): Layout {
  return { sets: setShapes(family), chains: [...hookChains(family, settings), ...policyChains(family, settings)] };
}

function hookChains(family: Family, settings: LayoutSettings): readonly ChainShape[] {
  const endpoint = rule.loadEndpoint(family, 0);
  const nodePort = rule.loadNodePort(family, 0);
  const unavailable = [...rule.isNew, ...endpoint, vmap(SETS.unavailable, 0)];
  const unavailableNodePort = [...rule.isNew, ...nodePort, vmap(SETS.unavailable, 0)];
  const ranges = [[...rule.isNew, to('jump', 'source-ranges')]];
  const nowhere = clusterIpsCheck(family, settings.serviceCidrs);
  return [
    hook('nat-prerouting', 'nat', 'prerouting', NAT, [[to('jump', 'services')]]),
    hook('nat-output', 'nat', 'output', NAT, [[to('jump', 'services')]]),
    hook('nat-postrouting', 'nat', 'postrouting', SOURCE_NAT, masqueradeRules(family, settings.masqueradeBit)),
    hook('filter-prerouting', 'filter', 'prerouting', BEFORE_NAT, ranges),
    hook('filter-input', 'filter', 'input', BEFORE_NAT, [
      unavailable,
      ...rule.toNodePorts(family, settings.nodePortAddresses, to('jump', 'unavailable-node-ports')),
    ]),
    hook('filter-forward', 'filter', 'forward', BEFORE_NAT, [unavailable, ...nowhere]),
    hook('filter-output', 'filter', 'output', BEFORE_NAT, [
      ...ranges,
      unavailable,
      ...rule.toNodePorts(family, settings.nodePortAddresses, to('jump', 'unavailable-node-ports')),
    ]),
    hook('filter-output-after-nat', 'filter', 'output', AFTER_NAT, nowhere),
    { name: 'unavailable-node-ports', rules: [unavailableNodePort] },
    {
      name: 'services',
      rules: [
        [...endpoint, vmap(SETS.policies, 0)],
        [...endpoint, vmap(SETS.services, 0)],
        ...rule.toNodePorts(family, settings.nodePortAddresses, to('goto', 'node-ports')),
      ],
    },
    {
      name: 'node-ports',
      rules: [
        [...nodePort, vmap(SETS.policies, 0)],
        [...nodePort, vmap(SETS.services, 0)],
      ],
    },
    sourceRangesChain(family, SETS.restricted, SETS.ranges),
    refuseChain(family),
  ];
}

/** A cluster IP's port that nothing took; an address of the services' range that nobody has. */
function clusterIpsCheck(family: Family, cidrs: readonly IpPrefix[]): ChainShape['rules'] {
  const destination = rule.loadDestination(family, 0);
  return [
    [...rule.isNew, ...destination, lookup(SETS.clusterIps, 0), to('goto', 'refuse')],
    ...rule.ofFamily(cidrs, family).map(cidr => [...rule.isNew, ...rule.inPrefix('daddr', cidr), plain('drop')]),
  ];
}

/** The mark is taken off again, so that nothing after us, such as another namespace, takes it for its own. */
function masqueradeRules(family: Family, bit: number): ChainShape['rules'] {
  return [
    [...rule.hasMark(bit), ...rule.flipMark(bit), { kind: 'masquerade' }],
    [...rule.isDnat, ...rule.loadSource(family, 0), ...rule.loadDestination(family, family === 4 ? 1 : 4)].concat(
      lookup(SETS.hairpins, 0),
      { kind: 'masquerade' },
    ),
  ];
}

function policyChains(family: Family, settings: LayoutSettings): readonly ChainShape[] {
  const mark = rule.setMark(settings.masqueradeBit);
  const offCluster = markOffCluster(family, settings, mark);
  const outside = (chain: string, load: readonly Expression[]): readonly ChainShape[] => {
    const rules = [
      ...rule.fromPods(family, settings.podDetector, plain('return')),
      [...rule.fromThisHost, ...mark, plain('return')],
      [...load, vmap(SETS.locals, 0)],
      [plain('drop')],
    ];
    const marked: RuleVerdict = { kind: 'jump', chain: 'mark-off-cluster' };
    return [
      { name: chain, rules },
      { name: `mark-always-${chain}`, rules: [mark, ...rules] },
      { name: `mark-off-cluster-${chain}`, rules: [[{ kind: 'verdict', verdict: marked }], ...rules] },
    ];
  };
  return [
    { name: 'mark-always', rules: [mark] },
    { name: 'mark-off-cluster', rules: offCluster },
    ...outside('outside', rule.loadEndpoint(family, 0)),
    ...outside('outside-node-port', rule.loadNodePort(family, 0)),
  ];
}
