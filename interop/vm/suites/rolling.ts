/**
 * A rolling update on IPVS, in a guest that has it: connections begin and are kept while every pod is replaced, and none of
 * them fails. (test/system/proxyRolling.test.ts does so on nftables, through the whole program.)
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
import { openIpvsProxy } from '../../../src/proxy/ipvs/ipvsProxy.js';
import type { IpText } from '../../../src/kube/objectTypes.js';
import type { ProxyBackend, ProxyEvent } from '../../../src/proxy/proxyBackend.js';
import type { Backend, ProxyDelta } from '../../../src/proxy/proxyTypes.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { deltaOf, SETTINGS } from '../../../test/kernel/proxyRig.js';
import { vmSuite } from '../suite.js';

const CLUSTER_IP = '10.96.0.1';
const BALANCER_IP = '203.0.113.7';
const NODE_IP = '192.168.9.1';
const NODE_PORT = 30080;
const REPLICAS = 4;
const REPLACEMENTS = 8;
/** Milliseconds between two replacements. */
const PACE = 5000;
/** Milliseconds from the end of readiness to the end of a pod. */
const GRACE = 20_000;
const WAIT = 120_000;

type Space = 'node' | 'pods' | 'caller' | 'client';

interface Pod {
  readonly address: IpText;
  readonly state: Backend['state'];
}

interface World {
  readonly spaces: Readonly<Record<Space, Namespace>>;
  readonly proxy: ProxyBackend;
  readonly events: ProxyEvent[];
  readonly servers: PodServers;
  callers: readonly Callers[];
  /** In the order of their age. */
  pods: readonly Pod[];
  created: number;
}

let opened: World | undefined;

function world(): World {
  if (opened === undefined) throw new Error('the namespaces do not stand');
  return opened;
}

