/** The overlay against the real kernel, with real packets between two racks. VXLAN only: this kernel has no IPIP. Needs root. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { OverlayOptions } from '../../src/fib/overlay/overlayOptions.js';
import { address } from '../unit/fib/routeText.js';
import type { Namespace } from './namespace.js';
import { eventually, makeRacks, NODES, nodeOf, ping, podOf, run, type RackNode, type Racks } from './overlayRacks.js';

jest.setTimeout(180_000);

let racks: Racks;
beforeEach(() => {
  racks = makeRacks('pkov');
});
afterEach(() => racks.close());

async function startBoth(options?: Partial<OverlayOptions>): Promise<void> {
  for (const node of [racks.a, racks.b]) {
    await node.start(options);
    await node.route();
  }
}

/** Everything the kernel has that could be ours. */
function traces({ ns }: RackNode): string {
  return [
    ns.ip('-br link show type vxlan'),
    ...['', '-6 '].map(family => ns.ip(`${family}rule show`).replace(/^(0|32766|32767):.*\n/gm, '')),
    ...['', '-6 '].map(family => run(ns, `ip ${family}route show table 186`).text.replace(/^Error.*|^Dump.*/gm, '')),
    ...['', '-6 '].map(family => ns.ip(`${family}route show proto bgp`)),
    ...['', '-6 '].map(family => ns.ip(`${family}neigh show nud permanent`)),
  ]
    .join('')
    .trim();
}

/** Pings every 10 ms while `work` runs, and before and after it. @returns packets sent and received until the last answer */
async function pinging(from: RackNode, to: string, work: () => Promise<void>): Promise<readonly [number, number]> {
  const args = ['netns', 'exec', from.pod.name, 'ping', '-i', '0.01', to];
  const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const answered: number[] = [];
  createInterface({ input: child.stdout }).on('line', line => {
    const [, sequence] = /icmp_seq=(\d+) .*time=/.exec(line) ?? [];
    if (sequence !== undefined) answered.push(Number(sequence));
  });
  const someMore = (): Promise<void> => {
    const before = answered.length;
    return eventually('packets are answered', () => answered.length > before + 10);
  };
  try {
    await someMore();
    await work();
    await someMore();
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    await ended;
  }
  // The last of all may have been on its way when the end came.
  return [Math.max(...answered), answered.length];
}

describe('packets', () => {
  test('pods of both families reach each other with whole packets, which no router may fragment', async () => {
    expect(ping(racks.a.pod, podOf('b', 4), 100, 1)).toBe(false);
    await startBoth();
    expect(ping(racks.a.pod, podOf('b', 4), 1450)).toBe(true);
    expect(ping(racks.a.pod, podOf('b', 6), 1430)).toBe(true);
    expect(ping(racks.a.pod, podOf('b', 4), 1451, 1)).toBe(false);
    for (const ns of [racks.a.ns, racks.b.ns, racks.router]) expect(fragments(ns)).toBe(0);
    // The router has no part in it: it knows no pods.
    expect(run(racks.router, 'ip route get 10.244.2.5').ok).toBe(false);
  });

  test('nodes and pods reach each other too, with strict reverse-path filtering', async () => {
    await startBoth();
    expect(ping(racks.a.ns, podOf('b', 4), 1450)).toBe(true);
    expect(ping(racks.a.ns, podOf('b', 6), 1430)).toBe(true);
    expect(ping(racks.a.pod, NODES.b.v4, 1450)).toBe(true);
    expect(ping(racks.a.pod, NODES.b.v6, 1430)).toBe(true);
  });
});

