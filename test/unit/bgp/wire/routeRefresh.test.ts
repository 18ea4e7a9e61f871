import { expect, test } from '@jest/globals';
import { decodeRouteRefresh, encodeRouteRefresh } from '../../../../src/bgp/wire/routeRefresh.js';
import { hex, message, octets } from '../../../vectors/hex.js';

// RFC 2918 section 3 and RFC 7313 section 3.2: AFI, subtype, SAFI.
test.each([
  [0, 'request', '001705 0001 00 01', 1],
  [1, 'request', '001705 0002 00 01', 2],
  [0, 'begin', '001705 0001 01 01', 1],
  [1, 'end', '001705 0002 02 01', 2],
] as const)('family %d, %s, both ways', (family, subtype, whole, afi) => {
  const expected = message(whole);
  expect(hex(encodeRouteRefresh(family, subtype))).toBe(hex(expected));
  expect(decodeRouteRefresh(expected, 19, expected.length)).toEqual({ ok: true, value: { afi, safi: 1, subtype } });
});

test('another subtype is unknown, and to be ignored (RFC 7313 section 5)', () => {
  expect(decodeRouteRefresh(octets('0001 07 01'), 0, 4)).toEqual({
    ok: true,
    value: { afi: 1, safi: 1, subtype: 'unknown' },
  });
});

test.each([
  ['begin, one octet too long', '0001 01 01 00'],
  ['end, one octet too long', '0001 02 01 00'],
  ['three octets', '0001 00'],
])('%s: error 7/1 with the whole message (RFC 7313 section 5)', (_name, body) => {
  const source = octets(body);
  const result = decodeRouteRefresh(source, 0, source.length);
  expect(result).toMatchObject({ ok: false, error: { code: 7, subcode: 1 } });
  const length = (19 + source.length).toString(16).padStart(4, '0');
  expect(result.ok ? '' : hex(result.error.data)).toBe(hex(message(`${length}05${body}`)));
});

test('a request with filters (RFC 5291) is a request', () => {
  expect(decodeRouteRefresh(octets('0001 00 01 01 40 0000'), 0, 8)).toMatchObject({
    ok: true,
    value: { subtype: 'request' },
  });
});
