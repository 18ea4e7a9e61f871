import { describe, expect, test } from '@jest/globals';
import { NotificationError } from '../../../../src/bgp/notification.js';
import { encodeKeepalive, encodeMessage, Frame, nextFrame } from '../../../../src/bgp/wire/frame.js';
import { BIRD_IPV4_UPDATE, BIRD_OPEN, END_OF_RIB_IPV4, KEEPALIVE } from '../../../vectors/captures.js';
import { hex, join, message, octets } from '../../../vectors/hex.js';

const MARKER = 'ff'.repeat(16);

function frameOf(source: Uint8Array, max = 4096, start = 0): [ReturnType<typeof nextFrame>, Frame] {
  const frame = new Frame();
  return [nextFrame(source, start, source.length, max, frame), frame];
}

test('a stream falls apart into its messages, by offsets', () => {
  const stream = join(octets('0102'), message(BIRD_OPEN), message(KEEPALIVE), message(BIRD_IPV4_UPDATE));
  const frame = new Frame();
  const types: number[] = [];
  let at = 2;
  while (nextFrame(stream, at, stream.length, 4096, frame) === 'message') {
    types.push(frame.type);
    expect(frame.bodyStart).toBe(at + 19);
    at = frame.bodyEnd;
  }
  expect(types).toEqual([1, 4, 2]);
  expect(at).toBe(stream.length);
});

test('a message cut anywhere is incomplete, and says how much it needs', () => {
  const whole = message(BIRD_IPV4_UPDATE);
  for (let end = 0; end < whole.length; end++) {
    const [result, frame] = frameOf(whole.slice(0, end));
    expect(result).toBe('incomplete');
    expect(frame.needed).toBe(end < 19 ? 19 : whole.length);
  }
  expect(frameOf(whole)[0]).toBe('message');
});

describe('header errors of RFC 4271 section 6.1', () => {
  test.each([
    ['marker with a zero, seen at once', '00', 4096, 1, ''],
    ['marker with one wrong bit', `${'ff'.repeat(15)}fe 0013 04`, 4096, 1, ''],
    ['length 18', `${MARKER} 0012 04`, 4096, 2, '0012'],
    ['length 0', `${MARKER} 0000 04`, 4096, 2, '0000'],
    ['length 4097', `${MARKER} 1001 02`, 4096, 2, '1001'],
    ['length 65535 without RFC 8654', `${MARKER} ffff 02`, 4096, 2, 'ffff'],
    ['type 0', `${MARKER} 0013 00`, 4096, 3, '00'],
    ['type 6', `${MARKER} 0013 06`, 4096, 3, '06'],
    ['type 255', `${MARKER} 0013 ff`, 4096, 3, 'ff'],
    ['OPEN of 28 octets', `${MARKER} 001c 01`, 4096, 2, '001c'],
    ['UPDATE of 22 octets', `${MARKER} 0016 02`, 4096, 2, '0016'],
    ['NOTIFICATION of 20 octets', `${MARKER} 0014 03`, 4096, 2, '0014'],
    ['KEEPALIVE of 20 octets', `${MARKER} 0014 04`, 4096, 2, '0014'],
    ['ROUTE-REFRESH of 22 octets', `${MARKER} 0016 05`, 4096, 2, '0016'],
    ['OPEN of 4097 octets in spite of RFC 8654', `${MARKER} 1001 01`, 65535, 2, '1001'],
    ['KEEPALIVE of 4097 octets in spite of RFC 8654', `${MARKER} 1001 04`, 65535, 2, '1001'],
  ])('%s', (_name, source, max, subcode, data) => {
    const [error] = frameOf(octets(source), max);
    expect(error).toBeInstanceOf(NotificationError);
    if (!(error instanceof NotificationError)) return;
    expect([error.code, error.subcode, hex(error.data)]).toEqual([1, subcode, data]);
  });
});

test('UPDATEs may be as long as was negotiated (RFC 8654)', () => {
  const long = encodeMessage(2, new Uint8Array(65535 - 19), 65535);
  expect(frameOf(long, 65535)[0]).toBe('message');
  expect(frameOf(long.slice(0, 100), 65535)[1].needed).toBe(65535);
  expect(() => encodeMessage(2, new Uint8Array(4096))).toThrow(RangeError);
});

test('KEEPALIVE is the header alone', () => {
  expect(hex(encodeKeepalive())).toBe(hex(message(KEEPALIVE)));
});

test('an empty UPDATE is the shortest of all', () => {
  const [result, frame] = frameOf(message(END_OF_RIB_IPV4));
  expect([result, frame.type, frame.bodyEnd - frame.bodyStart]).toEqual(['message', 2, 4]);
});
