/** Tenants on a real API server, with the rights of deploy/rbac.yaml and no others: who gives numbers out, and what nodes make of them. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeManifest } from '../../lab/kube/kubeClient.js';
import { waitFor } from '../../lab/topology/commands.js';
import type { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { NODES, startNodesWithRights } from './rights.js';

const WAIT = 120_000;
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/peerage-tenants';
const NUMBER = 'peerage.io/tenant.number';
const OPENSHIFT = 'pod.network.openshift.io/multitenant.change-network';

let topology: Topology;
let plane: ControlPlane;
let agents: ReadonlyMap<string, PeerageProcess>;

beforeAll(async () => {
  topology = await Topology.open('pgkt');
  ({ plane, agents } = await startNodesWithRights(topology, {
    tenancy: 'namespace',
    run: { firewall: true },
  }));
}, 400_000);
afterAll(async () => {
  await topology.close();
}, 400_000);

const namespace = (name: string): KubeManifest => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
function pod(where: string, ip: string): KubeManifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: where },
    spec: { nodeName: 'n1', automountServiceAccountToken: false, containers: [{ name: 'c', image: 'none' }] },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  };
}

async function metadataOf(path: string): Promise<Readonly<Record<string, string>>> {
  const { body } = await plane.admin.ask('GET', path);
  const { metadata } = body as { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } };
  return metadata.annotations ?? {};
}
const annotationsOf = (name: string): Promise<Readonly<Record<string, string>>> =>
  metadataOf(`/api/v1/namespaces/${name}`);

async function numberOf(name: string, isRight: (number: string) => boolean = () => true): Promise<string> {
  return waitFor(`${name} to have its number`, WAIT, async () => {
    const number = (await annotationsOf(name))[NUMBER];
    return number !== undefined && isRight(number) ? number : undefined;
  });
}

async function holder(): Promise<string | undefined> {
  const { body } = await plane.admin.ask('GET', LEASE);
  return (body as { readonly spec?: { readonly holderIdentity?: string } }).spec?.holderIdentity;
}

/** What nft(8) shows of an address in every node's kernel. */
async function programmed(ip: string, number: string): Promise<void> {
  const text = `${ip} : 0x00000000 . 0x${Number(number).toString(16).padStart(8, '0')}`;
  for (const node of NODES)
    await waitFor(`${text} on ${node}`, WAIT, async () => {
      const { stdout } = await topology.exec(node, 'nft', ['list', 'table', 'ip', 'peerage-tenants']);
      return stdout.includes(text) ? true : undefined;
    });
}

async function peerage(node: string, ...args: readonly string[]): Promise<string> {
  const { control } = agents.get(node)!;
  const words = ['dist/cli/main.js', ...args, '--control', control];
  const { stdout, stderr, code } = await topology.exec(node, process.execPath, words);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

test('every namespace gets a number of its own, which every node puts into its kernel', async () => {
  for (const [i, name] of ['red', 'green', 'blue'].entries()) {
    await plane.admin.apply(namespace(name));
    await plane.admin.apply(pod(name, `10.244.1.${10 + i}`));
  }
  const numbers = [await numberOf('red'), await numberOf('green'), await numberOf('blue'), await numberOf('demo')];
  expect(new Set(numbers).size).toBe(4);
  for (const number of numbers) expect(Number(number)).toBeGreaterThanOrEqual(10);
  for (const [i, number] of numbers.slice(0, 3).entries()) await programmed(`10.244.1.${10 + i}`, number);
  expect((await annotationsOf('kube-system'))[NUMBER]).toBeUndefined();
  expect(await metadataOf(LEASE)).toHaveProperty(['peerage.io/tenant.next']);
}, 400_000);

test('network policies of the same server are in force beside tenants, where it has no cluster-wide ones', async () => {
  await plane.admin.apply({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'closed', namespace: 'green' },
    spec: { podSelector: {}, policyTypes: ['Ingress'] },
  });
  await waitFor('the policy in the kernel', WAIT, async () =>
    /NetworkPolicy green\/closed .* programmed/.test(await peerage('n1', 'show', 'policies')) ? true : undefined,
  );
  // Its pods are on the other node.
  expect(await peerage('n2', 'show', 'policies')).not.toContain('green/closed');
  for (const node of NODES) {
    const answer = await peerage(node, 'explain', 'policy', '--from', 'red/p', '--to', 'green/p', '--port', '80');
    expect(answer).toContain('selected by NetworkPolicy green/closed, and no ingress rule holds');
    expect(await peerage(node, 'show', 'problems')).not.toContain('Policy');
  }
}, 400_000);

