/**
 * Tunnel devices, their neighbours and GUE ports as octets. Requests of iproute2 6.1 (taken with strace; the kernel answers
 * in the same form) must be read as what they ask for; what we write must be read as what was meant, and stand as it did
 * when the kernel first took it.
 */

import { describe, expect, test } from '@jest/globals';
import { decodeFouPort, writeFouDump, writeFouPort } from '../../../src/kernel/fou.js';
import { decodeFamilyId, writeFamilyRequest } from '../../../src/kernel/netlink/generic.js';
import {
  decodeNeighbour,
  decodeVxlanForwarding,
  writeForwardingDump,
  writeNeighbour,
  writeVxlanForwarding,
} from '../../../src/kernel/neighbours.js';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.js';
import {
  decodeTunnelDevice,
  isChangeable,
  writeLinkDelete,
  writeNewTunnel,
  writeNoAutomaticAddresses,
  writeTunnelLink,
  writeTunnelParameters,
  type Tunnel,
} from '../../../src/kernel/tunnels.js';
import { address } from '../fib/routeText.js';
import { hexOf, messageFrom } from './octets.js';

const IPIP: Tunnel = { kind: 'ipip', local: address('10.1.0.10'), gue: null };
const IPIP_GUE: Tunnel = { kind: 'ipip', local: address('10.1.0.10'), gue: 5555 };
const IP6TNL: Tunnel = {
  kind: 'ip6tnl',
  local: address('2001:db8:1::10'),
  remote: address('2001:db8:2::20'),
  gue: null,
};
const VXLAN: Tunnel = {
  kind: 'vxlan',
  vni: 186,
  port: 4789,
  local: address('10.1.0.10'),
  lladdr: '02:50:0a:01:00:0a',
};

function written(write: (writer: NetlinkWriter) => void): string {
  const writer = new NetlinkWriter();
  write(writer);
  return hexOf(writer.finished());
}

describe('requests of iproute2', () => {
  const HEAD = '94000000 10000506 00000000 00000000 00000000 00000000 00000000 00000000 09000300 70676934 00000000';
  const IPIP_DATA = (type: string, port: string): string =>
    `68001200 08000100 69706970 5c000200 05000900 00000000 08000200 0a01000a 05000a00 01000000 05000500 00000000
     05000400 40000000 08000100 00000000 08001400 00000000 06000f00 ${type} 06001000 00000000 06001100 00000000 06001200 ${port}`;

  test('ip link add pgi4 type ipip local 10.1.0.10 ttl 64 pmtudisc', () => {
    const device = decodeTunnelDevice(messageFrom(`${HEAD} ${IPIP_DATA('00000000', '00000000')}`));
    expect(device).toEqual({ ifindex: 0, name: 'pgi4', alias: '', mtu: 0, up: false, tunnel: IPIP });
  });

  test('… encap gue encap-sport auto encap-dport 5555', () => {
    expect(decodeTunnelDevice(messageFrom(`${HEAD} ${IPIP_DATA('02000000', '15b30000')}`))?.tunnel).toEqual(IPIP_GUE);
  });

  test('… remote 10.2.0.20 is a device of another kind than ours', () => {
    const data = IPIP_DATA('00000000', '00000000').replace('05000a00', '08000300 0a020014 05000a00');
    const hex = `${HEAD} ${data}`
      .replace('94000000', '9c000000')
      .replace('68001200', '70001200')
      .replace('5c000200', '64000200');
    expect(decodeTunnelDevice(messageFrom(hex))).toMatchObject({ name: 'pgi4', tunnel: undefined });
  });

  test('ip link add pgi6-a type ip6tnl mode any local … remote … hoplimit 64 encaplimit none', () => {
    const hex = `c0000000 10000506 00000000 00000000 00000000 00000000 00000000 00000000 0b000300 70676936 2d610000
      94001200 0a000100 69703674 6e6c0000 84000200 05000900 00000000 14000200 20010db8 00010000 00000000 00000010
      14000300 20010db8 00020000 00000000 00000020 05000400 40000000 05000600 04000000 08000700 00000000
      08000800 01000000 08000100 00000000 08001400 00000000 06000f00 00000000 06001000 02000000 06001100 00000000
      06001200 00000000`;
    expect(decodeTunnelDevice(messageFrom(hex))).toMatchObject({ name: 'pgi6-a', tunnel: IP6TNL });
  });

  test('a link that is no tunnel, and one cut short', () => {
    const plain = '28000000 10000000 00000000 00000000 00000100 03000000 43100100 00000000 07000300 76300000';
    expect(decodeTunnelDevice(messageFrom(plain))).toMatchObject({
      ifindex: 3,
      name: 'v0',
      up: true,
      tunnel: undefined,
    });
    expect(decodeTunnelDevice(messageFrom(plain.replace('07000300', 'ff000300')))).toBeUndefined();
  });
});

