/** Agents fed by the real API server, with BIRD as their ToR: nodes, services, annotations, and a server that goes away. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { buildHosts, startBird } from '../../test/system/rack.js';
import { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeManifest } from '../../lab/kube/kubeClient.js';

const NODES = ['n1', 'n2'] as const;
const TOR = '10.8.0.3';
const VIP = '10.96.0.10';
const WAIT = 120_000;

let topology: Topology;
let plane: ControlPlane;
let birdc: (...args: readonly string[]) => Promise<string>;
const agents = new Map<string, PeerageProcess>();

beforeAll(async () => {
  topology = await Topology.open('pgkc');
  await buildHosts(topology, [...NODES, 'tor', 'api']);
  plane = await ControlPlane.start(topology, 'api', '10.8.0.4');
  ({ birdc } = await startBird(topology, 'tor', birdConfig()));
  for (const [i, node] of NODES.entries()) {
    await plane.admin.apply(nodeObject(i + 1));
    agents.set(node, PeerageProcess.agent(topology, node, { node, config: agentConfig() }));
  }
}, 400_000);
afterAll(async () => {
  await topology.close();
}, 400_000);

/** Two ToR sessions: one for each node, that waits to be connected to. */
function birdConfig(): string {
  const sessions = NODES.map(
    (node, i) => `protocol bgp ${node} {
  local ${TOR} as 64999; neighbor 10.8.0.${i + 1} as 64512; connect retry time 1;
  ipv4 { import all; export none; };
}`,
  );
  return `router id ${TOR};\nprotocol device {}\n${sessions.join('\n')}\n`;
}

function agentConfig(): string {
  return stringify({
    router: { asn: 64512, gracefulRestart: true },
    kubernetes: {
      kubeconfig: plane.adminConfig,
      cni: { enabled: false, forward: 'off' },
      egress: { enabled: false },
      advertise: { clusterIp: true },
    },
  });
}

