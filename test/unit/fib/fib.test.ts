/** What the FIB sends, tells and shows, on a kernel in memory. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FibEvent } from '../../../src/fib/fibTypes.js';
import { LOST, route } from './fakeKernel.js';
import { newFakeKernel, routesOf, startFakeFib, type FakeFib } from './fakeFib.js';
import { changes, nextHops } from './routeText.js';

const ONE = nextHops(1, '192.168.0.2');
const TWO = nextHops(2, '192.168.1.2');
const [BGP, STATIC, EINVAL] = [186, 4, 22];

let rig: FakeFib;
beforeEach(async () => {
  rig = await startFakeFib(newFakeKernel());
  rig.fib.sourcesComplete();
  rig.events.length = 0;
});
afterEach(() => rig.stop());

const kinds = (): readonly string[] => rig.events.map(({ kind }) => kind);
const eventOf = <K extends FibEvent['kind']>(kind: K): Extract<FibEvent, { kind: K }> | undefined =>
  rig.events.find((event): event is Extract<FibEvent, { kind: K }> => event.kind === kind);

describe('what is sent', () => {
  test('many changes to one prefix before anything is sent cost one message', async () => {
    for (const set of [1, 2, 0, 1, 2]) rig.fib.apply(changes({ '20.0.0.0/8': set }, [ONE, TWO]));
    await rig.run();
    expect(rig.kernel.log).toEqual(['create 20.0.0.0/8']);
    expect(routesOf(rig.kernel, BGP)).toEqual(['20.0.0.0/8 via 192.168.1.2']);
  });

  test('a route that came and went costs nothing', async () => {
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    rig.fib.apply(changes({ '20.0.0.0/8': 0, '21.0.0.0/8': 0 }));
    await rig.run();
    expect(rig.kernel.log).toEqual([]);
    expect(rig.fib.counts(0).prefixes).toBe(0);
  });

  test('another set with the same next hops, in another order, is the same route', async () => {
    rig.fib.apply(changes({ '20.0.0.0/8': 3 }, [nextHops(3, '192.168.0.2', '192.168.1.2')]));
    await rig.run();
    rig.kernel.log.length = 0;
    rig.fib.apply(changes({ '20.0.0.0/8': 4 }, [nextHops(4, '192.168.1.2', '192.168.0.2')]));
    await rig.run();
    expect(rig.kernel.log).toEqual([]);
  });

  test('a set that gets another meaning takes all its routes along', async () => {
    rig.fib.apply(changes({ '20.0.0.0/8': 1, '21.0.0.0/8': 1 }, [ONE]));
    await rig.run();
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [{ ...TWO, id: 1 }]));
    await rig.run();
    expect(routesOf(rig.kernel, BGP)).toEqual(['20.0.0.0/8 via 192.168.1.2', '21.0.0.0/8 via 192.168.1.2']);
    expect(rig.kernel.log.slice(2)).toEqual(['replace 20.0.0.0/8', 'replace 21.0.0.0/8']);
  });

  test('two next hops behind the same gateway are one', async () => {
    rig.kernel.overwrite(route('172.16.0.0/16', '192.168.0.9', 2, STATIC, 0));
    rig.fib.apply(changes({ '20.0.0.0/8': 5 }, [nextHops(5, '172.16.0.1', '172.16.0.2')]));
    await rig.run();
    expect(routesOf(rig.kernel, BGP)).toEqual(['20.0.0.0/8 via 192.168.0.9']);
  });

  test('an undefined set is the bug of whoever sent it', () => {
    expect(() => rig.fib.apply(changes({ '20.0.0.0/8': 99 }))).toThrow('next-hop set 99');
  });
});

describe('refusals', () => {
  test('are told once with prefix, next hops and the words of the kernel, and tried again ever more seldom', async () => {
    rig.kernel.faults.push(...Array.from({ length: 100 }, () => EINVAL));
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await rig.run();
    expect(eventOf('failed')).toEqual({
      kind: 'failed',
      family: 'ipv4-unicast',
      routes: {
        count: 1,
        first: [{ prefix: '20.0.0.0/8', nextHops: ['192.168.0.2 dev a'], error: 'EINVAL: fake 22' }],
      },
    });
    const attempts = (): number => 100 - rig.kernel.faults.length;
    const seen: number[] = [];
    for (const wait of [240, 20, 480, 40, 900, 200]) {
      rig.clock.advance(wait);
      await rig.run();
      seen.push(attempts());
    }
    // After 250, 750 and 1750 ms.
    expect(seen).toEqual([1, 2, 2, 3, 3, 4]);
    expect(kinds()).toEqual(['failed']);
    await rig.run(300_000);
    // 250 ms doubling to 30 s: eight tries in the first minute, then two a minute.
    expect(attempts()).toBeGreaterThan(14);
    expect(attempts()).toBeLessThan(20);
    rig.kernel.faults.length = 0;
    await rig.run(31_000);
    expect(kinds()).toEqual(['failed', 'recovered']);
    expect(rig.fib.counts(0)).toEqual({ prefixes: 1, installed: 1, queued: 0, failed: 0 });
  });

  test('are tried again at once when something else is wanted', async () => {
    rig.kernel.faults.push(EINVAL);
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE, TWO]));
    await rig.run();
    rig.fib.apply(changes({ '20.0.0.0/8': 2 }));
    await rig.run();
    expect(routesOf(rig.kernel, BGP)).toEqual(['20.0.0.0/8 via 192.168.1.2']);
  });

  test('of one route do not touch its neighbours in the batch', async () => {
    rig.kernel.faults.push(0, EINVAL, 0);
    rig.fib.apply(changes({ '20.0.0.0/8': 1, '21.0.0.0/8': 1, '22.0.0.0/8': 1 }, [ONE]));
    await rig.run();
    expect(routesOf(rig.kernel, BGP)).toHaveLength(2);
    expect(rig.fib.counts(0)).toMatchObject({ installed: 2, failed: 1 });
  });

  test('a lost answer to a create that was carried out leads to no conflict', async () => {
    rig.kernel.faults.push(LOST);
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await rig.run(1000);
    expect(rig.kernel.log).toEqual(['create 20.0.0.0/8', 'replace 20.0.0.0/8']);
    expect(kinds()).toEqual(['failed', 'recovered']);
  });

  test('a stranger in our place is a conflict, told once', async () => {
    rig.kernel.overwrite(route('20.0.0.0/8', '192.168.1.9', 3, STATIC, 20));
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await rig.run(20_000);
    expect(rig.events).toEqual([
      { kind: 'conflict', family: 'ipv4-unicast', routes: { count: 1, first: ['20.0.0.0/8'] } },
    ]);
    expect([...rig.fib.routes({})]).toMatchObject([{ state: 'failed', error: 'EEXIST: fake 17' }]);
  });

  test('a route of our kind in our place, of which no notification told, is no conflict but replaced', async () => {
    rig.kernel.routes.set('254 20.0.0.0/8 20', route('20.0.0.0/8', '192.168.1.9', 3, BGP, 20));
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await rig.run(1000);
    expect(rig.kernel.log.slice(0, 2)).toEqual(['create 20.0.0.0/8', 'replace 20.0.0.0/8']);
    expect(kinds()).toEqual(['drift']);
    expect(routesOf(rig.kernel, BGP)).toEqual(['20.0.0.0/8 via 192.168.0.2']);
  });

  test('a stranger that leaves our place lets us in at once', async () => {
    rig.kernel.overwrite(route('20.0.0.0/8', '192.168.1.9', 3, STATIC, 20));
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await rig.run(20_000);
    expect(rig.fib.counts(0).failed).toBe(1);
    rig.kernel.erase('254 20.0.0.0/8 20');
    await rig.run();
    expect(routesOf(rig.kernel, BGP)).toHaveLength(1);
  });
});

describe('the kernel moves by itself', () => {
  test('a link that flaps within one batch of notifications: lost routes are found by reading again', async () => {
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await rig.run();
    rig.kernel.setLink('a', false);
    rig.kernel.setLink('a', true);
    expect(routesOf(rig.kernel, BGP)).toEqual([]);
    await rig.run(500);
    expect(routesOf(rig.kernel, BGP)).toHaveLength(1);
    expect(eventOf('drift')?.routes).toEqual({ count: 1, first: ['20.0.0.0/8'] });
  });

  test('links that come and go all the time do not make it read a large table all the time', async () => {
    let dumps = 0;
    const dump = rig.kernel.dump.bind(rig.kernel);
    rig.kernel.dump = (...args) => {
      dumps += 1;
      rig.clock.block(500);
      return dump(...args);
    };
    for (let i = 0; i < 100; i++) {
      rig.kernel.setLink('a', i % 2 === 1);
      await rig.run(100);
    }
    // A reading is two dumps and takes a second here, so the next comes ten seconds later.
    expect(dumps).toBeGreaterThanOrEqual(2);
    expect(dumps).toBeLessThanOrEqual(4);
  });

  test('what vanished without any notification is back after the periodic reading', async () => {
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await rig.run();
    rig.kernel.routes.delete('254 20.0.0.0/8 20');
    await rig.run(61_000);
    expect(routesOf(rig.kernel, BGP)).toHaveLength(1);
  });

  test('an interrupted dump is repeated, and its half-truth is not believed', async () => {
    rig.fib.apply(changes({ '20.0.0.0/8': 1 }, [ONE]));
    await rig.run();
    rig.kernel.interruptions = 3;
    await rig.run(61_000);
    expect(rig.kernel.interruptions).toBe(0);
    expect(kinds()).toEqual([]);
    expect(rig.kernel.log).toEqual(['create 20.0.0.0/8']);
  });

  test('a next hop that becomes reachable brings its routes', async () => {
    rig.fib.apply(changes({ '20.0.0.0/8': 6 }, [nextHops(6, '10.9.9.9')]));
    await rig.run();
    expect(rig.kernel.log).toEqual([]);
    expect([...rig.fib.routes({})]).toEqual([
      {
        prefix: '20.0.0.0/8',
        nextHops: [{ gateway: '10.9.9.9', device: null }],
        state: 'unresolved',
        error: 'next hop 10.9.9.9: no route to it',
      },
    ]);
    rig.kernel.overwrite(route('10.9.9.0/24', '192.168.1.7', 3, STATIC, 0));
    await rig.run();
    expect(routesOf(rig.kernel, BGP)).toEqual(['20.0.0.0/8 via 192.168.1.7']);
  });
});

test('queries: all, a family, a prefix, what it covers, what covers an address', async () => {
  rig.fib.apply(changes({ '20.0.0.0/8': 1, '20.1.0.0/16': 1, '30.0.0.0/8': 1, '0.0.0.0/0': 1 }, [ONE]));
  rig.fib.apply(changes({ '2002::/16': 7 }, [nextHops(7, '2001:db8::2')]));
  await rig.run();
  const ask = (query: Parameters<typeof rig.fib.routes>[0]): readonly string[] =>
    [...rig.fib.routes(query)].map(({ prefix }) => prefix);
  expect(ask({})).toHaveLength(5);
  expect(ask({ family: 'ipv6-unicast' })).toEqual(['2002::/16']);
  expect(ask({ prefix: '20.0.0.0/8' })).toEqual(['20.0.0.0/8']);
  expect(ask({ prefix: '20.0.0.0/8', longer: true })).toEqual(['20.0.0.0/8', '20.1.0.0/16']);
  expect(ask({ prefix: '20.1.2.3' })).toEqual(['20.1.0.0/16', '20.0.0.0/8', '0.0.0.0/0']);
  expect(ask({ prefix: '2002::1', family: 'ipv4-unicast' })).toEqual([]);
  expect(ask({ prefix: 'nonsense' })).toEqual([]);
});
