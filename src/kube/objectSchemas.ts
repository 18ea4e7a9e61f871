/** The schemas of the kinds we read (NetworkPolicy has a file of its own): JSON to typed object. */

import { z } from 'zod';
import { parseAddress, type IpAddress } from '../core/ip.js';
import type {
  EndpointSlice,
  IpText,
  Namespace,
  Node,
  Pod,
  Service,
  ServiceCidr,
  TrafficPolicy,
} from './objectTypes.js';
import {
  AUTOSCALER_TAINT,
  cidr,
  ipText,
  ipTextOf,
  listOf,
  maybe,
  metadata,
  orElse,
  portNumber,
  portOrNone,
  protocol,
  section,
  triggerTime,
} from './schemaParts.js';

const present = <T>(value: T | undefined): value is T => value !== undefined;

/** Only InternalIP entries have to be addresses; others are host names or of no interest. */
const internalIp: z.ZodType<IpAddress | undefined> = z
  .object({ type: z.string(), address: z.string() })
  .transform(({ type, address }, context) => {
    if (type !== 'InternalIP') return undefined;
    const parsed = parseAddress(address);
    if (parsed.ok) return parsed.value;
    context.issues.push({ code: 'custom', message: parsed.error, input: address, path: ['address'] });
    return z.NEVER;
  });

const nodeMetadata = z
  .intersection(metadata, z.object({ deletionTimestamp: maybe(z.string()) }))
  .transform(({ deletionTimestamp, ...rest }) => ({ rest, isDeleted: deletionTimestamp !== undefined }));

const condition = z.object({ type: orElse<string>(z.string(), ''), status: orElse<string>(z.string(), '') });

export const node: z.ZodType<Node> = z
  .object({
    metadata: nodeMetadata,
    spec: section({
      podCIDR: z.preprocess(value => (value === '' ? undefined : value), maybe(cidr)),
      podCIDRs: listOf(cidr),
      unschedulable: orElse<boolean>(z.boolean(), false),
      taints: listOf(z.object({ key: orElse<string>(z.string(), '') })),
    }),
    status: section({ addresses: listOf(internalIp), conditions: listOf(condition) }),
  })
  .transform(({ metadata: { rest, isDeleted }, spec, status }) => ({
    kind: 'Node',
    ...rest,
    podCidrs: spec.podCIDRs.length > 0 ? spec.podCIDRs : [spec.podCIDR].filter(present),
    internalIps: status.addresses.filter(present),
    unschedulable: spec.unschedulable,
    leaving: isDeleted || spec.taints.some(({ key }) => key === AUTOSCALER_TAINT),
    ...readiness(status.conditions),
  }));

/** Unknown (the node has not been heard of for a while) is not ready. */
export function readiness(conditions: readonly z.infer<typeof condition>[]): Pick<Node, 'ready'> {
  const ready = conditions.find(({ type }) => type === 'Ready');
  return ready === undefined ? {} : { ready: ready.status === 'True' };
}

export const namespace: z.ZodType<Namespace> = z
  .object({ metadata })
  .transform(({ metadata }) => ({ kind: 'Namespace', ...metadata }));

const trafficPolicy = orElse<TrafficPolicy>(z.enum(['Cluster', 'Local']), 'Cluster');

/** A balancer known by host name only has no address for us. */
const ingress = z.object({
  ip: z.preprocess(value => (value === '' ? undefined : value), maybe(ipText)),
  ipMode: orElse<'VIP' | 'Proxy'>(z.enum(['VIP', 'Proxy']), 'VIP'),
});

/** `None` is how a headless service says that it has no address. */
const clusterIp: z.ZodType<IpText | undefined> = z.union([z.enum(['None', '']).transform(() => undefined), ipText]);

/** Seconds: the API server takes no more than a day either. */
const LONGEST_AFFINITY = 86_400;

