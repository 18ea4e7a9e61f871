import { expect, test } from '@jest/globals';
import { decode, each, message, WireError } from '../../../../src/kube/protobuf/reader.js';
import { createWords } from '../../../../src/kube/protobuf/words.js';

const inner = message({ n: [1, 'number'] });
const outer = message({
  text: [1, 'text'],
  list: [2, each('word')],
  inner: [3, inner],
  flag: [4, 'boolean'],
  labels: [5, 'map'],
  at: [6, 'time'],
  port: [7, 'intOrString'],
  many: [200, each(inner)],
});

const read = (hex: string) => decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'), outer);

test.each<[title: string, hex: string, value: object]>([
  ['nothing', '', {}],
  ['a text', '0a 02 6869', { text: 'hi' }],
  ['a text that is not ASCII', '0a 02 c3bc', { text: 'ü' }],
  ['an empty text is left out', '0a 00', {}],
  ['an empty text in a list stays', '12 00 12 01 61', { list: ['', 'a'] }],
  ['a message within', '1a 03 08 ac02', { inner: { n: 300 } }],
  ['an empty message within', '1a 00', { inner: {} }],
  ['yes and no', '20 01', { flag: true }],
  ['no is said', '20 00', { flag: false }],
  ['a map', '2a 06 0a01 61 1201 62 2a 03 0a01 63', { labels: { a: 'b', c: '' } }],
  ['a time', '32 06 08 80 92 b8 c3 06', { at: '2025-07-09T06:15:28Z' }],
  ['the zero time is left out', '32 00', {}],
  ['a time of no calendar is left out', '32 0b 08 ff ff ff ff ff ff ff ff ff 01', {}],
  ['a number', '3a 06 08 00 10 50 1a 00', { port: 80 }],
  ['a name', '3a 07 08 01 10 00 1a 01 61', { port: 'a' }],
  ['a field number of two octets', 'c2 0c 02 08 07 c2 0c 00', { many: [{ n: 7 }, {}] }],
  ['unknown fields of every wire type', '48 ff01 51 0102030405060708 5a 03 616263 65 01020304 20 01', { flag: true }],
])('%s', (_, hex, value) => {
  expect(read(hex)).toEqual(value);
});

test.each<[title: string, hex: string]>([
  ['a text that ends too early', '0a 05 61'],
  ['a number that ends too early', '20 80'],
  ['a number of eleven octets', '20 ff ff ff ff ff ff ff ff ff ff 01'],
  ['a number where a text belongs', '08 01'],
  ['a text where a number belongs', '22 01 61'],
  ['a field that reaches beyond its message', '1a 01 08 05'],
  ['a map entry whose value reaches beyond it', '2a 03 0a 05 61 62 63'],
  ['a group', '4b'],
  ['an unknown field that ends too early', '51 01'],
])('%s is refused', (_, hex) => {
  expect(() => read(hex)).toThrow(WireError);
});

test('words are right whatever was read before, also in one slot', () => {
  const words = createWords();
  const texts = Array.from({ length: 50_000 }, (_, i) => `node-${i % 30_000}`).concat('', 'ü', 'x'.repeat(200));
  for (const text of texts) {
    const octets = Buffer.from(`(${text})`);
    expect(words.read(octets, 1, octets.length - 1)).toBe(text);
  }
});
