import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MessageReader } from '../../../../src/bgp/session/messageReader.js';
import type { NotificationError } from '../../../../src/bgp/notification.js';
import { encodeKeepalive, encodeMessage } from '../../../../src/bgp/wire/frame.js';

interface Read {
  readonly messages: string[];
  readonly error: NotificationError | undefined;
}

/** Reads the stream in chunks of these sizes (the last one again and again), each spoilt once it was lent. */
function readIn(stream: Uint8Array, sizes: readonly number[], maxMessage = 65535): Read {
  const messages: string[] = [];
  const reader = new MessageReader((type, octets, start, end) =>
    messages.push(`${type} ${Buffer.from(octets.subarray(start, end)).toString('hex')}`),
  );
  reader.maxMessage = maxMessage;
  let at = 0;
  for (let i = 0; at < stream.length; i++) {
    const size = sizes[Math.min(i, sizes.length - 1)] ?? stream.length;
    const chunk = Uint8Array.from(stream.subarray(at, at + size));
    at += chunk.length;
    const error = reader.read(chunk);
    if (error !== undefined) return { messages, error };
    chunk.fill(0xee);
  }
  return { messages, error: undefined };
}

const anyMessage = fc.oneof(
  fc.constant(encodeKeepalive()),
  fc.uint8Array({ minLength: 4, maxLength: 300 }).map(body => encodeMessage(2, body)),
  fc.integer({ min: 4000, max: 9000 }).map(length => encodeMessage(2, new Uint8Array(length).fill(7), 65535)),
);

test('however the stream is cut, the messages are the same', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(anyMessage, { maxLength: 12 }), sizes, (messages, cuts) => {
      const stream = Buffer.concat(messages);
      expect(readIn(stream, cuts)).toEqual(readIn(stream, []));
      expect(readIn(stream, []).messages).toHaveLength(messages.length);
    }),
    { numRuns: 200 },
  );
});

test('octet by octet finds the same error in the same place', () => {
  const stream = Buffer.concat([encodeKeepalive(), encodeMessage(2, new Uint8Array(5)), Buffer.alloc(30, 0xff)]);
  const whole = readIn(stream, []);
  const single = readIn(stream, [1]);
  expect(whole.messages).toHaveLength(2);
  expect(single.messages).toEqual(whole.messages);
  expect([whole.error?.code, single.error?.code]).toEqual([1, 1]);
  expect(single.error?.subcode).toBe(whole.error?.subcode);
});

test('a message longer than negotiated is refused as soon as its header is there', () => {
  const long = encodeMessage(2, new Uint8Array(5000), 65535);
  expect(readIn(long.subarray(0, 19), [], 4096).error).toMatchObject({ code: 1, subcode: 2 });
  expect(readIn(long, [1000], 65535).error).toBeUndefined();
});

test('whole messages are lent where they lie, without a copy', () => {
  const chunk = Buffer.concat([
    encodeMessage(2, new Uint8Array(8).fill(1)),
    encodeMessage(2, new Uint8Array(8).fill(2)),
  ]);
  const seen: Uint8Array[] = [];
  const reader = new MessageReader((_type, octets) => seen.push(octets));
  reader.read(chunk);
  expect(seen.every(octets => octets === chunk)).toBe(true);
});

test('after stop nothing is delivered, not even from the same chunk', () => {
  let count = 0;
  const reader = new MessageReader(() => {
    count++;
    reader.stop();
  });
  reader.read(Buffer.concat([encodeKeepalive(), encodeKeepalive()]));
  reader.read(encodeKeepalive());
  expect(count).toBe(1);
});

test('a larger maximum counts from the next message on', () => {
  const types: number[] = [];
  const reader = new MessageReader(type => {
    types.push(type);
    reader.maxMessage = 65535;
  });
  const error = reader.read(Buffer.concat([encodeKeepalive(), encodeMessage(2, new Uint8Array(9000), 65535)]));
  expect([types, error]).toEqual([[4, 2], undefined]);
});
