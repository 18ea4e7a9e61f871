/**
 * The firewall at work: connections that a change of policies forbids stop, others go on, and those that are allowed again go
 * on where they were; denied connections are told by name.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import pino from 'pino';
import { Registry } from 'prom-client';
import { AgentConfig } from '../../src/app/kubeConfig.js';
import { createPolicyMetrics } from '../../src/app/policy/policyMetrics.js';
import { createPolicyStage } from '../../src/app/policy/policyStage.js';
import { startFirewall, type RunningFirewall } from '../../src/app/policy/runningFirewall.js';
import { systemClock } from '../../src/core/clock.js';
import { openChannel, openRouteChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { listenToLog } from '../../src/kernel/nflogListener.js';
import { NETLINK_NETFILTER } from '../../src/kernel/nftables/numbers.js';
import { createFlowCutter, type FlowCutEvent, type FlowCutter } from '../../src/policy/flows/flowCutter.js';
import { readNodeAddresses } from '../../src/policy/flows/nodeAddresses.js';
import { openNftablesFirewall } from '../../src/policy/nftables/nftablesFirewall.js';
import { batchBetween } from '../unit/policy/modelCluster.js';
import { ADDRESSES, backendOn, deltaOf, openProxyRig, PORT, SETTINGS, type ProxyRig } from './proxyRig.js';

/** What is cut never comes, however long it is waited for. */
const NEVER = 500;
/** TCP repeats what was cut after twice the time each time: as long as it was cut at most, once more. */
const REPEATED = 90_000;

interface Life {
  readonly running: RunningFirewall;
  readonly cutter: FlowCutter;
  readonly events: FlowCutEvent[];
  /** Lines of the log. */
  readonly lines: string[];
  /** These objects are all there are. Resolves when the kernel has what they come to. */
  become(objects: readonly unknown[]): Promise<void>;
}

let rig: ProxyRig;
let flows: NetlinkChannel | undefined;
let routes: NetlinkChannel | undefined;
let life: Life | undefined;

beforeAll(async () => {
  rig = await openProxyRig('flow');
  [flows, routes] = rig.node.inside(() => [openChannel(NETLINK_NETFILTER), openRouteChannel()]);
});

afterAll(async () => {
  await life?.running.stop();
  flows?.close();
  routes?.close();
  await rig.close();
});

/** A life of the agent's firewall, which knows nothing. */
async function startLife(firewall: object): Promise<Life> {
  const events: FlowCutEvent[] = [];
  const lines: string[] = [];
  const cutter = createFlowCutter({
    channel: flows!,
    nodeAddresses: () => readNodeAddresses(routes!),
    clock: systemClock,
    onEvent: event => events.push(event),
  });
  const running = await rig.node.inside(() =>
    startFirewall({
      open: openNftablesFirewall,
      clock: systemClock,
      logger: pino({ base: null, timestamp: false }, { write: line => void lines.push(line) }),
      metrics: createPolicyMetrics([new Registry()]),
      report: () => undefined,
      cutter,
      listen: (group, take) => rig.node.inside(() => listenToLog(group, take)),
    }),
  );
  const stage = createPolicyStage({ nodeName: 'here', clock: systemClock });
  const { kubernetes } = AgentConfig.parse({ kubernetes: { ipv6: true, firewall } });
  running.update(stage({ kind: 'options', kubernetes }));
  let known: readonly unknown[] = [];
  return {
    running,
    cutter,
    events,
    lines,
    become: async objects => {
      running.update(stage({ kind: 'batch', batch: batchBetween(known, objects) }));
      known = objects;
      await running.synced;
      await running.firewall.idle();
      await cutter.idle();
    },
  };
}

async function restart(firewall: object = {}): Promise<void> {
  await life?.running.stop();
  life = await startLife(firewall);
}

const become = (objects: readonly unknown[]): Promise<void> => life!.become(objects);

beforeEach(() => restart());