describe('devices', () => {
  test.each<[string, Tunnel]>([
    ['IPIP', IPIP],
    ['IPIP in GUE', IPIP_GUE],
    ['ip6tnl', IP6TNL],
    ['ip6tnl in GUE', { ...IP6TNL, gue: 5555 }],
    ['VXLAN', VXLAN],
    ['VXLAN over IPv6', { ...VXLAN, local: address('2001:db8:1::10') }],
  ])('%s is read as it is written', (_name, tunnel) => {
    const device = { name: 'pg-test', alias: 'peerage overlay: to all nodes', mtu: 1430, up: true, tunnel };
    // It is made down, and set up when it is ready.
    expect(decodeTunnelDevice(messageFrom(written(writer => writeNewTunnel(writer, device))))).toEqual({
      ...device,
      ifindex: 0,
      up: false,
    });
    const link = decodeTunnelDevice(messageFrom(written(writer => writeTunnelLink(writer, device))));
    expect(link).toEqual({ ...device, ifindex: 0, tunnel: undefined });
  });

  test('ip6tnl has no encapsulation limit option, takes IPv4 too, and sums where UDP over IPv6 must', () => {
    const hex = (gue: number | null): string =>
      written(writer =>
        writeTunnelParameters(writer, {
          name: 'pgi6',
          alias: '',
          mtu: 1448,
          up: true,
          tunnel: { ...IP6TNL, gue },
        }),
      );
    const local = '14000200 20010db8 00010000 00000000 00000010';
    const remote = '14000300 20010db8 00020000 00000000 00000020';
    const rest = '08000800 01000000 05000900 00000000 05000400 40000000';
    expect(hex(null)).toContain(
      `${local} ${remote} ${rest} 06000f00 00000000 06001000 00000000 06001100 00000000 06001200 00000000`,
    );
    expect(hex(5555)).toContain(`${rest} 06000f00 02000000 06001000 02000000 06001100 00000000 06001200 15b30000`);
  });

  test('VXLAN is told its port once only: the kernel refuses to be told again', () => {
    const device = { name: 'pgx4', alias: '', mtu: 1450, up: true, tunnel: VXLAN };
    expect(written(writer => writeNewTunnel(writer, device))).toContain('06000f00 12b50000');
    expect(written(writer => writeTunnelParameters(writer, device))).toBe(
      '50000000 10000100 00000000 00000000 00000000 00000000 00000000 00000000 09000300 70677834 00000000 ' +
        '24001280 0a000100 76786c61 6e000000 14000280 08000100 ba000000 08000400 0a01000a',
    );
  });

  test('what can be changed in place', () => {
    expect(isChangeable(IPIP, IPIP_GUE)).toBe(true);
    expect(isChangeable(VXLAN, { ...VXLAN, local: address('10.1.0.11') })).toBe(true);
    expect(isChangeable(VXLAN, { ...VXLAN, vni: 187 })).toBe(false);
    expect(isChangeable(VXLAN, { ...VXLAN, port: 8472 })).toBe(false);
    expect(isChangeable(VXLAN, { ...VXLAN, local: address('2001:db8::1') })).toBe(false);
    expect(isChangeable(IPIP, IP6TNL)).toBe(false);
    expect(isChangeable(undefined, IPIP)).toBe(false);
  });

  test('no automatic addresses, and deletion by name', () => {
    expect(written(writer => writeNoAutomaticAddresses(writer, 'pgi4'))).toBe(
      '3c000000 10000100 00000000 00000000 00000000 00000000 00000000 00000000 09000300 70676934 00000000 ' +
        '10001a80 0c000a80 05000800 01000000',
    );
    expect(written(writer => writeLinkDelete(writer, 'pgi4'))).toBe(
      '2c000000 11000100 00000000 00000000 00000000 00000000 00000000 00000000 09000300 70676934 00000000',
    );
  });
});

