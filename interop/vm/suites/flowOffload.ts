/**
 * Established connections on the short way (a flowtable), in a guest whose kernel has it: who takes it and who does not, that
 * what a policy forbids is cut there as well, and that nothing is lost when the way is made anew or taken away.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../src/core/clock.js';
import { openChannel, openRouteChannel } from '../../../src/kernel/netlink/channel.js';
import { addressOfText } from '../../../src/kernel/nftables/elements.js';
import { readFlowtables } from '../../../src/kernel/nftables/flowtables.js';
import { NETLINK_NETFILTER } from '../../../src/kernel/nftables/numbers.js';
import { removeTable } from '../../../src/kernel/nftables/removal.js';
import { openTableSockets, type TableSockets } from '../../../src/kernel/nftables/tableSockets.js';
import { readHostLinks } from '../../../src/kernel/podLinkReading.js';
import {
  createFlowOffload,
  type FlowOffload,
  type FlowOffloadEvent,
} from '../../../src/policy/flowOffload/flowOffload.js';
import { OFFLOAD_TABLE } from '../../../src/policy/flowOffload/offloadTable.js';
import { createFlowCutter, type FlowCutter } from '../../../src/policy/flows/flowCutter.js';
import { readNodeAddresses } from '../../../src/policy/flows/nodeAddresses.js';
import { networkPolicy, PODS, SETTINGS, startLife } from '../../../test/kernel/policyRig.js';
import {
  ADDRESSES,
  backendOn,
  deltaOf,
  openProxyRig,
  PORT,
  SETTINGS as PROXY_SETTINGS,
  type ActorName,
  type ProxyRig,
} from '../../../test/kernel/proxyRig.js';
import { buildWay } from '../../../bench/policy/packets.js';
import { createPolicyModel } from '../../../src/policy/policyModel.js';
import { batchBetween } from '../../../test/unit/policy/modelCluster.js';
import { vmSuite } from '../suite.js';

/** Milliseconds: what is cut never comes; what is allowed takes seconds where nobody else is at work. */
const [NEVER, PATIENCE] = [4000, 120_000];
const ONLY_C = networkPolicy('only-c', {
  podSelector: { matchLabels: { pod: 'a' } },
  policyTypes: ['Ingress'],
  ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { pod: 'c' } } }] }],
});
const WANTED = { ipv4: true, ipv6: true, cutBit: SETTINGS.cutBit };
const LINKS = ['to-a', 'to-b', 'to-c', 'to-client'];
const SERVICE = '10.96.0.10';
/** Packets of one turn of the stream, and turns. */
const [STREAM, TURNS] = [640, 30];

