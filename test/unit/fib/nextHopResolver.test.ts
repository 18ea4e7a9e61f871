/** How next hops are resolved through the routes, links and addresses of the kernel. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { NextHopAnswer } from '../../../src/fib/nextHopResolver.js';
import { RTM_GETLINK, RTM_GETROUTE } from '../../../src/kernel/rtnetlink.js';
import { keyOf, route } from './fakeKernel.js';
import { newFakeKernel, startFakeFib, type FakeFib } from './fakeFib.js';
import { address } from './routeText.js';

const STATIC = 4;
const FAR = route('10.0.0.0/8', '192.168.0.9', 2, STATIC, 7);
let rig: FakeFib;
beforeEach(async () => {
  rig = await startFakeFib(newFakeKernel());
});
afterEach(() => rig.stop());

const ask = (text: string): NextHopAnswer => rig.resolver.resolve(address(text));

describe('answers', () => {
  test('on a connected network the gateway is the next hop itself', () => {
    expect(ask('192.168.1.77')).toEqual({
      address: address('192.168.1.77'),
      reachable: true,
      metric: 0,
      hops: [{ gateway: address('192.168.1.77'), ifindex: 3, onlink: false, weight: 1 }],
      device: 'b',
      terms: null,
      reason: null,
    });
  });

  test("through somebody's route: its gateway, its metric, the longest prefix, the least metric", async () => {
    rig.kernel.overwrite(route('10.0.0.0/8', '192.168.0.9', 2, STATIC, 7));
    rig.kernel.overwrite(route('10.1.0.0/16', '192.168.1.9', 3, STATIC, 50));
    rig.kernel.overwrite(route('10.1.0.0/16', '192.168.0.8', 2, STATIC, 40));
    await rig.run();
    expect(ask('10.2.0.1')).toMatchObject({ metric: 7, hops: [{ gateway: address('192.168.0.9') }] });
    expect(ask('10.1.0.1')).toMatchObject({ metric: 40, hops: [{ gateway: address('192.168.0.8') }] });
    rig.kernel.erase('254 10.1.0.0/16 40');
    await rig.run();
    expect(ask('10.1.0.1')).toMatchObject({ metric: 50, hops: [{ gateway: address('192.168.1.9') }] });
  });

  test.each([
    ['192.168.0.1', 'it is an address of this machine'],
    ['203.0.113.1', 'no route to it'],
    ['fe80::1', 'a link-local address without a zone says no link'],
    ['fe80::1%zz', 'there is no link zz'],
  ])('%s is unreachable: %s', (text, reason) => {
    expect(ask(text)).toMatchObject({ reachable: false, hops: [], reason });
  });

  test('a blackhole and routes of our own resolve nothing', async () => {
    rig.kernel.overwrite({ ...route('10.0.0.0/8', '192.168.0.9', 2, STATIC, 7), type: 'blackhole', hops: [] });
    rig.kernel.overwrite(route('11.0.0.0/8', '192.168.0.9', 2, 186, 99));
    // To services: what they lead to is turned round before it leaves.
    rig.kernel.overwrite(route('12.0.0.0/8', '192.168.0.9', 2, 206, 4096));
    await rig.run();
    expect(ask('10.0.0.1').reason).toBe('the route to it is of type blackhole');
    expect(ask('11.0.0.1').reason).toBe('no route to it');
    expect(ask('12.0.0.1').reason).toBe('no route to it');
  });

  test('a zone names the link, also by number', () => {
    expect(ask('fe80::1%b')).toMatchObject({
      reachable: true,
      device: 'b',
      hops: [{ gateway: address('fe80::1'), ifindex: 3 }],
    });
    expect(ask('fe80::1%3').device).toBe('b');
  });

  test('of a multipath route only the hops whose links work', async () => {
    const both = route('10.0.0.0/8', '192.168.0.9', 2, STATIC, 0);
    rig.kernel.overwrite({ ...both, hops: [...both.hops, ...route('10.0.0.0/8', '192.168.1.9', 3, STATIC, 0).hops] });
    await rig.run();
    expect(ask('10.0.0.1').hops).toHaveLength(2);
    rig.kernel.setLink('b', false);
    await rig.run();
    expect(ask('10.0.0.1').hops).toMatchObject([{ gateway: address('192.168.0.9') }]);
  });
});

describe('changes', () => {
  test('are told once for a whole batch, to those that are watched only', async () => {
    const heard: (readonly string[])[] = [];
    rig.resolver.subscribe(changed =>
      heard.push(changed.map(({ address: a, reachable }) => `${JSON.stringify(a)} ${reachable}`)),
    );
    const [near, far, other] = [address('192.168.1.5'), address('10.0.0.1'), address('192.168.0.5')];
    expect(rig.resolver.watch(near).reachable).toBe(true);
    expect(rig.resolver.watch(far).reachable).toBe(false);
    rig.resolver.watch(other);
    rig.kernel.setLink('b', false);
    rig.kernel.overwrite(route('10.0.0.0/8', '192.168.0.9', 2, STATIC, 7));
    await rig.run();
    expect(heard).toEqual([[`${JSON.stringify(near)} false`, `${JSON.stringify(far)} true`]]);
    rig.resolver.unwatch(near);
    rig.kernel.setLink('b', true);
    await rig.run(1000);
    expect(heard).toHaveLength(1);
  });

  test('watching counts', async () => {
    let heard = 0;
    rig.resolver.subscribe(() => (heard += 1));
    rig.resolver.watch(address('192.168.1.5'));
    rig.resolver.watch(address('192.168.1.5'));
    rig.resolver.unwatch(address('192.168.1.5'));
    rig.kernel.setLink('b', false);
    await rig.run();
    expect(heard).toBe(1);
  });

  test.each([
    ['link', RTM_GETLINK, 'fe80::1%c', 'link c is down', () => rig.kernel.setLink('c', false)],
    ['route', RTM_GETROUTE, '10.0.0.1', 'no route to it', () => rig.kernel.erase(keyOf(FAR))],
  ])('told while everything is read again go before older answers: %s', async (_what, type, hop, reason, change) => {
    rig.kernel.overwrite(FAR);
    await rig.run();
    expect(ask(hop).reachable).toBe(true);
    rig.kernel.beforeAnswer = asked => {
      if (asked !== type) return;
      change();
      rig.kernel.deliver();
    };
    rig.kernel.deliver(true);
    await rig.run(1000);
    expect(ask(hop).reason).toBe(reason);
  });
});
