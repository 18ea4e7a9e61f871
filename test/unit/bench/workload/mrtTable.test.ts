import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { mrtTable } from '../../../../bench/workload/mrtTable.js';
import { mrtRoutes } from '../../../../bench/workload/mrtRecords.js';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const u16 = (n: number): Buffer => Buffer.from([n >>> 8, n & 255]);

/** An MRT record (RFC 6396 section 2) at time 0. */
function record(type: number, subtype: number, body: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(type, 4);
  header.writeUInt16BE(subtype, 6);
  header.writeUInt32BE(body.length, 8);
  return Buffer.concat([header, body]);
}

/** ORIGIN IGP; AS_PATH 65001 with four-octet numbers; NEXT_HOP 192.0.2.1. */
const WIDE = hex('40010100 40020602010000fde9 400304c0000201');
/** The same with two-octet numbers. */
const NARROW = hex('40010100 4002040201fde9 400304c0000201');

function rib4(prefix: string, entries: readonly Buffer[]): Buffer {
  const tail = entries.map(a => Buffer.concat([hex('0000 00000000'), u16(a.length), a]));
  return record(13, 2, Buffer.concat([hex('00000000'), hex(prefix), u16(entries.length), ...tail]));
}

function bgp4mp(subtype: number, peers: string, update: string): Buffer {
  const body = hex(update);
  const message = Buffer.concat([Buffer.alloc(16, 0xff), u16(19 + body.length), Buffer.from([2]), body]);
  return record(16, subtype, Buffer.concat([hex(peers), message]));
}

const routes = (file: Buffer, family: 'ipv4-unicast' | 'ipv6-unicast' = 'ipv4-unicast') => [...mrtRoutes(file, family)];

describe('MRT files', () => {
  test('TABLE_DUMP_V2: the first entry of each prefix, other records passed over', () => {
    const peerIndex = record(13, 1, hex('00000000 0000 0000'));
    const [a, b] = routes(Buffer.concat([peerIndex, rib4('18c00002', [WIDE, NARROW]), rib4('08 0a', [])]));
    expect(a).toEqual({ length: 24, address: hex('c00002'), attributes: WIDE, twoOctetAs: false });
    expect(b).toBeUndefined();
  });

  test('TABLE_DUMP has two-octet AS numbers', () => {
    const body = Buffer.concat([hex('0000 0000 c0000200 18 01 00000000 0a000001 fde9'), u16(NARROW.length), NARROW]);
    const [route] = routes(record(12, 1, body));
    expect(route).toEqual({ length: 24, address: hex('c00002'), attributes: NARROW, twoOctetAs: true });
  });

  test('BGP4MP: announcements and withdrawals, in both widths', () => {
    const attributes = u16(NARROW.length).toString('hex') + NARROW.toString('hex');
    const narrow = bgp4mp(1, 'fde9 fde8 0000 0001 0a000001 0a000002', `0000 ${attributes} 18c00002`);
    const wide = bgp4mp(4, '0000fde9 0000fde8 0000 0001 0a000001 0a000002', '0004 18c00002 0000');
    const [announced, withdrawn] = routes(Buffer.concat([narrow, wide]));
    expect(announced).toMatchObject({ length: 24, attributes: NARROW, twoOctetAs: true });
    expect(withdrawn).toMatchObject({ length: 24, attributes: undefined, twoOctetAs: false });
  });

  test('a file cut short names the record', () => {
    const file = rib4('18c00002', [WIDE]);
    expect(() => routes(file.subarray(0, file.length - 1))).toThrow(/record at 0/);
  });
});

describe('a table from an MRT file', () => {
  const two = Buffer.concat([rib4('18c00002', [WIDE]), rib4('10ac10', [WIDE]), rib4('18c00003', [hex('40010102')])]);

  test('groups prefixes by attributes, from a gzipped file too', () => {
    const { table, grouping } = mrtTable(gzipSync(two), 'ipv4-unicast', 100);
    expect(table.size).toBe(3);
    expect([...grouping.starts]).toEqual([0, 2, 3]);
    expect(table.indexOf(16, 0xac100000, 0)).toBe(1);
    expect(table.indexOf(17, 0xac100000, 0)).toBe(-1);
  });

  test('replaces what belongs to the session and keeps the rest', () => {
    const { writer } = mrtTable(two, 'ipv4-unicast', 100);
    const octets = Buffer.alloc(100);
    const end = writer(0, 5)(octets, 0, 0, 0x0a000001);
    expect(octets.subarray(0, end)).toEqual(
      hex('40010100 40020602010000fde9 80040400000005 40050400000064 4003040a000001'),
    );
  });

  test('widens two-octet paths', () => {
    const body = Buffer.concat([hex('0000 0000 c0000200 18 01 00000000 0a000001 fde9'), u16(NARROW.length), NARROW]);
    const octets = Buffer.alloc(100);
    mrtTable(record(12, 1, body), 'ipv4-unicast', 100).writer(0, 1)(octets, 0, 0, undefined);
    expect(octets.subarray(4, 13)).toEqual(hex('400206 0201 0000fde9'));
  });

  test('withdrawn prefixes are gone, and no more are taken than asked for', () => {
    const gone = bgp4mp(4, '0000fde9 0000fde8 0000 0001 0a000001 0a000002', '0004 18c00002 0000');
    expect(mrtTable(Buffer.concat([two, gone]), 'ipv4-unicast', 100).table.size).toBe(2);
    expect(mrtTable(two, 'ipv4-unicast', 1).table.size).toBe(1);
    expect(() => mrtTable(gone, 'ipv4-unicast', 1)).toThrow(/no ipv4-unicast routes/);
  });

  test.each([
    ['AS 0 in the path', '40010100 4002060201 00000000'],
    ['a confederation segment', '40010100 4002060301 0000fde9'],
    ['a path that ends too early', '40010100 4002060202 0000fde9'],
    ['NO_ADVERTISE', '40010100 4002060201 0000fde9 c00804ffffff02'],
  ])('routes with %s are left out: no speaker would pass them on', (_what, attributes) => {
    expect(mrtTable(Buffer.concat([two, rib4('180a0000', [hex(attributes)])]), 'ipv4-unicast', 100).table.size).toBe(3);
  });
});
