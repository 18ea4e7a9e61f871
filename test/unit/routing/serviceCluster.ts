/** Services and EndpointSlices for tests, and what n1 makes of them. */

import { parsePrefix, type IpPrefix } from '../../../src/core/ip.js';
import type { KubeObject } from '../../../src/kube/objectTypes.js';
import { createRouting, type Routing, type RoutingOutcome } from '../../../src/routing/routing.js';
import { DEFAULT_ROUTING, type RoutingOptions } from '../../../src/routing/routingOptions.js';
import { batchOf, nodeN, objectOf, prefixed, textsOf } from './cluster.js';

export interface ServiceSpec {
  readonly name?: string;
  readonly type?: string;
  readonly clusterIps?: readonly string[];
  readonly externalIps?: readonly string[];
  readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string; readonly ipMode?: string }[];
  readonly internal?: 'Local' | 'Cluster';
  readonly external?: 'Local' | 'Cluster';
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly loadBalancerClass?: string | undefined;
  readonly created?: string;
}

export function service(spec: ServiceSpec = {}): KubeObject {
  const { name = 'web', type = 'ClusterIP', clusterIps = ['10.96.0.10'], annotations = {}, labels = {} } = spec;
  return objectOf({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo', annotations: prefixed(annotations), labels, creationTimestamp: spec.created },
    spec: {
      type,
      clusterIPs: clusterIps,
      externalIPs: spec.externalIps ?? null,
      internalTrafficPolicy: spec.internal,
      externalTrafficPolicy: spec.external,
      loadBalancerClass: spec.loadBalancerClass,
      ports: [{ port: 80 }],
    },
    status: { loadBalancer: { ingress: spec.ingress ?? null } },
  });
}

export interface EndpointSpec {
  readonly node?: string;
  readonly address?: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

export function slice(
  endpoints: readonly EndpointSpec[],
  spec: { of?: string; name?: string; type?: string } = {},
): KubeObject {
  const { of = 'web', name = `${of}-1`, type = 'IPv4' } = spec;
  return objectOf({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'demo', labels: { 'kubernetes.io/service-name': of } },
    addressType: type,
    endpoints: endpoints.map(
      ({ node, address = type === 'IPv6' ? 'fd00:10:244:1::5' : '10.244.1.5', ...conditions }) => ({
        addresses: [address],
        nodeName: node,
        conditions,
      }),
    ),
    ports: [{ port: 80 }],
  });
}

export function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** Everything is announced that its ranges allow. */
export const ALL: RoutingOptions = {
  ...DEFAULT_ROUTING,
  advertise: { ...DEFAULT_ROUTING.advertise, clusterIp: true, externalIp: true, loadBalancerIp: true },
  services: {
    ...DEFAULT_ROUTING.services,
    clusterIpRanges: [prefix('10.96.0.0/12'), prefix('fd96::/108')],
    externalIpRanges: [prefix('192.0.2.0/24')],
    loadBalancerIpRanges: [prefix('198.51.100.0/24')],
  },
};

export const here: EndpointSpec = { node: 'n1' };
export const there: EndpointSpec = { node: 'n2' };

/** n1's view of these objects. */
export function seen(
  objects: readonly KubeObject[],
  options: RoutingOptions = ALL,
): { readonly routing: Routing; readonly outcome: RoutingOutcome; readonly problems: readonly string[] } {
  const routing = createRouting('n1', options);
  const outcome = routing.apply(batchOf('added', nodeN(1), nodeN(2), ...objects));
  return { routing, outcome, problems: textsOf(outcome.problems) };
}
