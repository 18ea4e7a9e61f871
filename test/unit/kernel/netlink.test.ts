/** The frame of netlink: messages, attributes, extended acknowledgements. Laid out by hand from linux/netlink.h. */

import { describe, expect, test } from '@jest/globals';
import { AttributeCursor, errnoOf, extendedAckText, MessageCursor } from '../../../src/kernel/netlink/reader.js';
import { NetlinkWriter } from '../../../src/kernel/netlink/writer.js';
import { hexOf, messageFrom } from './octets.js';

describe('MessageCursor', () => {
  const TWO = '14000000 02000001 07000000 2a000000 01020304 11000000 03000200 08000000 00000000 ff000000';
  const walk = (octets: Uint8Array): { found: number[]; malformed: boolean } => {
    const cursor = new MessageCursor(octets).over(octets.length);
    const found: number[] = [];
    while (cursor.next()) found.push(cursor.type);
    return { found, malformed: cursor.malformed };
  };

  test('walks messages, padded to four octets', () => {
    const octets = Uint8Array.from(Buffer.from(TWO.replace(/ /g, ''), 'hex'));
    const cursor = new MessageCursor(octets).over(octets.length);
    expect(cursor.next()).toBe(true);
    expect(cursor).toMatchObject({ type: 2, flags: 0x100, sequence: 7, portId: 42, start: 16, end: 20 });
    expect(cursor.next()).toBe(true);
    expect(cursor).toMatchObject({ type: 3, flags: 2, sequence: 8, start: 36, end: 37 });
    expect(cursor.next()).toBe(false);
    expect(cursor.malformed).toBe(false);
  });

  test('cut anywhere, it ends and says so', () => {
    const octets = Uint8Array.from(Buffer.from(TWO.replace(/ /g, ''), 'hex'));
    for (let cut = 1; cut < 37; cut++) {
      expect(walk(octets.slice(0, cut))).toEqual({ found: cut < 20 ? [] : [2], malformed: cut !== 20 });
    }
  });

  test('a length that would never end is malformed', () => {
    expect(walk(new Uint8Array(16))).toEqual({ found: [], malformed: true });
  });
});

test('a value shorter than what is asked of it is 0 and sets the flag for good', () => {
  const octets = Uint8Array.from([5, 0, 1, 0, 9, 0, 0, 0, 8, 0, 2, 0, 1, 0, 0, 0]);
  const cursor = new AttributeCursor().over(new DataView(octets.buffer), 0, octets.length);
  expect(cursor.next()).toBe(true);
  expect(cursor.u8()).toBe(9);
  expect(cursor.malformed).toBe(false);
  expect(cursor.u32()).toBe(0);
  expect(cursor.malformed).toBe(true);
  expect(cursor.next()).toBe(false);
});

test('a writer grows, and numbers in host order and addresses in network order are where they belong', () => {
  const writer = new NetlinkWriter(4);
  writer.begin(0x1234, 0x0501);
  writer.attributeText(3, 'eth0');
  const nested = writer.beginNested(9, true);
  writer.attributeOctets(1, Uint8Array.of(1, 2, 3, 4, 5));
  writer.attributeHead(2, 4);
  writer.addressWord(0xc0a80001);
  writer.endNested(nested);
  writer.end();
  expect(hexOf(writer.finished())).toBe(
    '34000000 34120105 00000000 00000000 09000300 65746830 00000000 18000980 09000100 01020304 05000000 08000200 c0a80001',
  );
});

test('text is written in UTF-8', () => {
  const [plain, other] = [new NetlinkWriter(), new NetlinkWriter()];
  plain.attributeText(3, 'veth-\u007f');
  other.attributeText(3, 'é');
  expect(hexOf(plain.finished())).toBe('0b000300 76657468 2d7f0000');
  expect(hexOf(other.finished())).toBe('07000300 c3a90000');
});

describe('NLMSG_ERROR', () => {
  const REQUEST = '3c000000 18000506 01000000 00000000';
  const TEXT = '13000100 4e6f2072 6f757465 20746f20 61740000';

  test('an acknowledgement is errno 0', () => {
    const message = messageFrom(`24000000 02000001 01000000 00000000 00000000 ${REQUEST}`);
    expect(errnoOf(message)).toBe(0);
    expect(extendedAckText(message)).toBeUndefined();
  });

  test("the kernel's text follows the request's header when the payload is capped", () => {
    const message = messageFrom(`38000000 02000003 01000000 00000000 9bffffff ${REQUEST} ${TEXT}`);
    expect(errnoOf(message)).toBe(101);
    expect(extendedAckText(message)).toBe('No route to at');
  });

  test('and the whole request when it is not', () => {
    const request = '14000000 18000506 01000000 00000000 aabbccdd';
    const message = messageFrom(`3c000000 02000002 01000000 00000000 ffffffff ${request} ${TEXT}`);
    expect(extendedAckText(message)).toBe('No route to at');
  });
});
