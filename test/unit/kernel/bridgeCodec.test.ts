/** Bridges against golden octets, put together by hand from linux/if_link.h for a little-endian machine, and tried on the kernel in test/kernel. */

import { expect, test } from '@jest/globals';
import { decodeBridge, writeLinkUp, writeNewBridge } from '../../../src/kernel/bridge.js';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.js';
import { hexOf, messageFrom } from './octets.js';

test('ip link add br0 address 0a:00:00:00:00:01 mtu 1460 type bridge; ip link set br0 alias pods', () => {
  const writer = new NetlinkWriter();
  writeNewBridge(writer, { name: 'br0', alias: 'pods', mtu: 1460 }, '0a:00:00:00:00:01');
  expect(hexOf(writer.finished()).replaceAll(' ', '')).toBe(
    [
      // Length, RTM_NEWLINK, REQUEST|EXCL|CREATE; ifinfomsg with IFF_UP.
      '4c000000 10000106 00000000 00000000 00000000 00000000 01000000 01000000',
      '08000300 62723000 08000400 b4050000 0a000100 0a000000 00010000',
      '10001280 0b000100 62726964 67650000',
      '34000000 10000100 00000000 00000000 00000000 00000000 01000000 01000000',
      '08000300 62723000 09001400 706f6473 00000000',
    ]
      .join('')
      .replaceAll(' ', ''),
  );
});

test('ip link set br0 up mtu 1400', () => {
  const writer = new NetlinkWriter();
  writeLinkUp(writer, 'br0', 1400);
  expect(hexOf(writer.finished()).replaceAll(' ', '')).toBe(
    '30000000 10000100 00000000 00000000 00000000 00000000 01000000 01000000 08000300 62723000 08000400 78050000'.replaceAll(
      ' ',
      '',
    ),
  );
});

const FOUND = `54000000 10000000 00000000 00000000 00000100 03000000 03100000 00000000 08000300 62723000 08000400 b4050000
  09001400 706f6473 00000000 10001200 0b000100 62726964 67650000 08000d00 e8030000`;

test('a bridge is read back', () => {
  expect(decodeBridge(messageFrom(FOUND))).toEqual({ ifindex: 3, name: 'br0', alias: 'pods', mtu: 1460, up: true });
  expect(decodeBridge(messageFrom(FOUND.replace('03100000', '02100000')))).toMatchObject({ up: false });
});

test.each([
  ['a link of another kind', FOUND.replace('62726964 67650000', '64756d6d 79000000')],
  ["a bridge's own view of a port", FOUND.replace('00000100 03000000', '07000100 03000000')],
  ['an attribute that is cut short', FOUND.replace('08000300', 'ff000300')],
])('%s is none', (_name, hex) => {
  expect(decodeBridge(messageFrom(hex))).toBeUndefined();
});
