/** What goes wrong beside the service proxy, with connections begun all the time: each test says what became of them. */

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { TOR } from '../../lab/cluster.js';
import { sleep, waitFor } from '../../lab/topology/commands.js';
import { Callers, describeCalls, failuresOf, moreAnswers, type CallPlan } from '../../lab/traffic/callers.js';
import { NftMonitor } from '../../lab/traffic/nftMonitor.js';
import {
  CLUSTER_IP,
  EXTERNAL_IP,
  NODE_PORT,
  NODES,
  PATIENCE,
  PLACES,
  podAddress,
  ProxyWorld,
  serviceObject,
  sliceObject,
  WEB,
  type Endpoint,
} from './proxyWorld.js';

const TABLE = ['ip', 'peerage-proxy'];
const BIG_IP = '10.96.0.20';
const BIG = 1000;
const SLICE = 100;
/** Changes of endpoints a second, and seconds of them. */
const CHANGES = 1000;
const SECONDS = 10;

let world: ProxyWorld;
let callers: readonly Callers[] = [];

beforeAll(async () => {
  world = await ProxyWorld.build('pgflt', [WEB]);
  const endpoints = [endpoint(0), endpoint(1), endpoint(2), endpoint(3)];
  for (const { node, address } of endpoints) await world.pods(node).open(address);
  world.write('web.yaml', [sliceObject('web', 'web', endpoints)]);
  world.startAgents();
  await world.serves('web', endpoints.length);
  await world.reachesTor(EXTERNAL_IP);
  for (const node of NODES) await world.reachesTor(PLACES[node].podCidr);
}, 300_000);
afterAll(async () => {
  await world.close();
}, PATIENCE);

beforeEach(async () => {
  const at = (host: string, port: number, kept: number): CallPlan => ({ host, port, rate: 40, kept, keepFor: 60_000 });
  const from = (name: string, host: string, plan: CallPlan): Callers =>
    new Callers(name, world.topology.name(host), [plan]);
  callers = [
    from('pod to cluster IP', 'client-one', at(CLUSTER_IP, 80, 5)),
    from('outside to external IP', TOR, at(EXTERNAL_IP, 80, 5)),
    from('outside to node port', TOR, at(PLACES.one.address, NODE_PORT, 5)),
  ];
  await goOn();
});
afterEach(async () => {
  await Promise.all(callers.map(caller => caller.end()));
});

/** The n-th pod of all, in turn on both nodes. */
function endpoint(n: number): Endpoint {
  const node = NODES[n % NODES.length]!;
  return { node, address: podAddress(node, Math.floor(n / NODES.length)), state: 'ready' };
}

const goOn = (more = 100): Promise<void> => moreAnswers(callers, more, PATIENCE);
const failures = (event: string): Promise<readonly string[]> => failuresOf(callers, event);

test('an agent is killed: connections begin and go on, and its successor writes nothing', async () => {
  const monitor = await NftMonitor.start(world.topology, 'one');
  const agent = world.agent('one');
  await agent.program.end('SIGKILL');
  await goOn();
  agent.restart();
  await waitFor('the end of its restart', PATIENCE, () =>
    agent.program.log().includes('first exchange of routes is over') ? true : undefined,
  );
  await world.serves('web', 4);
  await goOn();
  expect(await monitor.changes()).toEqual([]);
  await monitor.end();
  expect(await failures('agent killed')).toEqual([]);
}, 400_000);

test('what it writes is heard', async () => {
  const monitor = await NftMonitor.start(world.topology, 'one');
  world.write('other.yaml', [serviceObject('other', '10.96.0.11')]);
  await waitFor('news of another service', PATIENCE, async () =>
    (await monitor.changes()).some(line => line.includes('10.96.0.11')) ? true : undefined,
  );
  await monitor.end();
  world.remove('other.yaml');
  expect(await failures('another service came')).toEqual([]);
}, 400_000);

test('a Service with mistakes costs itself alone', async () => {
  world.write('bad.yaml', [
    serviceObject('bad', 'not an address', { ports: [{ port: 700_000, protocol: 'TCP' }] }),
    serviceObject('good', '10.96.0.12'),
    sliceObject('good', 'good', [endpoint(0)]),
  ]);
  await world.serves('good', 1);
  expect(await world.show('one', 'problems')).toMatch(/demo\/bad/);
  expect((await world.service('one', 'web')).frontends.every(({ state }) => state === 'programmed')).toBe(true);
  await goOn();
  world.remove('bad.yaml');
  expect(await failures('bad Service')).toEqual([]);
}, 400_000);

