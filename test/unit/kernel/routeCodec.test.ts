/**
 * Route messages against golden octets. Those that are read were taken from RTNLGRP_IPV4_ROUTE and RTNLGRP_IPV6_ROUTE of
 * Linux 6.18 (x86-64) after the `ip route` command that names them (iproute2 6.1); v0 is interface 3. Those that are
 * written were laid out by hand from linux/rtnetlink.h.
 */

import { describe, expect, test } from '@jest/globals';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.js';
import { RouteScan } from '../../../src/kernel/routeScan.js';
import { routeOf, writeRoute, writeRouteDump, type Route } from '../../../src/kernel/routes.js';
import { AF_INET, AF_INET6 } from '../../../src/kernel/rtnetlink.js';
import { address, prefix } from '../fib/routeText.js';
import { hexOf, messageFrom } from './octets.js';

const hop = (gateway: string | null, weight = 1, onlink = false): Route['hops'][number] => ({
  gateway: gateway === null ? null : address(gateway),
  ifindex: 3,
  onlink,
  weight,
});
const bgp = (destination: string, hops: Route['hops']): Route => ({
  destination: prefix(destination),
  table: 254,
  protocol: 186,
  type: 'unicast',
  metric: 20,
  scope: 0,
  hops,
});

describe('routes that the kernel tells of', () => {
  test.each<[string, string, Route]>([
    [
      'ip route add 10.1.0.0/16 via 192.168.0.2 proto bgp metric 20',
      `44000000 18000006 0230016b 8d320000 02100000 feba0001 00000000 08000f00 fe000000 08000100 0a010000 08000600 14000000
       08000500 c0a80002 08000400 03000000`,
      bgp('10.1.0.0/16', [hop('192.168.0.2')]),
    ],
    [
      'ip route add 10.2.0.0/16 proto bgp metric 20 nexthop via 192.168.0.2 weight 2 nexthop via inet6 2001:db8::2 dev v0',
      `68000000 18000006 0230016b 8e320000 02100000 feba0001 00000000 08000f00 fe000000 08000100 0a020000 08000600 14000000
       34000900 10000001 03000000 08000500 c0a80002 20000000 03000000 16001200 0a002001 0db80000 00000000 00000000 00020000`,
      bgp('10.2.0.0/16', [hop('192.168.0.2', 2), hop('2001:db8::2')]),
    ],
    [
      'ip -6 route add 2002::/16 proto bgp metric 20 nexthop via 2001:db8::2 nexthop via 2001:db8::3',
      `a8000000 18000004 0230016b 8f320000 0a100000 feba0001 00000000 08000f00 fe000000 14000100 20020000 00000000 00000000
       00000000 08000600 14000000 3c000900 1c000000 03000000 14000500 20010db8 00000000 00000000 00000002 1c000000 03000000
       14000500 20010db8 00000000 00000000 00000003 24000c00 00000000 00000000 00000000 00000000 00000000 00000000 00000000
       00000000 05001400 00000000`,
      bgp('2002::/16', [hop('2001:db8::2'), hop('2001:db8::3')]),
    ],
    [
      'ip route add blackhole 10.3.0.0/16 table 1000',
      '2c000000 18000006 0230016b 90320000 02100000 fc030006 00000000 08000f00 e8030000 08000100 0a030000',
      { ...bgp('10.3.0.0/16', []), table: 1000, protocol: 3, type: 'blackhole', metric: 0 },
    ],
    [
      'ip route add 10.4.0.0/16 via 172.16.0.1 dev v0 onlink src 192.168.0.1',
      `44000000 18000006 0330016b 92320000 02100000 fe030001 04000000 08000f00 fe000000 08000100 0a040000 08000700 c0a80001
       08000500 ac100001 08000400 03000000`,
      {
        ...bgp('10.4.0.0/16', [hop('172.16.0.1', 1, true)]),
        protocol: 3,
        metric: 0,
        source: address('192.168.0.1'),
      },
    ],
  ])('%s', (_command, hex, route) => {
    const scan = new RouteScan();
    // A record that was used before remembers nothing.
    for (const before of [undefined, messageFrom('1c000000 18000006 00000000 00000000 0a000000 fe030001 04000000')]) {
      if (before !== undefined) expect(scan.read(before)).toBe(true);
      expect(scan.read(messageFrom(hex))).toBe(true);
      expect(routeOf(scan)).toEqual(route);
      expect(scan.special).toBe(false);
    }
  });

  test.each([
    ['another family', '1c000000 18000006 00000000 00000000 07000000 fe030001 00000000'],
    ['no whole rtmsg', '18000000 18000006 00000000 00000000 02000000 fe030001'],
    [
      'an attribute that goes beyond the message',
      '24000000 18000006 00000000 00000000 02100000 fe030001 00000000 0c000100 0a010000',
    ],
    [
      'a next hop that goes beyond its list',
      '28000000 18000006 00000000 00000000 02100000 fe030001 00000000 0c000900 10000000 03000000',
    ],
    [
      'a next hop of no length',
      '28000000 18000006 00000000 00000000 02100000 fe030001 00000000 0c000900 00000000 03000000',
    ],
    ['an address cut short', '24000000 18000006 00000000 00000000 0a100000 fe030001 00000000 08000100 20020000'],
  ])('refuses %s', (_what, hex) => {
    expect(new RouteScan().read(messageFrom(hex))).toBe(false);
  });

  test('reads an MTU, and marks what no route of ours has: other metrics', () => {
    const scan = new RouteScan();
    const mtu = '28000000 18000006 00000000 00000000 02100000 feba0001 00000000 0c000880 08000200 dc050000';
    expect(scan.read(messageFrom(mtu))).toBe(true);
    expect([scan.mtu, scan.special]).toEqual([1500, false]);
    expect(scan.read(messageFrom(mtu.replace('08000200', '08000300')))).toBe(true);
    expect([scan.mtu, scan.special]).toEqual([0, true]);
  });
});

