/** Clusters with policies at random, from a seed: few labels, ports and blocks, so that rules meet each other. */

import fc from 'fast-check';
import { namespace, NINE_PODS, PROTOCOLS, type Cluster, type ClusterPod } from './cluster.js';

const KEYS = ['a', 'b'];
const VALUES = ['1', '2'];
const PORT_NAMES = ['web', 'dns'];
export const PORT_NUMBERS = [53, 80, 81];
export const NAMESPACES = Object.keys(NINE_PODS.namespaces);

const key = fc.constantFrom(...KEYS);
const values = fc.uniqueArray(fc.constantFrom(...VALUES), { minLength: 1, maxLength: 2 });
export const labels = fc.dictionary(key, fc.constantFrom(...VALUES), { maxKeys: 2 });

/**
 * NotIn only beside Exists: to Kubernetes NotIn holds for an object without the label (apimachinery's
 * `labels.Requirement.Matches`), to Cyclonus it does not.
 */
const expressions = fc.oneof(
  fc.record({ key, values }).map(given => [{ ...given, operator: 'In' }]),
  fc.record({ key, values }).map(given => [
    { ...given, operator: 'NotIn' },
    { key: given.key, operator: 'Exists' },
  ]),
  fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }).map(given => [given]),
);
const selector = fc.oneof(
  fc.constant({}),
  fc.dictionary(key, fc.constantFrom(...VALUES), { minKeys: 1, maxKeys: 1 }).map(matchLabels => ({ matchLabels })),
  expressions.map(matchExpressions => ({ matchExpressions })),
);
const namespaceSelector = fc.oneof(
  selector,
  fc.constantFrom(...NAMESPACES).map(name => ({ matchLabels: { 'kubernetes.io/metadata.name': name } })),
);

const block = fc.constantFrom(
  { cidr: '0.0.0.0/0' },
  { cidr: '::/0', except: ['fd44:2::/64'] },
  { cidr: '10.244.2.0/24', except: ['10.244.2.48/28'] },
  { cidr: '10.244.0.0/16', except: ['10.244.1.0/24', '10.244.2.32/27'] },
  { cidr: '10.244.1.20/32' },
  { cidr: 'fd44:1::/64', except: ['fd44:1::14/128'] },
  { cidr: 'fd44:2::34/128' },
  { cidr: '192.0.2.0/24' },
);
const peer = fc.oneof(
  fc.record({ podSelector: selector }),
  fc.record({ namespaceSelector }),
  fc.record({ podSelector: selector, namespaceSelector }),
  fc.record({ ipBlock: block }),
);

const protocol = fc.constantFrom(...PROTOCOLS);
const number = fc.constantFrom(...PORT_NUMBERS);
const portName = fc.constantFrom(...PORT_NAMES);
const port = fc.oneof(
  fc.record({ protocol }),
  fc.record({ port: number }),
  fc.record({ protocol, port: number }),
  fc.record({ protocol, port: fc.constantFrom(53, 80), endPort: fc.constantFrom(80, 81) }),
  fc.record({ port: portName }),
  fc.record({ protocol, port: portName }),
);
const few = { maxLength: 2 };
const rules = (side: 'from' | 'to'): fc.Arbitrary<readonly object[]> =>
  fc.array(
    fc
      .record({ peers: fc.array(peer, few), ports: fc.array(port, few) }, { requiredKeys: [] })
      .map(({ peers, ports }) => ({ ...(peers ? { [side]: peers } : {}), ...(ports ? { ports } : {}) })),
    few,
  );

export const policySpec = fc.record(
  {
    podSelector: selector,
    policyTypes: fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']),
    ingress: rules('from'),
    egress: rules('to'),
  },
  { requiredKeys: ['podSelector'] },
);
const policies = fc
  .array(fc.record({ namespace: fc.constantFrom(...NAMESPACES), spec: policySpec }), { maxLength: 6 })
  .map(all =>
    all.map(({ namespace, spec }, i) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: `p${i}`, namespace },
      spec,
    })),
  );

/** Every port there is, two of them with the names, so that a name is another number at another pod. */
export const ports: fc.Arbitrary<ClusterPod['ports']> = fc
  .shuffledSubarray(
    PORT_NUMBERS.flatMap(port => PROTOCOLS.map(protocol => ({ port, protocol }))),
    { minLength: PORT_NUMBERS.length * PROTOCOLS.length },
  )
  .map(all => all.map((served, i) => ({ ...served, name: PORT_NAMES[i] ?? '' })));

/** The usual nine pods, but for labels and names of ports. */
export const randomCluster: fc.Arbitrary<Cluster> = fc
  .record({
    namespaces: fc.tuple(...NAMESPACES.map(() => labels)),
    pods: fc.tuple(...NINE_PODS.pods.map(() => fc.record({ labels, ports }))),
    policies,
  })
  .map(({ namespaces, pods, policies }) => ({
    namespaces: Object.fromEntries(NAMESPACES.map((name, i) => namespace(name, namespaces[i] ?? {}))),
    pods: NINE_PODS.pods.map((pod, i) => ({ ...pod, ...pods[i] })),
    policies,
  }));

/** The same for the same seed. */
export function randomClusters(seed: number, count: number): readonly Cluster[] {
  return fc.sample(randomCluster, { seed, numRuns: count });
}
