/** Next hops that are nodes of the cluster: through tunnels, directly, or left to the network. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { formatPrefix } from '../../../src/core/ip.js';
import type { NextHopAnswer } from '../../../src/fib/nextHopResolver.js';
import type { NodeWay } from '../../../src/fib/overlay/overlay.js';
import { route } from './fakeKernel.js';
import { newFakeKernel, routesOf, startFakeFib, type FakeFib } from './fakeFib.js';
import { address, changes, nextHops } from './routeText.js';

const NODE = '10.2.0.20';
const TUNNEL: NodeWay = {
  kind: 'tunnel',
  hop: { gateway: address(NODE), ifindex: 3, onlink: true, weight: 1 },
  terms: { source: { v4: address('192.168.0.1'), v6: undefined }, mtu: 1350 },
};

let rig: FakeFib;
let way: NodeWay | undefined;
let tell: () => void;
beforeEach(async () => {
  way = undefined;
  const kernel = newFakeKernel();
  kernel.addForeign(route('10.2.0.0/16', '192.168.0.9', 2, 4, 7));
  rig = await startFakeFib(kernel, 60_000, {
    wayTo: next => (next.version === 4 && next.value === 0x0a02_0014 ? way : undefined),
    onWaysChanged: listener => {
      tell = listener;
      return () => undefined;
    },
  });
});
afterEach(() => rig.stop());

async function goes(next: NodeWay | undefined): Promise<void> {
  way = next;
  tell();
  await rig.run();
}
const ask = (text = NODE): NextHopAnswer => rig.resolver.resolve(address(text));

describe('answers', () => {
  test('direct is as to any next hop; addresses of no node are not affected', async () => {
    await goes({ kind: 'direct' });
    expect(ask()).toMatchObject({
      reachable: true,
      metric: 7,
      hops: [{ gateway: address('192.168.0.9') }],
      terms: null,
    });
    await goes(TUNNEL);
    expect(ask('10.2.0.21')).toMatchObject({ hops: [{ gateway: address('192.168.0.9') }], terms: null });
  });

  test('a tunnel has the metric of the way to the node, and needs one', async () => {
    await goes(TUNNEL);
    expect(ask()).toMatchObject({
      reachable: true,
      metric: 7,
      hops: [{ gateway: address(NODE), ifindex: 3, onlink: true }],
      device: 'b',
    });
    rig.kernel.erase('254 10.2.0.0/16 7');
    await rig.run();
    expect(ask()).toMatchObject({ reachable: false, reason: 'no route to it' });
  });

  test('left to the network, a route can be told to others but leads nowhere from here', async () => {
    await goes({ kind: 'fabric' });
    expect(ask()).toMatchObject({ reachable: true, hops: [], reason: expect.stringMatching(/^left to the network/) });
  });

  test('a tunnel that does not stand makes the next hop unreachable, and says why', async () => {
    await goes({ kind: 'blocked', reason: 'tunnel: ENOTSUP' });
    expect(ask()).toMatchObject({ reachable: false, hops: [], reason: 'tunnel: ENOTSUP' });
  });
});

describe('routes', () => {
  test('follow the way, name source and MTU in a tunnel, and are adopted as they are', async () => {
    await goes(TUNNEL);
    rig.fib.apply(changes({ '10.244.2.0/24': 1 }, [nextHops(1, NODE)]));
    await rig.run();
    const ours = [...rig.kernel.routes.values()].find(
      ({ destination }) => formatPrefix(destination) === '10.244.2.0/24',
    );
    expect(ours).toMatchObject({ source: address('192.168.0.1'), mtu: 1350 });
    await rig.stop();
    rig.kernel.log.length = 0;
    const after = await startFakeFib(rig.kernel, 60_000, { wayTo: () => TUNNEL, onWaysChanged: () => () => undefined });
    after.fib.apply(changes({ '10.244.2.0/24': 1 }, [nextHops(1, NODE)]));
    await after.run();
    expect(after.kernel.log).toEqual([]);
    await after.stop();
  });

  test('are replaced in one step when the way changes, and go when there is none of ours', async () => {
    await goes({ kind: 'direct' });
    rig.fib.apply(changes({ '10.244.2.0/24': 1 }, [nextHops(1, NODE)]));
    await rig.run();
    expect(routesOf(rig.kernel, 186)).toEqual(['10.244.2.0/24 via 192.168.0.9']);
    rig.kernel.log.length = 0;
    await goes(TUNNEL);
    expect(rig.kernel.log).toEqual(['replace 10.244.2.0/24']);
    expect(routesOf(rig.kernel, 186)).toEqual([`10.244.2.0/24 via ${NODE}`]);
    await goes({ kind: 'fabric' });
    expect(routesOf(rig.kernel, 186)).toEqual([]);
    expect([...rig.fib.routes({ prefix: '10.244.2.0/24' })]).toEqual([
      {
        prefix: '10.244.2.0/24',
        nextHops: [{ gateway: NODE, device: null }],
        state: 'unresolved',
        error: expect.stringContaining('left to the network'),
      },
    ]);
  });
});