describe('routes that are written', () => {
  test.each<[string, 'create' | 'replace' | 'delete', Route, string]>([
    [
      'create with one gateway: CREATE and EXCL',
      'create',
      bgp('10.1.0.0/16', [hop('192.168.0.2')]),
      '3c000000 18000106 00000000 00000000 02100000 feba0001 00000000 08000100 0a010000 08000600 14000000 08000500 c0a80002 08000400 03000000',
    ],
    [
      'replace, several gateways, one of them IPv6: REPLACE alone',
      'replace',
      bgp('10.2.0.0/16', [hop('192.168.0.2', 2, true), hop('2001:db8::2')]),
      `60000000 18000101 00000000 00000000 02100000 feba0001 00000000 08000100 0a020000 08000600 14000000 34000900 10000401
       03000000 08000500 c0a80002 20000000 03000000 16001200 0a002001 0db80000 00000000 00000000 00020000`,
    ],
    [
      'delete: any scope, any type, no next hop; a table above 255 as an attribute',
      'delete',
      { ...bgp('2002::/16', [hop('2001:db8::2')]), table: 1000 },
      `40000000 19000100 00000000 00000000 0a100000 00baff00 00000000 08000f00 e8030000 14000100 20020000 00000000 00000000
       00000000 08000600 14000000`,
    ],
  ])('%s', (_what, command, route, hex) => {
    const writer = new NetlinkWriter(8);
    writeRoute(writer, command, route);
    expect(hexOf(writer.finished())).toBe(hex.replace(/\s+/g, ' '));
    expect(writer.count).toBe(1);
  });

  test('what is written is read back the same', () => {
    const scan = new RouteScan();
    const many = Array.from({ length: 40 }, (_, i) =>
      hop(i % 2 === 0 ? `10.0.0.${i + 1}` : `fe80::${i + 1}`, i + 1, i % 3 === 0),
    );
    for (const route of [
      bgp('0.0.0.0/0', many),
      bgp('::/0', [hop('fe80::1', 1, true)]),
      { ...bgp('10.0.0.0/8', [hop(null)]), table: 5000 },
    ]) {
      const writer = new NetlinkWriter(8);
      writeRoute(writer, 'create', route);
      expect(scan.read(messageFrom(hexOf(writer.finished())))).toBe(true);
      expect(routeOf(scan)).toEqual(route);
    }
  });

  test('a dump of one table lets the kernel filter', () => {
    const writer = new NetlinkWriter();
    writeRouteDump(writer, AF_INET, 254);
    writeRouteDump(writer, AF_INET6);
    expect(hexOf(writer.finished())).toBe(
      '24000000 1a000103 00000000 00000000 02000000 00000000 00000000 08000f00 fe000000 ' +
        '1c000000 1a000103 00000000 00000000 0a000000 00000000 00000000',
    );
  });
});