async function build(): Promise<World> {
  const make = (name: Space): Namespace => makeNamespace(`roll-${name}`);
  const spaces = { node: make('node'), pods: make('pods'), caller: make('caller'), client: make('client') };
  const { node, pods } = spaces;
  link(node, pods, 'pods', '10.244.3.2/32', '10.1.3.1');
  link(node, spaces.caller, 'caller', '10.244.1.2/32', '10.1.1.1');
  link(node, spaces.client, 'client', '192.168.9.9/32', NODE_IP);
  node.ip('route add 10.244.4.0/24 dev to-pods via 10.244.3.2 onlink');
  pods.ip('route add local 10.244.4.0/24 dev lo');
  const events: ProxyEvent[] = [];
  const proxy = await node.inside(() => openIpvsProxy(event => events.push(event), { readBackInterval: 5000 }));
  if (typeof proxy === 'string') throw new Error(proxy);
  // As the agent sets them (src/app/proxy/proxySwitches.ts).
  set(node, 'net.ipv4.ip_forward=1', 'net.ipv4.vs.conntrack=1', 'net.ipv4.vs.expire_nodest_conn=1');
  set(node, 'net.ipv4.vs.expire_quiescent_template=1');
  // So few that a port comes again while IPVS still knows the connection before, and to whom it went.
  for (const name of ['caller', 'client'] as const) set(spaces[name], 'net.ipv4.ip_local_port_range=40000 40255');
  proxy.configure({ ...SETTINGS, ipv6: false, ipvs: { ...SETTINGS.ipvs, gracefulPeriod: 60 } });
  return { spaces, proxy, events, servers: new PodServers(pods.name), callers: [], pods: [], created: 0 };
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

function set({ name }: Namespace, ...switches: readonly string[]): void {
  execFileSync('ip', ['netns', 'exec', name, 'sysctl', '-qw', ...switches]);
}

async function addPod(): Promise<void> {
  const number = world().created++;
  const address = `10.244.4.${number + 1}` as IpText;
  await world().servers.open(address);
  world().pods = [...world().pods, { address, state: 'ready' }];
}

/** What the proxy's model makes of the slices: ready pods serve, and those that end do so only for who is there already. */
async function publish(): Promise<void> {
  const backend = ({ address, state }: Pod): Backend => ({ address, port: 8080, weight: 1, isLocal: true, state });
  const serving = world().pods.map(backend);
  const delta = deltaOf([
    {
      family: 4,
      name: 'web',
      cluster: serving.filter(({ state }) => state === 'ready'),
      serving,
      frontends: [
        { address: CLUSTER_IP, port: 80 },
        { address: BALANCER_IP, port: 80, kind: 'loadBalancer', masquerade: 'always' },
        { address: undefined, port: NODE_PORT, kind: 'nodePort', masquerade: 'always' },
      ],
    },
  ]);
  world().proxy.apply({ ...delta, addresses: ADDRESSES });
  await world().proxy.idle();
}

const ADDRESSES: ProxyDelta['addresses'] = {
  set: new Map(
    [CLUSTER_IP, BALANCER_IP].map(text => {
      const address = text as IpText;
      return [address, { address, family: 4, isClusterIp: text === CLUSTER_IP }];
    }),
  ),
  removed: new Set(),
};

/** @returns connections it cut */
async function retireOldest(): Promise<number> {
  const oldest = world().pods.find(({ state }) => state === 'ready')!;
  world().pods = world().pods.map(pod => (pod === oldest ? { ...pod, state: 'terminating' } : pod));
  await publish();
  await sleep(GRACE);
  // Whoever had a connection is answered first, however long the guest takes to get to it: new ones would have no end.
  await waitFor(`the last connection of ${oldest.address}`, WAIT, async () =>
    (await world().servers.connected(oldest.address)) === 0 ? true : undefined,
  );
  const { cut } = await world().servers.close(oldest.address);
  world().pods = world().pods.filter(({ address }) => address !== oldest.address);
  await publish();
  return cut;
}

function startCallers(): readonly Callers[] {
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
  const from = (name: Space, ...plans: readonly CallPlan[]): Callers =>
    new Callers(name, world().spaces[name].name, plans);
  return [
    from('caller', at(CLUSTER_IP, 80)),
    from('node', at(CLUSTER_IP, 80)),
    from('client', at(BALANCER_IP, 80), at(NODE_IP, NODE_PORT)),
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

export const rolling = vmSuite('rolling', 900, ({ check, prepare, cleanup }) => {
  prepare('a node with IPVS, pods and clients', async () => {
    opened = await build();
    for (let i = 0; i < REPLICAS; i++) await addPod();
    await publish();
    world().proxy.begin();
    await world().proxy.idle();
    world().callers = startCallers();
    for (const caller of world().callers)
      await waitFor(`answers of all pods to ${caller.name}`, WAIT, async () => {
        const { byServer, failures } = await caller.count();
        if (failures.length > 0) throw new Error(failures.slice(0, 5).join());
        return Object.keys(byServer).length === REPLICAS ? true : undefined;
      });
  });
  check(`${REPLACEMENTS} pods are replaced while connections begin everywhere: none fails`, async () => {
    const ends: Promise<number>[] = [];
    for (let i = 0; i < REPLACEMENTS; i++) {
      await addPod();
      ends.push(retireOldest());
      await sleep(PACE);
    }
    const cut = await Promise.all(ends);
    const counts = await Promise.all(world().callers.map(caller => caller.stop()));
    for (const [i, count] of counts.entries()) console.log(describeCalls(world().callers[i]!.name, count));
    for (const name of ['caller', 'node', 'client'] as const)
      console.log(`${name}: ${synRetransmits(world().spaces[name])} SYNs were sent again`);
    assert.deepEqual(
      counts.flatMap(({ failures }) => failures),
      [],
    );
    assert.equal(
      cut.reduce((sum, one) => sum + one, 0),
      0,
    );
    for (const { answered, begun, byServer, keptToTheEnd } of counts) {
      assert.equal(answered, begun);
      assert.ok(Object.keys(byServer).length >= REPLACEMENTS / 2, `${Object.keys(byServer).length} pods have served`);
      assert.ok(keptToTheEnd > 3, `${keptToTheEnd} kept connections`);
    }
    assert.deepEqual(
      world().events.filter(({ kind }) => kind === 'failed' || kind === 'error'),
      [],
    );
  });
  check('in the end the kernel has the pods that are there, and no other', async () => {
    const wanted = world()
      .pods.map(({ address }) => address)
      .sort();
    assert.equal(wanted.length, REPLICAS);
    await waitFor('the last that ended to go', WAIT, () => {
      const saved = execFileSync('ip', ['netns', 'exec', world().spaces.node.name, 'ipvsadm', '-Sn'], {
        encoding: 'utf8',
      });
      const there = new Set([...saved.matchAll(/-r ([\d.]+):8080/g)].map(([, address]) => address!));
      return [...there].sort().join() === wanted.join() ? true : undefined;
    });
  });
  cleanup('end of the machines', async () => {
    if (opened === undefined) return;
    for (const caller of opened.callers) await caller.end();
    await opened.servers.end();
    await opened.proxy.stop();
    for (const space of Object.values(opened.spaces)) space.remove();
  });
});
