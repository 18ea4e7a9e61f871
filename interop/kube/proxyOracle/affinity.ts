/** When a client that is kept to one endpoint is let go: what is seen of it from outside, one connection at a time. Impure. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeManifest } from '../../../lab/kube/kubeClient.js';
import * as at from './addresses.js';

/** Who answers one connection of a client that is always the same; undefined: nobody. */
export type Connect = () => Promise<string | undefined>;

/** A TCP service of plain kind, at port 80 of a cluster IP. @param spec more of it */
export function plainService(
  { name, namespace }: { readonly name: string; readonly namespace: string },
  address: string,
  endpoints: readonly at.Place[],
  spec: object = {},
): readonly KubeManifest[] {
  const metadata = { name, namespace };
  const ports = [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 'http' }];
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP: address, ports, ...spec } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: at.BACKEND_PORTS[0], protocol: 'TCP' }],
      endpoints: endpoints.map(place => ({ addresses: [place[4]], conditions: { ready: true } })),
    },
  ];
}

/** @param seconds for which a client is kept after its last connection */
export function stickySpec(seconds: number): object {
  return { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: seconds } } };
}

/** Stays away for longer than it is kept, again and again. @returns resolves once it came to another endpoint than before */
export async function isLetGo(seconds: number, connect: Connect, until: number): Promise<boolean> {
  const first = await connect();
  while (Date.now() < until) {
    await sleep(2000 * seconds);
    const next = await connect();
    if (first !== undefined && next !== undefined && next !== first) return true;
  }
  return false;
}

/**
 * Comes again and again before its time is over, for three times as long as it is kept; begins anew where it was late.
 * @returns the endpoints it came to, in order: one, if each connection begins the time anew; none if it was always late
 */
export async function keptTo(seconds: number, connect: Connect, until: number): Promise<readonly string[]> {
  let met: string[] = [];
  let [begun, last] = [Date.now(), Date.now()];
  while (Date.now() < until) {
    const asked = Date.now();
    const endpoint = await connect();
    // Somewhere between the beginning of the one and the end of the other the record may have come to its end.
    if (Date.now() - last >= seconds * 1000 || endpoint === undefined) [met, begun] = [[], asked];
    if (endpoint !== undefined && met.at(-1) !== endpoint) met.push(endpoint);
    last = asked;
    if (met.length > 1 || asked - begun > 3000 * seconds) return met;
    await sleep(1000);
  }
  return [];
}