interface Pings {
  /** Resolves when none has been answered for a while: what was answered before may still be on its way to us. */
  silence(): Promise<void>;
  /** Resolves when one more has been answered. */
  more(): Promise<void>;
  stop(): void;
}

/** Pings of one ICMP identifier, so one flow. */
function spawnPings(from: 'b', to: string): Pings {
  const child = spawn('ip', ['netns', 'exec', `flow-${from}`, 'ping', '-n', '-i', '0.1', to]);
  let count = 0;
  let hear: () => void = () => undefined;
  createInterface({ input: child.stdout }).on('line', line => {
    if (!line.includes(' time=')) return;
    count += 1;
    hear();
  });
  return {
    silence: async () => {
      let before = -1;
      while (before !== count) {
        before = count;
        await delay(NEVER);
      }
    },
    more: () => new Promise(resolve => (hear = resolve)),
    stop: () => void child.kill(),
  };
}

const pod = (name: 'a' | 'b' | 'c', labels: Readonly<Record<string, string>> = {}): unknown => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace: 'demo', name, labels: { name, ...labels } },
  spec: { nodeName: name === 'c' ? 'there' : 'here', containers: [] },
  status: { phase: 'Running', podIPs: [{ ip: ADDRESSES[4][name] }, { ip: ADDRESSES[6][name] }] },
});

const policy = (ingress: readonly unknown[]): unknown => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { namespace: 'demo', name: 'guard' },
  spec: { podSelector: { matchLabels: { name: 'a' } }, policyTypes: ['Ingress'], ingress },
});

const PODS = [pod('a'), pod('b'), pod('c')];
const FROM_FRIENDS = policy([{ from: [{ podSelector: { matchLabels: { role: 'friend' } } }] }]);

jest.setTimeout(300_000);

describe.each([4, 6] as const)('IPv%i', family => {
  const { a, b, c } = ADDRESSES[family];
  let count = 0;
  const connect = async (from: 'b' | 'c' | 'client' | 'node', to: string): Promise<string> => {
    const name = `${from}-${family}-${++count}`;
    expect(await rig.actors[from].ask({ protocol: 'tcp', address: to, port: PORT, keep: name })).toMatch(/^[ab] /);
    return name;
  };

  test('a new policy cuts what it forbids: not other connections, and not those of the own node', async () => {
    await become(PODS);
    const [fromB, fromC, toB, ofNode] = [
      await connect('b', a),
      await connect('c', a),
      await connect('client', b),
      await connect('node', a),
    ];
    await become([pod('a'), pod('b'), pod('c', { role: 'friend' }), FROM_FRIENDS]);
    expect(await rig.actors.b.askKept(fromB, NEVER)).toBe('silence');
    expect(await rig.actors.c.askKept(fromC)).toBe(`a ${c}`);
    expect(await rig.actors.client.askKept(toB)).toMatch(/^b /);
    expect(await rig.actors.node.askKept(ofNode)).toMatch(/^a /);

    // Who becomes a friend goes on, and who is none any more does not.
    await become([pod('a'), pod('b', { role: 'friend' }), pod('c'), FROM_FRIENDS]);
    expect(await rig.actors.b.askKept(fromB, REPEATED)).toMatch(/^a /);
    expect(await rig.actors.c.askKept(fromC, NEVER)).toBe('silence');
    await become(PODS);
    expect(await rig.actors.c.askKept(fromC, REPEATED)).toMatch(/^a /);
  });

  test('UDP of the same two goes on at one port and not at the other', async () => {
    await become(PODS);
    const ask = (port: number, patience?: number): Promise<string> =>
      rig.actors.b.ask({
        protocol: 'udp',
        address: a,
        port,
        fromPort: 6000 + port,
        ...(patience === undefined ? {} : { patience }),
      });
    await rig.actors.a.serve('a', PORT + family);
    expect([await ask(PORT), await ask(PORT + family)]).toEqual([`a ${b}`, `a ${b}`]);
    await become([...PODS, policy([{ ports: [{ protocol: 'UDP', port: PORT }] }])]);
    expect(await ask(PORT)).toBe(`a ${b}`);
    expect(await ask(PORT + family, NEVER)).toBe('silence');
  });

  test('pings stop where only ports are open', async () => {
    await become(PODS);
    const pings = spawnPings('b', a);
    try {
      await pings.more();
      await become([...PODS, policy([{ ports: [{ protocol: 'TCP', port: PORT }] }])]);
      await pings.silence();
      await become([...PODS, policy([{}])]);
      await pings.more();
    } finally {
      pings.stop();
    }
  });

  test('a restart finds what was forbidden meanwhile, and lets go on what is allowed by now', async () => {
    await become(PODS);
    const [fromB, fromC] = [await connect('b', a), await connect('c', a)];
    await become([pod('a'), pod('b'), pod('c', { role: 'friend' }), FROM_FRIENDS]);
    await restart();
    await become([pod('a'), pod('b', { role: 'friend' }), pod('c'), FROM_FRIENDS]);
    expect(await rig.actors.b.askKept(fromB, REPEATED)).toMatch(/^a /);
    expect(await rig.actors.c.askKept(fromC, NEVER)).toBe('silence');
  });
});