describe('what stands in the kernel', () => {
  test('one device for each family; routes name the node as gateway and source; nothing without a node to tunnel to', async () => {
    await startBoth();
    expect(racks.a.ns.ip('route show proto bgp')).toBe(
      '10.244.2.0/24 via 10.2.0.20 dev pgx4-56-3p1 src 10.1.0.10 metric 20 onlink \n',
    );
    expect(racks.a.ns.ip('rule show')).toContain('32186:\tfrom 10.244.1.0/24 lookup 186 proto bgp');
    expect(racks.a.ns.ip('route show table 186')).toMatch(
      /^10\.2\.0\.20 via 10\.2\.0\.20 dev pgx4-56-3p1 proto bgp src 10\.1\.0\.10/,
    );
    racks.a.routing.overlay?.update(undefined, { set: new Map(), removed: new Set(['b']) });
    // The routes are there still: what stands on the devices lingers, and goes after a while.
    expect(traces(racks.a)).not.toBe('');
    await eventually('all is gone but the routes, which nobody withdrew', () => !traces(racks.a).includes('pgx'));
  });

  test('a removed node takes its entries along, and leaves those of others', async () => {
    await startBoth();
    const third = { name: 'c', v4: address('10.3.0.30'), v6: undefined };
    racks.a.routing.overlay?.update(undefined, { set: new Map([['c', third]]), removed: new Set() });
    await eventually('the third node is known', () => traces(racks.a).includes('10.3.0.30'));
    racks.a.routing.overlay?.update(undefined, { set: new Map(), removed: new Set(['c']) });
    await eventually('the third node is forgotten', () => !traces(racks.a).includes('10.3.0.30'));
    expect(run(racks.a.ns, 'bridge fdb show dev pgx4-56-3p1').text).toBe(
      '02:50:0a:02:00:14 dst 10.2.0.20 self permanent\n',
    );
    expect(ping(racks.a.pod, podOf('b', 4), 1450)).toBe(true);
  });

  test('a node that takes less gets routes that say so', async () => {
    await startBoth();
    racks.a.routing.overlay?.update(undefined, { set: new Map([['b', nodeOf('b', 1400)]]), removed: new Set() });
    await racks.a.routing.fib?.idle();
    await eventually('the routes have an MTU', () => /mtu 1350/.test(racks.a.ns.ip('route show proto bgp')));
    expect(racks.a.ns.ip('-6 route show proto bgp')).toContain('mtu lock 1330');
    expect(ping(racks.a.pod, podOf('b', 4), 1350)).toBe(true);
    expect(ping(racks.a.pod, podOf('b', 4), 1351, 1)).toBe(false);
    expect(ping(racks.a.pod, podOf('b', 6), 1330)).toBe(true);
    expect(ping(racks.a.pod, podOf('b', 6), 1331, 1)).toBe(false);
  });
});

