/** Random clusters of a seeded generator: few labels, addresses and ports, so that rules meet each other. */

import fc from 'fast-check';
import { EGRESS_RULES } from '../../../src/policy/egress/egressList.js';
import type {
  JsonClusterPeer,
  JsonClusterPolicy,
  JsonClusterProtocol,
  JsonClusterRule,
  JsonNetworkPolicy,
  JsonPeer,
  JsonPort,
  JsonRule,
  JsonSelector,
  OraclePod,
  OracleWorld,
} from './oracle.js';

const NAMESPACES = ['x', 'y', 'z'];
const label = fc.constantFrom('a', 'b', 'c');
const value = fc.constantFrom('1', '2');
export const labels = fc.dictionary(label, value, { maxKeys: 2 });

export const selector: fc.Arbitrary<JsonSelector> = fc.record(
  {
    matchLabels: fc.dictionary(label, value, { maxKeys: 1 }),
    matchExpressions: fc.array(
      fc.oneof(
        fc.record({
          key: label,
          operator: fc.constantFrom('In', 'NotIn'),
          values: fc.array(value, { minLength: 1, maxLength: 2 }),
        }),
        fc.record({ key: label, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
      ),
      { maxLength: 1 },
    ),
  },
  { requiredKeys: [] },
);
const namespaceSelector: fc.Arbitrary<JsonSelector> = fc.oneof(
  selector,
  fc.constantFrom(...NAMESPACES).map(name => ({ matchLabels: { 'kubernetes.io/metadata.name': name } })),
);

const block = fc.constantFrom(
  { cidr: '0.0.0.0/0' },
  { cidr: '10.0.0.0/8', except: ['10.0.1.0/24'] },
  { cidr: '10.0.0.0/16', except: ['10.0.0.0/24', '10.0.1.2/32'] },
  { cidr: '10.0.1.1/32' },
  { cidr: '192.0.2.0/24' },
);
const peer: fc.Arbitrary<JsonPeer> = fc.oneof(
  fc.record({ podSelector: selector }),
  fc.record({ namespaceSelector }),
  fc.record({ podSelector: selector, namespaceSelector }),
  fc.record({ ipBlock: block }),
);

const protocol = fc.constantFrom('TCP', 'UDP', 'SCTP');
export const PORT_NAMES = ['web', 'dns'];
const port: fc.Arbitrary<JsonPort> = fc.oneof(
  fc.record({ protocol }),
  fc.record({ port: fc.constantFrom(80, 81, 53) }),
  fc.record({ protocol, port: fc.constantFrom(80, 81, 53) }),
  fc.record({ protocol, port: fc.constantFrom(53, 80), endPort: fc.constantFrom(80, 81) }),
  fc.record({ port: fc.constantFrom(...PORT_NAMES) }),
  fc.record({ protocol, port: fc.constantFrom(...PORT_NAMES) }),
);
const few = { maxLength: 2 };
const rule = (peers: 'from' | 'to'): fc.Arbitrary<JsonRule> =>
  fc.record({ peers: fc.array(peer, few), ports: fc.array(port, few) }, { requiredKeys: [] }).map(given => ({
    ...(given.peers ? { [peers]: given.peers } : {}),
    ...(given.ports ? { ports: given.ports } : {}),
  }));

const policy = (name: string): fc.Arbitrary<JsonNetworkPolicy> =>
  fc
    .record({
      namespace: fc.constantFrom(...NAMESPACES),
      spec: fc.record(
        {
          podSelector: selector,
          policyTypes: fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']),
          ingress: fc.array(rule('from'), few),
          egress: fc.array(rule('to'), few),
        },
        { requiredKeys: ['podSelector'] },
      ),
    })
    .map(({ namespace, spec }) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name, namespace },
      spec,
    }));

const pod = (namespace: string, index: number): fc.Arbitrary<OraclePod> =>
  fc
    .record({
      labels,
      node: fc.constantFrom('n1', 'n2'),
      hostNetwork: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      ports: fc.uniqueArray(
        fc.record({ name: fc.constantFrom(...PORT_NAMES), protocol, port: fc.constantFrom(80, 81, 53) }),
        { ...few, selector: ({ name }) => name },
      ),
    })
    .map(given => ({
      namespace,
      name: `p${index}`,
      ...given,
      // What is on the host's network has the node's address.
      ip: given.hostNetwork ? NODE_ADDRESSES[given.node]! : `10.0.${NAMESPACES.indexOf(namespace)}.${index}`,
    }));

const podPeer: fc.Arbitrary<JsonClusterPeer> = fc.oneof(
  fc.record({ namespaces: namespaceSelector }),
  fc.record({ pods: fc.record({ namespaceSelector, podSelector: selector }) }),
);
const NETWORKS = [['10.0.1.0/24'], ['192.0.2.0/24', '10.0.0.1/32'], ['0.0.0.0/0']];
const outwardPeer = (networks: readonly (readonly string[])[]): fc.Arbitrary<JsonClusterPeer> =>
  fc.oneof(
    fc.record({ networks: fc.constantFrom(...networks) }),
    fc.record({ nodes: fc.constantFrom<JsonSelector>({}, { matchLabels: { name: 'n1' } }) }),
    fc.constant<JsonClusterPeer>({ domainNames: ['example.org'] }),
  );