test('OpenShift’s annotation, and peerage tenants on any node, join, part and make global', async () => {
  const green = await numberOf('green');
  await plane.admin.merge(namespace('red'), { metadata: { annotations: { [OPENSHIFT]: 'join:green' } } });
  await numberOf('red', number => number === green);
  expect(await annotationsOf('red')).toEqual({ [NUMBER]: green });
  await programmed('10.244.1.10', green);
  expect(await peerage('n1', 'show', 'tenants')).toMatch(new RegExp(`red +${green} +green `));

  await peerage('n2', 'tenants', 'isolate', 'red');
  const alone = await numberOf('red', number => number !== green);
  await programmed('10.244.1.10', alone);
  expect([await numberOf('blue'), '0', green]).not.toContain(alone);

  await peerage('n1', 'tenants', 'global', 'red', 'blue');
  await numberOf('red', number => number === '0');
  await numberOf('blue', number => number === '0');
  await programmed('10.244.1.12', '0');
  await expect(peerage('n1', 'tenants', 'join', 'red', 'nobody')).rejects.toThrow(
    'there is no namespace nobody to join',
  );
  await peerage('n1', 'tenants', 'join', 'red', 'green');
  await numberOf('red', number => number === green);
}, 400_000);

test('the agent that gives out is killed: the other goes on where it stopped, and every number stays', async () => {
  const before = await holder();
  const survivor = NODES.find(node => node !== before)!;
  const agent = agents.get(before!)!;
  const taken = [await numberOf('red'), await numberOf('green'), await numberOf('blue'), await numberOf('demo')];
  const next = Number((await metadataOf(LEASE))['peerage.io/tenant.next']);
  await agent.program.end('SIGKILL');
  await plane.admin.apply(namespace('late'));
  expect(Number(await numberOf('late'))).toBe(next);
  expect(await holder()).toBe(survivor);
  agent.restart();
  await plane.admin.apply(pod('late', '10.244.1.20'));
  await programmed('10.244.1.20', String(next));
  expect([await numberOf('red'), await numberOf('green'), await numberOf('blue'), await numberOf('demo')]).toEqual(
    taken,
  );
  expect(await holder()).toBe(survivor);
}, 400_000);

test('a Namespace whose egress rules say what they cannot is told so, by one Event', async () => {
  const annotations = { 'peerage.io/egress.rules': '- nonsense' };
  await plane.admin.merge(namespace('red'), { metadata: { annotations } });
  const path = '/apis/events.k8s.io/v1/namespaces/default/events';
  const events = async (): Promise<readonly unknown[]> => {
    const { body } = await plane.admin.ask('GET', path);
    const { items } = body as { readonly items: readonly { readonly regarding?: { readonly kind?: string } }[] };
    return items.filter(({ regarding }) => regarding?.kind === 'Namespace');
  };
  await waitFor('the Event', WAIT, async () => ((await events()).length > 0 ? true : undefined));
  const { body } = await plane.admin.ask('GET', '/api/v1/namespaces/red');
  const { uid } = (body as { readonly metadata: { readonly uid: string } }).metadata;
  expect(await events()).toEqual([
    expect.objectContaining({
      reason: 'InvalidAnnotation',
      reportingController: 'peerage.io/agent',
      regarding: { apiVersion: 'v1', kind: 'Namespace', name: 'red', uid },
      note: expect.stringContaining('annotation peerage.io/egress.rules'),
    }),
  ]);
}, 400_000);
