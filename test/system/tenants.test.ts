/** The agent keeps tenants apart: what pods see of it, while networks are joined and parted and the agent itself comes and goes. */

import { spawn } from 'node:child_process';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { waitFor } from '../../lab/topology/commands.js';
import { moreAnswers, type Callers } from '../../lab/traffic/callers.js';
import { NftMonitor } from '../../lab/traffic/nftMonitor.js';
import { CLUSTER_IPS, serveServer } from './policyService.js';
import { PATIENCE, podObject, PolicyWorld, whenDenied, type PodHost } from './policyWorld.js';

let world: PolicyWorld;
const callers: Callers[] = [];

beforeAll(async () => {
  world = await PolicyWorld.build('pgten', {
    run: { firewall: false, serviceProxy: true },
    proxy: { mode: 'nftables' },
    tenancy: 'namespace',
  });
  write({});
  await world.logged('tenants are in force');
}, 300_000);
afterAll(async () => {
  await world.close();
}, PATIENCE);
afterEach(async () => {
  await Promise.all(callers.map(caller => caller.end()));
  callers.length = 0;
});

/** The stranger and the newcomer each live in a namespace of their own. @param asked changes, by namespace */
function write(asked: Readonly<Record<string, string>>): void {
  const namespaces = ['demo', 'strange', 'newer'].map(name => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, annotations: name in asked ? { 'peerage.io/tenant.change': asked[name] } : {} },
  }));
  // One file for all that changes at once.
  world.write('tenants', ...namespaces, inNamespace('stranger', 'strange'), inNamespace('newcomer', 'newer'));
  for (const pod of ['stranger', 'newcomer']) if (!moved.has(pod)) world.remove(pod);
  moved.add('stranger').add('newcomer');
}
const moved = new Set<string>();

function inNamespace(name: PodHost, namespace: string): object {
  return { ...podObject(name), metadata: { name, namespace } };
}

function calls(...call: Parameters<PolicyWorld['calls']>): Callers {
  const caller = world.calls(...call);
  callers.push(caller);
  return caller;
}

interface Line {
  readonly namespace: string;
  readonly tenant: number | null;
  readonly with: readonly string[];
  readonly deniedTo: number;
  readonly deniedFrom: number;
}

async function tenants(): Promise<ReadonlyMap<string, Line>> {
  const lines = JSON.parse(await world.peerage('show', 'tenants', '-o', 'json')) as readonly Line[];
  return new Map(lines.map(line => [line.namespace, line]));
}

test('namespaces are apart, join, part and become global, in both families, and who is together loses nothing', async () => {
  const [friend, stranger] = [calls('friend'), calls('stranger')];
  await moreAnswers([friend], 40, PATIENCE);
  const before = await whenDenied(stranger, friend);
  write({ strange: 'join:demo' });
  await moreAnswers([stranger], 40, PATIENCE);
  expect((await tenants()).get('strange')?.with).toEqual(['demo']);
  write({ strange: 'isolate' });
  await whenDenied(stranger, friend);
  write({ demo: 'global' });
  await moreAnswers([stranger], 40, PATIENCE);
  expect((await tenants()).get('demo')).toMatchObject({ tenant: 0, with: [] });
  write({});
  await whenDenied(stranger, friend);
  expect(before).toBeGreaterThanOrEqual(0);
  await waitFor('what was denied to be counted', PATIENCE, async () => {
    const known = await tenants();
    return known.get('demo')!.deniedTo > 0 && known.get('strange')!.deniedFrom > 0 ? true : undefined;
  });
  expect((await friend.stop()).failures).toEqual([]);
}, 600_000);

test('killed and started again: who is apart stays so at every instant, who is together loses nothing', async () => {
  write({});
  const [friend, stranger] = [calls('friend'), calls('stranger')];
  const before = await whenDenied(stranger, friend);
  const monitor = await NftMonitor.start(world.topology, 'one');
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await world.agent.program.end(signal);
    await moreAnswers([friend], 40, PATIENCE);
    world.agent.restart();
    await world.logged('tenants are in force');
    await moreAnswers([friend], 40, PATIENCE);
  }
  expect((await monitor.changes()).filter(line => line.includes('peerage-tenants'))).toEqual([]);
  await monitor.end();
  expect((await stranger.count()).answered).toBe(before);
  expect((await friend.stop()).failures).toEqual([]);
}, 600_000);

test('a namespace whose annotation cannot be used is closed alone, and says so; a folder takes no requests', async () => {
  const [friend, stranger] = [calls('friend'), calls('newcomer')];
  write({ newer: 'join:nobody' });
  await whenDenied(stranger, friend);
  expect(await world.peerage('show', 'problems')).toMatch(/Namespace newer +joins nobody, which is not there/);
  expect((await tenants()).get('newer')?.tenant).toBeNull();
  await expect(world.peerage('tenants', 'join', 'newer', 'demo')).rejects.toThrow('objects come from a folder');
  write({ newer: 'join:demo' });
  await moreAnswers([stranger], 40, PATIENCE);
  write({});
}, 600_000);

test('booted cold, services lead nowhere before tenants are in force', async () => {
  await serveServer(world);
  const [friend, stranger] = [calls('friend', CLUSTER_IPS, 80), calls('stranger', CLUSTER_IPS, 80)];
  const before = await whenDenied(stranger, friend);
  await world.agent.program.end('SIGKILL');
  for (const family of ['ip', 'ip6'])
    for (const table of ['peerage-proxy', 'peerage-tenants'])
      await world.topology.exec('one', 'nft', ['delete', 'table', family, table]);
  const monitor = await NftMonitor.start(world.topology, 'one');
  // Tenants can be written when it ends, not before.
  const owner = spawn('ip', ['netns', 'exec', world.topology.name('one'), 'nft', '-i'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  try {
    owner.stdin.write('add table ip peerage-tenants { flags owner; }\n');
    await waitFor('the table of another', PATIENCE, async () =>
      (await monitor.changes()).some(line => line.startsWith('add table ip peerage-tenants')) ? true : undefined,
    );
    world.agent.restart();
    await world.logged('rules of IPv4: ');
  } finally {
    owner.stdin.end();
  }
  await moreAnswers([friend], 40, PATIENCE);
  const changes = await monitor.changes();
  await monitor.end();
  const firstService = changes.findIndex(line => line.includes('peerage-proxy'));
  for (const family of ['ip', 'ip6']) {
    const ofTenants = changes.findIndex(line => line.startsWith(`add element ${family} peerage-tenants tenants`));
    expect(ofTenants).toBeGreaterThanOrEqual(0);
    expect(firstService).toBeGreaterThan(ofTenants);
  }
  expect((await stranger.count()).answered).toBe(before);
}, 600_000);
