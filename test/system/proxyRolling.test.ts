/**
 * Rolling updates under load: connections begin at a steady rate everywhere while pods are replaced one after the other as a
 * Deployment replaces them. No request fails, and what was begun is not cut within the grace period.
 */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TOR } from '../../lab/cluster.js';
import { sleep, waitFor } from '../../lab/topology/commands.js';
import { Callers, stopAll, type CallPlan } from '../../lab/traffic/callers.js';
import {
  CLUSTER_IP,
  EXTERNAL_IP,
  NODE_PORT,
  NODES,
  PATIENCE,
  PLACES,
  podAddress,
  ProxyWorld,
  sliceObject,
  WEB,
  type Endpoint,
} from './proxyWorld.js';

const REPLICAS = 8;
const SLICES = 3;
const REPLACEMENTS = 45;
/** Milliseconds between two replacements. */
const PACE = 1000;
/** Milliseconds from the end of readiness to the end of a pod; Kubernetes gives 30 s. */
const GRACE = 20_000;
const KEEP_FOR = 8000;

let world: ProxyWorld;
/** In the order of their age. Which slice an endpoint is in depends on its number, as the controller keeps it where it was. */
let pods: readonly (Endpoint & { readonly number: number })[] = [];
let created = 0;

beforeAll(async () => {
  world = await ProxyWorld.build('pgroll', [WEB]);
  for (let i = 0; i < REPLICAS; i++) await addPod();
  writeSlices();
  world.startAgents();
  await world.serves('web', REPLICAS);
  await world.reachesTor(EXTERNAL_IP);
  for (const node of NODES) {
    // So few that each source port is used again and again, while the kernel still knows the connection before.
    for (const host of [`client-${node}`, node])
      await world.topology.sysctl(host, 'net.ipv4.ip_local_port_range=40000 40499');
    await world.reachesTor(PLACES[node].podCidr);
  }
}, 300_000);
afterAll(async () => {
  await world.close();
}, PATIENCE);

/** A pod that listens, and is ready. */
async function addPod(): Promise<void> {
  const number = created++;
  const node = NODES[number % NODES.length]!;
  const address = podAddress(node, number);
  await world.pods(node).open(address);
  pods = [...pods, { number, node, address, state: 'ready' }];
}

function writeSlices(): void {
  for (let slice = 0; slice < SLICES; slice++) {
    const members = pods.filter(({ number }) => number % SLICES === slice);
    world.write(`web-${slice}.yaml`, [sliceObject('web', `web-${slice}`, members)]);
  }
}

/** What a pod served and cut, and how long after its slice said it was ending its last connection came, in milliseconds. */
interface Departure {
  readonly served: number;
  readonly cut: number;
  readonly lingered: number;
}

/** The oldest ready pod is told to end; after its grace it is gone. */
function retireOldest(): Promise<Departure> {
  const oldest = pods.find(({ state }) => state === 'ready')!;
  pods = pods.map(pod => (pod === oldest ? { ...pod, state: 'terminating' } : pod));
  writeSlices();
  const told = Date.now();
  return sleep(GRACE).then(async () => {
    const { served, cut, lastAt } = await world.pods(oldest.node).close(oldest.address);
    pods = pods.filter(({ number }) => number !== oldest.number);
    writeSlices();
    return { served, cut, lingered: Math.max(0, lastAt - told) };
  });
}

function callers(): readonly Callers[] {
  const { topology } = world;
  const at = (host: string, port: number, rate: number): CallPlan => ({ host, port, rate, kept: 5, keepFor: KEEP_FOR });
  const from = (name: string, host: string, ...plans: readonly CallPlan[]): Callers =>
    new Callers(name, topology.name(host), plans);
  return [
    from('pod to cluster IP', 'client-one', at(CLUSTER_IP, 80, 50)),
    from('pod of the other node to cluster IP', 'client-two', at(CLUSTER_IP, 80, 50)),
    from('the other node to node port of the first', 'two', at(PLACES.one.address, NODE_PORT, 40)),
    from('outside to external IP', TOR, at(EXTERNAL_IP, 80, 40)),
    from('outside to node port', TOR, at(PLACES.one.address, NODE_PORT, 40)),
  ];
}

test(`${REPLACEMENTS} pods are replaced while connections begin everywhere: none fails`, async () => {
  const all = callers();
  const departures: Promise<Departure>[] = [];
  try {
    for (const caller of all)
      await waitFor(`answers of all pods to ${caller.name}`, PATIENCE, async () =>
        Object.keys((await caller.count()).byServer).length === REPLICAS ? true : undefined,
      );
    for (let i = 0; i < REPLACEMENTS; i++) {
      await addPod();
      departures.push(retireOldest());
      await sleep(PACE);
    }
    const gone = await Promise.all(departures);
    const lingered = gone.map(one => one.lingered).sort((a, b) => a - b);
    process.stderr.write(
      `last connection to a pod after its slice said it ends: median ${lingered[lingered.length >> 1]} ms, ` +
        `longest ${lingered.at(-1)} ms\n`,
    );
    expect(gone.filter(({ served }) => served === 0)).toEqual([]);
    expect(gone.reduce((sum, { cut }) => sum + cut, 0)).toBe(0);
    const counts = await stopAll(all, 'rolling update');
    for (const { failures, begun, answered, keptToTheEnd, byServer } of counts) {
      expect(failures).toEqual([]);
      expect(begun).toBeGreaterThan(1000);
      expect(keptToTheEnd).toBeGreaterThan(10);
      expect(answered).toBe(begun);
      // Everywhere all the pods there ever were have served.
      expect(Object.keys(byServer).length).toBeGreaterThanOrEqual(REPLACEMENTS);
    }
  } finally {
    await Promise.all(all.map(caller => caller.end()));
  }
}, 600_000);

test('a pod that is gone without a word does make requests fail', async () => {
  const all = callers();
  try {
    const { node, address } = pods[0]!;
    await world.pods(node).close(address);
    for (const caller of all)
      await waitFor(`failures of ${caller.name}`, PATIENCE, async () =>
        (await caller.count()).failures.length > 0 ? true : undefined,
      );
  } finally {
    await Promise.all(all.map(caller => caller.end()));
  }
}, 300_000);
