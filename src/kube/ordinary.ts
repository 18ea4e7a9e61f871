/**
 * Objects in the form that API servers give nearly all of them, read at a fraction of what the schemas cost: of a large
 * cluster's hundred thousands, hardly one needs more. Whatever is out of the ordinary is for the schemas, which also say
 * what is wrong. A property test holds both to the same result.
 */

import { formatAddress, parseAddress, type IpAddress } from '../core/ip.js';
import type {
  Endpoint,
  EndpointSlice,
  IpText,
  Kind,
  KubeObject,
  LoadBalancerIngress,
  NamedPort,
  Node,
  ObjectMeta,
  Pod,
  Protocol,
  Service,
  ServicePort,
  TrafficPolicy,
} from './objectTypes.js';
import { readiness } from './objectSchemas.js';
import { AUTOSCALER_TAINT, isKeptAnnotation, parseCidr, triggerTime } from './schemaParts.js';

type Json = Readonly<Record<string, unknown>>;

/** Made once: it costs nothing to throw. */
const UNUSUAL = new Error('this object is for the schemas');

const NOTHING: Readonly<Record<string, never>> = Object.freeze({});
const NONE: readonly never[] = Object.freeze([]);

/** @param namespace where the object is, which it may have left out  @returns undefined: the schemas decide */
export function ordinary(kind: Kind, json: Json, namespace: string): KubeObject | undefined {
  try {
    switch (kind) {
      case 'Pod':
        return pod(json, namespace);
      case 'EndpointSlice':
        return endpointSlice(json, namespace);
      case 'Service':
        return service(json, namespace);
      case 'Node':
        return node(json, namespace);
      case 'Namespace':
        return { kind, ...meta(json, namespace) };
      // Few and large, or hardly any: they are for the schemas.
      case 'NetworkPolicy':
      case 'ClusterNetworkPolicy':
      case 'ServiceCIDR':
        return undefined;
    }
  } catch (error) {
    if (error === UNUSUAL) return undefined;
    throw error;
  }
}

function meta(json: Json, namespace: string): ObjectMeta {
  const { name, namespace: given, uid, creationTimestamp, labels, annotations } = section(json['metadata']);
  if (typeof name !== 'string' || name === '') throw UNUSUAL;
  text(given, '');
  return {
    namespace,
    name,
    uid: text(uid, ''),
    createdAt: maybeText(creationTimestamp),
    labels: strings(labels),
    annotations: kept(strings(annotations)),
  };
}

function kept(all: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  let some: Record<string, string> | undefined;
  for (const key in all) if (isKeptAnnotation(key)) (some ??= {})[key] = all[key] ?? '';
  return some ?? NOTHING;
}

function pod(json: Json, namespace: string): Pod {
  const spec = section(json['spec']);
  const { phase, podIP, podIPs } = section(json['status']);
  const ips = list(podIPs).map(entry => ip(object(entry)['ip']));
  const first = maybeIp(podIP);
  return {
    kind: 'Pod',
    ...meta(json, namespace),
    nodeName: maybeText(spec['nodeName']),
    hostNetwork: flag(spec['hostNetwork'], false),
    ips: ips.length > 0 || first === undefined ? ips : [first],
    phase: text(phase, ''),
    namedPorts: namedPorts(list(spec['containers'])),
  };
}

function namedPorts(containers: readonly unknown[]): readonly NamedPort[] {
  let ports: NamedPort[] | undefined;
  for (const container of containers) {
    for (const given of list(object(container)['ports'])) {
      const { name, protocol, containerPort } = object(given);
      const port = { name: text(name, ''), protocol: protocolOf(protocol), port: number(containerPort, 1, 65535) };
      if (port.name !== '') (ports ??= []).push(port);
    }
  }
  return ports ?? NONE;
}

function endpointSlice(json: Json, namespace: string): EndpointSlice {
  const { addressType } = json;
  if (addressType !== 'IPv4' && addressType !== 'IPv6') throw UNUSUAL;
  const metadata = meta(json, namespace);
  const ports: NamedPort[] = [];
  for (const given of list(json['ports'])) {
    const { name, protocol, port } = object(given);
    const read = { name: text(name, ''), protocol: protocolOf(protocol), port: number(port, 1, 65535, 0) };
    if (read.port !== 0) ports.push(read);
  }
  return {
    kind: 'EndpointSlice',
    ...metadata,
    service: metadata.labels['kubernetes.io/service-name'],
    addressType,
    endpoints: list(json['endpoints']).map(given => endpoint(given, addressType === 'IPv6')),
    ports,
    triggeredAt: triggerTime(section(json['metadata'])['annotations']),
  };
}

