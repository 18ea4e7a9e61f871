/**
 * Links, addresses, neighbours and rules against golden octets of Linux 6.18 (x86-64): notifications after the `ip`
 * command that names them (iproute2 6.1). Link messages are shortened to attributes of interest.
 */

import { describe, expect, test } from '@jest/globals';
import { decodeInterfaceAddress, writeAddressDump } from '../../../src/kernel/addresses.js';
import { decodeLink, isUsable, writeLinkDump } from '../../../src/kernel/links.js';
import { decodeNeighbour } from '../../../src/kernel/neighbours.js';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.js';
import { decodeRule, writeRule, type Rule } from '../../../src/kernel/rules.js';
import { address, prefix } from '../fib/routeText.js';
import { hexOf, messageFrom } from './octets.js';

describe('links', () => {
  const PORT = `40000000 10000000 00000000 00000000 00000100 03000000 43100100 00000000 07000300 76300000 05001000 06000000
    08000400 dc050000 08000a00 04000000`;

  test('ip link set v0 master br0', () => {
    const link = decodeLink(messageFrom(PORT));
    expect(link).toEqual({ index: 3, name: 'v0', mtu: 1500, flags: 0x11043, operState: 6, master: 4 });
    expect(link !== undefined && isUsable(link)).toBe(true);
  });

  test('a bridge without carrier is not usable', () => {
    const down =
      '30000000 10000000 00000000 00000000 00000100 04000000 03100000 00000000 08000300 62723000 05001000 02000000';
    const link = decodeLink(messageFrom(down));
    expect(link).toMatchObject({ name: 'br0', operState: 2, master: null });
    expect(link !== undefined && isUsable(link)).toBe(false);
  });

  test("a bridge's own view of a port (AF_BRIDGE) and short messages are not links", () => {
    expect(decodeLink(messageFrom(PORT.replace('00000100 03000000', '07000100 03000000')))).toBeUndefined();
    expect(decodeLink(messageFrom('18000000 10000000 00000000 00000000 00000100 03000000'))).toBeUndefined();
    expect(decodeLink(messageFrom(PORT.replace('07000300', 'ff000300')))).toBeUndefined();
  });

  test('the request for all', () => {
    const writer = new NetlinkWriter();
    writeLinkDump(writer);
    writeAddressDump(writer);
    expect(hexOf(writer.finished())).toBe(
      '20000000 12000103 00000000 00000000 00000000 00000000 00000000 00000000 ' +
        '18000000 16000103 00000000 00000000 00000000 00000000',
    );
  });
});

describe('addresses', () => {
  test('ip addr add 192.168.0.8/32 dev v0', () => {
    const hex = `4c000000 14000000 0330016b 95320000 02208000 03000000 08000100 c0a80008 08000200 c0a80008 07000300 76300000
      08000800 80000000 14000600 ffffffff ffffffff aeb70800 aeb70800`;
    expect(decodeInterfaceAddress(messageFrom(hex))).toEqual({
      ifindex: 3,
      address: address('192.168.0.8'),
      length: 32,
      scope: 0,
      flags: 0x80,
    });
  });

  test('on a point-to-point link ours is IFA_LOCAL', () => {
    const hex = '28000000 14000000 00000000 00000000 02208000 03000000 08000100 0a000002 08000200 0a000001';
    expect(decodeInterfaceAddress(messageFrom(hex))?.address).toEqual(address('10.0.0.1'));
  });
});

test('ip neigh add 192.168.0.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent', () => {
  const hex = `4c000000 1c000000 00000000 94320000 02000000 03000000 80000001 08000100 c0a80009 0a000200 02000000 00090000
    08000400 00000000 14000300 00000000 00000000 00000000 01000000`;
  expect(decodeNeighbour(messageFrom(hex))).toEqual({
    ifindex: 3,
    address: address('192.168.0.9'),
    lladdr: '02:00:00:00:00:09',
    state: 0x80,
  });
});

describe('rules', () => {
  const RULE: Rule = {
    version: 4,
    priority: 500,
    table: 1000,
    protocol: 0,
    source: prefix('10.0.0.0/8'),
    mark: { value: 0x10, mask: 0xff },
    inputDevice: 'v0',
  };

  test('ip rule add from 10.0.0.0/8 fwmark 0x10/0xff iif v0 lookup 1000 priority 500', () => {
    const hex = `5c000000 20000000 0330016b 93320000 02000800 fc000001 00000000 08000f00 e8030000 08000e00 ffffffff 05001500
      00000000 07000300 76300000 08000600 f4010000 08000a00 10000000 08001000 ff000000 08000200 0a000000`;
    expect(decodeRule(messageFrom(hex))).toEqual(RULE);
  });

  test('what is written is read back the same', () => {
    const six: Rule = {
      version: 6,
      priority: 1,
      table: 254,
      protocol: 186,
      destination: prefix('2001:db8::/32'),
      outputDevice: 'w0',
    };
    for (const rule of [RULE, six]) {
      const writer = new NetlinkWriter();
      writeRule(writer, 'create', rule);
      expect(decodeRule(messageFrom(hexOf(writer.finished())))).toEqual(rule);
    }
  });

  test('a rule that does anything but look up a table is none of ours', () => {
    expect(decodeRule(messageFrom('1c000000 20000000 00000000 00000000 02000000 00000006 00000000'))).toBeUndefined();
  });
});
