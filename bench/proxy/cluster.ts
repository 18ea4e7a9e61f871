/** The services that both proxies are given by an API server: one port each, endpoints in slices of a hundred. Pure. */

import { formatIpv4 } from '../../src/core/ip.js';

export const NAMESPACE = 'bench';
export const NODE = 'node-1';
export const NODE_ADDRESS = '10.9.0.2';
/** All endpoints are addresses in here, and none of them is on the node. */
export const POD_NETWORK = '10.128.0.0/9';
export const PORT = 80;
/** Where endpoints listen; those of a service that has changed, at the second. */
export const TARGETS = [8080, 8081] as const;

const [FIRST_SERVICE, FIRST_POD] = [0x0a60_0100, 0x0a80_0001];
/** As the controller makes them. */
const MOST_IN_SLICE = 100;

export function serviceAddress(n: number): string {
  return formatIpv4(FIRST_SERVICE + n);
}

export function namespaceJson(): string {
  return JSON.stringify({ metadata: metadata(NAMESPACE), spec: { finalizers: ['kubernetes'] } });
}

export function nodeJson(): string {
  const addresses = [{ type: 'InternalIP', address: NODE_ADDRESS }];
  const spec = { podCIDR: '10.127.0.0/24', podCIDRs: ['10.127.0.0/24'] };
  return JSON.stringify({ metadata: metadata(NODE), spec, status: { addresses } });
}

export function serviceJson(n: number): string {
  const clusterIP = serviceAddress(n);
  return JSON.stringify({
    metadata: { ...metadata(`s${n}`), namespace: NAMESPACE },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ports: [{ name: 'http', protocol: 'TCP', port: PORT, targetPort: TARGETS[0] }],
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    },
    status: { loadBalancer: {} },
  });
}

/** The server's note of who has a service's address; without it, it makes all of them at its start. */
export function serviceIpJson(n: number): string {
  const labels = {
    'ipaddress.kubernetes.io/ip-family': 'IPv4',
    'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
  };
  const parentRef = { resource: 'services', namespace: NAMESPACE, name: `s${n}` };
  return JSON.stringify({ metadata: { ...metadata(serviceAddress(n)), labels }, spec: { parentRef } });
}

/** @returns the slices of service `n` */
export function slicesJson(n: number, endpoints: number): readonly string[] {
  const parts = Array.from({ length: Math.ceil(endpoints / MOST_IN_SLICE) }, (_, part) => part);
  return parts.map(part =>
    JSON.stringify({
      metadata: {
        ...metadata(sliceName(n, part)),
        namespace: NAMESPACE,
        labels: { 'kubernetes.io/service-name': `s${n}` },
      },
      addressType: 'IPv4',
      ports: [portOf(TARGETS[0])],
      endpoints: Array.from({ length: Math.min(MOST_IN_SLICE, endpoints - part * MOST_IN_SLICE) }, (_, i) => ({
        addresses: [formatIpv4(FIRST_POD + n * endpoints + part * MOST_IN_SLICE + i)],
        conditions: { ready: true },
        nodeName: 'node-2',
      })),
    }),
  );
}

/**
 * A merge patch by which service `n` goes from its endpoints to a single other one.
 * @param round endpoints of several rounds are different ones
 */
export function change(n: number, round: number): { readonly path: string; readonly body: object } {
  return {
    path: `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices/${sliceName(n, 0)}`,
    body: {
      ports: [portOf(TARGETS[1])],
      endpoints: [{ addresses: [formatIpv4(0x0af0_0000 + round)], conditions: { ready: true }, nodeName: 'node-2' }],
    },
  };
}

function sliceName(n: number, part: number): string {
  return `s${n}-${part}`;
}

function portOf(port: number): object {
  return { name: 'http', protocol: 'TCP', port };
}

let made = 0;
function metadata(name: string): object {
  const uid = `00000000-0000-4000-8000-${(++made).toString(16).padStart(12, '0')}`;
  return { name, uid, creationTimestamp: '2026-01-01T00:00:00Z' };
}
