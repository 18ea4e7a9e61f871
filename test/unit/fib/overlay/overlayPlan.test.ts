/** Nodes to ways and kernel objects. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatAddress } from '../../../../src/core/ip.js';
import { planNode } from '../../../../src/fib/overlay/nodePlan.js';
import { overlayLladdr, linkLocalOf, ip6TunnelName, vxlanName } from '../../../../src/fib/overlay/overlayNames.js';
import {
  DEFAULT_OVERLAY,
  overlayOverhead,
  reservedForOverlay,
  type OverlayOptions,
} from '../../../../src/fib/overlay/overlayOptions.js';
import { OverlayPlan } from '../../../../src/fib/overlay/overlayPlan.js';
import type { OverlayContext, OverlayNode, OverlayObject } from '../../../../src/fib/overlay/overlayTypes.js';
import { address, prefix } from '../routeText.js';

function context(options: Partial<OverlayOptions> = {}): OverlayContext {
  return {
    options: { ...DEFAULT_OVERLAY, encapsulation: 'vxlan', ...options },
    own: {
      name: 'own',
      v4: address('10.1.0.10'),
      v6: address('2001:db8:1::10'),
      podCidrs: [prefix('10.244.1.0/24'), prefix('2001:db8:f1::/64')],
    },
    subnets: [prefix('10.1.0.0/24'), prefix('2001:db8:1::/64')],
    underlayMtu: { 4: 1500, 6: 1500 },
  };
}

function node(name: string, v4?: string, v6?: string, mtu?: number): OverlayNode {
  return { name, v4: v4 === undefined ? undefined : address(v4), v6: v6 === undefined ? undefined : address(v6), mtu };
}

const NEAR = node('near', '10.1.0.11', '2001:db8:1::11');
const FAR = node('far', '10.2.0.20', '2001:db8:2::20');

function all(...nodes: readonly OverlayNode[]): Parameters<OverlayPlan['changeNodes']>[0] {
  return { set: new Map(nodes.map(n => [n.name, n])), removed: new Set() };
}

function planOf(options: Partial<OverlayOptions>, ...nodes: readonly OverlayNode[]): OverlayPlan {
  const plan = new OverlayPlan();
  plan.setContext(context(options));
  plan.changeNodes(all(...nodes));
  return plan;
}

function objectsOf(
  options: Partial<OverlayOptions>,
  ...nodes: readonly OverlayNode[]
): ReadonlyMap<string, OverlayObject | undefined> {
  const plan = new OverlayPlan();
  plan.setContext(context(options));
  return plan.changeNodes(all(...nodes)).objects;
}

describe('ways', () => {
  test.each([
    ['subnet', true, 'direct', 'tunnel'],
    ['full', true, 'tunnel', 'tunnel'],
    ['subnet', false, 'direct', 'fabric'],
    ['full', false, 'direct', 'fabric'],
  ] as const)('type %s, enabled %s: a node in our subnet is reached %s, another %s', (type, enabled, near, far) => {
    const plan = planOf({ type, enabled }, NEAR, FAR);
    for (const [n, kind] of [
      [NEAR, near],
      [FAR, far],
    ] as const)
      for (const end of [n.v4, n.v6]) expect(plan.wayTo(end!)?.kind).toBe(kind);
  });

  test('addresses of no node have no way, nor has our own', () => {
    const plan = planOf({}, FAR, node('own', '10.1.0.10', '2001:db8:1::10'), node('own', '10.9.9.9'));
    for (const other of ['192.0.2.1', '10.1.0.10', '10.9.9.9']) expect(plan.wayTo(address(other))).toBeUndefined();
  });

  test('IPv4 in VXLAN goes to the node itself as gateway; IPv6 to a link-local address that stands for it', () => {
    const plan = planOf({}, FAR);
    expect(plan.wayTo(FAR.v4!)).toEqual({
      kind: 'tunnel',
      device: 'pgx4-56-3p1',
      gateway: FAR.v4,
      terms: { source: { v4: address('10.1.0.10'), v6: address('2001:db8:1::10') }, mtu: null },
      needs: ['device pgx4-56-3p1', 'forwarding pgx4-56-3p1 02:50:0a:02:00:14', 'neighbour pgx4-56-3p1 10.2.0.20'],
    });
    expect(plan.wayTo(FAR.v6!)).toMatchObject({ gateway: linkLocalOf(overlayLladdr(FAR.v6!)) });
  });

  test('a family that we have no address of is left to the network', () => {
    const base = context();
    const plan = planNode({ ...base, own: { ...base.own, v6: undefined } }, FAR);
    expect(plan.map(({ way }) => way.kind)).toEqual(['tunnel', 'fabric']);
  });
});

describe('objects', () => {
  test('VXLAN: a device for each family, two entries and a host route for each address, a rule for each pod network', () => {
    expect([...objectsOf({}, FAR).keys()].sort()).toEqual([
      'device pgx4-56-3p1',
      'device pgx6-56-3p1',
      'forwarding pgx4-56-3p1 02:50:0a:02:00:14',
      `forwarding pgx6-56-3p1 ${overlayLladdr(FAR.v6!)}`,
      'neighbour pgx4-56-3p1 10.2.0.20',
      `neighbour pgx6-56-3p1 ${formatAddress(linkLocalOf(overlayLladdr(FAR.v6!)))}`,
      'route 10.2.0.20/32',
      'route 2001:db8:2::20/128',
      'rule 10.244.1.0/24',
      'rule 2001:db8:f1::/64',
    ]);
  });

  test('IPIP: one device for IPv4, one for each node for IPv6; FOU opens its port besides', () => {
    const names = (encapsulation: 'ipip' | 'fou'): readonly string[] =>
      [...objectsOf({ encapsulation }, FAR).keys()].sort();
    const devices = ['device pgi4', `device ${ip6TunnelName(FAR.v6!)}`];
    const others = ['route 10.2.0.20/32', 'route 2001:db8:2::20/128', 'rule 10.244.1.0/24', 'rule 2001:db8:f1::/64'];
    expect(names('ipip')).toEqual([...devices, ...others].sort());
    expect(names('fou')).toEqual([...devices, ...others, 'fou 4 5555', 'fou 6 5555'].sort());
  });

  test('without a node to tunnel to there is nothing, and the last one takes everything along', () => {
    const plan = new OverlayPlan();
    plan.setContext(context());
    expect(plan.changeNodes(all(NEAR)).objects.size).toBe(0);
    const made = plan.changeNodes(all(FAR)).objects;
    const gone = plan.changeNodes({ set: new Map(), removed: new Set(['far']) }).objects;
    expect([...gone.keys()].sort()).toEqual([...made.keys()].sort());
    expect([...gone.values()].every(object => object === undefined)).toBe(true);
  });

  test('a second node leaves the shared device and the first node alone', () => {
    const plan = planOf({}, FAR);
    const { objects, ways } = plan.changeNodes(all(node('third', '10.3.0.30')));
    expect([...objects.keys()]).toEqual([
      'forwarding pgx4-56-3p1 02:50:0a:03:00:1e',
      'neighbour pgx4-56-3p1 10.3.0.30',
      'route 10.3.0.30/32',
    ]);
    expect(ways.size).toBe(1);
  });

  test('two nodes with one address: the first by name is heard, and the other when it goes', () => {
    const plan = planOf({ encapsulation: 'ipip' }, node('b', undefined, '2001:db8:2::20'));
    const name = ip6TunnelName(address('2001:db8:2::20'));
    const aliasOf = (object: OverlayObject | undefined): string =>
      object?.kind === 'device' ? object.device.alias : '';
    const a = plan.changeNodes(all(node('a', undefined, '2001:db8:2::20')));
    expect(aliasOf(a.objects.get(`device ${name}`))).toContain('node a (');
    const b = plan.changeNodes({ set: new Map(), removed: new Set(['a']) });
    expect(aliasOf(b.objects.get(`device ${name}`))).toContain('node b (');
    expect(plan.wayTo(address('2001:db8:2::20'))?.kind).toBe('tunnel');
  });
});

describe('MTU', () => {
  test.each([
    ['ipip', 4, 20],
    ['ipip', 6, 40],
    ['fou', 4, 32],
    ['fou', 6, 52],
    ['vxlan', 4, 50],
    ['vxlan', 6, 70],
  ] as const)('%s over IPv%s costs %s octets', (encapsulation, version, octets) => {
    expect(overlayOverhead(encapsulation, version)).toBe(octets);
    const devices = [...objectsOf({ encapsulation }, FAR).values()].flatMap(object =>
      object?.kind === 'device' && object.device.tunnel.local.version === version ? [object.device.mtu] : [],
    );
    expect(devices).toEqual([1500 - octets]);
  });

  test('what pods must leave free is the most that any tunnel adds', () => {
    expect(reservedForOverlay({ ...DEFAULT_OVERLAY, encapsulation: 'vxlan' }, [4, 6])).toBe(70);
    expect(reservedForOverlay({ ...DEFAULT_OVERLAY, encapsulation: 'vxlan' }, [4])).toBe(50);
    expect(reservedForOverlay({ ...DEFAULT_OVERLAY, enabled: false }, [4, 6])).toBe(0);
  });

  test.each([
    [undefined, null],
    [9000, null],
    [1500, null],
    [1400, 1350],
  ])('a node that says it takes %s octets gets routes of %s', (mtu, expected) => {
    const plan = planOf({}, node('far', '10.2.0.20', undefined, mtu));
    expect(plan.wayTo(address('10.2.0.20'))).toMatchObject({ terms: { mtu: expected } });
  });

  test('the configured MTU of the network goes before that of the link', () => {
    const devices = [...objectsOf({ underlayMtu: 9000 }, node('far', '10.2.0.20')).values()];
    expect(devices).toContainEqual(expect.objectContaining({ device: expect.objectContaining({ mtu: 8950 }) }));
  });
});

describe('names', () => {
  test('fit into 15 octets and differ wherever the device differs', () => {
    expect(vxlanName(6, 0xff_ffff, 65535).length).toBeLessThanOrEqual(15);
    const numbers = fc.tuple(fc.constantFrom(4 as const, 6 as const), fc.nat(0xff_ffff), fc.nat(65535));
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        expect(vxlanName(...a) === vxlanName(...b)).toBe(a.join() === b.join());
      }),
    );
  });

  test('of ip6tnl do not collide where digits without separators would', () => {
    const names = ['2001:db8::1:23', '2001:db8::12:3', '2001:db8:1::23'].map(text => ip6TunnelName(address(text)));
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(name).toMatch(/^pgi6-[0-9a-v]{10}$/);
  });

  test('link-layer addresses are of one machine, locally administered, and differ', () => {
    const texts = ['10.0.0.1', '1.0.0.10', '2001:db8::1', '2001:db8::2'];
    const lladdrs = texts.map(text => overlayLladdr(address(text)));
    expect(lladdrs[0]).toBe('02:50:0a:00:00:01');
    expect(new Set(lladdrs).size).toBe(texts.length);
    for (const lladdr of lladdrs) expect(Number.parseInt(lladdr.slice(0, 2), 16) & 3).toBe(2);
    expect(formatAddress(linkLocalOf('02:50:0a:00:00:01'))).toBe('fe80::50:aff:fe00:1');
  });
});

test('whatever the order of changes, the plan is that of the final nodes', () => {
  const change = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    v4: fc.option(fc.constantFrom('10.1.0.7', '10.2.0.7', '10.3.0.7'), { nil: undefined }),
    isRemoved: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(change, fc.constantFrom('full' as const, 'subnet' as const))), changes => {
      const plan = new OverlayPlan();
      const objects = new Map<string, OverlayObject>();
      const nodes = new Map<string, OverlayNode>();
      const take = (found: ReadonlyMap<string, OverlayObject | undefined>): void =>
        found.forEach((object, key) => (object === undefined ? objects.delete(key) : objects.set(key, object)));
      let type: OverlayOptions['type'] = 'subnet';
      take(plan.setContext(context({ type })).objects);
      for (const step of changes) {
        if (typeof step === 'string') {
          type = step;
          take(plan.setContext(context({ type })).objects);
        } else if (step.isRemoved) {
          nodes.delete(step.name);
          take(plan.changeNodes({ set: new Map(), removed: new Set([step.name]) }).objects);
        } else {
          const n = node(step.name, step.v4);
          nodes.set(step.name, n);
          take(plan.changeNodes(all(n)).objects);
        }
      }
      expect(objects).toEqual(new Map([...objectsOf({ type }, ...nodes.values())]));
    }),
  );
});
