/**
 * Direct server return on IPVS with real packets: a client, the node it asks, a pod of that node, and a pod of another node
 * whose answers do not come back by the first. (The container runtime's part is test/unit/proxy/dsr.)
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { sleep, waitFor } from '../../../lab/topology/commands.js';
import { systemClock } from '../../../src/core/clock.js';
import { openNft } from '../../../src/kernel/nft.js';
import type { IpText } from '../../../src/kube/objectTypes.js';
import type { ContainerRuntime } from '../../../src/proxy/dsr/containerRuntime.js';
import { applyInPod } from '../../../src/proxy/dsr/podTunnel.js';
import { withDsr } from '../../../src/proxy/dsr/withDsr.js';
import { openLeftovers } from '../../../src/proxy/leftovers.js';
import { openIpvsProxy } from '../../../src/proxy/ipvs/ipvsProxy.js';
import type { ProxyBackend } from '../../../src/proxy/proxyBackend.js';
import type { Family, ProxyDelta, ServiceAddress } from '../../../src/proxy/proxyTypes.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { startActor, type Actor } from '../../../test/kernel/proxyActor.js';
import { deltaOf, SETTINGS, type ServiceShape } from '../../../test/kernel/proxyRig.js';
import { vmSuite } from '../suite.js';

type Space = 'node' | 'other' | 'a' | 'c' | 'client';
const FAMILIES = [4, 6] as const;
const WAIT = 120_000;

/** Addresses of both ends of each link: its own first, then its neighbour's. */
const LINKS: readonly (readonly [Space, Space, Readonly<Record<Family, readonly [string, string]>>])[] = [
  ['client', 'node', { 4: ['192.168.9.9', '192.168.9.1'], 6: ['fd99::9', 'fd99::1'] }],
  ['client', 'other', { 4: ['192.168.8.9', '192.168.8.1'], 6: ['fd98::9', 'fd98::1'] }],
  ['other', 'node', { 4: ['192.168.7.2', '192.168.7.1'], 6: ['fd97::2', 'fd97::1'] }],
  ['a', 'node', { 4: ['10.244.1.2', '10.244.1.1'], 6: ['fd44:1::2', 'fd44:1::1'] }],
  ['c', 'other', { 4: ['10.244.2.4', '10.244.2.1'], 6: ['fd44:2::4', 'fd44:2::1'] }],
];
/** Besides what is on links. */
const ROUTES: readonly (readonly [Space, string])[] = [
  ['a', '-4 route add default via 10.244.1.1'],
  ['a', '-6 route add default via fd44:1::1'],
  ['c', '-4 route add default via 10.244.2.1'],
  ['c', '-6 route add default via fd44:2::1'],
  ['client', '-4 route add default via 192.168.9.1'],
  ['client', '-6 route add default via fd99::1'],
  // Only the node's way to the other pod; the answer goes from the other node to the client by their own link.
  ['node', '-4 route add 10.244.2.0/24 via 192.168.7.2'],
  ['node', '-6 route add fd44:2::/64 via fd97::2'],
  ['node', '-4 route add default via 192.168.9.9'],
  ['node', '-6 route add default via fd99::9'],
  ['other', '-4 route add 192.168.9.0/24 via 192.168.8.9'],
  ['other', '-6 route add fd99::/64 via fd98::9'],
  ['other', '-4 route add default via 192.168.8.9'],
  ['other', '-6 route add default via fd98::9'],
];

const VIP: Readonly<Record<Family, IpText>> = { 4: '203.0.113.7' as IpText, 6: 'fdcc::7' as IpText };
const POD: Readonly<Record<'a' | 'c', Readonly<Record<Family, IpText>>>> = {
  a: { 4: '10.244.1.2' as IpText, 6: 'fd44:1::2' as IpText },
  c: { 4: '10.244.2.4' as IpText, 6: 'fd44:2::4' as IpText },
};
const CLIENT: Readonly<Record<Family, string>> = { 4: '192.168.9.9', 6: 'fd99::9' };

interface World {
  readonly spaces: Readonly<Record<Space, Namespace>>;
  readonly actors: Readonly<Record<'a' | 'c' | 'client', Actor>>;
  readonly proxy: ProxyBackend;
  readonly loosened: Set<string>;
  problems: ReadonlyMap<string, string>;
}

let opened: World | undefined;

function world(): World {
  if (opened === undefined) throw new Error('the namespaces do not stand');
  return opened;
}

function inside(name: Space, ...command: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', `dsr-${name}`, ...command], { encoding: 'utf8' });
}

/** The runtime of the node: it knows pod a, and a pod on the node's own network. */
const RUNTIME: ContainerRuntime = {
  list: () => Promise.resolve(['sandbox-a', 'sandbox-host']),
  sandbox: id =>
    Promise.resolve(
      id === 'sandbox-a'
        ? { id, addresses: [POD.a[4], POD.a[6]], namespaces: ['/run/netns/dsr-a'] }
        : { id, addresses: ['192.168.9.1'], namespaces: [] },
    ),
  close: () => undefined,
};

