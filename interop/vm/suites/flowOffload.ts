/**
 * Established connections on the short way (a flowtable), in a guest whose kernel has it: who takes it and who does not, that
 * what a policy forbids is cut there as well, and that nothing is lost when the way is made anew or taken away.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { PODS } from '../../../test/kernel/policyRig.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { startActor, type Actor } from '../../../test/kernel/proxyActor.js';
import { ADDRESSES, backendOn, PORT, type ActorName } from '../../../test/kernel/proxyRig.js';
import { buildWay } from '../../../bench/policy/packets.js';
import { MOST_DEVICES } from '../../../src/kernel/nftables/flowtables.js';
import { OFFLOAD_TABLE } from '../../../src/policy/flowOffload/offloadTable.js';
import { ONLY_C, openPolicyNode, openShortWay, type PolicyNode, type ShortWay } from '../policyNode.js';
import { vmSuite } from '../suite.js';
import { openTracked, until, type Tracked } from '../tracked.js';

/** Milliseconds: what is cut never comes; what is allowed takes seconds where nobody else is at work. */
const [NEVER, PATIENCE] = [4000, 120_000];
const LINKS = ['to-a', 'to-b', 'to-c', 'to-client'];
const SERVICE = '10.96.0.10';
/** Packets of one turn of the stream, and turns. */
const [STREAM, TURNS] = [640, 30];
/** Pairs of links: more links than a flowtable takes. */
const MANY = 130;
const BRIDGED = ['10.244.5.2', '10.244.5.3'] as const;

interface World extends PolicyNode, Tracked {
  readonly way: ShortWay;
}

let opened: World | undefined;
const ends: (() => Promise<void> | void)[] = [];

function world(): World {
  if (opened === undefined) throw new Error('the rig does not stand');
  return opened;
}

async function build(): Promise<World> {
  const services = (['TCP', 'UDP'] as const).map(protocol => ({
    family: 4 as const,
    name: `web-${protocol}`,
    protocol,
    cluster: [backendOn(4, 'a')],
    frontends: [{ address: SERVICE }],
  }));
  const node = await openPolicyNode({ prefix: 'pvf', services, onFlows: event => opened?.way.onFlows(event) });
  const way = openShortWay(node.rig.node);
  await way.offload.idle();
  return { ...node, ...openTracked(node.rig), way };
}

async function become(objects: readonly unknown[]): Promise<void> {
  await world().become(objects);
  await world().way.offload.idle();
}

async function askKept(from: ActorName, name: string, patience = PATIENCE): Promise<string> {
  return world().rig.actors[from].askKept(name, patience);
}

async function keep(from: Actor, address: string, name: string, server: string): Promise<void> {
  const question = { protocol: 'tcp', address, port: PORT, patience: PATIENCE, keep: name } as const;
  assert.match(await from.ask(question), new RegExp(`^${server} `));
  assert.match(await from.askKept(name, PATIENCE), new RegExp(`^${server} `));
}

/** A link that goes has the kernel look up every route again, and once more a second later: packets are seen until that is over. */
async function untilUnseen(from: ActorName, name: string): Promise<void> {
  await until(`no packet of ${name} is seen`, async () => {
    const before = world().seen();
    await delay(2000);
    assert.notEqual(await askKept(from, name), 'silence');
    return world().seen() === before;
  });
}

/** The short way is told of links until it has changed so that this holds of its devices. */
async function untilDevices(what: string, holds: (devices: readonly string[]) => boolean): Promise<void> {
  world().way.offload.linksChanged();
  await until(what, async () => holds(await world().way.devices()));
  await world().way.offload.idle();
}

/** Another pod on a link of its own, or at a port of a bridge. @param address with its length @param gateway of the node's */
async function addPod(name: string, link: string, address: string, gateway: string): Promise<[Actor, Namespace]> {
  const { node } = world().rig;
  const pod = makeNamespace(`pvf-${name}`);
  ends.push(() => pod.remove());
  node.ip(`link add ${link} type veth peer name eth0 netns ${pod.name}`);
  node.ip(`link set ${link} up`);
  pod.ip(`addr add ${address} dev eth0`);
  pod.ip('link set eth0 up');
  pod.ip(`route replace ${gateway}/32 dev eth0`);
  pod.ip(`route add default via ${gateway}`);
  const actor = startActor(pod.name);
  ends.push(() => actor.stop());
  await actor.serve(name, PORT);
  return [actor, pod];
}

