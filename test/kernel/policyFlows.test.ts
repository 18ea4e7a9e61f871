/** Connections that a change of policies forbids stop, others go on, and those that are allowed again go on where they were. */

import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { systemClock } from '../../src/core/clock.js';
import { openChannel, openRouteChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { NETLINK_NETFILTER } from '../../src/kernel/nftables/numbers.js';
import { createFlowCutter, type FlowCutEvent, type FlowCutter } from '../../src/policy/flows/flowCutter.js';
import { readNodeAddresses } from '../../src/policy/flows/nodeAddresses.js';
import { createPolicyModel, type PolicyModel } from '../../src/policy/policyModel.js';
import { batchBetween } from '../unit/policy/modelCluster.js';
import { ADDRESSES, openProxyRig, PORT, type ProxyRig } from './proxyRig.js';

const BIT = 27;
/** What is cut never comes, however long it is waited for. */
const NEVER = 700;
/** TCP repeats what was cut after twice the time each time: as long as it was cut at most, once more. */
const REPEATED = 90_000;

let rig: ProxyRig;
let flows: NetlinkChannel | undefined;
let routes: NetlinkChannel | undefined;
let cutter: FlowCutter | undefined;
let model: PolicyModel;
let known: readonly unknown[] = [];
const events: FlowCutEvent[] = [];

beforeAll(async () => {
  rig = await openProxyRig('flow');
  // Stands for the firewall: it drops what is cut, and cares about nothing else.
  const rules = (['ip', 'ip6'] as const).map(
    family =>
      `table ${family} cutting { chain everything { type filter hook postrouting priority -5; ct mark & 0x8000000 != 0 drop; }; }`,
  );
  execFileSync('ip', ['netns', 'exec', rig.node.name, 'nft', rules.join('\n')]);
  [flows, routes] = rig.node.inside(() => [openChannel(NETLINK_NETFILTER), openRouteChannel()]);
});

afterAll(async () => {
  await cutter?.stop();
  flows?.close();
  routes?.close();
  await rig.close();
});

/** Another life of the agent, which knows nothing. */
function restart(bit?: number): void {
  known = [];
  events.length = 0;
  model = createPolicyModel('here');
  cutter = createFlowCutter({
    channel: flows!,
    nodeAddresses: () => readNodeAddresses(routes!),
    clock: systemClock,
    onEvent: event => events.push(event),
  });
  cutter.configure({ ipv4: true, ipv6: true, bit });
}

async function become(objects: readonly unknown[]): Promise<void> {
  const delta = model.apply(batchBetween(known, objects));
  known = objects;
  cutter!.note(delta, model);
  cutter!.committed();
  await cutter!.idle();
}

beforeEach(async () => {
  await cutter?.stop();
  restart(BIT);
});

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

const done = (kind: 'cut' | 'released'): number =>
  events.reduce((sum, event) => sum + (event.kind === 'looked' ? event[kind] : 0), 0);

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

  test('a restart finds what was forbidden meanwhile, and lets go on what is allowed by now', async () => {
    await become(PODS);
    const [fromB, fromC] = [await connect('b', a), await connect('c', a)];
    await become([pod('a'), pod('b'), pod('c', { role: 'friend' }), FROM_FRIENDS]);
    await cutter!.stop();
    restart(BIT);
    await become([pod('a'), pod('b', { role: 'friend' }), pod('c'), FROM_FRIENDS]);
    expect(await rig.actors.b.askKept(fromB, REPEATED)).toMatch(/^a /);
    expect(await rig.actors.c.askKept(fromC, NEVER)).toBe('silence');
  });
});

test('without a bit to mark them with no connection is cut', async () => {
  await cutter!.stop();
  restart();
  await become(PODS);
  expect(await rig.actors.b.ask({ protocol: 'tcp', address: ADDRESSES[4].a, port: PORT, keep: 'uncut' })).toMatch(
    /^a /,
  );
  await become([...PODS, FROM_FRIENDS]);
  expect(await rig.actors.b.askKept('uncut')).toMatch(/^a /);
  expect(events).toEqual([]);
});

test('what can forbid nothing asks the kernel for nothing', async () => {
  const start = [...PODS, FROM_FRIENDS];
  await become(start);
  const looks = events.length;
  await become([...start, { ...pod2('d'), status: {} }]);
  await become([...start, pod2('d')]);
  expect(events.slice(looks)).toEqual([]);
  // Who leaves is another matter.
  await become(start);
  expect(events.slice(looks)).not.toEqual([]);
  expect(done('released')).toBe(0);
});

function pod2(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'demo', name, labels: { role: 'friend' } },
    spec: { nodeName: 'there', containers: [] },
    status: { phase: 'Running', podIPs: [{ ip: '10.244.2.77' }] },
  };
}
