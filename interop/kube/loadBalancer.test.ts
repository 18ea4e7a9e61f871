/** Load-balancer addresses from agents on a real API server, with the rights of deploy/rbac.yaml and no others. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeManifest } from '../../lab/kube/kubeClient.js';
import { waitFor } from '../../lab/topology/commands.js';
import type { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { NODES, startNodesWithRights } from './rights.js';

const WAIT = 120_000;
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/peerage-loadbalancer';

let topology: Topology;
let plane: ControlPlane;
let agents: ReadonlyMap<string, PeerageProcess>;

beforeAll(async () => {
  topology = await Topology.open('pgkl');
  ({ plane, agents } = await startNodesWithRights(topology, {
    run: { loadBalancer: true },
    advertise: { loadBalancerIp: true, toNodes: true },
    services: { announceIdle: true, loadBalancerIpRanges: ['203.0.113.0/28', 'fd00:1b::/120'] },
  }));
}, 400_000);
afterAll(async () => {
  await topology.close();
}, 400_000);

function service(name: string, spec: object = {}): KubeManifest {
  const ports = [{ port: 80, protocol: 'TCP' }];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo' },
    spec: { type: 'LoadBalancer', ports, allocateLoadBalancerNodePorts: false, ...spec },
  };
}

interface ServiceStatus {
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  readonly loadBalancer: { readonly ingress?: readonly { readonly ip: string; readonly ipMode?: string }[] };
}

async function statusOf(name: string): Promise<ServiceStatus> {
  const { body } = await plane.admin.ask('GET', `/api/v1/namespaces/demo/services/${name}`);
  return (body as { readonly status: ServiceStatus }).status;
}
const held = async (name: string): Promise<readonly string[]> =>
  ((await statusOf(name)).loadBalancer.ingress ?? []).map(({ ip }) => ip);

async function given(name: string, ips?: readonly string[]): Promise<readonly string[]> {
  return waitFor(`${name} to have ${ips?.join() ?? 'an address'}`, WAIT, async () => {
    const has = await held(name);
    return (ips === undefined ? has.length > 0 : has.join() === ips.join()) ? has : undefined;
  });
}

async function holder(): Promise<string | undefined> {
  const { body } = await plane.admin.ask('GET', LEASE);
  return (body as { readonly spec?: { readonly holderIdentity?: string } }).spec?.holderIdentity;
}

async function announcedBy(node: string, prefix: string, isThere: boolean): Promise<void> {
  await waitFor(`${prefix} ${isThere ? 'announced' : 'withdrawn'} by ${node}`, WAIT, async () => {
    const peer = NODES.find(other => other !== node)!;
    const told = await agents.get(node)!.adjOut(`node/${peer}`);
    return told.some(route => route.prefix === prefix) === isThere ? true : undefined;
  });
}

test('a service gets an address, marked as ours, and every node announces it', async () => {
  await plane.admin.apply(service('web', { clusterIP: '10.96.0.50' }));
  expect(await given('web')).toEqual(['203.0.113.1']);
  expect(await statusOf('web')).toMatchObject({
    conditions: [{ type: 'peerage.io/LoadBalancerAddress', status: 'True' }],
    loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] },
  });
  for (const node of NODES) await announcedBy(node, '203.0.113.1/32', true);
}, 400_000);

test('dual stack gets one of each, and what is asked for is given', async () => {
  await plane.admin.apply(service('dual', { ipFamilyPolicy: 'RequireDualStack' }));
  expect(await given('dual', ['203.0.113.2', 'fd00:1b::1'])).toHaveLength(2);
  await plane.admin.apply(service('asking', { loadBalancerIP: '203.0.113.9' }));
  await given('asking', ['203.0.113.9']);
}, 400_000);

test('the agent that gives out is killed: the other one takes over, and every address stays', async () => {
  const before = await holder();
  const survivor = NODES.find(node => node !== before)!;
  const agent = agents.get(before!)!;
  await agent.program.end('SIGKILL');
  await plane.admin.apply(service('late'));
  await given('late', ['203.0.113.3']);
  expect(await holder()).toBe(survivor);
  expect([await held('web'), await held('dual'), await held('asking')]).toEqual([
    ['203.0.113.1'],
    ['203.0.113.2', 'fd00:1b::1'],
    ['203.0.113.9'],
  ]);
  agent.restart();
  await announcedBy(before!, '203.0.113.3/32', true);
  expect(await holder()).toBe(survivor);
}, 400_000);

test('an agent that is stopped gives the Lease back: the other one goes on without waiting for it to run out', async () => {
  const before = await holder();
  const agent = agents.get(before!)!;
  await agent.program.end('SIGTERM');
  await waitFor('another holder', WAIT, async () => {
    const now = await holder();
    return now !== undefined && now !== before ? true : undefined;
  });
  agent.restart();
  await announcedBy(before!, '203.0.113.1/32', true);
}, 400_000);

test('addresses come free: of a service that is deleted, and of one that is no balancer any more', async () => {
  await plane.admin.merge(service('web'), { spec: { type: 'ClusterIP' } });
  await given('web', []);
  await plane.admin.delete(service('dual'));
  for (const node of NODES) for (const n of [1, 2]) await announcedBy(node, `203.0.113.${n}/32`, false);
  await plane.admin.apply(service('next'));
  await given('next', ['203.0.113.1']);
  await plane.admin.apply(service('after'));
  await given('after', ['203.0.113.2']);
}, 400_000);

test('services that everybody changes at the same time each get an address of their own', async () => {
  const names = Array.from({ length: 8 }, (_, i) => `busy-${i}`);
  let isOver = false;
  const meddling = names.map(async name => {
    for (let i = 0; !isOver; i++)
      await plane.admin.merge(service(name), { metadata: { labels: { i: String(i) } } }).catch(() => undefined);
  });
  for (const name of names) await plane.admin.apply(service(name));
  const all = await Promise.all(names.map(name => given(name)));
  isOver = true;
  await Promise.all(meddling);
  expect(new Set(all.flat()).size).toBe(names.length);
}, 400_000);

test('a range that is used up is a problem of the service that comes too late, of nobody else', async () => {
  const names = ['x-1', 'x-2', 'x-3'];
  for (const name of names) await plane.admin.apply(service(name));
  const leader = agents.get((await holder())!)!;
  await waitFor('the problem', WAIT, async () => {
    let text = '';
    for await (const problem of leader.client.list('/v1/problems')) text += JSON.stringify(problem);
    return /gets no IPv4 address: none is free in pool default/.test(text) ? true : undefined;
  });
}, 400_000);