describe('who is behind a device', () => {
  const lladdr = '02:50:0a:02:00:14';

  test('a neighbour is permanent, and read as it is written', () => {
    for (const text of ['10.2.0.20', 'fe80::1']) {
      const neighbour = { ifindex: 7, address: address(text), lladdr };
      const hex = written(writer => writeNeighbour(writer, 'set', neighbour));
      expect(decodeNeighbour(messageFrom(hex))).toEqual({ ...neighbour, state: 0x80 });
    }
    expect(
      written(writer => writeNeighbour(writer, 'delete', { ifindex: 7, address: address('10.2.0.20'), lladdr })),
    ).toBe('24000000 1d000100 00000000 00000000 02000000 07000000 00000000 08000100 0a020014');
  });

  test('a forwarding entry: bridge fdb replace 02:50:0a:02:00:14 dev … dst 10.2.0.20 self permanent', () => {
    const entry = { ifindex: 7, lladdr, remote: address('10.2.0.20') };
    const hex = written(writer => writeVxlanForwarding(writer, 'set', entry));
    expect(hex).toBe(
      '30000000 1c000105 00000000 00000000 07000000 07000000 80000200 0a000200 02500a02 00140000 08000100 0a020014',
    );
    expect(decodeVxlanForwarding(messageFrom(hex))).toEqual(entry);
    const six = { ...entry, remote: address('2001:db8:2::20') };
    expect(decodeVxlanForwarding(messageFrom(written(writer => writeVxlanForwarding(writer, 'delete', six))))).toEqual(
      six,
    );
    expect(
      decodeVxlanForwarding(
        messageFrom(written(writer => writeNeighbour(writer, 'set', { ...entry, address: entry.remote }))),
      ),
    ).toBeUndefined();
    expect(written(writer => writeForwardingDump(writer))).toBe(
      '1c000000 1e000103 00000000 00000000 07000000 00000000 00000000',
    );
  });
});

describe('GUE ports', () => {
  test('ip fou add port 5555 gue: first the family is asked for', () => {
    expect(written(writer => writeFamilyRequest(writer, 'fou'))).toBe(
      '1c000000 10000100 00000000 00000000 03010000 08000200 666f7500',
    );
    const answer = '24000000 10000000 00000000 00000000 01020000 06000100 1d000000 08000200 666f7500';
    expect(decodeFamilyId(messageFrom(answer))).toBe(29);
  });

  test.each([
    [4, '02'],
    [6, '0a'],
  ] as const)('a port over IPv%s is read as it is opened', (version, family) => {
    const open = written(writer => writeFouPort(writer, 29, 'open', { version, port: 5555 }));
    expect(open).toBe(
      `2c000000 1d000100 00000000 00000000 01010000 06000100 15b30000 05000200 ${family}000000 05000400 02000000`,
    );
    expect(decodeFouPort(messageFrom(open))).toEqual({ version, port: 5555 });
    expect(decodeFouPort(messageFrom(open.replace('05000400 02', '05000400 01')))).toBeUndefined();
    expect(written(writer => writeFouPort(writer, 29, 'close', { version, port: 5555 }))).toBe(
      `24000000 1d000100 00000000 00000000 02010000 06000100 15b30000 05000200 ${family}000000`,
    );
    expect(written(writer => writeFouDump(writer, 29))).toBe('14000000 1d000103 00000000 00000000 03010000');
  });
});