const destination = fc.oneof(
  fc.constant({}),
  fc.constantFrom(53, 80, 81).map(number => ({ destinationPort: { number } })),
  fc.constant({ destinationPort: { range: { start: 80, end: 443 } } }),
);
const numbered: fc.Arbitrary<JsonClusterProtocol> = fc.oneof(
  fc.record({ tcp: destination }),
  fc.record({ udp: destination }),
  fc.record({ sctp: destination }),
);
const named = fc
  .constantFrom(...PORT_NAMES)
  .map((destinationNamedPort): JsonClusterProtocol => ({ destinationNamedPort }));
const some = { minLength: 1, maxLength: 2 };
const clusterRule = (
  side: 'from' | 'to',
  peers: fc.Arbitrary<JsonClusterPeer>,
  protocols: fc.Arbitrary<JsonClusterProtocol>,
): fc.Arbitrary<JsonClusterRule> =>
  fc
    .record({
      action: fc.constantFrom('Accept' as const, 'Deny' as const, 'Pass' as const),
      peers: fc.array(peers, some),
      protocols: fc.option(fc.array(protocols, some), { nil: undefined }),
    })
    .map(given => ({
      action: given.action,
      [side]: given.peers,
      ...(given.protocols ? { protocols: given.protocols } : {}),
    }));
/** @param index sets it apart from others @param networks lists of blocks outside and inside that rules name */
export const clusterPolicy = (
  index: number,
  networks: readonly (readonly string[])[] = NETWORKS,
): fc.Arbitrary<JsonClusterPolicy> =>
  fc
    .record({
      tier: fc.constantFrom('Admin' as const, 'Baseline' as const),
      // What equal priorities come to is nobody's promise.
      priority: fc.integer({ min: 0, max: 99 }).map(high => high * 10 + index),
      subject: podPeer,
      ingress: fc.array(clusterRule('from', podPeer, fc.oneof(numbered, named)), few),
      egress: fc.array(
        fc.oneof(
          clusterRule('to', podPeer, fc.oneof(numbered, named)),
          clusterRule('to', outwardPeer(networks), numbered),
        ),
        few,
      ),
    })
    .map(spec => ({
      apiVersion: 'policy.networking.k8s.io/v1alpha2',
      kind: 'ClusterNetworkPolicy',
      metadata: { name: `cnp${index}` },
      spec,
    }));

export const NODE_ADDRESSES: Readonly<Record<string, string>> = { n1: '10.1.0.1', n2: '10.1.0.2' };
const pods = fc.tuple(...NAMESPACES.flatMap(namespace => [pod(namespace, 1), pod(namespace, 2)]));
const policies = fc
  .integer({ min: 0, max: 5 })
  .chain(count => fc.tuple(...Array.from({ length: count }, (_, i) => policy(`np${i}`))));

const clusterPolicies = fc
  .integer({ min: 0, max: 3 })
  .chain(count => fc.tuple(...Array.from({ length: count }, (_, i) => clusterPolicy(i))));

const list = fc.constantFrom(
  'deny 192.0.2.0/24',
  'allow 192.0.2.7/32, deny 0.0.0.0/0',
  'deny 192.0.2.7/32, allow 0.0.0.0/0',
  'deny 0.0.0.0/0, deny ::/0',
);
/** Of some namespaces. */
const egressLists = fc.dictionary(fc.constantFrom(...NAMESPACES), list, { maxKeys: 2 });

export const cluster: fc.Arbitrary<OracleWorld> = fc.record({
  namespaces: fc.record({ x: labels, y: labels, z: labels }),
  pods,
  policies,
  clusterPolicies,
  egressLists,
});

/** The objects as an API server has them. */
export function objectsOf(world: OracleWorld): readonly unknown[] {
  const { namespaces, pods, policies, clusterPolicies, egressLists = {} } = world;
  return [
    ...Object.entries(NODE_ADDRESSES).map(([name, address]) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels: { name } },
      status: { addresses: [{ type: 'InternalIP', address }] },
    })),
    ...Object.entries(namespaces).map(([name, labels]) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels, annotations: annotationsOf(egressLists[name]) },
    })),
    ...pods.map(({ namespace, name, labels, ip, node, hostNetwork, ports }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name, labels },
      spec: {
        nodeName: node,
        hostNetwork,
        containers: [{ ports: ports.map(({ port, ...rest }) => ({ ...rest, containerPort: port })) }],
      },
      status: { phase: 'Running', podIP: ip },
    })),
    ...policies,
    ...clusterPolicies,
  ];
}

function annotationsOf(list: string | undefined): Readonly<Record<string, string>> {
  return list === undefined ? {} : { [EGRESS_RULES]: list };
}
