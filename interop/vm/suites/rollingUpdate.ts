/**
 * A rolling update on IPVS, in a guest that has it: connections begin and are kept while every pod is replaced, and none of
 * them fails. What keeps IPVS is another's matter: the backend alone (rolling.ts) or the whole agent (rollingAgent.ts).
 * (test/system/proxyRolling.test.ts does so on nftables.)
 *
 *     pods 10.244.4.0/24 ── node 192.168.9.1 ── client 192.168.9.9
 *                  caller 10.244.1.2 ──┘
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../../lab/topology/commands.js';
import { Callers, describeCalls, type CallPlan } from '../../../lab/traffic/callers.js';
import { PodServers } from '../../../lab/traffic/podServers.js';
import type { IpText } from '../../../src/kube/objectTypes.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { vmSuite, type VmSuite } from '../suite.js';

export const CLUSTER_IP = '10.96.0.1';
/** Outside the cluster: an external IP, or a load balancer's. */
export const OUTER_IP = '203.0.113.7';
export const NODE_IP = '192.168.9.1';
export const NODE_PORT = 30080;
export const POD_PORT = 8080;
/** Seconds that pods which end may still be used by whoever is there: longer than any of them is kept. */
export const GRACEFUL_PERIOD = 60;
const REPLICAS = 4;
const REPLACEMENTS = 8;
/** Milliseconds between two replacements. */
const PACE = 5000;
/** Milliseconds from the end of readiness to the end of a pod. */
const GRACE = 20_000;

export interface RollingPod {
  readonly address: IpText;
  readonly state: 'ready' | 'terminating';
}

/** Who keeps IPVS on the node: one service at three places, the cluster IP, the outer IP and a node port. */
export interface RollingNode {
  /** These are the service's pods from now on. */
  publish(pods: readonly RollingPod[]): Promise<void>;
  /** Resolves once all that was published first is served. */
  serving(): Promise<void>;
  /** Resolves once nobody new is sent to this pod. */
  retired(pod: RollingPod): Promise<void>;
  /** What somebody should look at. */
  complaints(): readonly string[];
  end(): Promise<void>;
}

type Space = 'node' | 'pods' | 'caller' | 'client';

interface World {
  readonly spaces: Readonly<Record<Space, Namespace>>;
  readonly node: RollingNode;
  readonly servers: PodServers;
  callers: readonly Callers[];
  /** In the order of their age. */
  pods: readonly RollingPod[];
  created: number;
}

/** @param wait milliseconds for what takes a second on a machine of its own */
export function rollingSuite(
  name: string,
  limit: number,
  wait: number,
  open: (node: Namespace) => Promise<RollingNode>,
): VmSuite {
  let opened: World | undefined;
  const world = (): World => {
    if (opened === undefined) throw new Error('the namespaces do not stand');
    return opened;
  };
  return vmSuite(name, limit, ({ check, prepare, cleanup }) => {
    prepare('a node with IPVS, pods and clients', async () => {
      opened = await build(open);
      await begin(opened, wait);
    });
    check(`${REPLACEMENTS} pods are replaced while connections begin everywhere: none fails`, () =>
      replaceAll(world(), wait),
    );
    check('in the end the kernel has the pods that are there, and no other', async () => {
      const wanted = world().pods.map(({ address }) => address);
      assert.equal(wanted.length, REPLICAS);
      await atLast('the last that ended to go', wait, () => {
        const there = [...weights(world().spaces.node).keys()];
        return there.sort().join() === [...wanted].sort().join();
      });
    });
    cleanup('end of the machines', async () => {
      if (opened === undefined) return;
      for (const caller of opened.callers) await caller.end();
      await opened.servers.end();
      await opened.node.end();
      for (const space of Object.values(opened.spaces)) space.remove();
    });
  });
}

async function build(open: (node: Namespace) => Promise<RollingNode>): Promise<World> {
  const make = (name: Space): Namespace => makeNamespace(`roll-${name}`);
  const spaces = { node: make('node'), pods: make('pods'), caller: make('caller'), client: make('client') };
  const { node, pods } = spaces;
  link(node, pods, 'pods', '10.244.3.2/32', '10.1.3.1');
  link(node, spaces.caller, 'caller', '10.244.1.2/32', '10.1.1.1');
  link(node, spaces.client, 'client', '192.168.9.9/32', NODE_IP);
  node.ip('route add 10.244.4.0/24 dev to-pods via 10.244.3.2 onlink');
  pods.ip('route add local 10.244.4.0/24 dev lo');
  // So few that a port comes again while IPVS still knows the connection before, and to whom it went.
  for (const name of ['caller', 'client'] as const) set(spaces[name], 'net.ipv4.ip_local_port_range=40000 40255');
  return { spaces, node: await open(node), servers: new PodServers(pods.name), callers: [], pods: [], created: 0 };
}

function link(node: Namespace, other: Namespace, name: string, own: string, gateway: string): void {
  node.ip(`link add to-${name} type veth peer name eth0 netns ${other.name}`);
  node.ip(`addr add ${gateway}/32 dev to-${name}`);
  node.ip(`link set to-${name} up`);
  node.ip(`route add ${own} dev to-${name}`);
  other.ip(`addr add ${own} dev eth0`);
  other.ip('link set eth0 up');
  other.ip(`route add ${gateway}/32 dev eth0`);
  other.ip(`route add default via ${gateway}`);
}