export const flowOffload = vmSuite('flowOffload', 1500, ({ check, prepare, cleanup }) => {
  prepare('pods, the firewall and the flowtable', async () => {
    opened = await build();
    await become(PODS);
    assert.deepEqual(world().way.events, [{ kind: 'written', links: LINKS.length }]);
  });
  check('the table is as nft(8) reads it, with every link of the node', async () => {
    assert.deepEqual([...(await world().way.devices())].sort(), LINKS);
    const listed = world().inNode('nft list table inet peerage-offload');
    assert.match(listed, /flow add @established/);
    assert.match(listed, /ct direction != original accept/);
  });
  for (const family of [4, 6] as const)
    check(`an established connection goes past the hooks, IPv${family}`, async () => {
      const { seen, untilOffloaded, rig } = world();
      const { client, a } = ADDRESSES[family];
      for (const from of ['client', 'c'] as const) await keep(rig.actors[from], a, `kept-${family}`, 'a');
      await untilOffloaded('client', `kept-${family}`, client, a);
      const before = seen();
      for (let i = 0; i < 5; i++) assert.match(await askKept('client', `kept-${family}`), /^a /);
      assert.equal(seen(), before);
    });
  for (const family of [4, 6] as const)
    check(`a policy that comes cuts it, and lets it go on when it goes, IPv${family}`, async () => {
      const { isOffloaded, untilOffloaded } = world();
      const name = `kept-${family}`;
      await become([...PODS, ONLY_C]);
      assert.equal(await askKept('client', name, NEVER), 'silence');
      assert.match(await askKept('c', name), /^a /);
      const { client, c, a } = ADDRESSES[family];
      assert.ok(!isOffloaded('tcp', client, a));
      await untilOffloaded('c', name, c, a);
      await become(PODS);
      assert.match(await askKept('client', name), /^a /);
      assert.match(await askKept('client', name), /^a /);
      await untilOffloaded('client', name, client, a);
    });
  check('packets with a mark stay where rules see them', async () => {
    const { inNode, seen, way } = world();
    inNode('nft add chain inet seen m { type filter hook prerouting priority -50 ; }');
    inNode('nft add rule inet seen m meta mark set 1');
    way.offload.renew();
    await way.offload.idle();
    const before = seen();
    assert.match(await askKept('client', 'kept-4'), /^a /);
    assert.match(await askKept('client', 'kept-4'), /^a /);
    assert.ok(seen() > before);
    inNode('nft delete chain inet seen m');
  });
  check('services by TCP are offloaded, by UDP they are not; UDP between pods is', async () => {
    const { isOffloaded, rig, seen, untilOffloaded } = world();
    const { client } = rig.actors;
    const question = { port: 80, patience: PATIENCE } as const;
    assert.match(await client.ask({ ...question, protocol: 'tcp', address: SERVICE, keep: 'service' }), /^a /);
    assert.match(await askKept('client', 'service'), /^a /);
    await untilOffloaded('client', 'service', ADDRESSES[4].client, SERVICE);
    const before = seen();
    assert.match(await askKept('client', 'service'), /^a /);
    assert.equal(seen(), before);
    for (const [address, port, fromPort] of [
      [SERVICE, 80, 7001],
      [ADDRESSES[4].a, PORT, 7002],
    ] as const)
      for (let i = 0; i < 3; i++)
        assert.match(await client.ask({ ...question, protocol: 'udp', address, port, fromPort }), /^a /);
    assert.ok(isOffloaded('udp', ADDRESSES[4].client, ADDRESSES[4].a));
    assert.ok(!isOffloaded('udp', ADDRESSES[4].client, SERVICE));
  });
  check('limits of bandwidth see what is offloaded, in and out', async () => {
    const { inNode, seen } = world();
    const count = (link: string, kind: string): number =>
      Number(new RegExp(`qdisc ${kind} [^]*? (\\d+) pkt`).exec(inNode(`tc -s qdisc show dev ${link}`))?.[1]);
    inNode('tc qdisc add dev to-a root tbf rate 100mbit burst 32k latency 50ms');
    inNode('tc qdisc add dev to-client ingress');
    // Without a filter, the kernel passes it by.
    inNode('tc filter add dev to-client parent ffff: protocol ip u32 match u32 0 0 flowid 1:1');
    assert.match(await askKept('client', 'service'), /^a /);
    const before = [count('to-a', 'tbf'), count('to-client', 'ingress'), seen()];
    assert.match(await askKept('client', 'service'), /^a /);
    const after = [count('to-a', 'tbf'), count('to-client', 'ingress'), seen()];
    assert.ok(after[0]! > before[0]! && after[1]! > before[1]!, `${before.join()} ${after.join()}`);
    assert.equal(after[2], before[2]);
    inNode('tc qdisc del dev to-a root');
    inNode('tc qdisc del dev to-client ingress');
  });
  check('of a stream nothing is lost while the way is made anew over and over', async () => {
    const { isOffloaded, rig } = world();
    const { offload } = world().way;
    const way = buildWay(rig.node.name, 'pvfw', '10.64.0.1');
    offload.linksChanged();
    try {
      for (let i = 0; i < TURNS; i++) {
        way.established(STREAM);
        offload.renew();
        if (i % 2 === 0) await offload.idle();
      }
      await offload.idle();
      // The last way was made after the last packet.
      way.established(STREAM);
      await until('all of it arrived', () => way.arrived() >= way.sent);
      assert.ok(isOffloaded('udp', '10.64.0.1', '198.18.0.1'));
    } finally {
      way.close();
      for (const end of ['p', 'w']) execFileSync('ip', ['netns', 'del', `pvfw-${end}`]);
    }
  });
  check('links that come and go leave the connections of others where they are', async () => {
    const { isOffloaded, rig, seen, untilOffloaded, way } = world();
    const { client, a } = ADDRESSES[4];
    await untilDevices('the links of the stream are gone', devices => devices.length === LINKS.length);
    await untilOffloaded('client', 'kept-4', client, a);
    await untilUnseen('client', 'kept-4');
    way.events.length = 0;
    const before = seen();
    rig.node.ip('link add new0 type veth peer name new1');
    await untilDevices('the new links', devices => ['new0', 'new1'].every(name => devices.includes(name)));
    assert.ok(isOffloaded('tcp', client, a));
    assert.match(await askKept('client', 'kept-4'), /^a /);
    assert.equal(seen(), before);
    rig.node.ip('link del new0');
    way.offload.linksChanged();
    await until('the set without them', () =>
      way.events.some(({ kind, ...more }) => kind === 'adapted' && 'links' in more && more.links === LINKS.length),
    );
    // With a link that goes the kernel has every route looked up again, at the next packet: here none has come since.
    assert.ok(isOffloaded('tcp', client, a));
    assert.match(await askKept('client', 'kept-4'), /^a /);
    assert.deepEqual(
      way.events.filter(({ kind }) => kind !== 'adapted'),
      [],
    );
  });
  check('a pod in the place of another gets nothing by the short way of that one', async () => {
    const { isOffloaded, rig, untilOffloaded } = world();
    const { client, b } = ADDRESSES[4];
    await keep(rig.actors.client, b, 'to-b', 'b');
    await untilOffloaded('client', 'to-b', client, b);
    rig.node.ip('link del to-b');
    assert.ok(!isOffloaded('tcp', client, b));
    const [another] = await addPod('another', 'to-b', `${b}/32`, '10.1.2.1');
    rig.node.ip('addr add 10.1.2.1/32 dev to-b');
    rig.node.ip(`route replace ${b}/32 dev to-b`);
    await untilDevices('the new link', devices => devices.includes('to-b'));
    // It knows of no such connection, and says so.
    assert.equal(await askKept('client', 'to-b'), 'refused');
    await keep(rig.actors.client, b, 'to-another', 'another');
    await untilOffloaded('client', 'to-another', client, b);
    assert.match(
      await another.ask({ protocol: 'tcp', address: ADDRESSES[4].a, port: PORT, patience: PATIENCE }),
      /^a /,
    );
  });
  check('pods on a bridge take the short way to others; between its ports nothing is routed', async () => {
    const { inNode, isOffloaded, rig, seen, untilOffloaded } = world();
    const { node, actors } = rig;
    node.ip('link add br0 type bridge');
    node.ip('addr add 10.244.5.1/24 dev br0');
    node.ip('link set br0 up');
    const [one] = await addPod('one', 'br-one', `${BRIDGED[0]}/24`, '10.244.5.1');
    const [two] = await addPod('two', 'br-two', `${BRIDGED[1]}/24`, '10.244.5.1');
    for (const link of ['br-one', 'br-two']) node.ip(`link set ${link} master br0`);
    const isThere = (devices: readonly string[]): boolean =>
      devices.includes('br0') && !devices.some(name => name.startsWith('br-'));
    await untilDevices('the bridge without its ports', isThere);
    await keep(actors.client, BRIDGED[0], 'bridged', 'one');
    await untilOffloaded('client', 'bridged', ADDRESSES[4].client, BRIDGED[0]);
    await keep(two, ADDRESSES[4].a, 'from-bridge', 'a');
    await until('a bridged pod is offloaded', async () => {
      assert.match(await two.askKept('from-bridge', PATIENCE), /^a /);
      return isOffloaded('tcp', BRIDGED[1], ADDRESSES[4].a);
    });
    await untilUnseen('client', 'bridged');
    const before = seen();
    assert.match(await askKept('client', 'bridged'), /^one /);
    assert.match(await two.askKept('from-bridge', PATIENCE), /^a /);
    assert.equal(seen(), before);
    // Rules see what is bridged where somebody has asked for that; then too it stays on its way.
    execFileSync('modprobe', ['br_netfilter']);
    inNode('sysctl -qw net.bridge.bridge-nf-call-iptables=1');
    await keep(one, BRIDGED[1], 'beside', 'two');
    const bridged = seen();
    for (let i = 0; i < 3; i++) assert.match(await one.askKept('beside', PATIENCE), /^two /);
    assert.ok(seen() > bridged);
    assert.ok(!isOffloaded('tcp', BRIDGED[0], BRIDGED[1]));
    inNode('sysctl -qw net.bridge.bridge-nf-call-iptables=0');
  });
  check('of more links than a flowtable takes some go without, and nothing is written twice', async () => {
    const { inNode, untilOffloaded, way } = world();
    const pairs = Array.from({ length: MANY }, (_, i) => `add dev0123456a${i} type veth peer name dev0123456b${i}`);
    inNode('ip -batch -', `${pairs.map(pair => `link ${pair}`).join('\n')}\n`);
    await untilDevices('as many as there may be', devices => devices.length === MOST_DEVICES);
    way.offload.renew();
    await way.offload.idle();
    const before = way.events.length;
    // Whoever hears of a change that he was not told of writes again.
    await delay(5000);
    await way.offload.idle();
    assert.deepEqual(way.events.slice(before), []);
    assert.equal((await way.devices()).length, MOST_DEVICES);
    await untilOffloaded('client', 'kept-4', ADDRESSES[4].client, ADDRESSES[4].a);
  });
  check('another life loses no connection', async () => {
    const { untilOffloaded, way } = world();
    const before = way.offload;
    await way.restart();
    assert.match(await askKept('client', 'kept-4'), /^a /);
    await untilOffloaded('client', 'kept-4', ADDRESSES[4].client, ADDRESSES[4].a);
    assert.notEqual(before, way.offload);
  });
  check('taken away, connections go on by the ordinary way', async () => {
    const { inNode, seen } = world();
    const { offload } = world().way;
    offload.configure(undefined);
    await offload.idle();
    assert.ok(!inNode('nft list tables').includes(OFFLOAD_TABLE.name));
    const before = seen();
    for (const family of [4, 6] as const) assert.match(await askKept('client', `kept-${family}`), /^a /);
    assert.ok(seen() > before);
  });
  cleanup('take the rig down', async () => {
    for (const end of ends.reverse()) await end();
    await opened?.way.close();
    await opened?.close();
  });
});
