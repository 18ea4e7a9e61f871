/** A service of both families in front of the server of a world of policies. */

import { waitFor } from '../../lab/topology/commands.js';
import { addressesOf, PATIENCE, PORT, type PolicyWorld } from './policyWorld.js';

export const CLUSTER_IPS = ['10.96.0.10', 'fd96::10'] as const;

const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'demo' },
  spec: {
    clusterIP: CLUSTER_IPS[0],
    clusterIPs: CLUSTER_IPS,
    ipFamilies: ['IPv4', 'IPv6'],
    ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: PORT }],
  },
};

const SLICES = addressesOf('server').map((address, i) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `web-${i}`, namespace: 'demo', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: i === 0 ? 'IPv4' : 'IPv6',
  ports: [{ name: 'http', port: PORT, protocol: 'TCP' }],
  endpoints: [{ addresses: [address], nodeName: 'one', conditions: { ready: true } }],
}));

/** Resolves when the kernel serves it at both addresses. */
export async function serveServer(world: PolicyWorld): Promise<void> {
  world.write('service', SERVICE, ...SLICES);
  await waitFor('the service', PATIENCE, async () =>
    (await world.peerage('show', 'services')).split('programmed').length > CLUSTER_IPS.length ? true : undefined,
  );
}
