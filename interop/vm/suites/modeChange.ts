/**
 * From one mode of the service proxy to the other and back with real packets, in a guest that has both: the one that begins
 * takes over before the other's state goes, and what belongs to nobody of us stays.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { pino } from 'pino';
import { waitFor } from '../../../lab/topology/commands.js';
import { afterModeChange } from '../../../src/app/proxy/modeChange.js';
import { systemClock } from '../../../src/core/clock.js';
import { openLeftovers } from '../../../src/proxy/leftovers.js';
import { withHostRoutes } from '../../../src/proxy/hostRoutes/withHostRoutes.js';
import { openIpvsProxy } from '../../../src/proxy/ipvs/ipvsProxy.js';
import { openNftablesProxy } from '../../../src/proxy/nftables/nftablesProxy.js';
import type { OpenProxyBackend, ProxyBackend } from '../../../src/proxy/proxyBackend.js';
import type { IpText } from '../../../src/kube/objectTypes.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { startActor, type Actor } from '../../../test/kernel/proxyActor.js';
import { deltaOf, SETTINGS, type ServiceShape } from '../../../test/kernel/proxyRig.js';
import { vmSuite } from '../suite.js';

const WAIT = 120_000;
const VIP = '10.96.0.1' as IpText;
const WEB: ServiceShape = {
  family: 4,
  name: 'web',
  cluster: [{ address: '10.244.1.2' as IpText, port: 8080, weight: 1, isLocal: true, state: 'ready' }],
  frontends: [{ address: VIP }, { address: undefined, kind: 'nodePort', port: 30080, masquerade: 'always' }],
};

interface World {
  readonly node: Namespace;
  readonly others: readonly Namespace[];
  readonly pod: Actor;
  readonly client: Actor;
  readonly own: Actor;
  proxy: ProxyBackend | undefined;
}

let opened: World | undefined;

function world(): World {
  if (opened === undefined) throw new Error('the namespaces do not stand');
  return opened;
}

function inside(...command: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', 'mode-node', ...command], { encoding: 'utf8' });
}

/** What is foreign, or ours of one mode, each as lines of text. */
function seen(): {
  readonly tables: string;
  readonly servers: string;
  readonly links: string;
  readonly routes: string;
} {
  return {
    tables: inside('nft', '-j', 'list', 'chains'),
    servers: inside('ipvsadm', '-Sn'),
    links: world().node.ip('-o link show'),
    routes: world().node.ip('route show table all'),
  };
}

async function build(): Promise<World> {
  const node = makeNamespace('mode-node');
  const place = (name: string, own: string, gateway: string): Namespace => {
    const other = makeNamespace(`mode-${name}`);
    node.ip(`link add to-${name} type veth peer name eth0 netns ${other.name}`);
    node.ip(`addr add ${gateway}/24 dev to-${name}`);
    node.ip(`link set to-${name} up`);
    other.ip(`addr add ${own}/24 dev eth0`);
    other.ip('link set eth0 up');
    other.ip(`route add default via ${gateway}`);
    return other;
  };
  const others = [place('pod', '10.244.1.2', '10.244.1.1'), place('client', '192.168.9.9', '192.168.9.1')];
  inside('sysctl', '-qw', 'net.ipv4.ip_forward=1');
  inside('ipvsadm', '-A', '-t', '192.168.9.1:9999', '-s', 'wlc');
  inside('ipvsadm', '-A', '-t', '10.50.0.1:80', '-s', 'rr');
  // There is no such switch before there is IPVS.
  inside('sysctl', '-qw', 'net.ipv4.vs.conntrack=1');
  inside('nft', 'add table inet theirs');
  inside('nft', 'add chain inet theirs forward { type filter hook forward priority 0; }');
  const start = (name: string): Actor => startActor(`mode-${name}`);
  const world: World = {
    node,
    others,
    pod: start('pod'),
    client: start('client'),
    own: start('node'),
    proxy: undefined,
  };
  await world.pod.serve('pod', 8080);
  return world;
}

const openIpvs: OpenProxyBackend = async onEvent => {
  const backend = await openIpvsProxy(onEvent);
  if (typeof backend === 'string') throw new Error(backend);
  return backend;
};