test('nothing is cut where that is not wanted', async () => {
  await restart({ cutConnections: false });
  await become(PODS);
  expect(await rig.actors.b.ask({ protocol: 'tcp', address: ADDRESSES[4].a, port: PORT, keep: 'uncut' })).toMatch(
    /^a /,
  );
  await become([...PODS, FROM_FRIENDS]);
  expect(await rig.actors.b.askKept('uncut')).toMatch(/^a /);
  expect(life!.events).toEqual([]);
});

test('a connection to a service is cut by the address of its endpoint', async () => {
  const service = '10.96.0.10';
  rig.proxy.configure(SETTINGS);
  rig.proxy.apply(
    deltaOf([{ family: 4, name: 'web', cluster: [backendOn(4, 'a')], frontends: [{ address: service }] }]),
  );
  rig.proxy.begin();
  await rig.proxy.idle();
  await become(PODS);
  const question = { protocol: 'tcp' as const, address: service, port: 80 };
  expect(await rig.actors.b.ask({ ...question, keep: 'served-b' })).toMatch(/^a /);
  expect(await rig.actors.c.ask({ ...question, keep: 'served-c' })).toMatch(/^a /);
  await become([pod('a'), pod('b'), pod('c', { role: 'friend' }), FROM_FRIENDS]);
  expect(await rig.actors.b.askKept('served-b', NEVER)).toBe('silence');
  expect(await rig.actors.c.askKept('served-c')).toMatch(/^a /);
});

test('what is denied is told by the names of pods and policy', async () => {
  await become([...PODS, FROM_FRIENDS]);
  expect(await rig.actors.b.ask({ protocol: 'tcp', address: ADDRESSES[4].a, port: PORT, patience: NEVER })).toBe(
    'silence',
  );
  expect(await rig.actors.c.ask({ protocol: 'udp', address: ADDRESSES[6].a, port: PORT, patience: NEVER })).toBe(
    'silence',
  );
  while (life!.lines.filter(line => line.includes('"denied"')).length < 2) await new Promise(setImmediate);
  const why = {
    to: 'demo/a',
    direction: 'ingress',
    reason: 'selected by NetworkPolicy demo/guard, and no ingress rule holds',
  };
  expect([...life!.running.view.denials()].reverse()).toMatchObject([
    { from: 'demo/b', port: `${PORT}/tcp`, fromAddress: ADDRESSES[4].b, ...why },
    { from: 'demo/c', port: `${PORT}/udp`, fromAddress: ADDRESSES[6].c, ...why },
  ]);
  expect(life!.lines.filter(line => line.includes('"denied"')).map(line => JSON.parse(line) as unknown)).toMatchObject([
    { from: 'demo/b', ...why },
    { from: 'demo/c', ...why },
  ]);
});
