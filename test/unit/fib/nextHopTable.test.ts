/** Interned next-hop sets: equal ones are one, unheld ones go, and what is read equals what was written. */

import { describe, expect, test } from '@jest/globals';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.js';
import { RouteScan } from '../../../src/kernel/routeScan.js';
import { beginRoute, writeRoute, type RouteHop } from '../../../src/kernel/routes.js';
import { AF_INET, RTN_UNICAST } from '../../../src/kernel/rtnetlink.js';
import { NO_ROUTE, NextHopTable, ODD_ROUTE } from '../../../src/fib/nextHopTable.js';
import { hexOf, messageFrom } from '../kernel/octets.js';
import { route } from './fakeKernel.js';
import { address } from './routeText.js';

const hop = (gateway: string, ifindex = 2, weight = 1, onlink = false): RouteHop => ({
  gateway: address(gateway),
  ifindex,
  onlink,
  weight,
});
function scanned(hops: readonly RouteHop[], change: Partial<ReturnType<typeof route>> = {}): RouteScan {
  const writer = new NetlinkWriter();
  writeRoute(writer, 'create', { ...route('10.0.0.0/8', '10.0.0.1', 2, 186, 20), hops, ...change });
  const scan = new RouteScan();
  expect(scan.read(messageFrom(hexOf(writer.finished())))).toBe(true);
  return scan;
}

describe('NextHopTable', () => {
  test('order does not matter; gateway, interface, onlink and weight do', () => {
    const table = new NextHopTable();
    const [a, b] = [hop('10.0.0.1'), hop('10.0.0.2', 3)];
    const id = table.intern([a, b]);
    expect(table.intern([b, a])).toBe(id);
    const others = [[a], [b], [hop('10.0.0.1', 3), b], [hop('10.0.0.1', 2, 1, true), b], [hop('10.0.0.1', 2, 2), b]];
    const ids = others.map(hops => table.intern(hops));
    expect(new Set([id, ...ids]).size).toBe(6);
    expect(table.intern([])).toBe(NO_ROUTE);
  });

  test.each<[string, readonly RouteHop[]]>([
    ['one hop', [hop('10.0.0.1')]],
    ['one onlink hop', [hop('10.0.0.1', 2, 1, true)]],
    ['an IPv6 gateway', [hop('fe80::1')]],
    ['several, of both families', [hop('fe80::1', 4), hop('10.0.0.7'), hop('10.0.0.1', 2, 9, true)]],
    ['more than a record has room for at first', Array.from({ length: 40 }, (_, i) => hop(`10.0.0.${i + 1}`))],
  ])('%s read from the kernel are the same set as those that were wanted', (_what, hops) => {
    const table = new NextHopTable();
    const id = table.intern(hops);
    expect(table.internScan(scanned(hops))).toBe(id);
    expect(table.hops(id)).toHaveLength(hops.length);
    expect(table.hops(id)).toEqual(expect.arrayContaining([...hops]));
  });

  test('a route that we would never write is odd', () => {
    const table = new NextHopTable();
    expect(table.internScan(scanned([], { type: 'blackhole' }))).toBe(ODD_ROUTE);
    const scan = scanned([hop('10.0.0.1')]);
    scan.special = true;
    expect(table.internScan(scan)).toBe(ODD_ROUTE);
  });

  test.each([
    ['a source', { source: address('10.0.0.9'), mtu: null }],
    ['an MTU', { source: undefined, mtu: 1400 }],
    ['both', { source: address('10.0.0.9'), mtu: 1400 }],
  ])('%s makes another set, and is read as it is written', (_name, terms) => {
    const table = new NextHopTable();
    for (const hops of [[hop('10.0.0.1')], [hop('10.0.0.1'), hop('10.0.0.2', 3)]]) {
      const id = table.intern(hops, terms);
      expect(id).not.toBe(table.intern(hops));
      expect(table.hops(id)).toEqual(hops);
      const writer = new NetlinkWriter();
      beginRoute(writer, 'create', AF_INET, 8, 254, 186, RTN_UNICAST, table.flags(id));
      writer.raw(table.block(id, AF_INET));
      writer.end();
      const scan = new RouteScan();
      expect(scan.read(messageFrom(hexOf(writer.finished())))).toBe(true);
      expect(table.internScan(scan)).toBe(id);
    }
    expect(table.intern([hop('10.0.0.1')], { source: undefined, mtu: null })).toBe(table.intern([hop('10.0.0.1')]));
  });

  test('only sets that nobody holds are forgotten, and their ids used again', () => {
    const table = new NextHopTable();
    const [held, loose] = [table.intern([hop('10.0.0.1')]), table.intern([hop('10.0.0.2')])];
    table.hold(held);
    table.collect();
    expect(table.size).toBe(1);
    expect(table.intern([hop('10.0.0.1')])).toBe(held);
    expect(table.intern([hop('10.0.0.3')])).toBe(loose);
    table.release(held);
    table.collect();
    expect(table.size).toBe(0);
  });
});
