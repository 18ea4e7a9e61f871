/**
 * The firewall beside IPVS: what virtual servers cannot say, as a table of sets and rules that do not depend on services.
 *
 * Where packets pass: from outside and from pods they come to the hook `input`, addressed to the service, and IPVS takes
 * them there (priority 99); the node's own are taken in `output` (-98). They leave through `output` and `postrouting` with
 * the backend's address, and with their mark. So what is asked of the service's address is asked before IPVS, what nobody
 * took is refused after it, and sources are rewritten last.
 *
 * No element names a chain: the kernel would walk all rules again for every change of such a map.
 */

import type { Expression } from '../../kernel/nftables/expressions.js';
import type { ChainShape, SetShape } from '../../kernel/nftables/messages.js';
import type { UserType } from '../../kernel/nftables/numbers.js';
import {
  AFTER_NAT,
  BEFORE_NAT,
  markOffCluster,
  NAT,
  refuseChain,
  SOURCE_NAT,
  sourceRangesChain,
} from '../nftables/guardChains.js';
import { hook, lookup, plain, to } from '../../kernel/nftables/ruleParts.js';
import { SETS as PROXY_SETS, type Layout, type LayoutSettings } from '../nftables/layout.js';
import * as rule from '../nftables/ruleParts.js';
import type { Family } from '../proxyTypes.js';

export const SETS = {
  /** Endpoints (address . protocol . port; of a node port the address is zeros) whose clients get the node's address. */
  masquerade: 'masquerade',
  /** The same, unless they are pods of this cluster. */
  offCluster: 'masquerade-off-cluster',
  /** endpoint → address . port of the cluster IP: for pods and the node, whom policy Local does not concern. */
  shortcuts: 'shortcuts',
  /** Endpoints that nobody serves at all. */
  refused: 'refused',
  /** Endpoints that only other nodes serve. */
  dropped: 'dropped',
  restricted: PROXY_SETS.restricted,
  ranges: PROXY_SETS.ranges,
  /** Addresses of services that are no other addresses of this machine. */
  addresses: 'addresses',
  hairpins: PROXY_SETS.hairpins,
} as const;

/** IPVS takes packets at 98 and 99, and at 100 the kernel rewrites sources. */
const AFTER_IPVS = 110;

export function firewallLayout(family: Family, settings: LayoutSettings): Layout {
  const chains = [...natChains(family, settings), ...filterChains(family, settings)];
  return { sets: setShapes(family), chains, elements: new Map() };
}

function setShapes(family: Family): readonly SetShape[] {
  const address: UserType = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const endpoint = [address, 'inet_proto', 'inet_service'] as const;
  return [
    { name: SETS.masquerade, key: endpoint },
    { name: SETS.offCluster, key: endpoint },
    { name: SETS.shortcuts, key: endpoint, data: [address, 'inet_service'] },
    { name: SETS.refused, key: endpoint },
    { name: SETS.dropped, key: endpoint },
    { name: SETS.restricted, key: endpoint },
    { name: SETS.ranges, key: [...endpoint, address], interval: true },
    { name: SETS.addresses, key: [address] },
    { name: SETS.hairpins, key: [address, address] },
  ];
}

function natChains(family: Family, settings: LayoutSettings): readonly ChainShape[] {
  const mark = rule.setMark(settings.masqueradeBit);
  const isService = [...rule.loadDestination(family, 0), lookup(SETS.addresses, 0)];
  const nodePorts = rule.toNodePorts(family, settings.nodePortAddresses, to('goto', 'node-ports'));
  // Kernels before Linux 6.5 cannot ask a map for a key alone.
  const hasShortcut: Expression = { kind: 'lookup', set: SETS.shortcuts, from: 0, to: rule.endpointSize(family) };
  const perEndpoint = (load: readonly Expression[], outside: string): ChainShape['rules'] => [
    [...load, lookup(SETS.masquerade, 0), ...mark],
    [...load, lookup(SETS.offCluster, 0), to('jump', 'mark-off-cluster')],
    [...load, hasShortcut, to('jump', outside)],
  ];
  const shortcut = (name: string, load: readonly Expression[]): readonly ChainShape[] => [
    {
      name: `${name}-or-inside`,
      rules: [
        ...rule.fromPods(family, settings.podDetector, to('goto', name)),
        [...rule.fromThisHost, ...mark, to('goto', name)],
      ],
    },
    { name, rules: [toClusterIp(family, load)] },
  ];
  return [
    hook('nat-prerouting', 'nat', 'prerouting', NAT, [[to('jump', 'services')]]),
    hook('nat-output', 'nat', 'output', NAT, [[to('jump', 'services')]]),
    hook('nat-postrouting', 'nat', 'postrouting', SOURCE_NAT, masqueradeRules(family, settings.masqueradeBit)),
    {
      name: 'services',
      // Addresses of services are this machine's too, and serve no node ports.
      rules: [
        ...perEndpoint(rule.loadEndpoint(family, 0), 'shortcut-or-inside'),
        [...isService, plain('return')],
        ...nodePorts,
      ],
    },
    { name: 'node-ports', rules: perEndpoint(rule.loadNodePort(family, 0), 'shortcut-node-port-or-inside') },
    { name: 'mark-off-cluster', rules: markOffCluster(family, settings, mark) },
    ...shortcut('shortcut', rule.loadEndpoint(family, 0)),
    ...shortcut('shortcut-node-port', rule.loadNodePort(family, 0)),
  ];
}