function endpoint(json: unknown, isIpv6: boolean): Endpoint {
  const { addresses, conditions, nodeName, hints } = object(json);
  const { ready, serving, terminating } = section(conditions);
  const { forZones, forNodes } = section(hints);
  const isReady = flag(ready, true);
  return {
    addresses: list(addresses).map(address => ipOf(address, isIpv6)),
    ready: isReady,
    serving: flag(serving, isReady),
    terminating: flag(terminating, false),
    nodeName: maybeText(nodeName),
    zoneHints: names(forZones),
    nodeHints: names(forNodes),
  };
}

function names(json: unknown): readonly string[] {
  const hints = list(json);
  return hints.length === 0 ? NONE : hints.map(hint => text(object(hint)['name']));
}

function service(json: Json, namespace: string): Service {
  const spec = section(json['spec']);
  const { ingress } = section(section(json['status'])['loadBalancer']);
  const clusterIps = clusterIp(list(spec['clusterIPs']));
  const first = clusterIp(spec['clusterIP'] === undefined ? NONE : [spec['clusterIP']]);
  return {
    kind: 'Service',
    ...meta(json, namespace),
    type: serviceType(spec['type']),
    clusterIps: list(spec['clusterIPs']).length > 0 ? clusterIps : first,
    externalIps: list(spec['externalIPs']).map(ip),
    loadBalancerIngress: list(ingress).flatMap(ingressOf),
    loadBalancerIp: maybeIp(spec['loadBalancerIP']),
    loadBalancerClass: maybeText(spec['loadBalancerClass']),
    loadBalancerSourceRanges: list(spec['loadBalancerSourceRanges']).map(cidr),
    ports: list(spec['ports']).map(servicePort),
    internalTrafficPolicy: trafficPolicy(spec['internalTrafficPolicy']),
    externalTrafficPolicy: trafficPolicy(spec['externalTrafficPolicy']),
    clientIpAffinity: affinity(spec),
    healthCheckNodePort: number(spec['healthCheckNodePort'], 0, 65535, 0),
  };
}

function clusterIp(given: readonly unknown[]): readonly IpText[] {
  // The word of a headless service.
  return given.filter(value => value !== 'None' && value !== '').map(ip);
}

function ingressOf(json: unknown): readonly LoadBalancerIngress[] {
  const { ip: address, ipMode = 'VIP' } = object(json);
  if (ipMode !== 'VIP' && ipMode !== 'Proxy') throw UNUSUAL;
  const found = maybeIp(address);
  return found === undefined ? NONE : [{ ip: found, ipMode }];
}

function servicePort(json: unknown): ServicePort {
  const { name, protocol, port, nodePort } = object(json);
  return {
    name: text(name, ''),
    protocol: protocolOf(protocol),
    port: number(port, 1, 65535),
    nodePort: number(nodePort, 0, 65535, 0),
  };
}

function affinity({ sessionAffinity = 'None', sessionAffinityConfig }: Json): number | undefined {
  // Who has any is for the schemas: its configuration is checked even where it means nothing.
  if (sessionAffinity !== 'None' || sessionAffinityConfig !== undefined) throw UNUSUAL;
  return undefined;
}

function node(json: Json, namespace: string): Node {
  const { podCIDR, podCIDRs, unschedulable, taints } = section(json['spec']);
  const deleted = maybeText(section(json['metadata'])['deletionTimestamp']);
  const { addresses, conditions } = section(json['status']);
  const cidrs = list(podCIDRs).map(cidr);
  const first = podCIDR === undefined || podCIDR === '' ? undefined : cidr(podCIDR);
  return {
    kind: 'Node',
    ...meta(json, namespace),
    podCidrs: cidrs.length > 0 || first === undefined ? cidrs : [first],
    internalIps: list(addresses).flatMap(internalIp),
    unschedulable: flag(unschedulable, false),
    // Every taint is looked at: a bad one is for the schemas.
    leaving: list(taints).map(taintKey).includes(AUTOSCALER_TAINT) || deleted !== undefined,
    ...readiness(list(conditions).map(condition)),
  };
}

