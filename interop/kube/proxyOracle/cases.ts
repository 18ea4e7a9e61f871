/**
 * Generated services with their endpoints, as objects of the API server: every shape that kube-proxy knows, in random
 * combination. A service and its generation always give the same case. Pure.
 */

import type { KubeManifest } from '../../../lab/kube/kubeClient.js';
import * as at from './addresses.js';
import type { Family } from './addresses.js';
import { choicesOf, type Choices } from './choices.js';
import { endpointSlices } from './endpoints.js';

export const NAMESPACE = 'oracle';
export const HEADLESS_LABEL = 'service.kubernetes.io/headless';
const PROXY_NAME_LABEL = 'service.kubernetes.io/service-proxy-name';

export interface CasePort {
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly port: number;
  readonly nodePort: number | undefined;
}

export interface Case {
  readonly name: string;
  readonly families: readonly Family[];
  readonly ports: readonly CasePort[];
  /** Undefined: headless, or the name of another. */
  readonly clusterIps: at.Place | undefined;
  readonly externalIps: at.Place | undefined;
  readonly balancerIps: at.Place | undefined;
  /** One client keeps to one endpoint. */
  readonly isSticky: boolean;
  readonly service: KubeManifest;
  readonly slices: readonly KubeManifest[];
}

type Kind = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'headless' | 'ExternalName';
const KINDS: readonly Kind[] = [
  ...Array.from({ length: 8 }, () => 'ClusterIP' as const),
  ...Array.from({ length: 6 }, () => 'NodePort' as const),
  ...Array.from({ length: 8 }, () => 'LoadBalancer' as const),
  'headless',
  'ExternalName',
];
const FAMILIES: readonly (readonly Family[])[] = [[4], [4], [6], [4, 6], [6, 4]];
const PORTS: readonly (readonly (readonly [CasePort['protocol'], number, string])[])[] = [
  [['TCP', 80, 'http']],
  [['UDP', 53, 'dns']],
  [
    ['TCP', 53, 'dns-tcp'],
    ['UDP', 53, 'dns'],
  ],
  [
    ['TCP', 80, 'http'],
    ['TCP', 443, 'https'],
  ],
  [['SCTP', 3868, 'diameter']],
  [
    ['SCTP', 80, 'sctp'],
    ['TCP', 80, 'http'],
  ],
];
const RANGES: readonly at.Place[] = [
  { 4: '10.0.0.0/24', 6: 'fd00:a::/64' },
  { 4: '198.51.100.0/24', 6: 'fd00:b::/64' },
  { 4: '10.244.0.0/16', 6: 'fd00:10:244::/56' },
  { 4: '10.0.0.2/32', 6: 'fd00:a::2/128' },
  { 4: '0.0.0.0/0', 6: '::/0' },
];

/**
 * @param index below 250: ports and addresses follow from it
 * @param generation what may change of a service changes with it: policies, source ranges, affinity and endpoints
 */
