import { describe, expect, test } from '@jest/globals';
import { formatAsPath } from '../../../../src/bgp/wire/asPath.js';
import {
  formatCommunity,
  formatExtendedCommunity,
  formatLargeCommunity,
  parseCommunity,
  parseExtendedCommunity,
  parseLargeCommunity,
} from '../../../../src/bgp/wire/communityText.js';
import { decodeNlri, encodeNlri, formatNlri, nlriOf } from '../../../../src/bgp/wire/nlri.js';
import { parsePrefix } from '../../../../src/core/ip.js';
import { octets } from '../../../vectors/hex.js';

describe('communities', () => {
  test.each([
    [0xfde80001, '65000:1'],
    [0, '0:0'],
    [0xffffff01, 'no-export'],
    [0xffffff02, 'no-advertise'],
    [0xffffff03, 'no-export-subconfed'],
    [0xffffff04, 'no-peer'],
    [0xffff0000, 'graceful-shutdown'],
    [0xffff0006, 'llgr-stale'],
    [0xffff0007, 'no-llgr'],
    [0xffff029a, 'blackhole'],
    [0xffffffff, '65535:65535'],
  ])('%d is %s', (value, text) => {
    expect(formatCommunity(value)).toBe(text);
    expect(parseCommunity(text)).toEqual({ ok: true, value });
  });

  test.each(['', '65000', '65536:1', '1:65536', '1:2:3', '-1:2', 'no-exports', '1:', '0x1:2'])('"%s" is none', text => {
    expect(parseCommunity(text).ok).toBe(false);
  });

  test('large ones', () => {
    expect(formatLargeCommunity([4294967295, 0, 7])).toBe('4294967295:0:7');
    expect(parseLargeCommunity('4294967295:0:7')).toEqual({ ok: true, value: [4294967295, 0, 7] });
    for (const text of ['1:2', '1:2:4294967296', 'a:b:c']) expect(parseLargeCommunity(text).ok).toBe(false);
  });

  test.each([
    [0x0002fde900000007n, 'rt:65001:7'],
    [0x0003fde9ffffffffn, 'soo:65001:4294967295'],
    [0x01020a0000010007n, 'rt:10.0.0.1:7'],
    [0x0202fa56ea640001n, 'rt:4200000100:1'],
    [0x4302000000000000n, '0x4302000000000000'],
    [0x4002fde900000007n, '0x4002fde900000007'],
  ])('extended: %d is %s', (value, text) => {
    expect(formatExtendedCommunity(value)).toBe(text);
    expect(parseExtendedCommunity(text)).toEqual({ ok: true, value });
  });

  test.each(['rt:1', 'rt:10.0.0.1:65536', 'rt:4200000100:65536', 'xx:1:2', '0x12'])('extended: "%s" is none', text => {
    expect(parseExtendedCommunity(text).ok).toBe(false);
  });
});

test('AS paths', () => {
  expect(
    formatAsPath([
      { type: 'confedSequence', asns: [65010, 65011] },
      { type: 'confedSet', asns: [65012, 65013] },
      { type: 'sequence', asns: [65000, 4200000001] },
      { type: 'set', asns: [1, 2] },
    ]),
  ).toBe('(65010 65011) [65012,65013] 65000 4200000001 {1,2}');
  expect(formatAsPath([])).toBe('');
});

describe('prefixes', () => {
  test.each([
    ['192.0.2.0/24', 0, '18 c00002'],
    ['203.0.113.128/25', 0, '19 cb007180'],
    ['0.0.0.0/0', 0, '00'],
    ['10.0.0.1/32', 0, '20 0a000001'],
    ['2001:db8::/33', 1, '21 20010db800'],
    ['::/0', 1, '00'],
  ] as const)('%s, both ways', (text, family, wire) => {
    const prefix = parsePrefix(text);
    if (!prefix.ok) throw new Error(prefix.error);
    const nlri = nlriOf(prefix.value.address, prefix.value.length);
    expect(encodeNlri([nlri])).toEqual(octets(wire));
    const [decoded] = decodeNlri(octets(wire), 0, octets(wire).length, false);
    expect(formatNlri(decoded!, family)).toBe(text);
  });

  test('with path identifiers (RFC 7911)', () => {
    const wire = octets('00000007 08 0a 00000008 10 0a01');
    const decoded = decodeNlri(wire, 0, wire.length, true);
    expect(decoded.map(n => formatNlri(n, 0))).toEqual(['10.0.0.0/8 (path 7)', '10.1.0.0/16 (path 8)']);
    expect(encodeNlri(decoded)).toEqual(wire);
  });

  test('host bits do not matter (RFC 4271 section 4.3)', () => {
    const [decoded] = decodeNlri(octets('09 0aff'), 0, 2 + 1, false);
    expect(formatNlri(decoded!, 0)).toBe('10.128.0.0/9');
  });
});