async function build(): Promise<World> {
  const make = (name: Space): Namespace => makeNamespace(`dsr-${name}`);
  const spaces = { node: make('node'), other: make('other'), a: make('a'), c: make('c'), client: make('client') };
  for (const [one, two, addresses] of LINKS) {
    spaces[one].ip(`link add to-${two} type veth peer name to-${one} netns dsr-${two}`);
    for (const [space, link, at] of [[one, two, 0] as const, [two, one, 1] as const]) {
      spaces[space].ip(`link set to-${link} up`);
      spaces[space].ip(`addr add ${addresses[4][at]}/24 dev to-${link}`);
      spaces[space].ip(`addr add ${addresses[6][at]}/64 dev to-${link} nodad`);
    }
  }
  for (const [space, route] of ROUTES) spaces[space].ip(route);
  for (const name of ['node', 'other'] as const)
    inside(name, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  // As distributions have it: strict, in the node and in pods.
  inside('node', 'sysctl', '-qw', 'net.ipv4.conf.to-a.rp_filter=1');
  inside('a', 'sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1');
  inside('client', 'sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0');
  const actors = { a: startActor('dsr-a'), c: startActor('dsr-c'), client: startActor('dsr-client') };
  await actors.a.serve('a', 80);
  await actors.c.serve('c', 80);
  const loosened = new Set<string>();
  const shared = { problems: new Map<string, string>() as ReadonlyMap<string, string> };
  const open = withDsr(
    async onEvent => {
      const backend = await openIpvsProxy(onEvent);
      if (typeof backend === 'string') throw new Error(backend);
      return backend;
    },
    {
      clock: systemClock,
      nft: openNft(['ip', 'netns', 'exec', 'dsr-node', 'nft']),
      openRuntime: () => Promise.resolve(RUNTIME),
      loosen: links => {
        for (const link of links) {
          loosened.add(link);
          inside('node', 'sysctl', '-qw', `net.ipv4.conf.${link}.rp_filter=2`);
        }
      },
      onProblems: problems => {
        shared.problems = problems;
        if (opened !== undefined) opened.problems = problems;
      },
    },
  );
  const proxy = await openThere(spaces.node, open);
  inside('node', 'sysctl', '-qw', 'net.ipv4.vs.conntrack=1', 'net.ipv4.vs.expire_nodest_conn=1');
  proxy.configure(SETTINGS);
  return { spaces, actors, proxy, loosened, problems: shared.problems };
}

/** Sockets are opened before the first promise is waited for. */
function openThere(node: Namespace, open: ReturnType<typeof withDsr>): Promise<ProxyBackend> {
  return node.inside(() => open(() => undefined));
}

const service = (family: Family, pods: readonly ('a' | 'c')[], dsr = true): ServiceShape => ({
  family,
  name: 'web',
  cluster: pods.map(name => ({
    address: POD[name][family],
    port: 80,
    weight: 1,
    isLocal: name === 'a',
    state: 'ready' as const,
  })),
  frontends: [
    { address: family === 4 ? '10.96.0.7' : 'fd96::7' },
    { address: VIP[family], kind: 'loadBalancer', masquerade: 'always', dsr },
  ],
});

async function apply(services: readonly ServiceShape[], removed: readonly ServiceShape[] = []): Promise<void> {
  const change = deltaOf(services, removed);
  const set = new Map(services.flatMap(addressesOf).map(one => [one.address, one]));
  const gone = new Set(removed.flatMap(addressesOf).map(({ address }) => address));
  const delta: ProxyDelta = { ...change, addresses: { set, removed: gone } };
  world().proxy.apply(delta);
  await world().proxy.idle();
}

function addressesOf({ family, frontends }: ServiceShape): readonly ServiceAddress[] {
  return frontends.flatMap(({ address, kind = 'clusterIp' }) =>
    address === undefined ? [] : [{ address: address as IpText, family, isClusterIp: kind === 'clusterIp' }],
  );
}

function podLinks(): string {
  return inside('a', 'ip', '-o', 'addr', 'show');
}

/** Packets to the virtual server, and answers that came by IPVS: counted now and then only. */
function packets(family: Family): { readonly inward: number; readonly outward: number } {
  const place = family === 4 ? '203.0.113.7:80' : '[fdcc::7]:80';
  const line = inside('node', 'ipvsadm', '-Ln', '--stats', '--exact')
    .split('\n')
    .find(text => text.includes(place));
  const [, , , inward, outward] = line?.trim().split(/\s+/) ?? [];
  return { inward: Number(inward), outward: Number(outward) };
}

/**
 * The kernel adds packets up every two seconds. Answers of a pod of this node pass it, and are counted though IPVS does
 * nothing with them: those of the check before must all be there.
 */
async function restingPackets(family: Family): Promise<ReturnType<typeof packets>> {
  for (let tries = 0; tries < 20; tries++) {
    const before = packets(family);
    await sleep(6000);
    const after = packets(family);
    if (before.inward === after.inward && before.outward === after.outward) return after;
  }
  throw new Error('packets do not come to rest, or there is no server');
}

export const dsr = vmSuite('dsr', 900, ({ check, prepare, cleanup }) => {
  prepare('two nodes with a pod each, and a client', async () => {
    opened = await build();
  });
  check('the pod of this node is prepared, and its address is nobody’s in the table local', async () => {
    world().proxy.begin();
    await apply(FAMILIES.map(family => service(family, ['a'])));
    await waitFor(
      'addresses in the pod',
      WAIT,
      () => FAMILIES.every(family => podLinks().includes(VIP[family])) || undefined,
    );
    assert.match(podLinks(), /kube-tunnel-if +inet 203\.0\.113\.7\/32/);
    assert.match(podLinks(), /kube-tunnel-v6 +inet6 fdcc::7\/128/);
    const { node } = world().spaces;
    assert.doesNotMatch(node.ip('route show table local'), /203\.0\.113\.7/);
    assert.match(node.ip('route show table local'), /10\.96\.0\.7/);
    assert.match(node.ip('route show table 190'), /local 203\.0\.113\.7/);
    assert.match(node.ip('rule show'), /from all fwmark 0x2000\/0x2000 lookup 190/);
    await waitFor('links of pods with a loose filter', WAIT, () => world().loosened.has('to-a') || undefined);
    await waitFor(
      'segments',
      WAIT,
      () => /maxseg size set 1440/.test(inside('node', 'nft', 'list', 'ruleset')) || undefined,
    );
    assert.deepEqual([...world().problems], []);
  });
  for (const family of FAMILIES) {
    const ask = (): Promise<string> => world().actors.client.ask({ protocol: 'tcp', address: VIP[family], port: 80 });
    check(`IPv${family}: a pod of this node answers the client by itself, and sees its address`, async () => {
      assert.equal(await ask(), `a ${CLIENT[family]}`);
    });
    check(`IPv${family}: a pod of another node does, by another way than the packet came`, async () => {
      await applyInPod(['/run/netns/dsr-c'], [{ pod: POD.c[family], vips: new Set([VIP[family]]) }]);
      await apply([service(family, ['c'])]);
      const { inward: before, outward } = await restingPackets(family);
      assert.equal(await ask(), `c ${CLIENT[family]}`);
      await waitFor('packets to be counted', WAIT, () => packets(family).inward > before || undefined);
      assert.equal(packets(family).outward, outward);
    });
  }
  check('a pod that is no backend any more has nothing of it', async () => {
    await waitFor('the pod as it was', WAIT, () => !/kube-tunnel/.test(podLinks()) || undefined);
  });
  check('without direct server return the address is the node’s again, and answers come back through it', async () => {
    const plain = FAMILIES.map(family => service(family, ['a'], false));
    await apply(plain);
    const { node } = world().spaces;
    assert.match(node.ip('route show table local'), /203\.0\.113\.7/);
    assert.equal(node.ip('rule show').includes('lookup 190'), false);
    for (const family of FAMILIES) {
      const answer = await world().actors.client.ask({ protocol: 'tcp', address: VIP[family], port: 80 });
      assert.match(answer, /^a /);
    }
    await waitFor(
      'no segments',
      WAIT,
      () => !inside('node', 'nft', 'list', 'tables').includes('peerage-dsr') || undefined,
    );
  });
  check('a cleanup when the proxy has ended takes it out of the pod as well', async () => {
    await apply([service(4, ['a'])]);
    await waitFor('the address in the pod', WAIT, () => podLinks().includes(VIP[4]) || undefined);
    const { node } = world().spaces;
    await world().proxy.stop();
    const leftovers = node.inside(() => openLeftovers({ openRuntime: () => Promise.resolve(RUNTIME) }));
    try {
      const { removed, left } = await leftovers.remove('ipvs');
      assert.deepEqual(left, []);
      assert.ok(removed.includes('1 tunnels of direct server return in pods'), removed.join());
      assert.ok(removed.includes('2 rules and routes of direct server return'), removed.join());
    } finally {
      leftovers.close();
    }
    assert.doesNotMatch(podLinks(), /kube-tunnel/);
    assert.doesNotMatch(node.ip('rule show'), /lookup 190/);
  });
  cleanup('all of it goes', async () => {
    if (opened === undefined) return;
    await Promise.all(Object.values(opened.actors).map(actor => actor.stop()));
    for (const space of Object.values(opened.spaces)) space.remove();
  });
});
