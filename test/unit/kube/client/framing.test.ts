import { expect, test } from '@jest/globals';
import { createFrames } from '../../../../src/kube/client/framing.js';

const lengthed = (text: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text)]);
};
const TEXTS = ['{"a":1}', 'b', '{"c":"ü"}', 'x'.repeat(5000)];

test.each([
  ['lines', 'json', Buffer.from(TEXTS.map(text => `${text}\n`).join(''))],
  ['lines with empty ones between', 'json', Buffer.from(TEXTS.map(text => `\n${text}\n\n`).join(''))],
  ['lengths', 'protobuf', Buffer.concat(TEXTS.map(lengthed))],
] as const)('%s, in parts of every size', (_, encoding, octets) => {
  for (const size of [1, 2, 3, 5, 7, 100, 1000, octets.length]) {
    const frames = createFrames(encoding);
    const found: string[] = [];
    for (let at = 0; at < octets.length; at += size)
      for (const frame of frames.push(octets.subarray(at, at + size))) found.push(frame.toString());
    expect(found).toEqual(TEXTS);
    expect(frames.isWithin).toBe(false);
  }
});

test('an event that has begun is known to be incomplete', () => {
  for (const [encoding, part] of [
    ['json', Buffer.from('{"a"')],
    ['protobuf', Buffer.from([0, 0, 0, 9, 1])],
    ['protobuf', Buffer.from([0, 0])],
  ] as const) {
    const frames = createFrames(encoding);
    expect([...frames.push(part)]).toEqual([]);
    expect(frames.isWithin).toBe(true);
  }
});

test('an absurd length is refused', () => {
  expect(() => [...createFrames('protobuf').push(Buffer.from('HTTP/1.1'))]).toThrow(/announced an event of/);
});
