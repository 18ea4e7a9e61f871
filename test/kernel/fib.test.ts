/** The FIB against the real kernel: what ip(8) sees is what counts. Needs root. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { changes, nextHops } from '../unit/fib/routeText.js';
import { makeFibRig, until, type FibRig } from './fibRig.js';

let rig: FibRig;
beforeEach(() => {
  rig = makeFibRig('pkfib');
});
afterEach(() => rig.close());

const ONE = nextHops(1, '192.168.0.2');
const TWO = nextHops(2, '192.168.1.2');

describe('writing', () => {
  test('10,000 routes are added, replaced and deleted', async () => {
    const { fib } = await rig.open();
    const all = (set: number): Record<string, number> =>
      Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`20.${i >> 8}.${i & 255}.0/24`, set]));
    const [one, two] = ['192.168.0.2', '192.168.1.2'];
    for (const [set, expected] of [
      [1, one],
      [2, two],
    ] as const) {
      fib.apply(changes(all(set), [ONE, TWO]));
      await fib.idle();
      const routes = rig.ours();
      expect(routes).toHaveLength(10_000);
      expect(routes.every(route => route.endsWith(`via ${expected}`))).toBe(true);
    }
    fib.apply(changes(all(0)));
    await fib.idle();
    expect(rig.ours()).toEqual([]);
    expect(fib.counts(0)).toEqual({ prefixes: 0, installed: 0, queued: 0, failed: 0 });
  });

  test('a route of the kernel table other than main', async () => {
    const { fib } = await rig.open({ table: 1000 });
    fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await fib.idle();
    expect(rig.ours(4, '1000')).toEqual(['20.0.0.0/8 via 192.168.0.2']);
    expect(rig.ours()).toEqual([]);
  });

  test('IPv4 multipath, also with an IPv6 next hop, and back to a single one', async () => {
    const { fib } = await rig.open();
    const sets = [nextHops(3, '192.168.0.2', '192.168.1.2'), nextHops(4, '192.168.0.2', '2001:db8:1::2')];
    fib.apply(changes({ '20.0.0.0/8': 3, '21.0.0.0/8': 4, '22.0.0.0/8': 5 }, [...sets, nextHops(5, '2001:db8::2')]));
    await fib.idle();
    expect(rig.ours()).toEqual([
      '20.0.0.0/8 via 192.168.0.2,192.168.1.2',
      '21.0.0.0/8 via 192.168.0.2,2001:db8:1::2',
      '22.0.0.0/8 via 2001:db8::2',
    ]);
    fib.apply(changes({ '20.0.0.0/8': 1, '21.0.0.0/8': 1, '22.0.0.0/8': 0 }, [ONE]));
    await fib.idle();
    expect(rig.ours()).toEqual(['20.0.0.0/8 via 192.168.0.2', '21.0.0.0/8 via 192.168.0.2']);
  });

  test('IPv6 multipath changes leave no leftovers and no moment without a next hop', async () => {
    const { fib } = await rig.open();
    const hop = (i: number): string => (i < 4 ? `2001:db8::${i + 2}` : `2001:db8:1::${i}`);
    const sets = [[0], [0, 4], [1, 4, 5], [2, 3], [5], [0, 1, 2, 3, 4, 5]];
    const definitions = sets.map((hops, i) => nextHops(i + 1, ...hops.map(hop)));
    fib.apply(changes({ '2002::/16': 1 }, definitions));
    await fib.idle();
    for (const to of [2, 3, 4, 6, 5, 3, 1]) {
      const lines = await rig.watching(async () => {
        fib.apply(changes({ '2002::/16': to }));
        await fib.idle();
      });
      expect(rig.ours(6)).toEqual([`2002::/16 via ${sets[to - 1]!.map(hop).sort().join(',')}`]);
      expect(lines.length).toBeGreaterThan(0);
      // The new route comes first; old siblings go only after it.
      expect(lines[0]).not.toMatch(/^Deleted/);
    }
    fib.apply(changes({ '2002::/16': 0 }));
    await fib.idle();
    expect(rig.ours(6)).toEqual([]);
  });

  test('stopping takes our routes away, or leaves them', async () => {
    const first = await rig.open();
    first.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await first.stop({ keepRoutes: true });
    expect(rig.ours()).toHaveLength(1);
    const second = await rig.open();
    await second.stop({ keepRoutes: false });
    expect(rig.ours()).toEqual([]);
  });
});

describe('adoption', () => {
  test('after a restart nothing is written that is right already, differences are replaced, the rest goes in the end', async () => {
    const before = await rig.open();
    const six = nextHops(3, '2001:db8::2', '2001:db8:1::2');
    before.fib.apply(changes({ '20.0.0.0/8': 1, '21.0.0.0/8': 1, '22.0.0.0/8': 1 }, [ONE]));
    before.fib.apply(changes({ '2002::/16': 3 }, [six]));
    await before.stop({ keepRoutes: true });
    rig.ns.ip('route add 23.0.0.0/8 via 192.168.0.9 proto bgp metric 77');

    const { fib } = await rig.open();
    expect(rig.events).toContainEqual({ kind: 'adopted', family: 'ipv4-unicast', routes: 3 });
    const same = await rig.watching(async () => {
      fib.apply(changes({ '20.0.0.0/8': 9 }, [{ ...ONE, id: 9 }]));
      fib.apply(changes({ '2002::/16': 3 }, [six]));
      await fib.idle();
    });
    expect(same).toEqual([]);

    const changed = await rig.watching(async () => {
      fib.apply(changes({ '21.0.0.0/8': 2 }, [TWO]));
      await fib.idle();
    });
    expect(changed).toHaveLength(1);
    expect(changed[0]).toMatch(/^21\.0\.0\.0\/8 via 192\.168\.1\.2/);

    const swept = await rig.watching(async () => {
      fib.sourcesComplete();
      await fib.idle();
    });
    expect(swept.map(line => line.split(' ').slice(0, 2).join(' ')).sort()).toEqual([
      'Deleted 22.0.0.0/8',
      'Deleted 23.0.0.0/8',
    ]);
    expect(rig.ours()).toEqual(['20.0.0.0/8 via 192.168.0.2', '21.0.0.0/8 via 192.168.1.2']);
  });

  test('an adopted route is withheld from deletion even when withdrawn or unresolved before the sources are complete', async () => {
    rig.ns.ip('route add 20.0.0.0/8 via 192.168.0.2 proto bgp metric 20');
    rig.ns.ip('route add 21.0.0.0/8 via 192.168.0.2 proto bgp metric 20');
    const { fib } = await rig.open();
    fib.apply(changes({ '20.0.0.0/8': 0, '21.0.0.0/8': 7 }, [nextHops(7, '203.0.113.1')]));
    await fib.idle();
    expect(rig.ours()).toHaveLength(2);
    fib.sourcesComplete();
    await fib.idle();
    expect(rig.ours()).toEqual([]);
  });
});

describe('other hands', () => {
  test('a deleted and a changed route of ours are repaired, and told', async () => {
    const { fib } = await rig.open();
    fib.apply(changes({ '20.0.0.0/8': 1, '21.0.0.0/8': 1 }, [ONE]));
    fib.apply(changes({ '2002::/16': 3 }, [nextHops(3, '2001:db8::2', '2001:db8:1::2')]));
    await fib.idle();
    const [four, six] = [rig.ours(), rig.ours(6)];
    rig.ns.ip('route del 20.0.0.0/8');
    rig.ns.ip('route replace 21.0.0.0/8 via 192.168.1.9 proto bgp metric 20');
    rig.ns.ip('-6 route del 2002::/16 via 2001:db8::2');
    await until(() => rig.events.filter(event => event.kind === 'drift').length >= 2);
    await fib.idle();
    await until(
      () => JSON.stringify([rig.ours(), rig.ours(6)]) === JSON.stringify([four, six]),
      () => rig.ours(6),
    );
  });

  test('a stranger of our protocol is removed once the sources are complete', async () => {
    const { fib } = await rig.open();
    fib.sourcesComplete();
    rig.ns.ip('route add 30.0.0.0/8 via 192.168.0.2 proto bgp metric 20');
    await until(() => rig.ours().length === 0);
  });

  test('routes of others are left alone; one in our place is a conflict until it goes', async () => {
    rig.ns.ip('route add 20.0.0.0/8 via 192.168.1.9 proto static metric 20');
    rig.ns.ip('route add 21.0.0.0/8 via 192.168.1.9 proto static metric 5');
    const { fib } = await rig.open();
    fib.sourcesComplete();
    fib.apply(changes({ '20.0.0.0/8': 1, '21.0.0.0/8': 1 }, [ONE]));
    await fib.idle();
    expect(rig.ns.ip('route show proto static')).toMatch(
      /20\.0\.0\.0\/8 via 192\.168\.1\.9.*\n21\.0\.0\.0\/8 via 192\.168\.1\.9/,
    );
    expect(rig.ours()).toEqual(['21.0.0.0/8 via 192.168.0.2']);
    const shown = [...fib.routes({ prefix: '20.0.0.0/8' })];
    expect(shown).toEqual([
      {
        prefix: '20.0.0.0/8',
        nextHops: [{ gateway: '192.168.0.2', device: 'v0' }],
        state: 'failed',
        error: expect.stringContaining('EEXIST'),
      },
    ]);
    await until(() => rig.events.some(({ kind }) => kind === 'conflict'));
    expect(rig.events).toContainEqual({
      kind: 'conflict',
      family: 'ipv4-unicast',
      routes: { count: 1, first: ['20.0.0.0/8'] },
    });
    rig.ns.ip('route del 20.0.0.0/8 proto static');
    await until(() => rig.ours().length === 2);
    expect([...fib.routes({ prefix: '20.0.0.0/8' })][0]?.state).toBe('installed');
  });

  test("a stranger's replace of our route is answered with a conflict, not with another replace", async () => {
    const { fib } = await rig.open();
    fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await fib.idle();
    rig.ns.ip('route replace 20.0.0.0/8 via 192.168.1.9 proto static metric 20');
    await until(() => rig.events.some(event => event.kind === 'conflict'));
    expect(rig.ns.ip('route show 20.0.0.0/8')).toMatch(/^20\.0\.0\.0\/8 via 192\.168\.1\.9 dev w0 proto static/);
  });
});

describe('next hops', () => {
  test('a link that goes down takes its routes along, and brings them back', async () => {
    const { fib } = await rig.open();
    fib.apply(
      changes({ '20.0.0.0/8': 1, '21.0.0.0/8': 2, '22.0.0.0/8': 3 }, [
        ONE,
        TWO,
        nextHops(3, '192.168.0.2', '192.168.1.2'),
      ]),
    );
    fib.apply(changes({ '2002::/16': 4 }, [nextHops(4, '2001:db8:1::2')]));
    await fib.idle();
    const [four, six] = [rig.ours(), rig.ours(6)];
    rig.ns.ip('link set w0 down');
    await until(() => rig.ours().join(' ') === '20.0.0.0/8 via 192.168.0.2 22.0.0.0/8 via 192.168.0.2');
    await until(() => [...fib.routes({ prefix: '21.0.0.0/8' })][0]?.state === 'unresolved');
    rig.ns.ip('link set w0 up');
    await until(
      () => JSON.stringify(rig.ours()) === JSON.stringify(four),
      () => rig.ours(),
    );
    // The kernel dropped the IPv6 address with the link; back with the address, the route is back too.
    rig.ns.ip('-6 addr add 2001:db8:1::1/64 dev w0 nodad');
    await until(
      () => JSON.stringify(rig.ours(6)) === JSON.stringify(six),
      () => rig.ours(6),
    );
  });

  test('a quick down and up, after which the kernel has silently lost the routes', async () => {
    const { fib } = await rig.open();
    fib.apply(changes({ '21.0.0.0/8': 2 }, [TWO]));
    await fib.idle();
    rig.ns.ip('link set w0 down');
    rig.ns.ip('link set w0 up');
    await until(() => rig.ours().length === 1);
    await until(
      () => fib.counts(0).queued === 0 && fib.counts(0).failed === 0,
      () => fib.counts(0),
    );
    expect(rig.ours()).toEqual(['21.0.0.0/8 via 192.168.1.2']);
  });

  test('an address that is removed', async () => {
    const { fib } = await rig.open();
    fib.apply(changes({ '21.0.0.0/8': 2 }, [TWO]));
    await fib.idle();
    rig.ns.ip('addr del 192.168.1.1/24 dev w0');
    await until(() => [...fib.routes({})][0]?.state === 'unresolved');
    expect(rig.ours()).toEqual([]);
    rig.ns.ip('addr add 192.168.1.1/24 dev w0');
    await until(() => rig.ours().length === 1);
  });

  test("through somebody's route, following its changes; never through an address of our own", async () => {
    const { fib, resolver } = await rig.open();
    rig.ns.ip('route add 172.16.0.0/16 via 192.168.0.2 proto static metric 30');
    fib.apply(changes({ '20.0.0.0/8': 5, '21.0.0.0/8': 6 }, [nextHops(5, '172.16.0.1'), nextHops(6, '192.168.0.1')]));
    await until(() => rig.ours().join() === '20.0.0.0/8 via 192.168.0.2');
    expect(resolver.resolve(nextHops(0, '172.16.0.1').nextHops[0]!)).toMatchObject({
      reachable: true,
      metric: 30,
      device: 'v0',
    });
    expect([...fib.routes({ prefix: '21.0.0.0/8' })][0]).toMatchObject({
      state: 'unresolved',
      error: expect.stringContaining('this machine'),
    });
    rig.ns.ip('route replace 172.16.0.0/16 via 192.168.1.2 proto static metric 30');
    await until(() => rig.ours().join() === '20.0.0.0/8 via 192.168.1.2');
    rig.ns.ip('route replace blackhole 172.16.0.0/16 proto static metric 30');
    await until(() => rig.ours().length === 0);
  });

  test('a link-local next hop goes out of the link its zone names', async () => {
    const { fib } = await rig.open();
    fib.apply(changes({ '2002::/16': 1, '2003::/16': 2 }, [nextHops(1, 'fe80::99%w0'), nextHops(2, 'fe80::99')]));
    await fib.idle();
    expect(rig.ns.ip('-6 route show proto bgp')).toMatch(/^2002::\/16 via fe80::99 dev w0 metric 20[^\n]*\n$/);
  });
});