describe('changes while packets flow', () => {
  test('another VNI on both nodes, and back to no overlay', async () => {
    await startBoth();
    const [sent, received] = await pinging(racks.a, podOf('b', 4), async () => {
      // Both ends listen on the new device before either sends: each keeps the old one for two seconds.
      for (const node of [racks.a, racks.b]) node.configure({ vni: 187 });
      for (const node of [racks.a, racks.b])
        await eventually('the new device alone', () => {
          const now = traces(node);
          return now.includes('pgx4-57-3p1') && !now.includes('pgx4-56-3p1');
        });
    });
    expect(sent).toBeGreaterThan(20);
    // Until the second node has made its device, what the first sends through its new one is lost: no two seconds.
    expect(received).toBeGreaterThan(sent / 2);
    expect(traces(racks.a)).not.toContain('pgx4-56-3p1');
    racks.a.configure({ enabled: false });
    await eventually('no overlay', () => traces(racks.a) === '');
    const [route] = [...(racks.a.routing.fib?.routes({ prefix: '10.244.2.0/24' }) ?? [])];
    expect(route).toMatchObject({ state: 'unresolved', error: expect.stringContaining('left to the network') });
    expect(racks.a.routing.resolver.resolve(address(NODES.b.v4))).toMatchObject({ reachable: true, hops: [] });
  });

  test('a restart adopts everything and loses no packet', async () => {
    await startBoth();
    const before = traces(racks.a);
    racks.a.events.length = 0;
    const [sent, received] = await pinging(racks.a, podOf('b', 4), async () => {
      await racks.a.stop(true);
      expect(traces(racks.a)).toBe(before);
      await racks.a.start();
      await racks.a.route();
      racks.a.routing.fib?.sourcesComplete();
      await racks.a.routing.fib?.idle();
    });
    expect(sent).toBeGreaterThan(10);
    expect(received).toBe(sent);
    expect(traces(racks.a)).toBe(before);
    expect(racks.a.events).toEqual([{ kind: 'adopted', count: 10 }]);
  });

  test('what is ours and not wanted any more after a restart goes; nothing else does', async () => {
    await startBoth();
    await racks.a.stop(true);
    const { ns } = racks.a;
    ns.ip('link add pg-foreign type bridge');
    ns.ip('route add 192.0.2.0/24 dev eth0 table 186');
    ns.ip('rule add from 192.0.2.0/24 lookup 186 priority 32186');
    ns.ip('neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent');
    await racks.a.start({ enabled: false });
    racks.a.routing.fib?.sourcesComplete();
    await eventually(
      'only what is not ours is left',
      () => !traces(racks.a).includes('pgx') && !traces(racks.a).includes('bgp'),
    );
    expect(ns.ip('-br link show pg-foreign')).toContain('pg-foreign');
    expect(ns.ip('route show table 186')).toContain('192.0.2.0/24 dev eth0');
    expect(ns.ip('rule show')).toContain('from 192.0.2.0/24 lookup 186');
    expect(ns.ip('neigh show nud permanent')).toContain('10.1.0.77');
  });

  test('what others delete is put right', async () => {
    await startBoth();
    const before = traces(racks.a);
    const { ns } = racks.a;
    const same = (): boolean => traces(racks.a) === before;
    ns.ip('neigh del 10.2.0.20 dev pgx4-56-3p1');
    await eventually('the neighbour is back', same);
    run(ns, 'bridge fdb del 02:50:0a:02:00:14 dev pgx4-56-3p1 dst 10.2.0.20');
    await eventually('the forwarding entry is back', () => run(ns, 'bridge fdb show').text.includes('dst 10.2.0.20'));
    ns.ip('rule del from 10.244.1.0/24 lookup 186');
    await eventually('the rule is back', same);
    ns.ip('route del 10.2.0.20/32 table 186');
    await eventually('the route is back', same);
    ns.ip('link set pgx4-56-3p1 mtu 1300');
    await eventually('the MTU is right', () => ns.ip('link show pgx4-56-3p1').includes('mtu 1450'));
    ns.ip('link del pgx4-56-3p1');
    await eventually('the device is back, with all that was on it', () =>
      traces(racks.a).includes('via 10.2.0.20 dev pgx4-56-3p1'),
    );
    await eventually('packets flow', () => ping(racks.a.pod, podOf('b', 4), 1450, 1));
  });
});

describe('nodes with unequal MTUs', () => {
  let unequal: Racks;
  beforeEach(() => {
    unequal = makeRacks('pkovu', 1400);
  });
  afterEach(() => unequal.close());

  test('without a word about it, IPv4 packets are fragmented between the nodes, and arrive', async () => {
    for (const node of [unequal.a, unequal.b]) {
      await node.start();
      await node.route();
    }
    // Over IPv6 only the sender may fragment, and for tunnels the kernel does not: there a word is needed.
    expect(ping(unequal.a.pod, podOf('b', 4), 1390)).toBe(true);
    expect(fragments(unequal.router)).toBeGreaterThan(0);
    expect(ping(unequal.b.pod, podOf('a', 4), 1350)).toBe(true);
  });

  test('with a word about it, pods learn what the whole path takes', async () => {
    for (const node of [unequal.a, unequal.b]) await node.start();
    unequal.a.routing.overlay?.update(undefined, { set: new Map([['b', nodeOf('b', 1400)]]), removed: new Set() });
    for (const node of [unequal.a, unequal.b]) await node.route();
    for (const [to, most] of [
      [podOf('b', 4), 1350],
      [podOf('b', 6), 1330],
    ] as const) {
      expect(run(unequal.a.pod, `ping -M do -c 2 -W 1 -s 1380 ${to}`).text).toMatch(new RegExp(`mtu ?= ?${most}`));
      expect(ping(unequal.a.pod, to, most)).toBe(true);
      expect(ping(unequal.a.pod, to, most + 1, 1)).toBe(false);
    }
    expect(fragments(unequal.a.ns) + fragments(unequal.router)).toBe(0);
  });
});

/** Fragments that a host has made. */
function fragments(ns: Namespace): number {
  const text = run(ns, 'nstat -asz IpFragCreates Ip6FragCreates').text;
  return [...text.matchAll(/FragCreates +(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}
