/**
 * The service proxy on IPVS with real packets, in a guest that has it: from a pod, from the node itself and from outside; who
 * has what in the kernel, what is left alone, and what becomes of connections to a backend that goes.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { waitFor } from '../../../lab/topology/commands.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { startActor, type Actor } from '../../../test/kernel/proxyActor.js';
import { backendOn, deltaOf, prefixOf, SETTINGS, type ServiceShape } from '../../../test/kernel/proxyRig.js';
import { openIpvsProxy } from '../../../src/proxy/ipvs/ipvsProxy.js';
import type { ProxyBackend, ProxyEvent } from '../../../src/proxy/proxyBackend.js';
import { frontendKey, type Family, type ProxyDelta, type ServiceAddress } from '../../../src/proxy/proxyTypes.js';
import type { IpText } from '../../../src/kube/objectTypes.js';
import { vmSuite } from '../suite.js';

/** For what takes seconds where nobody else is at work. */
const WAIT = 240_000;
/** Pods a (of this node) and c (of another machine), one outside, and the node. */
type Space = 'node' | 'a' | 'c' | 'client';
const PLACES: Readonly<
  Record<Exclude<Space, 'node'>, Readonly<Record<Family, readonly [own: string, gateway: string]>>>
> = {
  a: { 4: ['10.244.1.2', '10.1.1.1'], 6: ['fd44:1::2', 'fdee:1::1'] },
  c: { 4: ['10.244.2.4', '10.1.3.1'], 6: ['fd44:2::4', 'fdee:3::1'] },
  client: { 4: ['192.168.9.9', '192.168.9.1'], 6: ['fd99::9', 'fd99::1'] },
};
const NODE: Readonly<Record<Family, string>> = { 4: '192.168.9.1', 6: 'fd99::1' };

interface World {
  readonly spaces: Readonly<Record<Space, Namespace>>;
  readonly actors: Readonly<Record<Space, Actor>>;
  readonly events: ProxyEvent[];
  proxy: ProxyBackend;
}

let opened: World | undefined;

function world(): World {
  if (opened === undefined) throw new Error('the namespaces do not stand');
  return opened;
}

async function openProxyIn(node: Namespace, events: ProxyEvent[]): Promise<ProxyBackend> {
  const proxy = await node.inside(() => openIpvsProxy(event => events.push(event), { readBackInterval: 5000 }));
  if (typeof proxy === 'string') throw new Error(proxy);
  return proxy;
}