export function set({ name }: Namespace, ...switches: readonly string[]): void {
  execFileSync('ip', ['netns', 'exec', name, 'sysctl', '-qw', ...switches]);
}

async function begin(world: World, wait: number): Promise<void> {
  for (let i = 0; i < REPLICAS; i++) await addPod(world);
  await world.node.publish(world.pods);
  await world.node.serving();
  world.callers = startCallers(world.spaces);
  for (const caller of world.callers)
    await waitFor(`answers of all pods to ${caller.name}`, wait, async () => {
      const { byServer, failures } = await caller.count();
      if (failures.length > 0) throw new Error(failures.slice(0, 5).join());
      return Object.keys(byServer).length === REPLICAS ? true : undefined;
    });
}

async function addPod(world: World): Promise<void> {
  const address = `10.244.4.${++world.created}` as IpText;
  await world.servers.open(address);
  world.pods = [...world.pods, { address, state: 'ready' }];
}

/** Weights of each pod in all virtual servers that have it. */
export function weights({ name }: Namespace): ReadonlyMap<string, readonly number[]> {
  const saved = execFileSync('ip', ['netns', 'exec', name, 'ipvsadm', '-Sn'], { encoding: 'utf8' });
  const found = new Map<string, number[]>();
  for (const [, pod = '', weight] of saved.matchAll(/-r ([\d.]+):8080 -m -w (\d+)/g))
    found.set(pod, [...(found.get(pod) ?? []), Number(weight)]);
  return found;
}

/** Looks once a second: the guest has one slow processor, and whoever looks without rest has it to himself. */
export function atLast(what: string, wait: number, holds: () => boolean): Promise<true> {
  return waitFor(what, wait, async () => {
    await sleep(1000);
    return holds() || undefined;
  });
}

/** @returns connections it cut */
async function retireOldest(world: World, wait: number): Promise<number> {
  const oldest = world.pods.find(({ state }) => state === 'ready')!;
  world.pods = world.pods.map(pod => (pod === oldest ? { ...pod, state: 'terminating' } : pod));
  await world.node.publish(world.pods);
  await world.node.retired(oldest);
  await sleep(GRACE);
  // Whoever had a connection is answered first, however long the guest takes to get to it: new ones would have no end.
  await waitFor(`the last connection of ${oldest.address}`, wait, async () =>
    (await world.servers.connected(oldest.address)) === 0 ? true : undefined,
  );
  const { cut } = await world.servers.close(oldest.address);
  world.pods = world.pods.filter(({ address }) => address !== oldest.address);
  await world.node.publish(world.pods);
  return cut;
}

function startCallers(spaces: World['spaces']): readonly Callers[] {
  // The guest may stand still for half a minute while its host is busy.
  const patience = 120_000;
  const at = (host: string, port: number): CallPlan => ({
    host,
    port,
    patience,
    rate: 2,
    most: 3,
    kept: 1,
    keepFor: 8000,
  });
  const from = (name: Space, ...plans: readonly CallPlan[]): Callers => new Callers(name, spaces[name].name, plans);
  return [
    from('caller', at(CLUSTER_IP, 80)),
    from('node', at(CLUSTER_IP, 80)),
    from('client', at(OUTER_IP, 80), at(NODE_IP, NODE_PORT)),
  ];
}

/** Of a namespace since it was made: each is a connection that began a second later, or more. */
function synRetransmits({ name }: Namespace): number {
  const text = execFileSync('ip', ['netns', 'exec', name, 'cat', '/proc/net/netstat'], { encoding: 'utf8' });
  const [names = [], values = []] = text
    .split('\n')
    .flatMap(line => (line.startsWith('TcpExt') ? [line.split(' ')] : []));
  return Number(values[names.indexOf('TCPSynRetrans')]);
}

async function replaceAll(world: World, wait: number): Promise<void> {
  const ends: Promise<number>[] = [];
  for (let i = 0; i < REPLACEMENTS; i++) {
    await addPod(world);
    ends.push(retireOldest(world, wait));
    await sleep(PACE);
  }
  const cut = await Promise.all(ends);
  const counts = await Promise.all(world.callers.map(caller => caller.stop()));
  for (const [i, count] of counts.entries()) console.log(describeCalls(world.callers[i]!.name, count));
  for (const name of ['caller', 'node', 'client'] as const)
    console.log(`${name}: ${synRetransmits(world.spaces[name])} SYNs were sent again`);
  const failures = counts.flatMap(count => count.failures);
  assert.deepEqual(failures, []);
  const allCut = cut.reduce((sum, one) => sum + one, 0);
  assert.equal(allCut, 0);
  for (const { answered, begun, byServer, keptToTheEnd } of counts) {
    assert.equal(answered, begun);
    assert.ok(Object.keys(byServer).length >= REPLACEMENTS / 2, `${Object.keys(byServer).length} pods have served`);
    assert.ok(keptToTheEnd > 3, `${keptToTheEnd} kept connections`);
  }
  assert.deepEqual(world.node.complaints(), []);
}
