/** Connections are cut one by one, whatever their protocol, family and translation, and go on when they are allowed again. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { parseAddress } from '../../src/core/ip.js';
import { cutFlows, type CutFlows, type FlowJudge } from '../../src/kernel/conntrackCut.js';
import { listFlows, type FlowEnds, type TrackedFlow } from '../../src/kernel/conntrackFlows.js';
import { addressText } from '../../src/kernel/conntrackTuple.js';
import { addressOctets } from '../../src/kernel/nftables/elements.js';
import { openChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { NETLINK_NETFILTER } from '../../src/kernel/nftables/numbers.js';
import { ADDRESSES, backendOn, deltaOf, openProxyRig, PORT, SETTINGS, type ProxyRig } from './proxyRig.js';

const BIT = 17;
const SERVICES = { 4: '10.96.0.10', 6: 'fd96::10' } as const;
/** What is cut never comes, however long it is waited for. */
const NEVER = 700;

let rig: ProxyRig;
let channel: NetlinkChannel | undefined;

beforeAll(async () => {
  rig = await openProxyRig('cut');
  rig.proxy.configure(SETTINGS);
  rig.proxy.apply(
    deltaOf(
      ([4, 6] as const).flatMap(family =>
        (['TCP', 'UDP'] as const).map(protocol => ({
          family,
          name: 'web',
          protocol,
          cluster: [backendOn(family, 'a')],
          frontends: [{ address: SERVICES[family] }],
        })),
      ),
    ),
  );
  rig.proxy.begin();
  await rig.proxy.idle();
  const rules = (['ip', 'ip6'] as const).map(
    family =>
      `table ${family} cutting { chain everything { type filter hook postrouting priority -5; ct mark & 0x20000 != 0 drop; }; }`,
  );
  execFileSync('ip', ['netns', 'exec', rig.node.name, 'nft', rules.join('\n')]);
  channel = rig.node.inside(() => openChannel(NETLINK_NETFILTER));
});

afterAll(async () => {
  channel?.close();
  await rig.close();
});

function octets(text: string): string {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return addressOctets(address.value);
}

const judgeBy =
  (judgement: (from: string, to: string, port: number, flow: TrackedFlow) => boolean): FlowJudge =>
  flow =>
    judgement(addressText(flow.original.source), addressText(flow.reply.source), flow.reply.sourcePort, flow)
      ? 'cut'
      : 'keep';

const cut = (family: 4 | 6, ends: FlowEnds, forbidden: Parameters<typeof judgeBy>[0]): Promise<CutFlows> =>
  cutFlows(channel!, family, { bit: BIT, ends, judge: judgeBy(forbidden) });

describe.each([4, 6] as const)('IPv%i', family => {
  const { a, b, client } = ADDRESSES[family];

  test('a TCP connection to a service is cut by the address of its endpoint, and goes on when it is allowed', async () => {
    const { actors } = rig;
    const doomed = `doomed${family}`;
    const other = `other${family}`;
    await actors.client.ask({ protocol: 'tcp', address: SERVICES[family], port: 80, keep: doomed });
    await actors.client.ask({ protocol: 'tcp', address: b, port: PORT, keep: other });

    const done = await cut(family, new Set([octets(a)]), (_, to, port) => to === a && port === PORT);
    expect(done.cut).toBe(1);
    expect(await actors.client.askKept(doomed, NEVER)).toBe('silence');
    expect(await actors.client.askKept(other)).toBe(`b ${client}`);
    // The same again does nothing; TCP's own repetitions begin no connection of their own.
    expect(await cut(family, 'everything', (_, to) => to === a)).toMatchObject({ cut: 0, released: 0 });

    expect((await cut(family, new Set([octets(client)]), () => false)).released).toBe(1);
    expect(await actors.client.askKept(doomed)).toMatch(/^a /);
  });

  test('a UDP flow is cut, and another between the same two is not', async () => {
    const ask = (fromPort: number, patience?: number): Promise<string> =>
      rig.actors.client.ask({
        protocol: 'udp',
        address: SERVICES[family],
        port: 80,
        fromPort,
        ...(patience === undefined ? {} : { patience }),
      });
    expect(await ask(5001)).toMatch(/^a /);
    expect(await ask(5002)).toMatch(/^a /);
    const done = await cut(
      family,
      new Set([octets(a)]),
      (_, __, ___, { original }) => original.protocol === 17 && original.sourcePort === 5001,
    );
    expect(done.cut).toBe(1);
    expect(await ask(5001, NEVER)).toBe('silence');
    expect(await ask(5002)).toMatch(/^a /);
  });

  test('the same flows are found whether the kernel is asked for single ends or for everything', async () => {
    await rig.actors.b.ask({ protocol: 'udp', address: a, port: PORT, fromPort: 5003 });
    const found = async (ends: FlowEnds): Promise<readonly string[]> => {
      const names = new Set<string>();
      await listFlows(channel!, family, ends, ({ original, reply }) => {
        if (original.protocol === 17 && [original.source, reply.source].includes(octets(b)))
          names.add(`${addressText(original.source)}:${original.sourcePort} ${addressText(reply.source)}`);
      });
      return [...names].sort();
    };
    const wanted = [`${b}:5003 ${a}`];
    expect(await found(new Set([octets(b)]))).toEqual(wanted);
    expect(await found(new Set([a, b, client, SERVICES[4], SERVICES[6]].map(octets)))).toEqual(wanted);
    expect(await found('everything')).toEqual(wanted);
    expect(await found(new Set([octets(ADDRESSES[family === 4 ? 6 : 4].b)]))).toEqual([]);
  });

  test('a flow that nobody has answered is cut too, and no mark but the bit is touched', async () => {
    execFileSync('ip', ['netns', 'exec', rig.node.name, 'nft', `add table ${family === 4 ? 'ip' : 'ip6'} marks`]);
    const rules = `table ${family === 4 ? 'ip' : 'ip6'} marks { chain everything { type filter hook forward priority 0; udp dport 9 ct mark set 0x80000001 accept; }; }`;
    execFileSync('ip', ['netns', 'exec', rig.node.name, 'nft', rules]);
    await rig.actors.client.ask({ protocol: 'udp', address: b, port: 9, fromPort: 5004, patience: NEVER });
    const marks = async (): Promise<readonly number[]> => {
      const seen = new Set<number>();
      await listFlows(channel!, family, 'everything', flow => {
        if (flow.original.sourcePort === 5004 && flow.original.protocol === 17) seen.add(flow.mark);
      });
      return [...seen];
    };
    expect(await marks()).toEqual([0x80000001]);
    expect((await cut(family, 'everything', (_, to, port) => to === b && port === 9)).cut).toBe(1);
    expect(await marks()).toEqual([0x80020001]);
    expect((await cut(family, 'everything', () => false)).released).toBeGreaterThanOrEqual(1);
    expect(await marks()).toEqual([0x80000001]);
  });
});