export function caseOf(seed: number, index: number, generation: number): Case {
  const shape = choicesOf(seed * 1_000_003 + index);
  const state = choicesOf(seed * 1_000_003 + index * 31 + generation * 7919 + 1);
  const kind = shape.pick(KINDS);
  const families = shape.pick(FAMILIES);
  const name = `s${index}`;
  const hasNodePorts = kind === 'NodePort' || (kind === 'LoadBalancer' && shape.chance(0.7));
  const ports = shape.pick(PORTS).map(([protocol, port, portName], i) => ({
    name: portName,
    protocol,
    port,
    nodePort: hasNodePorts ? at.nodePort(index * 4 + i) : undefined,
  }));
  const hasAddresses = kind !== 'headless' && kind !== 'ExternalName';
  const hasExternal = hasAddresses && shape.chance(0.25);
  const mode = shape.pick(['VIP', 'VIP', 'unset', 'Proxy', 'hostname'] as const);
  const isSticky = hasAddresses && state.chance(0.2);
  const balancerIps = kind === 'LoadBalancer' ? at.balancerIp(index) : undefined;
  const spec = {
    ...typeSpec(kind, families, index),
    ...(kind === 'ExternalName' ? {} : { ports: ports.map(portSpec) }),
    ...(kind === 'LoadBalancer' ? { allocateLoadBalancerNodePorts: hasNodePorts, ...rangesSpec(state, families) } : {}),
    ...(hasExternal ? { externalIPs: families.map(family => at.externalIp(index)[family]) } : {}),
    ...policiesSpec(state, kind, hasExternal, index),
    ...(isSticky ? { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 900 } } } : {}),
  };
  const labels = labelsOf(shape);
  const metadata = { name, namespace: NAMESPACE, labels };
  const status = balancerIps === undefined ? {} : { status: balancerStatus(mode, families, balancerIps) };
  return {
    name,
    families,
    ports,
    clusterIps: hasAddresses ? at.clusterIp(index) : undefined,
    externalIps: hasExternal ? at.externalIp(index) : undefined,
    balancerIps,
    isSticky,
    service: { apiVersion: 'v1', kind: 'Service', metadata, spec, ...status },
    slices:
      kind === 'ExternalName'
        ? []
        : endpointSlices(state, {
            name,
            namespace: NAMESPACE,
            families,
            ports,
            // The controller copies a service's labels.
            labels: shape.chance(0.7) ? labels : {},
          }),
  };
}

function portSpec({ name, protocol, port, nodePort }: CasePort): object {
  return { name, protocol, port, targetPort: name, ...(nodePort === undefined ? {} : { nodePort }) };
}

function typeSpec(kind: Kind, families: readonly Family[], index: number): object {
  if (kind === 'ExternalName') return { type: kind, externalName: 'elsewhere.test' };
  const ips = kind === 'headless' ? ['None'] : families.map(family => at.clusterIp(index)[family]);
  return {
    type: kind === 'headless' ? 'ClusterIP' : kind,
    clusterIP: ips[0],
    clusterIPs: ips,
    ipFamilies: families.map(family => `IPv${family}`),
    ipFamilyPolicy: families.length > 1 ? 'RequireDualStack' : 'SingleStack',
  };
}

function policiesSpec(state: Choices, kind: Kind, hasExternal: boolean, index: number): object {
  if (kind === 'ExternalName') return {};
  const isExternal = kind === 'NodePort' || kind === 'LoadBalancer' || hasExternal;
  const external = state.pick(['Cluster', 'Local']);
  return {
    internalTrafficPolicy: state.pick(['Cluster', 'Cluster', 'Cluster', 'Local']),
    ...(isExternal ? { externalTrafficPolicy: external } : {}),
    // The server would take any node port, maybe that of a service to come.
    ...(kind === 'LoadBalancer' && external === 'Local' ? { healthCheckNodePort: at.healthCheckPort(index) } : {}),
  };
}

function rangesSpec(state: Choices, families: readonly Family[]): object {
  if (state.chance(0.6)) return {};
  const ranges = state.some(RANGES).flatMap(range => families.map(family => range[family]));
  return { loadBalancerSourceRanges: ranges };
}

function balancerStatus(
  mode: 'VIP' | 'unset' | 'Proxy' | 'hostname',
  families: readonly Family[],
  ips: at.Place,
): object {
  const ingress =
    mode === 'hostname'
      ? [{ hostname: 'balancer.test' }]
      : families.map(family => ({ ip: ips[family], ...(mode === 'unset' ? {} : { ipMode: mode }) }));
  return { loadBalancer: { ingress } };
}

function labelsOf(shape: Choices): Readonly<Record<string, string>> {
  if (shape.chance(0.03)) return { [PROXY_NAME_LABEL]: 'another' };
  return shape.chance(0.04) ? { [HEADLESS_LABEL]: '' } : {};
}