interface World {
  readonly cast: ProxyRig;
  readonly sockets: TableSockets;
  readonly events: FlowOffloadEvent[];
  offload: FlowOffload;
  readonly become: (objects: readonly unknown[]) => Promise<void>;
  /** Another life of the agent's: the kernel stays as it is. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

let opened: World | undefined;

function world(): World {
  if (opened === undefined) throw new Error('the rig does not stand');
  return opened;
}

async function build(): Promise<World> {
  const cast = await openProxyRig('pvf');
  cast.proxy.configure(PROXY_SETTINGS);
  const services = (['TCP', 'UDP'] as const).map(protocol => ({
    family: 4 as const,
    name: `web-${protocol}`,
    protocol,
    cluster: [backendOn(4, 'a')],
    frontends: [{ address: SERVICE }],
  }));
  cast.proxy.apply(deltaOf(services));
  cast.proxy.begin();
  await cast.proxy.idle();
  const { node } = cast;
  const events: FlowOffloadEvent[] = [];
  const sockets = node.inside(() => openTableSockets());
  const [flows, routes] = node.inside(() => [openChannel(NETLINK_NETFILTER), openRouteChannel()]);
  const open = (): FlowOffload => {
    const offload = createFlowOffload({
      transactions: sockets.transactions,
      links: () => readHostLinks(routes),
      flowtables: () => readFlowtables(sockets.channel, OFFLOAD_TABLE),
      remove: () => removeTable(sockets.channel, sockets.transactions, OFFLOAD_TABLE),
      clock: systemClock,
      onEvent: event => events.push(event),
    });
    offload.configure(WANTED);
    return offload;
  };
  const cutter: FlowCutter = createFlowCutter({
    channel: flows,
    nodeAddresses: () => readNodeAddresses(routes),
    clock: systemClock,
    onEvent: event => {
      if (event.kind === 'error' || event.cut > 0) opened?.offload.renew();
    },
  });
  cutter.configure({ ...SETTINGS, bit: SETTINGS.cutBit });
  const life = startLife(node);
  // The rig's own model tells nobody what has changed.
  const model = createPolicyModel('n1');
  let known: readonly unknown[] = [];
  const made: World = {
    cast,
    sockets,
    events,
    offload: open(),
    become: async objects => {
      cutter.note(model.apply(batchBetween(known, objects)), model);
      known = objects;
      await life.become(objects);
      cutter.committed();
      await cutter.idle();
      await made.offload.idle();
    },
    restart: async () => {
      await made.offload.stop();
      made.offload = open();
      await made.offload.idle();
    },
    close: async () => {
      await made.offload.stop();
      await cutter.stop();
      await life.firewall.stop();
      for (const socket of [sockets, flows, routes]) socket.close();
      await cast.close();
    },
  };
  return made;
}

function inNode(command: string, input?: string): string {
  return execFileSync('ip', ['netns', 'exec', world().cast.node.name, ...command.split(' ')], {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
}

/** Whether the kernel's list of tracked connections shows one between these two on the short way. */
function isOffloaded(protocol: string, source: string, destination: string): boolean {
  // IPv6 is shown with all its zeros.
  const wanted = [source, destination].map(addressOfText).join();
  return inNode('cat /proc/net/nf_conntrack')
    .split('\n')
    .some(line => {
      const [, from, to] = new RegExp(` ${protocol} .*? src=(\\S+) dst=(\\S+) `).exec(line) ?? [];
      if (from === undefined || to === undefined) return false;
      return line.includes('[OFFLOAD]') && [from, to].map(addressOfText).join() === wanted;
    });
}

async function askKept(from: ActorName, name: string, patience = PATIENCE): Promise<string> {
  return world().cast.actors[from].askKept(name, patience);
}

async function keep(from: ActorName, to: ActorName, family: 4 | 6, name: string): Promise<void> {
  const question = {
    protocol: 'tcp',
    address: ADDRESSES[family][to],
    port: PORT,
    patience: PATIENCE,
    keep: name,
  } as const;
  assert.match(await world().cast.actors[from].ask(question), new RegExp(`^${to} `));
  assert.match(await askKept(from, name), new RegExp(`^${to} `));
}

/** Packets that came by the hook `forward`. */
function seen(): number {
  return Number(/packets (\d+)/.exec(inNode('nft list chain inet seen c'))?.[1]);
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not so: ${what}`);
    await delay(200);
  }
}

/** It takes a packet, and another when something ended the short way in between: a route that changed, a link that went. */
async function untilOffloaded(from: ActorName, name: string, source: string, destination: string): Promise<void> {
  await until(`${name} is offloaded`, async () => {
    assert.notEqual(await askKept(from, name), 'silence');
    return isOffloaded('tcp', source, destination);
  });
}

export const flowOffload = vmSuite('flowOffload', 900, ({ check, prepare, cleanup }) => {
  prepare('pods, the firewall and the flowtable', async () => {
    opened = await build();
    await world().become(PODS);
    assert.deepEqual(world().events, [{ kind: 'written', links: LINKS.length }]);
    inNode(
      'nft -f -',
      'add table inet seen\nadd chain inet seen c { type filter hook forward priority -50 ; }\nadd rule inet seen c counter\n',
    );
  });
  check('the table is as nft(8) reads it, with every link of the node', async () => {
    const { sockets } = world();
    const [found] = await readFlowtables(sockets.channel, OFFLOAD_TABLE);
    assert.deepEqual([...(found?.devices ?? [])].sort(), LINKS);
    const listed = inNode('nft list table inet peerage-offload');
    assert.match(listed, /flow add @established/);
    assert.match(listed, /ct direction != original accept/);
  });
  for (const family of [4, 6] as const)
    check(`an established connection goes past the hooks, IPv${family}`, async () => {
      await keep('client', 'a', family, `kept-${family}`);
      await keep('c', 'a', family, `kept-${family}`);
      const [client, a] = [ADDRESSES[family].client, ADDRESSES[family].a];
      await untilOffloaded('client', `kept-${family}`, client, a);
      const before = seen();
      for (let i = 0; i < 5; i++) assert.match(await askKept('client', `kept-${family}`), /^a /);
      assert.equal(seen(), before);
    });
  for (const family of [4, 6] as const)
    check(`a policy that comes cuts it, and lets it go on when it goes, IPv${family}`, async () => {
      const { become } = world();
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
    inNode('nft add chain inet seen m { type filter hook prerouting priority -50 ; }');
    inNode('nft add rule inet seen m meta mark set 1');
    world().offload.renew();
    await world().offload.idle();
    const before = seen();
    assert.match(await askKept('client', 'kept-4'), /^a /);
    assert.match(await askKept('client', 'kept-4'), /^a /);
    assert.ok(seen() > before);
    inNode('nft delete chain inet seen m');
  });
  check('services by TCP are offloaded, by UDP they are not; UDP between pods is', async () => {
    const { client } = world().cast.actors;
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
    const way = buildWay(world().cast.node.name, 'pvfw', '10.64.0.1');
    const { offload } = world();
    offload.linksChanged();
    try {
      for (let i = 0; i < TURNS; i++) {
        way.established(STREAM);
        offload.renew();
        if (i % 2 === 0) await offload.idle();
      }
      await until('all of it arrived', () => way.arrived() >= way.sent);
      assert.ok(isOffloaded('udp', '10.64.0.1', '198.18.0.1'));
    } finally {
      way.close();
      for (const end of ['p', 'w']) execFileSync('ip', ['netns', 'del', `pvfw-${end}`]);
    }
  });
  check('another life loses no connection and takes in the links that have come', async () => {
    const { cast, events, offload } = world();
    assert.match(await askKept('client', 'kept-4'), /^a /);
    await untilOffloaded('client', 'kept-4', ADDRESSES[4].client, ADDRESSES[4].a);
    await world().restart();
    assert.match(await askKept('client', 'kept-4'), /^a /);
    cast.node.ip('link add new0 type veth peer name new1');
    world().offload.linksChanged();
    const written = (): boolean => events.some(event => event.kind === 'written' && event.links >= LINKS.length + 2);
    await until('the new links', written);
    cast.node.ip('link del new0');
    assert.match(await askKept('client', 'kept-4'), /^a /);
    assert.notEqual(offload, world().offload);
  });
  check('taken away, connections go on by the ordinary way', async () => {
    const { offload } = world();
    offload.configure(undefined);
    await offload.idle();
    assert.ok(!inNode('nft list tables').includes(OFFLOAD_TABLE.name));
    const before = seen();
    for (const family of [4, 6] as const) assert.match(await askKept('client', `kept-${family}`), /^a /);
    assert.ok(seen() > before);
  });
  cleanup('take the rig down', async () => {
    await opened?.close();
  });
});
