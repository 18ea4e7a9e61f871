/**
 * The table of the service proxy: maps, chains and rules that do not depend on services. Services are elements of the
 * maps alone (reference: kube-proxy's hooks and priorities, with which ours agree, so that other tables find both alike).
 *
 * `frontends` says of what a packet is sent to which chains it passes and which service port it belongs to: its identity
 * (`serviceIdentity.ts`), under which its backends are. So each endpoint is one element, however many frontends there are,
 * and all of them share one record of session affinity. A node port's key has an address of zeros.
 *
 * Elements of services name no chains: whenever a verdict map gets an element with a jump, the kernel walks all rules and
 * all elements with jumps again (10 ms with 10,000 services). Chains are named by the few elements of `policies` and `fans`.
 */

import type { IpPrefix } from '../../core/ip.js';
import type { RuleVerdict } from '../../kernel/nftables/expressions.js';
import type { ChainShape, SetShape } from '../../kernel/nftables/messages.js';
import type { UserType } from '../../kernel/nftables/numbers.js';
import type { Family, ProxySettings } from '../proxyTypes.js';
import {
  AFTER_NAT,
  BEFORE_NAT,
  markOffCluster,
  NAT,
  refuseChain,
  SOURCE_NAT,
  sourceRangesChain,
} from './guardChains.js';
import { hook, lookup, plain, to, vmap } from '../../kernel/nftables/ruleParts.js';
import { elementKey, type ElementKey } from '../../kernel/nftables/elements.js';
import { FRONTEND, loadFrontend, loadPolicy, POLICY_KEY } from './frontendRegisters.js';
import * as rule from './ruleParts.js';
import { SHARDS } from './serviceIdentity.js';

export const SETS = {
  /** endpoint → policy . fan . local fan . identity, as `frontendOctets` of `frontendElement.ts` has them. */
  frontends: 'frontends',
  /** 0 . policy → jump to a chain of `POLICY_CHAINS`. */
  policies: 'policies',
  /** fan → goto a fan chain. */
  fans: 'fans',
  /** Followed by a number: slot . identity → address . port. */
  backends: 'backends-',
  /** endpoint → continue, which is to be refused, or drop. */
  unavailable: 'unavailable',
  /** Endpoints with source ranges. */
  restricted: 'restricted',
  /** endpoint . source */
  ranges: 'ranges',
  /** Cluster IPs. */
  clusterIps: 'cluster-ips',
  /** pod . pod */
  hairpins: 'hairpins',
  /** source . identity → 0 . address . port, made by packets. */
  affinity: 'affinity',
  /** address . port . identity: backends that records of affinity may lead to. */
  members: 'members',
  /** The same, of local lists. */
  localMembers: 'local-members',
  /** What clients send to, counting first packets of connections. Packets make these three; a node port is at an address. */
  connections: 'connections',
  /** The same, counting the other packets of clients. */
  packetsIn: 'packets-in',
  /** The same, counting packets to clients. */
  packetsOut: 'packets-out',
} as const;
export type SetName = (typeof SETS)[keyof typeof SETS];

/** Name of one of the maps of backends. */
export function backendsSet(shard: number): string {
  return `${SETS.backends}${shard}`;
}

/** Records of session affinity. Beyond that new clients are balanced as if there were no affinity. */
const MOST_RECORDS = 1 << 20;

/** Endpoints that packets are counted at. Beyond that others are not counted. */
const MOST_COUNTED = 1 << 17;

/** What the rules depend on. */
export type LayoutSettings = Pick<
  ProxySettings,
  'podDetector' | 'nodePortAddresses' | 'serviceCidrs' | 'masqueradeAll' | 'masqueradeBit' | 'countTraffic'
> & { readonly ipvs: Pick<ProxySettings['ipvs'], 'guardAddresses'> };

export interface Layout {
  readonly sets: readonly SetShape[];
  readonly chains: readonly ChainShape[];
  /** Elements that depend on no service. */
  readonly elements: ReadonlyMap<ElementKey, string>;
}

export function setShapes(family: Family): readonly SetShape[] {
  const address: UserType = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const endpoint = [address, 'inet_proto', 'inet_service'] as const;
  const target = [address, 'inet_service'] as const;
  const identity = ['mark', 'mark'] as const;
  const backends = Array.from({ length: SHARDS }, (_, shard): SetShape => {
    return { name: backendsSet(shard), key: ['mark', ...identity], data: target };
  });
  return [
    { name: SETS.frontends, key: endpoint, data: ['mark', 'mark', 'mark', 'mark', 'mark', ...identity] },
    { name: SETS.policies, key: ['mark', 'mark'], data: 'verdict' },
    { name: SETS.fans, key: ['mark', 'mark'], data: 'verdict' },
    ...backends,
    { name: SETS.unavailable, key: endpoint, data: 'verdict' },
    { name: SETS.restricted, key: endpoint },
    { name: SETS.ranges, key: [...endpoint, address], interval: true },
    { name: SETS.clusterIps, key: [address] },
    { name: SETS.hairpins, key: [address, address] },
    // Untyped, since nft(8) aborts when it shows the sixteen zeros of `fanChains.ts` as a mark.
    {
      name: SETS.affinity,
      key: [address, ...identity],
      data: ['mark', ...target],
      untyped: true,
      dynamic: MOST_RECORDS,
    },
    { name: SETS.members, key: [...target, ...identity] },
    { name: SETS.localMembers, key: [...target, ...identity] },
    { name: SETS.connections, key: endpoint, dynamic: MOST_COUNTED, counted: true },
    { name: SETS.packetsIn, key: endpoint, dynamic: MOST_COUNTED, counted: true },
    { name: SETS.packetsOut, key: endpoint, dynamic: MOST_COUNTED, counted: true },
  ];
}