/** Another start of the agent, in this mode. The process before it leaves all as it is. */
async function startIn(mode: ProxyBackend['kind']): Promise<void> {
  const { node } = world();
  await world().proxy?.stop();
  const plain: OpenProxyBackend = mode === 'ipvs' ? openIpvs : onEvent => Promise.resolve(openNftablesProxy(onEvent));
  const routed = withHostRoutes(plain, { clock: systemClock, onRouteEvent: () => undefined });
  const options = { clock: systemClock, logger: pino({ level: 'silent' }), patience: 30_000, leftovers: {} };
  const proxy = await node.inside(() => afterModeChange(routed, options)(() => undefined));
  proxy.configure({ ...SETTINGS, ipv6: false });
  const delta = deltaOf([WEB]);
  const set = new Map([[VIP, { address: VIP, family: 4 as const, isClusterIp: true }]]);
  proxy.apply({ ...delta, addresses: { set, removed: new Set() } });
  proxy.begin();
  world().proxy = proxy;
  await proxy.idle();
}

/** Asks on and on until told to end. @returns answers other than the pod's */
function keepAsking(): () => Promise<readonly string[]> {
  const strange: string[] = [];
  let isOver = false;
  const asking = (async (): Promise<void> => {
    while (!isOver) {
      const answer = await world().client.ask({ protocol: 'tcp', address: VIP, port: 80 });
      if (!answer.startsWith('pod ')) strange.push(answer);
    }
  })();
  return async () => {
    isOver = true;
    await asking;
    return strange;
  };
}

async function allReach(): Promise<void> {
  const { client, own } = world();
  assert.match(await client.ask({ protocol: 'tcp', address: VIP, port: 80 }), /^pod /);
  assert.match(await client.ask({ protocol: 'tcp', address: '192.168.9.1', port: 30080 }), /^pod /);
  assert.match(await own.ask({ protocol: 'tcp', address: VIP, port: 80 }), /^pod /);
}

function foreignIsThere({ tables, servers }: ReturnType<typeof seen>): void {
  assert.match(tables, /"theirs"/);
  assert.match(servers, /-A -t 192\.168\.9\.1:9999 -s wlc/);
  assert.match(servers, /-A -t 10\.50\.0\.1:80 -s rr/);
}

export const modeChange = vmSuite('modeChange', 900, ({ check, prepare, cleanup }) => {
  prepare('a node with nftables', async () => {
    opened = await build();
    await startIn('nftables');
  });
  check('nftables serves, and has a route for the node', async () => {
    await allReach();
    assert.match(seen().routes, /10\.96\.0\.0\/16 dev to-client proto 206/);
    foreignIsThere(seen());
  });
  check('IPVS takes over without a connection lost, and what nftables left goes', async () => {
    const end = keepAsking();
    await startIn('ipvs');
    await waitFor('the end of nftables', WAIT, () => (seen().tables.includes('peerage-proxy') ? undefined : true));
    assert.deepEqual(await end(), []);
    await allReach();
    const now = seen();
    assert.doesNotMatch(now.routes, /proto 206/);
    assert.match(now.servers, /-A -t 10\.96\.0\.1:80/);
    assert.match(now.links, /kube-dummy-if/);
    foreignIsThere(now);
  });
  check('nftables takes over again, and nothing of IPVS is left but what is foreign', async () => {
    const end = keepAsking();
    await startIn('nftables');
    await waitFor('the end of IPVS', WAIT, () => (seen().tables.includes('peerage-ipvs') ? undefined : true));
    assert.doesNotMatch(seen().links, /kube-dummy-if/);
    assert.deepEqual(await end(), []);
    await allReach();
    const now = seen();
    assert.doesNotMatch(now.servers, /10\.96\.0\.1|30080/);
    assert.doesNotMatch(now.tables, /peerage-ipvs/);
    foreignIsThere(now);
  });
  check('a cleanup takes either away whole', async () => {
    const { node } = world();
    await startIn('ipvs');
    await world().proxy?.stop();
    world().proxy = undefined;
    const leftovers = node.inside(() => openLeftovers());
    try {
      for (const mode of ['nftables', 'ipvs'] as const) assert.deepEqual((await leftovers.remove(mode)).left, []);
    } finally {
      leftovers.close();
    }
    const now = seen();
    assert.doesNotMatch(now.tables, /peerage/);
    assert.doesNotMatch(now.routes, /10\.96\.0\./);
    assert.doesNotMatch(now.links, /kube-dummy-if/);
    foreignIsThere(now);
  });
  cleanup('all of it goes', async () => {
    if (opened === undefined) return;
    const { proxy, pod, client, own, others, node } = opened;
    await proxy?.stop();
    await Promise.all([pod, client, own].map(actor => actor.stop()));
    for (const space of [...others, node]) space.remove();
  });
});
