import { describe, expect, test } from '@jest/globals';
import { countUpdate } from '../../../../bench/load/countUpdate.js';
import { HeldPrefixes } from '../../../../bench/load/heldPrefixes.js';
import { MessageWalk } from '../../../../bench/load/messageWalk.js';
import { listedPrefixes } from '../../../../bench/workload/listedPrefixes.js';

const table = listedPrefixes('ipv4-unicast', [
  { length: 24, high: 0xc0000200, low: 0 },
  { length: 16, high: 0xac100000, low: 0 },
  { length: 0, high: 0, low: 0 },
]);
const A = '18c00002';
const B = '10ac10';
const DEFAULT = '00';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

/** The body of an UPDATE. @param attributes without length */
function update(withdrawn: string, attributes: string, nlri: string): Buffer {
  const [w, a] = [hex(withdrawn), hex(attributes)];
  const head = Buffer.alloc(2);
  head.writeUInt16BE(w.length);
  const middle = Buffer.alloc(2);
  middle.writeUInt16BE(a.length);
  return Buffer.concat([head, w, middle, a, hex(nlri)]);
}

const med = (marker: number): string => `40010100 800404000000${(0x30 + marker).toString(16)}`;

function apply(held: HeldPrefixes, body: Buffer): void {
  countUpdate(held, body, 0, body.length);
}

describe('what a counting client holds', () => {
  test('duplicates count once, changes move, withdrawals are taken off', () => {
    const held = new HeldPrefixes(table);
    apply(held, update('', med(1), A + B));
    apply(held, update('', med(1), A + A));
    expect([held.count(0), held.count(1)]).toEqual([1, 2]);
    apply(held, update('', med(2), A));
    expect([held.count(1), held.count(2)]).toEqual([1, 1]);
    apply(held, update(A + A, '', ''));
    apply(held, update(A, '', ''));
    expect([held.count(0), held.count(1), held.count(2)]).toEqual([2, 1, 0]);
  });

  test('one UPDATE may withdraw and announce; the announcement of the same prefix stands', () => {
    const held = new HeldPrefixes(table);
    apply(held, update(B, med(1), B + DEFAULT));
    expect(held.count(1)).toBe(2);
  });

  test('prefixes that are not in the table are strangers and change no count', () => {
    const held = new HeldPrefixes(table);
    apply(held, update('', med(1), '18c00003 17c00002'));
    expect([held.strangers, held.count(0)]).toEqual([2, 3]);
  });

  test('an attribute with an extended length before MED is stepped over', () => {
    const held = new HeldPrefixes(table);
    apply(held, update('', `5002 0006 0201 0000fde9 80040400000034`, A));
    expect(held.count(4)).toBe(1);
  });

  test('MP_REACH_NLRI and MP_UNREACH_NLRI, before or after MED', () => {
    const six = listedPrefixes('ipv6-unicast', [{ length: 48, high: 0x20010db8, low: 0x00010000 }]);
    const reach = '900e 001c 0002 01 10 20010db8000000000000000000000001 00 30 20010db80001'.replace(' 001c', ' 001c');
    for (const attributes of [`${reach} ${med(1)}`, `${med(1)} ${reach}`]) {
      const held = new HeldPrefixes(six);
      apply(held, update('', attributes, ''));
      expect(held.count(1)).toBe(1);
      apply(held, update('', '800f 0a 0002 01 30 20010db80001', ''));
      expect(held.count(0)).toBe(1);
    }
  });

  test('End-of-RIB changes nothing', () => {
    const held = new HeldPrefixes(table);
    apply(held, update('', '', ''));
    expect(held.count(0)).toBe(3);
  });

  test.each([
    ['withdrawn routes', '0009 18'],
    ['attributes', '0000 0010 40'],
  ])('%s that run past the end are an error', (_what, body) => {
    expect(() => apply(new HeldPrefixes(table), hex(body))).toThrow(/past/);
  });
});

describe('messages in a stream', () => {
  const message = (body: Buffer, type = 2): Buffer => {
    const header = Buffer.alloc(19, 0xff);
    header.writeUInt16BE(19 + body.length, 16);
    header[18] = type;
    return Buffer.concat([header, body]);
  };
  const stream = Buffer.concat([
    message(Buffer.alloc(0), 4),
    message(update('', med(1), A)),
    message(Buffer.alloc(4000, 7)),
    message(Buffer.alloc(0), 4),
  ]);
  const expected = [
    [4, ''],
    [2, update('', med(1), A).toString('hex')],
    [2, '07'.repeat(4000)],
    [4, ''],
  ];

  test.each([1, 2, 18, 19, 20, 100, 4096, 100_000])('are the same when read %d octets at a time', size => {
    const seen: [number, string][] = [];
    const walk = new MessageWalk((type, octets, start, end) =>
      seen.push([type, Buffer.from(octets.subarray(start, end)).toString('hex')]),
    );
    // One buffer for all reads, as the sessions have it: what is kept must be a copy.
    const buffer = Buffer.alloc(size);
    for (let at = 0; at < stream.length; at += size) {
      const length = stream.copy(buffer, 0, at, at + size);
      walk.push(buffer, length);
    }
    expect(seen).toEqual(expected);
  });

  test('octets that are no header are an error', () => {
    const walk = new MessageWalk(() => undefined);
    expect(() => walk.push(Buffer.alloc(19), 19)).toThrow(/header/);
  });
});