async function build(): Promise<World> {
  const make = (name: Space): Namespace => makeNamespace(`ipvs-${name}`);
  const spaces = { node: make('node'), a: make('a'), c: make('c'), client: make('client') };
  for (const name of ['a', 'c', 'client'] as const) join(spaces.node, spaces[name], name);
  const start = (name: Space): Actor => startActor(spaces[name].name);
  const actors = { node: start('node'), a: start('a'), c: start('c'), client: start('client') };
  await actors.a.serve('a', 8080);
  await actors.c.serve('c', 8080);
  const events: ProxyEvent[] = [];
  const proxy = await openProxyIn(spaces.node, events);
  inside('node', 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.vs.conntrack=1');
  inside('node', 'sysctl', '-qw', 'net.ipv4.vs.expire_nodest_conn=1');
  proxy.configure(SETTINGS_HERE);
  return { spaces, actors, events, proxy };
}

const SETTINGS_HERE = { ...SETTINGS, ipvs: { ...SETTINGS.ipvs, gracefulPeriod: 600 } };

function join(node: Namespace, other: Namespace, name: Exclude<Space, 'node'>): void {
  node.ip(`link add to-${name} type veth peer name eth0 netns ${other.name}`);
  node.ip(`link set to-${name} up`);
  other.ip('link set eth0 up');
  for (const family of [4, 6] as const) {
    const [own, gateway] = PLACES[name][family];
    const bits = family === 4 ? 32 : 128;
    node.ip(`-${family} addr add ${gateway}/${bits} dev to-${name}${family === 6 ? ' nodad' : ''}`);
    node.ip(`-${family} route replace ${own}/${bits} dev to-${name}`);
    other.ip(`-${family} addr add ${own}/${bits} dev eth0${family === 6 ? ' nodad' : ''}`);
    other.ip(`-${family} route replace ${gateway}/${bits} dev eth0`);
    other.ip(`-${family} route add default via ${gateway}`);
  }
}

function inside(name: Space, ...command: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', `ipvs-${name}`, ...command], { encoding: 'utf8' });
}

/** Servers and destinations, sorted: the order in which the kernel tells them is no matter. */
function ipvsadm(): string {
  return inside('node', 'ipvsadm', '-Sn').split('\n').sort().join('\n').trim();
}

/** Masquerading takes the address of the link that leads to the pod: one of the node's all the same. */
function isOfNode(answer: string, pod: 'a' | 'c', family: Family): boolean {
  return [NODE[family], PLACES[pod][family][1]].some(source => answer === `${pod} ${source}`);
}

function ask(from: Space, address: string, port: number, protocol: 'tcp' | 'udp' = 'tcp'): Promise<string> {
  return world().actors[from].ask({ protocol, address, port });
}

/** The delta of a test's rig, with the addresses of its services. */
function delta(services: readonly ServiceShape[], removed: readonly ServiceShape[] = []): ProxyDelta {
  const change = deltaOf(services, removed);
  const texts = (shapes: readonly ServiceShape[]): readonly ServiceAddress[] =>
    shapes.flatMap(({ family, frontends }) =>
      frontends.flatMap(({ address, kind = 'clusterIp' }) =>
        address === undefined ? [] : [{ address: ipText(address), family, isClusterIp: kind === 'clusterIp' }],
      ),
    );
  const set = new Map(texts(services).map(one => [one.address, one]));
  return { ...change, addresses: { set, removed: new Set(texts(removed).map(({ address }) => address)) } };
}

function ipText(text: string): IpText {
  return text as IpText;
}

async function apply(change: ProxyDelta): Promise<void> {
  world().proxy.apply(change);
  await world().proxy.idle();
}

/** Another life of the proxy. @param gracefulPeriod seconds */
async function restart(services: readonly ServiceShape[], gracefulPeriod: number): Promise<void> {
  const here = world();
  await here.proxy.stop();
  here.events.length = 0;
  here.proxy = await openProxyIn(here.spaces.node, here.events);
  here.proxy.configure({ ...SETTINGS_HERE, ipvs: { ...SETTINGS_HERE.ipvs, gracefulPeriod } });
  here.proxy.apply(delta(services));
  here.proxy.begin();
  await here.proxy.idle();
}

const web = (family: Family, backends: readonly ('a' | 'c')[], protocol: 'TCP' | 'UDP' = 'TCP'): ServiceShape => ({
  family,
  name: `web${protocol}`,
  protocol,
  cluster: backends.map(name => backendOn(family, name)),
  frontends: [
    { address: family === 4 ? '10.96.0.1' : 'fd96::1', port: 80 },
    { address: family === 4 ? '203.0.113.7' : 'fdcc::7', port: 80, kind: 'loadBalancer', masquerade: 'always' },
    { address: undefined, port: 30080, kind: 'nodePort', masquerade: 'always' },
  ],
});

/** For somebody else than the client; and the node listens there, too, on all its addresses. */
const CLOSED: ServiceShape = {
  family: 4,
  name: 'closed',
  cluster: [backendOn(4, 'a')],
  frontends: [
    { address: '10.96.0.9', port: 81 },
    { address: '203.0.113.9', port: 81, kind: 'loadBalancer', sourceRanges: [prefixOf('192.0.2.0/24')] },
  ],
};

/** What the client hears at an address while something goes on, many connections at a time. */
async function heardDuring(address: string, port: number, work: () => Promise<void>): Promise<ReadonlySet<string>> {
  const heard = new Set<string>();
  let isOver = false;
  const ask = async (): Promise<void> => {
    const question = { protocol: 'tcp', address, port, patience: 300 } as const;
    while (!isOver) heard.add((await world().actors.client.ask(question)).split(' ')[0]!);
  };
  const asking = Promise.all(Array.from({ length: 8 }, ask));
  await work();
  isOver = true;
  await asking;
  return heard;
}

const FAMILIES = [4, 6] as const;
const VIP = { 4: '10.96.0.1', 6: 'fd96::1' } as const;

export const ipvsProxy = vmSuite('ipvsProxy', 2400, ({ check, prepare, cleanup }) => {
  prepare('a node with IPVS, two pods and a client', async () => {
    opened = await build();
  });
  check('what is there and foreign is left, what a former life left is adopted or removed', async () => {
    inside('node', 'ipvsadm', '-A', '-t', `${NODE[4]}:9999`, '-s', 'wlc');
    const { node } = world().spaces;
    node.ip('link add kube-dummy-if type dummy');
    node.ip('link set kube-dummy-if up');
    node.ip('addr add 10.96.0.1/32 dev kube-dummy-if');
    node.ip('addr add 10.96.0.99/32 dev kube-dummy-if');
    node.ip('addr add fd96::1/128 dev kube-dummy-if nodad');
    inside('node', 'ipvsadm', '-A', '-t', '10.96.0.99:80', '-s', 'rr');
    inside('node', 'ipvsadm', '-A', '-t', '10.96.0.1:80', '-s', 'lc');
    world().proxy.apply(delta(FAMILIES.flatMap(family => [web(family, ['a']), web(family, ['a'], 'UDP')])));
    world().proxy.begin();
    await world().proxy.idle();
    const saved = ipvsadm();
    assert.match(saved, /-A -t 192\.168\.9\.1:9999 -s wlc/);
    assert.match(saved, /-A -t 10\.96\.0\.1:80 -s rr\n/);
    assert.match(saved, /-a -t 10\.96\.0\.1:80 -r 10\.244\.1\.2:8080 -m -w 1/);
    assert.doesNotMatch(saved, /10\.96\.0\.99/);
    assert.match(saved, /-A -t 192\.168\.9\.1:30080/);
    assert.match(saved, /-A -t \[fd99::1\]:30080/);
    assert.deepEqual(node.ip('-o addr show dev kube-dummy-if scope global').trim(), '');
    const routes =
      node.ip('route show table local dev kube-dummy-if') + node.ip('-6 route show table local dev kube-dummy-if');
    assert.match(routes, /local 10\.96\.0\.1 .*src 192\.168\.9\.1/);
    assert.match(routes, /local fd96::1 .*src fd99::1/);
    assert.doesNotMatch(routes, /10\.96\.0\.99/);
    const failed = world().events.filter(({ kind }) => kind === 'failed' || kind === 'error');
    assert.deepEqual(failed, []);
  });
  for (const family of FAMILIES) {
    check(`IPv${family}: a cluster IP from a pod, from the node and from outside`, async () => {
      assert.equal(await ask('c', VIP[family], 80), `a ${PLACES.c[family][0]}`);
      assert.ok(isOfNode(await ask('node', VIP[family], 80), 'a', family));
      assert.equal((await ask('client', VIP[family], 80)).split(' ')[0], 'a');
    });
    check(`IPv${family}: the same over UDP`, async () => {
      assert.equal(await ask('c', VIP[family], 80, 'udp'), `a ${PLACES.c[family][0]}`);
      assert.ok(isOfNode(await ask('node', VIP[family], 80, 'udp'), 'a', family));
    });
    check(`IPv${family}: a load-balancer IP and a node port from outside`, async () => {
      assert.equal((await ask('client', family === 4 ? '203.0.113.7' : 'fdcc::7', 80)).split(' ')[0], 'a');
      assert.equal((await ask('client', NODE[family], 30080)).split(' ')[0], 'a');
    });
    check(`IPv${family}: the node reaches a pod of another machine with its own address at once`, async () => {
      await apply(delta([web(family, ['c'])]));
      const answer = await ask('node', VIP[family], 80);
      await apply(delta([web(family, ['a'])]));
      assert.ok(isOfNode(answer, 'c', family), answer);
    });
    check(`IPv${family}: a pod that reaches itself`, async () => {
      assert.equal((await ask('a', VIP[family], 80)).split(' ')[0], 'a');
    });
  }
  check('counters and backends are told as the kernel has them', async () => {
    const key = frontendKey(4, ipText('10.96.0.1'), 'TCP', 80);
    const [found] = await world().proxy.read([key]);
    assert.deepEqual(
      // Others may be on their way out.
      found?.backends.flatMap(({ address, port, weight }) => (weight > 0 ? [[address, port, weight]] : [])),
      [['10.244.1.2', 8080, 1]],
    );
    assert.equal(found.verdict, 'forward');
    // The kernel adds up what its processors have counted every two seconds.
    await waitFor('counters', WAIT, async () => {
      const counters = await world().proxy.counters();
      return (
        [...counters.values()].some(({ connections, packetsIn }) => connections > 0n && packetsIn > 0n) || undefined
      );
    });
  });
  check('connections to the last backend go on while new ones are refused', async () => {
    const { actors } = world();
    const keep = { protocol: 'tcp', address: VIP[4], port: 80, keep: 'last' } as const;
    assert.equal((await actors.client.ask(keep)).split(' ')[0], 'a');
    await apply(delta([web(4, [])]));
    const [old, fresh] = [await actors.client.askKept('last'), await ask('client', VIP[4], 80)];
    await apply(delta([web(4, ['a'])]));
    assert.deepEqual([old.split(' ')[0], fresh], ['a', 'refused']);
  });
  check('a connection outlives its backend, and then the backend goes', async () => {
    const { actors } = world();
    const keep = { protocol: 'tcp', address: VIP[4], port: 80, keep: 'long' } as const;
    assert.equal((await actors.client.ask(keep)).split(' ')[0], 'a');
    await apply(delta([web(4, ['c'])]));
    assert.match(ipvsadm(), /-a -t 10\.96\.0\.1:80 -r 10\.244\.1\.2:8080 -m -w 0/);
    assert.equal((await actors.client.askKept('long')).split(' ')[0], 'a');
    assert.equal((await ask('client', VIP[4], 80)).split(' ')[0], 'c');
    // Another process finds it draining, and lets it; a third one is less patient.
    const services = [web(4, ['c']), web(6, ['a']), ...FAMILIES.map(family => web(family, ['a'], 'UDP'))];
    await restart(services, 600);
    assert.equal((await actors.client.askKept('long')).split(' ')[0], 'a');
    await restart(services, 1);
    await waitFor('the end of its time', WAIT, () =>
      /-a -t 10\.96\.0\.1:80 -r 10\.244\.1\.2/.test(ipvsadm()) ? undefined : true,
    );
  });
  check('a restart with everything in place writes nothing', () => {
    const written = world().events.filter(({ kind }) => kind === 'committed' || kind === 'failed' || kind === 'error');
    assert.deepEqual(written, []);
    assert.ok(world().events.some(({ kind }) => kind === 'adopted'));
  });
  check('a service that went while no proxy ran is open to nobody at any time', async () => {
    const others = [web(4, ['c']), web(6, ['a']), ...FAMILIES.map(family => web(family, ['a'], 'UDP'))];
    await world().actors.node.serve('node', 81);
    await apply(delta([CLOSED]));
    const before = await ask('c', '10.96.0.9', 81);
    const heard = await heardDuring('203.0.113.9', 81, () => restart(others, 600));
    assert.equal(before.split(' ')[0], 'a');
    assert.doesNotMatch(ipvsadm(), /203\.0\.113\.9/);
    assert.ok(heard.size > 0);
    assert.deepEqual(
      ['a', 'node'].filter(name => heard.has(name)),
      [],
    );
  });
  check('what is changed by hand is put right', async () => {
    const before = ipvsadm();
    const { node } = world().spaces;
    inside('node', 'ipvsadm', '-D', '-u', '10.96.0.1:80');
    inside('node', 'ipvsadm', '-d', '-t', '192.168.9.1:30080', '-r', '10.244.2.4:8080');
    inside('node', 'ipvsadm', '-E', '-t', '203.0.113.7:80', '-s', 'sh');
    node.ip('route del local 203.0.113.7 dev kube-dummy-if table local');
    await waitFor('the same servers again', WAIT, () => (ipvsadm() === before ? true : undefined));
    await waitFor('the route', WAIT, () =>
      node.ip('route show table local dev kube-dummy-if').includes('203.0.113.7') ? true : undefined,
    );
    node.ip('link del kube-dummy-if');
    await waitFor('the link', WAIT, async () => ((await ask('client', VIP[4], 80)).startsWith('c') ? true : undefined));
  });
  check('an address of services that another link gets is served there, and comes back', async () => {
    const { node } = world().spaces;
    const held = (): boolean => node.ip('route show table local dev kube-dummy-if').includes('203.0.113.7');
    node.ip('addr add 203.0.113.7/32 dev to-client');
    await waitFor('its place there', WAIT, () => (held() ? undefined : true));
    await world().proxy.idle();
    assert.match(node.ip('route show table local dev to-client'), /local 203\.0\.113\.7 /);
    assert.equal((await ask('client', '203.0.113.7', 80)).split(' ')[0], 'c');
    assert.match(inside('node', 'nft', 'list', 'set', 'ip', 'peerage-ipvs-servers', 'servers'), /203\.0\.113\.7 /);
    node.ip('addr del 203.0.113.7/32 dev to-client');
    await waitFor('its place on our link', WAIT, () => (held() ? true : undefined));
    await world().proxy.idle();
    assert.equal((await ask('client', '203.0.113.7', 80)).split(' ')[0], 'c');
    assert.doesNotMatch(
      inside('node', 'nft', 'list', 'set', 'ip', 'peerage-ipvs-servers', 'servers'),
      /203\.0\.113\.7 /,
    );
  });
  check("a server that the kernel refuses is in nobody else's way", async () => {
    const [odd, fine] = ['10.96.0.7', '10.96.0.8'].map((address, i) => ({
      family: 4 as const,
      name: `odd${i}`,
      cluster: [backendOn(4, 'c', i === 0 ? { address: ipText('224.0.0.9') } : {})],
      frontends: [{ address, port: 80 }],
    }));
    await apply(delta([odd!, fine!]));
    assert.equal((await ask('client', '10.96.0.8', 80)).split(' ')[0], 'c');
    await apply(delta([], [odd!, fine!]));
    assert.doesNotMatch(ipvsadm(), /10\.96\.0\.[78]:/);
  });
  check('all of ours goes with the services, and nothing else', async () => {
    await apply(delta([], [...FAMILIES.flatMap(family => [web(family, ['a']), web(family, ['a'], 'UDP')])]));
    assert.equal(ipvsadm(), '-A -t 192.168.9.1:9999 -s wlc');
    assert.equal(world().spaces.node.ip('route show table local dev kube-dummy-if'), '');
  });
  cleanup('remove the namespaces', async () => {
    if (opened === undefined) return;
    await opened.proxy.stop();
    await Promise.all(Object.values(opened.actors).map(actor => actor.stop()));
    for (const space of Object.values(opened.spaces)) space.remove();
  });
});
