/** Two namespaces, pods of two nodes, a service and a policy, as an API server would tell of them. */

import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import { nodeN, objectOf } from '../../routing/cluster.js';

export const NODE = 'n1';

export function podObject(
  name: string,
  node: string,
  ip: string,
  labels: Readonly<Record<string, string>> = { app: name },
): KubeObject {
  return objectOf({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo', labels },
    spec: { nodeName: node, containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }] },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  });
}

export const CLIENT = podObject('client', NODE, '10.244.1.2');
export const WEB = podObject('web', NODE, '10.244.1.3');
export const FAR = podObject('far', 'n2', '10.244.2.2');

/** Pods labelled app=web receive from app=client only. */
export const ONLY_CLIENT = objectOf({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'web', namespace: 'demo' },
  spec: {
    podSelector: { matchLabels: { app: 'web' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'client' } } }], ports: [{ port: 'http' }] }],
  },
});

export const NOTHING_FROM_FAR = objectOf({
  apiVersion: 'policy.networking.k8s.io/v1alpha2',
  kind: 'ClusterNetworkPolicy',
  metadata: { name: 'no-far' },
  spec: {
    tier: 'Admin',
    priority: 7,
    subject: { namespaces: {} },
    ingress: [
      {
        action: 'Deny',
        from: [{ pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'far' } } } }],
      },
    ],
  },
});

export const SERVICE = objectOf({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'demo' },
  spec: { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [{ port: 80, protocol: 'TCP', name: 'http' }] },
});

export const SLICE = objectOf({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'web-1', namespace: 'demo', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: [{ addresses: ['10.244.1.3'], nodeName: NODE, conditions: { ready: true } }],
});

export const CLUSTER: readonly KubeObject[] = [
  nodeN(1),
  nodeN(2),
  CLIENT,
  WEB,
  FAR,
  ONLY_CLIENT,
  NOTHING_FROM_FAR,
  SERVICE,
  SLICE,
];
