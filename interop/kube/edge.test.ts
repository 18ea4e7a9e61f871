/** A host outside the cluster: it asks for a subnet, gets one, and what is behind it reaches every pod. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { parseAllDocuments, stringify } from 'yaml';
import { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeManifest } from '../../lab/kube/kubeClient.js';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { buildHosts } from '../../test/system/rack.js';
import { nodeObject } from './objects.js';

const NODES = ['n1', 'n2'] as const;
const EDGE = '10.8.0.4';
const WAIT = 120_000;

let topology: Topology;
let plane: ControlPlane;
const agents = new Map<string, PeerageProcess>();

beforeAll(async () => {
  topology = await Topology.open('pgke');
  await buildHosts(topology, [...NODES, 'api', 'edge']);
  plane = await ControlPlane.start(topology, 'api', '10.8.0.3');
  for (const file of ['rbac', 'edge'])
    for (const document of parseAllDocuments(readFileSync(`deploy/${file}.yaml`, 'utf8')))
      await plane.admin.apply(document.toJS() as KubeManifest);
  const ofNodes = await plane.serviceAccountConfig('kube-system', 'peerage');
  const ofEdge = await plane.serviceAccountConfig('peerage-edge', 'edge');
  for (const [i, node] of NODES.entries()) {
    await plane.admin.apply(nodeObject(node, i + 1));
    // What a pod would have.
    await topology.ip(node, 'address', 'add', `10.244.${i + 1}.10/32`, 'dev', 'lo');
    agents.set(node, PeerageProcess.agent(topology, node, { node, config: nodeConfig(ofNodes) }));
  }
  agents.set('edge', PeerageProcess.agent(topology, 'edge', { node: 'lb-1', config: edgeConfig(ofEdge) }));
}, 400_000);
afterAll(async () => {
  await topology.close();
}, 400_000);

const PLAIN = { cni: { enabled: false, forward: 'off' }, egress: { enabled: false } };

function nodeConfig(kubeconfig: string): string {
  return stringify({
    peerGroups: { edge: { asn: 64512 } },
    dynamicPeers: [{ prefix: `${EDGE}/32`, group: 'edge' }],
    kubernetes: { kubeconfig, edgeSubnets: ['10.250.0.0/22'], ...PLAIN },
  });
}

function edgeConfig(kubeconfig: string): string {
  return stringify({ kubernetes: { kubeconfig, role: 'edge', edge: { addresses: [EDGE], ask: { ipv4: 24 } } } });
}

async function hasRoute(host: string, prefix: string): Promise<void> {
  await waitFor(`${prefix} on ${host}`, WAIT, async () =>
    (await topology.ip(host, '-4', 'route')).split('\n').some(line => line.startsWith(`${prefix} via`))
      ? true
      : undefined,
  );
}

test('gets a subnet, which every node has a route to', async () => {
  for (const node of NODES) await hasRoute(node, '10.250.0.0/24');
  const { body } = await plane.admin.ask('GET', '/api/v1/namespaces/peerage-edge/configmaps/lb-1');
  expect(body).toMatchObject({ data: { ask: 'ipv4/24', subnets: '10.250.0.0/24' } });
}, 400_000);

test('reaches every pod from the subnet', async () => {
  await topology.ip('edge', 'address', 'add', '10.250.0.1/32', 'dev', 'lo');
  for (const n of [1, 2]) {
    await hasRoute('edge', `10.244.${n}.0/24`);
    // Until one answer has come: the first packets may wait for neighbours, or for a machine with other work.
    const ping = ['-c', '1', '-w', '60', '-I', '10.250.0.1', `10.244.${n}.10`];
    const { code, stdout } = await topology.exec('edge', 'ping', ping);
    expect([code, stdout]).toEqual([0, expect.stringContaining(' 1 received')]);
  }
}, 400_000);

test('has the same subnet after a restart, also when the agent that gave it is gone', async () => {
  const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/peerage-loadbalancer';
  const { body } = await plane.admin.ask('GET', lease);
  const { holderIdentity } = (body as { readonly spec: { readonly holderIdentity: string } }).spec;
  await agents.get(holderIdentity)!.program.end('SIGKILL');
  const edge = agents.get('edge')!;
  await edge.program.end('SIGTERM');
  edge.restart();
  const other = NODES.find(node => node !== holderIdentity)!;
  await hasRoute(other, '10.250.0.0/24');
  await waitFor('the session', WAIT, async () =>
    (await edge.peers()).some(({ name, state }) => name === `node/${other}` && state === 'Established')
      ? true
      : undefined,
  );
}, 400_000);