test(`a service with ${BIG} endpoints is served by all of them`, async () => {
  const endpoints = Array.from({ length: BIG }, (_, n) => endpoint(n));
  // Those of the service before listen already.
  for (const { node, address } of endpoints.slice(4)) await world.pods(node).open(address);
  world.write('big-service.yaml', [serviceObject('big', BIG_IP)]);
  for (let slice = 0; slice * SLICE < BIG; slice++) writeBig(endpoints, slice);
  await world.serves('big', BIG);
  const asked = new Callers('to a thousand', world.topology.name('client-two'), [
    { host: BIG_IP, port: 80, rate: 100 },
  ]);
  try {
    // At random each of a thousand: most have their turn within a few thousand connections.
    await waitFor('answers of most', PATIENCE, async () =>
      Object.keys((await asked.count()).byServer).length > BIG * 0.9 ? true : undefined,
    );
    const count = await asked.stop();
    process.stderr.write(`${describeCalls('to a thousand', count)}\n`);
    expect(count.failures).toEqual([]);
  } finally {
    await asked.end();
  }
  expect(await failures('a thousand endpoints')).toEqual([]);
}, 400_000);

function writeBig(endpoints: readonly Endpoint[], slice: number): void {
  const members = endpoints.slice(slice * SLICE, (slice + 1) * SLICE);
  world.write(`big-${slice}.yaml`, [sliceObject('big', `big-${slice}`, members)]);
}

test(`${CHANGES} endpoints change a second for ${SECONDS} s, and the kernel agrees in the end`, async () => {
  const asked = new Callers('to those that change', world.topology.name('client-two'), [
    { host: BIG_IP, port: 80, rate: 50 },
  ]);
  try {
    let endpoints = Array.from({ length: BIG }, (_, n) => endpoint(n));
    const slices = BIG / SLICE;
    for (let round = 0; round < (CHANGES / SLICE) * SECONDS; round++) {
      const slice = round % slices;
      // Every endpoint of one slice: ready ones end, and ending ones are ready again.
      endpoints = endpoints.map((one, n) =>
        Math.floor(n / SLICE) === slice ? { ...one, state: one.state === 'ready' ? 'terminating' : 'ready' } : one,
      );
      // Some are for good, so that the end differs from the beginning.
      if (round === 0) endpoints = endpoints.slice(0, BIG - 1);
      writeBig(endpoints, slice);
      await sleep((SLICE / CHANGES) * 1000);
    }
    // At the end half of them are ready.
    for (let slice = 0; slice < slices; slice++) {
      endpoints = endpoints.map((one, n) =>
        Math.floor(n / SLICE) === slice ? { ...one, state: n % 2 === 0 ? 'ready' : 'terminating' } : one,
      );
      writeBig(endpoints, slice);
    }
    const ready = endpoints.filter(({ state }) => state === 'ready').map(({ address }) => address);
    const web = [endpoint(0), endpoint(1), endpoint(2), endpoint(3)].map(({ address }) => address);
    await world.serves('big', ready.length);
    const wanted = [...new Set([...ready, ...web])].sort();
    for (const node of NODES) expect(await world.kernelPods(node)).toEqual(wanted);
    const count = await asked.stop();
    process.stderr.write(`${describeCalls('to those that change', count)}\n`);
    expect(count.failures).toEqual([]);
  } finally {
    await asked.end();
  }
  expect(await failures('a thousand changes a second')).toEqual([]);
}, 400_000);

test.each([
  ['a map is emptied', ['flush', 'map', ...TABLE, 'frontends']],
  ['the table is deleted', ['delete', 'table', ...TABLE]],
])(
  '%s by hand, and is as it was again',
  async (event, command) => {
    const { code, stderr } = await world.topology.exec('one', 'nft', command);
    expect([code, stderr]).toEqual([0, '']);
    const since = performance.now();
    await world.serves('web', 4);
    process.stderr.write(`${event}: repaired within ${((performance.now() - since) / 1000).toFixed(1)} s\n`);
    await goOn();
    // What began meanwhile was not led anywhere, and the kernel remembers it so: these may fail, and are not waited for.
    for (const caller of callers)
      process.stderr.write(`${event}: ${describeCalls(caller.name, await caller.count())}\n`);
    // From where nobody has called before.
    const fresh = new Callers('afterwards', world.topology.name('client-two'), [
      { host: PLACES.one.address, port: NODE_PORT, rate: 40 },
    ]);
    try {
      await waitFor('answers of all', PATIENCE, async () =>
        Object.keys((await fresh.count()).byServer).length === 4 ? true : undefined,
      );
      expect((await fresh.stop()).failures).toEqual([]);
    } finally {
      await fresh.end();
    }
  },
  400_000,
);
