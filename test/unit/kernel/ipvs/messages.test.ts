import { describe, expect, test } from '@jest/globals';
import { parseAddress, type IpAddress } from '../../../../src/core/ip.js';
import * as message from '../../../../src/kernel/ipvs/messages.js';
import { MessageCursor } from '../../../../src/kernel/netlink/reader.js';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.js';

const FAMILY = 0x20;

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function composed(write: (writer: NetlinkWriter) => void): string {
  const writer = new NetlinkWriter(64);
  write(writer);
  return Buffer.from(writer.finished()).toString('hex');
}

/** Octets as they stand on a little-endian host's wire; spaces are for the reader. */
function hex(...lines: readonly string[]): string {
  return lines.join('').replaceAll(' ', '');
}

function received(text: string): MessageCursor {
  const octets = Uint8Array.from(Buffer.from(text, 'hex'));
  const cursor = new MessageCursor(octets).over(octets.length);
  if (!cursor.next()) throw new Error('no message');
  return cursor;
}

const WEB = { address: address('10.96.0.1'), protocol: 6, port: 80 };
const WEB_ID = hex(
  '06000100 02000000', // family
  '06000200 06000000', // protocol
  '14000300 0a600001 00000000 00000000 00000000',
  '06000400 00500000', // port
);
const SIX = { address: address('fd96::1'), protocol: 132, port: 5000 };

describe('messages to the kernel', () => {
  test('a virtual server with affinity', () => {
    const server = { ...WEB, scheduler: 'rr', flags: 1, timeout: 10800 };
    const expected = hex(
      '68000000 2000 0100 00000000 00000000 01010000', // 104 octets: header and IPVS_CMD_NEW_SERVICE
      '54000180',
      WEB_ID,
      '07000600 72720000',
      '0c000700 01000000 ffffffff',
      '08000800 302a0000',
      '08000900 ffffffff',
    );
    expect(composed(writer => message.writeServer(writer, FAMILY, 'add', server))).toBe(expected);
  });

  test('IPv6 says how long the part of a client address is that counts', () => {
    const server = { ...SIX, scheduler: 'mh', flags: 0x18, timeout: 0 };
    const text = composed(writer => message.writeServer(writer, FAMILY, 'change', server));
    expect(text.slice(32, 40)).toBe('02010000');
    expect(text.slice(48)).toBe(
      hex(
        '06000100 0a000000 06000200 84000000 14000300 fd960000000000000000000000000001 06000400 13880000',
        '07000600 6d680000 0c000700 18000000 ffffffff 08000800 00000000 08000900 80000000',
      ),
    );
  });

  test('removing a virtual server names it and nothing else', () => {
    expect(composed(writer => message.writeServerRemoval(writer, FAMILY, WEB))).toBe(
      hex('44000000 2000 0100 00000000 00000000 03010000 30000180', WEB_ID),
    );
  });

  test('a destination', () => {
    const destination = { address: address('10.244.1.2'), port: 8080, weight: 3, method: 2 };
    const id = hex('14000100 0af40102 00000000 00000000 00000000 06000200 1f900000 06000b00 02000000');
    expect(composed(writer => message.writeDestination(writer, FAMILY, 'add', WEB, destination))).toBe(
      hex(
        '8c000000 2000 0100 00000000 00000000 05010000 30000180',
        WEB_ID,
        '48000280',
        id,
        '08000300 02000000 08000400 03000000 08000500 00000000 08000600 00000000',
      ),
    );
    expect(composed(writer => message.writeDestinationRemoval(writer, FAMILY, WEB, destination))).toBe(
      hex('6c000000 2000 0100 00000000 00000000 07010000 30000180', WEB_ID, '28000280', id),
    );
  });

  test('timeouts', () => {
    expect(composed(writer => message.writeTimeouts(writer, FAMILY, { tcp: 900, tcpFin: 0, udp: 300 }))).toBe(
      hex('2c000000 2000 0100 00000000 00000000 0c010000 08000400 84030000 08000500 00000000 08000600 2c010000'),
    );
  });

  test('dumps', () => {
    expect(composed(writer => message.writeServerDump(writer, FAMILY))).toBe(
      hex('14000000 2000 0103 00000000 00000000 04010000'),
    );
    expect(composed(writer => message.writeDestinationDump(writer, FAMILY, WEB))).toBe(
      hex('44000000 2000 0103 00000000 00000000 08010000 30000180', WEB_ID),
    );
  });
});

describe('messages of the kernel', () => {
  test.each([WEB, SIX])('a virtual server of %j comes back as it went', id => {
    const server = { ...id, scheduler: 'wlc', flags: 0x29, timeout: 60 };
    const text = composed(writer => message.writeServer(writer, FAMILY, 'add', server));
    const counters = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n };
    expect(message.decodeServer(received(text))).toEqual({ ...server, counters });
  });

  test('flags that the kernel keeps for itself are left out', () => {
    const server = { ...WEB, scheduler: 'rr', flags: 0x3, timeout: 60 };
    const text = composed(writer => message.writeServer(writer, FAMILY, 'add', server));
    expect(message.decodeServer(received(text))?.flags).toBe(1);
  });

  test('a destination with its connections and counters', () => {
    const text = hex(
      '8c000000 2000 0200 00000000 00000000 05010000 78000280',
      '14000100 0af40102 00000000 00000000 00000000 06000200 1f900000',
      '08000300 00000100 08000400 01000000 08000700 02000000 08000800 07000000 08000900 01000000',
      '06000b00 02000000',
      '28000c80 0c000100 0900000000000000 0c000200 0100000001000000 0c000500 ff00000000000000',
    );
    expect(message.decodeDestination(received(text), 4)).toEqual({
      address: address('10.244.1.2'),
      port: 8080,
      weight: 1,
      method: 0,
      active: 2,
      inactive: 7,
      persistent: 1,
      counters: { connections: 9n, packetsIn: 0x1_0000_0001n, packetsOut: 0n, bytesIn: 0n, bytesOut: 255n },
    });
    expect(message.decodeDestination(received(text), 6)).toBeUndefined();
  });

  test('what is cut short, or known by a mark, is none', () => {
    const mark = hex(
      '2c000000 2000 0000 00000000 00000000 01010000 18000180 06000100 02000000 08000500 07000000 00000000',
    );
    expect(message.decodeServer(received(mark))).toBeUndefined();
    const short = hex('24000000 2000 0000 00000000 00000000 01010000 10000180 06000100 02000000 ff000300');
    expect(message.decodeServer(received(short))).toBeUndefined();
  });
});