function condition(json: unknown): { readonly type: string; readonly status: string } {
  const { type, status } = object(json);
  return { type: text(type, ''), status: text(status, '') };
}

function taintKey(json: unknown): string {
  return text(object(json)['key'], '');
}

function internalIp(json: unknown): readonly IpAddress[] {
  const { type, address } = object(json);
  if (typeof type !== 'string' || typeof address !== 'string') throw UNUSUAL;
  if (type !== 'InternalIP') return NONE;
  const parsed = parseAddress(address);
  if (!parsed.ok) throw UNUSUAL;
  return [parsed.value];
}

function cidr(json: unknown): Node['podCidrs'][number] {
  if (typeof json !== 'string') throw UNUSUAL;
  const parsed = parseCidr(json);
  if (!parsed.ok) throw UNUSUAL;
  return parsed.value;
}

/** An object whose absence means the same as `{}`. */
function section(json: unknown): Json {
  return json === undefined ? NOTHING : object(json);
}

function object(json: unknown): Json {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw UNUSUAL;
  return json as Json;
}

function list(json: unknown): readonly unknown[] {
  if (json === undefined) return NONE;
  if (!Array.isArray(json)) throw UNUSUAL;
  return json;
}

function strings(json: unknown): Readonly<Record<string, string>> {
  const record = section(json);
  for (const key in record) if (typeof record[key] !== 'string') throw UNUSUAL;
  return record as Readonly<Record<string, string>>;
}

function text(json: unknown, fallback?: string): string {
  const value = json ?? fallback;
  if (typeof value !== 'string') throw UNUSUAL;
  return value;
}

function maybeText(json: unknown): string | undefined {
  return json === undefined ? undefined : text(json);
}

function flag(json: unknown, fallback: boolean): boolean {
  const value = json ?? fallback;
  if (typeof value !== 'boolean') throw UNUSUAL;
  return value;
}

function number(json: unknown, least: number, most: number, fallback?: number): number {
  if (json === undefined && fallback !== undefined) return fallback;
  if (typeof json !== 'number' || !Number.isInteger(json) || json < least || json > most) throw UNUSUAL;
  return json;
}

function protocolOf(json: unknown = 'TCP'): Protocol {
  if (json !== 'TCP' && json !== 'UDP' && json !== 'SCTP') throw UNUSUAL;
  return json;
}

function trafficPolicy(json: unknown = 'Cluster'): TrafficPolicy {
  if (json !== 'Cluster' && json !== 'Local') throw UNUSUAL;
  return json;
}

function serviceType(json: unknown = 'ClusterIP'): Service['type'] {
  if (json !== 'ClusterIP' && json !== 'NodePort' && json !== 'LoadBalancer' && json !== 'ExternalName') throw UNUSUAL;
  return json;
}

function maybeIp(json: unknown): IpText | undefined {
  return json === undefined || json === '' ? undefined : ip(json);
}

function ipOf(json: unknown, isIpv6: boolean): IpText {
  const address = ip(json);
  if (address.includes(':') !== isIpv6) throw UNUSUAL;
  return address;
}

function ip(json: unknown): IpText {
  if (typeof json !== 'string') throw UNUSUAL;
  if (isCanonicalIpv4(json)) return json as IpText;
  const parsed = parseAddress(json);
  if (!parsed.ok) throw UNUSUAL;
  return formatAddress(parsed.value) as IpText;
}

const [DOT, ZERO, NINE] = [46, 48, 57];

/** Four numbers of up to 255 without leading zeros. */
function isCanonicalIpv4(address: string): boolean {
  let [octets, value, digits] = [0, 0, 0];
  for (let i = 0; i <= address.length; i++) {
    const code = i === address.length ? DOT : address.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || value > 255) return false;
      octets++;
      [value, digits] = [0, 0];
    } else {
      if (code < ZERO || code > NINE || (digits > 0 && value === 0) || digits === 3) return false;
      value = value * 10 + code - ZERO;
      digits++;
    }
  }
  return octets === 4;
}
