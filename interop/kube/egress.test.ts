/** Egress addresses on a real API server, with the rights of deploy/rbac.yaml and no others: a holder that is gone is replaced, and comes back. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ControlPlane } from '../../lab/kube/controlPlane.js';
import { waitFor } from '../../lab/topology/commands.js';
import { Topology } from '../../lab/topology/topology.js';
import { nodeObject } from './objects.js';
import { NODES, startNodesWithRights } from './rights.js';

const WAIT = 180_000;
const ADDRESS = '192.0.2.7';
const SYSTEM = '/api/v1/namespaces/kube-system';

let topology: Topology;
let plane: ControlPlane;

beforeAll(async () => {
  topology = await Topology.open('pgke');
  ({ plane } = await startNodesWithRights(topology, { egressAddresses: { ranges: ['192.0.2.0/28'] } }));
}, 400_000);
afterAll(async () => {
  await topology.close();
}, 400_000);

async function holds(node: string): Promise<boolean> {
  const words = ['list', 'set', 'inet', 'peerage_egress_addresses', 'held4'];
  const { stdout } = await topology.exec(node, 'nft', words);
  return stdout.includes(ADDRESS);
}

async function lostNodes(): Promise<readonly string[]> {
  const { body } = await plane.admin.ask('GET', SYSTEM);
  const { annotations = {} } = (body as { readonly metadata: { readonly annotations?: Record<string, string> } })
    .metadata;
  return Object.entries(annotations).flatMap(([key, node]) =>
    key.startsWith('peerage.io/egress-lost.') ? [node] : [],
  );
}

test('nobody calls a node not ready, and its address moves all the same when its machine is gone', async () => {
  for (const [i, node] of NODES.entries())
    await plane.admin.merge(nodeObject(node, i + 1), { metadata: { labels: { 'peerage.io/egress-node': '' } } });
  await plane.admin.merge(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo' } },
    { metadata: { annotations: { 'peerage.io/egress.addresses': ADDRESS } } },
  );
  const owner = await waitFor('a holder', WAIT, async () => {
    for (const node of NODES) if (await holds(node)) return node;
    return undefined;
  });
  const heir = NODES.find(node => node !== owner)!;
  // Both give signs of life by now, or the other one would not be missed.
  await waitFor('signs of both', WAIT, async () => {
    const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/peerage-egress-addresses';
    const { body } = await plane.admin.ask('GET', lease);
    return JSON.stringify(body).split('peerage.io/egress-beat.').length > NODES.length ? true : undefined;
  });
  expect(await lostNodes()).toEqual([]);

  await topology.exec(owner, 'ip', ['link', 'set', 'eth0', 'down']);
  await waitFor('the heir to hold the address', WAIT, async () => ((await holds(heir)) ? true : undefined));
  expect(await lostNodes()).toEqual([owner]);

  await topology.exec(owner, 'ip', ['link', 'set', 'eth0', 'up']);
  await waitFor('the former holder to be back', WAIT, async () => ((await holds(heir)) ? undefined : true));
  expect(await lostNodes()).toEqual([]);
  await waitFor('the address where it was', WAIT, async () => ((await holds(owner)) ? true : undefined));
}, 600_000);