/** Who is masqueraded, and whether only traffic from outside keeps to the local list. */
export interface Policy {
  readonly masquerade: 'always' | 'offCluster' | 'never';
  readonly shortCircuit: boolean;
}

/** The chains that packets pass on their way to a fan chain; a frontend has the number of one, beginning with 1, or 0. */
const POLICY_CHAINS = [
  'mark-always',
  'mark-off-cluster',
  'outside',
  'mark-always-outside',
  'mark-off-cluster-outside',
  'outside-node-port',
  'mark-always-outside-node-port',
  'mark-off-cluster-outside-node-port',
] as const;

/** @returns 0 when it needs none */
export function policyNumber({ masquerade, shortCircuit }: Policy, isNodePort: boolean): number {
  const words = [
    ...(masquerade === 'never' ? [] : [masquerade === 'always' ? 'mark-always' : 'mark-off-cluster']),
    ...(shortCircuit ? [isNodePort ? 'outside-node-port' : 'outside'] : []),
  ];
  return POLICY_CHAINS.findIndex(name => name === words.join('-')) + 1;
}

/** As it is in `frontends`. */
export function policyOctets(number: number): string {
  return String.fromCharCode(0, 0, 0, number);
}

function policyElements(): ReadonlyMap<ElementKey, string> {
  const key = (number: number): ElementKey => elementKey(SETS.policies, `${policyOctets(0)}${policyOctets(number)}`);
  return new Map(POLICY_CHAINS.map((name, i) => [key(i + 1), `jump ${name}`]));
}

/** Everything but fan chains. */
export function layoutOf(family: Family, settings: LayoutSettings): Layout {
  return {
    sets: setShapes(family),
    chains: [...hookChains(family, settings), ...countChains(family), ...policyChains(family, settings)],
    elements: policyElements(),
  };
}

function hookChains(family: Family, settings: LayoutSettings): readonly ChainShape[] {
  const endpoint = rule.loadEndpoint(family, 0);
  const nodePort = rule.loadNodePort(family, 0);
  const unavailable = [...rule.isNew, ...endpoint, vmap(SETS.unavailable, 0), to('goto', 'refuse')];
  const unavailableNodePort = [...rule.isNew, ...nodePort, vmap(SETS.unavailable, 0), to('goto', 'refuse')];
  const ranges = [[...rule.isNew, to('jump', 'source-ranges')]];
  const count = settings.countTraffic ? [[...rule.isDnat, to('jump', 'count')]] : [];
  // What a machine sends to itself was counted when it was sent.
  const countArrived = settings.countTraffic ? [[...rule.isDnat, ...rule.notLooped, to('jump', 'count')]] : [];
  const nowhere = clusterIpsCheck(family, settings.serviceCidrs);
  return [
    hook('nat-prerouting', 'nat', 'prerouting', NAT, [[to('jump', 'services')]]),
    hook('nat-output', 'nat', 'output', NAT, [[to('jump', 'services')]]),
    hook('nat-postrouting', 'nat', 'postrouting', SOURCE_NAT, masqueradeRules(family, settings.masqueradeBit)),
    hook('filter-prerouting', 'filter', 'prerouting', BEFORE_NAT, [...ranges, ...countArrived]),
    hook('filter-input', 'filter', 'input', BEFORE_NAT, [
      unavailable,
      ...rule.toNodePorts(family, settings.nodePortAddresses, to('jump', 'unavailable-node-ports')),
    ]),
    hook('filter-forward', 'filter', 'forward', BEFORE_NAT, [unavailable, ...nowhere]),
    hook('filter-output', 'filter', 'output', BEFORE_NAT, [
      ...ranges,
      ...count,
      unavailable,
      ...rule.toNodePorts(family, settings.nodePortAddresses, to('jump', 'unavailable-node-ports')),
    ]),
    hook('filter-output-after-nat', 'filter', 'output', AFTER_NAT, nowhere),
    { name: 'unavailable-node-ports', rules: [unavailableNodePort] },
    {
      name: 'services',
      rules: [
        ...frontendRules('address', family),
        ...rule.toNodePorts(family, settings.nodePortAddresses, to('goto', 'node-ports')),
      ],
    },
    { name: 'node-ports', rules: frontendRules('node', family) },
    sourceRangesChain(family, SETS.restricted, SETS.ranges),
    refuseChain(family),
  ];
}

function frontendRules(by: 'address' | 'node', family: Family): ChainShape['rules'] {
  return [
    [...loadPolicy(by, family), vmap(SETS.policies, POLICY_KEY)],
    [...loadFrontend(by, family, 'fan'), vmap(SETS.fans, FRONTEND.fan)],
  ];
}

/** By what the client sent to, which its connection remembers. First packets are in `connections`: nobody knows them yet here. */
function countChains(family: Family): readonly ChainShape[] {
  const add = (set: SetName): ChainShape['rules'] => [
    [...rule.loadOriginal(family, 0), { kind: 'dynamic', operation: 'add', set, key: 0 }],
  ];
  return [
    { name: 'count', rules: [[...rule.isReply, to('goto', 'count-out')], ...add(SETS.packetsIn)] },
    { name: 'count-out', rules: add(SETS.packetsOut) },
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
  const outside = (chain: string, by: 'address' | 'node'): readonly ChainShape[] => {
    const rules = [
      ...rule.fromPods(family, settings.podDetector, plain('return')),
      [...rule.fromThisHost, ...mark, plain('return')],
      [...loadFrontend(by, family, 'local'), vmap(SETS.fans, FRONTEND.local)],
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
    ...outside('outside', 'address'),
    ...outside('outside-node-port', 'node'),
  ];
}