/** IPVS then finds the cluster IP's virtual server, whose backends are all there are. */
function toClusterIp(family: Family, load: readonly Expression[]): readonly Expression[] {
  const target = rule.endpointSize(family);
  return [
    ...load,
    { kind: 'lookup', set: SETS.shortcuts, from: 0, to: target },
    { kind: 'dnat', family, address: target, port: target + rule.addressSize(family) },
  ];
}

/** A packet from an address to itself that comes to `postrouting` went through a service: nothing else sends it here. */
function masqueradeRules(family: Family, bit: number): ChainShape['rules'] {
  const pair = [...rule.loadSource(family, 0), ...rule.loadDestination(family, rule.addressSize(family))];
  return [
    [...rule.hasMark(bit), ...rule.flipMark(bit), { kind: 'masquerade' }],
    [...pair, lookup(SETS.hairpins, 0), { kind: 'masquerade' }],
  ];
}

function filterChains(family: Family, settings: LayoutSettings): readonly ChainShape[] {
  const destination = rule.loadDestination(family, 0);
  const isService = [...destination, lookup(SETS.addresses, 0)];
  const ranges = [[...rule.isNew, to('jump', 'source-ranges')]];
  const unserved = [[...rule.isNew, to('jump', 'unserved')]];
  const guard = settings.ipvs.guardAddresses
    ? [[...rule.isNew, ...isService, ...isNoPing(family), to('goto', 'refuse')]]
    : [];
  const nowhere = rule
    .ofFamily(settings.serviceCidrs, family)
    .map(cidr => [...rule.isNew, ...rule.inPrefix('daddr', cidr), plain('drop')]);
  return [
    hook('filter-prerouting', 'filter', 'prerouting', BEFORE_NAT, ranges),
    hook('filter-input', 'filter', 'input', BEFORE_NAT, unserved),
    hook('filter-input-after-ipvs', 'filter', 'input', AFTER_IPVS, guard),
    // Whose address is not this machine's yet, or in no service.
    hook('filter-forward', 'filter', 'forward', BEFORE_NAT, [...unserved, ...guard, ...nowhere]),
    hook('filter-output', 'filter', 'output', BEFORE_NAT, ranges),
    // The node's own shortcuts are taken, and so is what IPVS serves.
    hook('filter-output-after-ipvs', 'filter', 'output', AFTER_NAT, [...unserved, ...guard, ...nowhere]),
    {
      name: 'unserved',
      rules: [
        ...verdicts(rule.loadEndpoint(family, 0)),
        [...isService, plain('return')],
        ...rule.toNodePorts(family, settings.nodePortAddresses, to('goto', 'unserved-node-ports')),
      ],
    },
    { name: 'unserved-node-ports', rules: verdicts(rule.loadNodePort(family, 0)) },
    sourceRangesChain(family, SETS.restricted, SETS.ranges),
    refuseChain(family),
  ];
}

function verdicts(load: readonly Expression[]): ChainShape['rules'] {
  return [
    [...load, lookup(SETS.refused, 0), to('goto', 'refuse')],
    [...load, lookup(SETS.dropped, 0), plain('drop')],
  ];
}

/** IANA: ICMP, IPv6-ICMP. People ping service addresses, and there they answer. */
const PING = { 4: 1, 6: 58 } as const;
function isNoPing(family: Family): readonly Expression[] {
  return [
    { kind: 'meta', key: 'l4proto', to: 0 },
    { kind: 'compare', from: 0, equal: false, octets: [PING[family]] },
  ];
}