function nodeObject(n: number, annotations: Record<string, string> = torAnnotation()): KubeManifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${n}`, annotations },
    spec: { podCIDR: `10.244.${n}.0/24`, podCIDRs: [`10.244.${n}.0/24`] },
    status: { addresses: [{ type: 'InternalIP', address: `10.8.0.${n}` }] },
  };
}

function torAnnotation(): Record<string, string> {
  return { 'kube-router.io/peers': `- remoteip: ${TOR}\n  remoteasn: 64999\n` };
}

const service: KubeManifest = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default' },
  spec: { clusterIP: VIP, selector: { app: 'web' }, ports: [{ port: 80, protocol: 'TCP' }] },
};

function pod(n: number): KubeManifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${n}`, namespace: 'default', labels: { app: 'web' } },
    spec: { nodeName: `n${n}`, containers: [{ name: 'web', image: 'web' }] },
    status: {
      phase: 'Running',
      podIP: `10.244.${n}.10`,
      podIPs: [{ ip: `10.244.${n}.10` }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

/** Prefixes that the ToR knows, with the next hops it knows them by. */
async function torRoutes(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  let prefix = '';
  for (const line of (await birdc('show', 'route', 'all')).split('\n')) {
    prefix = /^(\d+\.\d+\.\d+\.\d+\/\d+)/.exec(line)?.[1] ?? prefix;
    const nextHop = /BGP\.next_hop: (\S+)/.exec(line)?.[1];
    if (nextHop !== undefined) found.set(prefix, [...(found.get(prefix) ?? []), nextHop].sort());
  }
  return found;
}

async function torKnows(prefix: string, nextHops: readonly string[]): Promise<void> {
  await waitFor(`${prefix} by way of ${nextHops.join(' and ') || 'nobody'} at the ToR`, WAIT, async () => {
    const known = (await torRoutes()).get(prefix) ?? [];
    return known.join() === nextHops.join() ? true : undefined;
  });
}

test("nodes that register are peered with, and their pods' networks appear at the ToR", async () => {
  await torKnows('10.244.1.0/24', ['10.8.0.1']);
  await torKnows('10.244.2.0/24', ['10.8.0.2']);
  await waitFor('the session between the nodes', WAIT, async () =>
    (await agents.get('n1')!.peers()).some(({ name, state }) => name === 'node/n2' && state === 'Established')
      ? true
      : undefined,
  );
}, 400_000);

test('a service that is scaled to zero is withdrawn, and comes back with its first pod', async () => {
  await plane.admin.apply(service);
  await plane.admin.apply(pod(1));
  await torKnows(`${VIP}/32`, ['10.8.0.1', '10.8.0.2']);
  await plane.admin.delete(pod(1));
  await torKnows(`${VIP}/32`, []);
  await plane.admin.apply(pod(2));
  await torKnows(`${VIP}/32`, ['10.8.0.1', '10.8.0.2']);
}, 400_000);

test('internalTrafficPolicy Local: only the node with an endpoint announces, and that moves with the pod', async () => {
  await plane.admin.merge(service, { spec: { internalTrafficPolicy: 'Local' } });
  await torKnows(`${VIP}/32`, ['10.8.0.2']);
  await plane.admin.apply(pod(1));
  await plane.admin.delete(pod(2));
  await torKnows(`${VIP}/32`, ['10.8.0.1']);
}, 400_000);

test('an annotation that is removed ends its session and no other; set again, the session comes back', async () => {
  const upSince = async (peer: string): Promise<string | null> => (await agents.get('n1')!.peer(peer)).since;
  const before = await upSince('node/n2');
  await plane.admin.merge(nodeObject(1), { metadata: { annotations: { 'kube-router.io/peers': null } } });
  await torKnows('10.244.1.0/24', []);
  expect(await upSince('node/n2')).toBe(before);
  await plane.admin.merge(nodeObject(1), { metadata: { annotations: torAnnotation() } });
  await torKnows('10.244.1.0/24', ['10.8.0.1']);
  expect(await upSince('node/n2')).toBe(before);
}, 400_000);

test('a community in an annotation is told without a session going down', async () => {
  const since = (await agents.get('n1')!.peer('node/n2')).since;
  await plane.admin.merge(nodeObject(1), {
    metadata: { annotations: { 'kube-router.io/node.bgp.communities': '64512:77' } },
  });
  await waitFor('the community at the ToR', WAIT, async () =>
    /BGP\.community:.*\(64512,77\)/.test(await birdc('show', 'route', '10.244.1.0/24', 'all')) ? true : undefined,
  );
  expect((await agents.get('n1')!.peer('node/n2')).since).toBe(since);
}, 400_000);

test('while the API server is away everything stays; once it is back, news arrive', async () => {
  await plane.stopServer();
  await waitFor('the problem', WAIT, async () => {
    const summary = (await agents.get('n1')!.client.get('/v1/summary')) as { readonly problems: readonly string[] };
    return summary.problems.some(text => text.includes('cannot be followed')) ? true : undefined;
  });
  expect([...(await torRoutes()).keys()]).toEqual(
    expect.arrayContaining(['10.244.1.0/24', '10.244.2.0/24', `${VIP}/32`]),
  );
  await plane.restartServer();
  await plane.admin.apply(pod(2));
  await plane.admin.delete(pod(1));
  await torKnows(`${VIP}/32`, ['10.8.0.2']);
}, 400_000);

test('a server that begins anew from storage that forgot what we have seen costs nothing', async () => {
  await plane.compact();
  await plane.stopServer();
  await plane.restartServer();
  await plane.admin.apply(nodeObject(1, { ...torAnnotation(), 'kube-router.io/pod-cidrs': '10.244.9.0/24' }));
  await torKnows('10.244.9.0/24', ['10.8.0.1']);
  expect([...(await torRoutes()).keys()]).toContain('10.244.2.0/24');
}, 400_000);

test('a node that is deleted is gone from its neighbours', async () => {
  await plane.admin.delete(nodeObject(2));
  await waitFor('the end of the session', WAIT, async () =>
    (await agents.get('n1')!.peers()).some(({ name }) => name === 'node/n2') ? undefined : true,
  );
}, 400_000);