const serviceSpec = section({
  type: orElse<Service['type']>(z.enum(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']), 'ClusterIP'),
  clusterIP: maybe(clusterIp),
  clusterIPs: listOf(clusterIp),
  externalIPs: listOf(ipText),
  loadBalancerClass: maybe(z.string()),
  loadBalancerIP: z.preprocess(value => (value === '' ? undefined : value), maybe(ipText)),
  loadBalancerSourceRanges: listOf(cidr),
  ports: listOf(z.object({ name: orElse<string>(z.string(), ''), protocol, port: portNumber, nodePort: portOrNone })),
  internalTrafficPolicy: trafficPolicy,
  externalTrafficPolicy: trafficPolicy,
  sessionAffinity: orElse<'None' | 'ClientIP'>(z.enum(['None', 'ClientIP']), 'None'),
  sessionAffinityConfig: section({
    clientIP: section({ timeoutSeconds: orElse<number>(z.int().min(1).max(LONGEST_AFFINITY), 10800) }),
  }),
  healthCheckNodePort: portOrNone,
});

export const service: z.ZodType<Service> = z
  .object({
    metadata,
    spec: serviceSpec,
    status: section({ loadBalancer: section({ ingress: listOf(ingress) }) }),
  })
  .transform(({ metadata, spec, status }) => ({
    kind: 'Service',
    ...metadata,
    type: spec.type,
    clusterIps: (spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP]).filter(present),
    externalIps: spec.externalIPs,
    loadBalancerIngress: status.loadBalancer.ingress.flatMap(({ ip, ipMode }) =>
      ip === undefined ? [] : [{ ip, ipMode }],
    ),
    loadBalancerIp: spec.loadBalancerIP,
    loadBalancerClass: spec.loadBalancerClass,
    loadBalancerSourceRanges: spec.loadBalancerSourceRanges,
    ports: spec.ports,
    internalTrafficPolicy: spec.internalTrafficPolicy,
    externalTrafficPolicy: spec.externalTrafficPolicy,
    clientIpAffinity:
      spec.sessionAffinity === 'ClientIP' ? spec.sessionAffinityConfig.clientIP.timeoutSeconds : undefined,
    healthCheckNodePort: spec.healthCheckNodePort,
  }));

const named = listOf(z.object({ name: z.string() })).transform(hints => hints.map(hint => hint.name));

const endpointRest = {
  conditions: section({ ready: maybe(z.boolean()), serving: maybe(z.boolean()), terminating: maybe(z.boolean()) }),
  nodeName: maybe(z.string()),
  hints: section({ forZones: named, forNodes: named }),
};

/** Conditions left out: ready means yes, serving the same as ready, terminating no (discovery.k8s.io/v1). */
function endpointOf<T>(
  address: z.ZodType<T>,
): z.ZodType<Omit<EndpointSlice['endpoints'][number], 'addresses'> & { readonly addresses: readonly T[] }> {
  return z
    .object({ addresses: listOf(address), ...endpointRest })
    .transform(({ addresses, conditions, nodeName, hints }) => {
      const ready = conditions.ready ?? true;
      return {
        addresses,
        ready,
        serving: conditions.serving ?? ready,
        terminating: conditions.terminating ?? false,
        nodeName,
        zoneHints: hints.forZones,
        nodeHints: hints.forNodes,
      };
    });
}

/** Annotations are checked with the rest of the metadata; here they are only looked at. */
const trigger = z
  .object({ annotations: z.unknown().optional() })
  .transform(({ annotations }) => ({ triggeredAt: triggerTime(annotations) }));
const sliceMetadata = z.intersection(metadata, trigger);

const sliceRest = {
  metadata: sliceMetadata,
  ports: listOf(z.object({ name: orElse<string>(z.string(), ''), protocol, port: maybe(portNumber) })),
};

export const endpointSlice: z.ZodType<EndpointSlice> = z
  .discriminatedUnion('addressType', [
    z.object({ addressType: z.literal('IPv4'), endpoints: listOf(endpointOf(ipTextOf(4))), ...sliceRest }),
    z.object({ addressType: z.literal('IPv6'), endpoints: listOf(endpointOf(ipTextOf(6))), ...sliceRest }),
    z.object({ addressType: z.literal('FQDN'), endpoints: z.unknown().transform(() => []), ...sliceRest }),
  ])
  .transform(({ metadata, addressType, endpoints, ports }) => ({
    kind: 'EndpointSlice',
    ...metadata,
    service: metadata.labels['kubernetes.io/service-name'],
    addressType,
    endpoints,
    ports: ports.flatMap(({ port, ...rest }) => (port === undefined ? [] : [{ ...rest, port }])),
  }));

export const serviceCidr: z.ZodType<ServiceCidr> = z
  .object({ metadata, spec: section({ cidrs: listOf(cidr) }) })
  .transform(({ metadata, spec }) => ({ kind: 'ServiceCIDR', ...metadata, cidrs: spec.cidrs }));

const container = z.object({
  ports: listOf(z.object({ name: orElse<string>(z.string(), ''), protocol, containerPort: portNumber })),
});

export const pod: z.ZodType<Pod> = z
  .object({
    metadata,
    spec: section({
      nodeName: maybe(z.string()),
      hostNetwork: orElse<boolean>(z.boolean(), false),
      containers: listOf(container),
    }),
    status: section({
      phase: orElse<string>(z.string(), ''),
      podIP: z.preprocess(value => (value === '' ? undefined : value), maybe(ipText)),
      podIPs: listOf(z.object({ ip: ipText })),
    }),
  })
  .transform(({ metadata, spec, status }) => ({
    kind: 'Pod',
    ...metadata,
    nodeName: spec.nodeName,
    hostNetwork: spec.hostNetwork,
    ips: status.podIPs.length > 0 ? status.podIPs.map(entry => entry.ip) : [status.podIP].filter(present),
    phase: status.phase,
    namedPorts: spec.containers.flatMap(({ ports }) =>
      ports.flatMap(({ name, protocol, containerPort }) =>
        name === '' ? [] : [{ name, protocol, port: containerPort }],
      ),
    ),
  }));
