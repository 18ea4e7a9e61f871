import { describe, expect, test } from '@jest/globals';
import type { ScanContext } from '../../../../src/bgp/scanContext.js';
import {
  AS_PATH,
  body,
  EBGP,
  IBGP,
  MANDATORY,
  NEXT_HOP,
  NLRI,
  ORIGIN,
  scan,
  verdictOf,
} from '../../../vectors/updates.js';
import { octets } from '../../../vectors/hex.js';

const TWO_OCTET: ScanContext = { ...EBGP, fourOctetAs: false };
const LOCAL: ScanContext = { ...EBGP, loopbackNextHops: true };
const ADD_PATH: ScanContext = { ...EBGP, addPathReceive: [true, true] };
const V6_HOP = '20010db8000000000000000000000001';

/** Attributes, what the session is, and what becomes of the UPDATE when 10.1.0.0/16 stands behind them. */
type Case = readonly [string, string, string, ScanContext?];

const W = 'treatAsWithdraw';
const D = 'discard';
const OK = 'accept';

/** One attribute added to what is mandatory. */
const plus = (attribute: string): string => MANDATORY + attribute;

function check(cases: readonly Case[]): void {
  test.each(cases)('%s: %s -> %s', (_name, attributes, verdict, context = EBGP) => {
    const result = scan(
      body(attributes.replace(/ /g, ''), context.addPathReceive[0] ? `00000001${NLRI}` : NLRI),
      context,
    );
    expect(verdictOf(result)).toBe(verdict);
    if (verdict === W) expect(result.record.nlriEnd).toBeGreaterThan(result.record.nlriStart);
    if (verdict === OK) expect(result.record.problems).toEqual([]);
  });
}

describe('lengths of the message, RFC 4271 section 6.3', () => {
  test.each([
    ['no room for the two lengths', '000000', 'reset 3/1'],
    ['nothing at all', '', 'reset 3/1'],
    ['Withdrawn Routes Length beyond the end', '0005 00 0000', 'reset 3/1'],
    ['Withdrawn Routes Length leaves no room for the next', '0003 00 00 00', 'reset 3/1'],
    ['Total Path Attribute Length beyond the end', '0000 0005 40010100', 'reset 3/1'],
    // CVE-2026-37462: the difference of two lengths must not wrap.
    ['both lengths 65535', 'ffff ffff', 'reset 3/1'],
    ['second length 65535', '0000 ffff 00', 'reset 3/1'],
  ])('%s', (_name, source, verdict) => {
    expect(verdictOf(scan(octets(source)))).toBe(verdict);
  });
});

describe('prefixes, RFC 7606 section 5.3 and 3 (i), (j)', () => {
  test.each([
    ['33 bits', body(MANDATORY, '210a00000000'), EBGP, 'reset 3/10'],
    ['255 bits', body(MANDATORY, 'ff'), EBGP, 'reset 3/10'],
    ['cut off', body(MANDATORY, '180a01'), EBGP, 'reset 3/10'],
    ['second one cut off', body(MANDATORY, '100a01 200a0102'), EBGP, 'reset 3/10'],
    ['withdrawn, 33 bits', body('', '', '210a00000000'), EBGP, 'reset 3/10'],
    ['withdrawn, cut off', body('', '', '180a01'), EBGP, 'reset 3/10'],
    ['add-path, an identifier and nothing', body(MANDATORY, '00000001'), ADD_PATH, 'reset 3/10'],
    ['add-path, cut off', body(MANDATORY, '00000001 180a01'), ADD_PATH, 'reset 3/10'],
    ['add-path, 33 bits', body(MANDATORY, '00000001 210a00000000'), ADD_PATH, 'reset 3/10'],
    ['host bits are nothing', body(MANDATORY, '09 0aff'), EBGP, OK],
    ['zero bits', body(MANDATORY, '00'), EBGP, OK],
    ['32 bits', body(MANDATORY, '20 0a000001'), EBGP, OK],
    ['add-path', body(MANDATORY, '00000001 100a01 00000002 00'), ADD_PATH, OK],
  ])('%s', (_name, source, context, verdict) => {
    expect(verdictOf(scan(source, context))).toBe(verdict);
  });
});

describe('flags, RFC 7606 section 3 (c)', () => {
  check([
    ['ORIGIN optional', `c0010100${AS_PATH}${NEXT_HOP}`, W],
    ['ORIGIN not transitive', `00010100${AS_PATH}${NEXT_HOP}`, W],
    ['AS_PATH optional', `${ORIGIN}c0020602010000fde9${NEXT_HOP}`, W],
    ['NEXT_HOP optional', `${ORIGIN}${AS_PATH}c003040a000001`, W],
    ['MULTI_EXIT_DISC transitive', plus('c0040400000001'), W],
    ['MULTI_EXIT_DISC well-known', plus('40040400000001'), W],
    ['LOCAL_PREF optional, internal', plus('c0050400000001'), W, IBGP],
    ['LOCAL_PREF optional, external: discarded before', plus('c0050400000001'), OK],
    ['ATOMIC_AGGREGATE optional', plus('c00600'), W],
    ['AGGREGATOR not transitive', plus('8007080000fde90a000001'), W],
    ['COMMUNITIES not transitive', plus('80080400010002'), W],
    ['COMMUNITIES well-known', plus('40080400010002'), W],
    ['ORIGINATOR_ID transitive, internal', plus('c009040a000001'), W, IBGP],
    ['CLUSTER_LIST transitive, internal', plus('c00a040a000001'), W, IBGP],
    ['EXTENDED_COMMUNITIES not transitive', plus('8010080002fde900000007'), W],
    ['AS4_PATH not transitive', `${ORIGIN}4002040201fde9${NEXT_HOP}8011060201000000fa`, W, TWO_OCTET],
    ['AIGP transitive (RFC 7311 section 3.2)', plus('c01a0b01000b0000000000000005'), D, IBGP],
    ['LARGE_COMMUNITY not transitive', plus(`80200c${'00000001'.repeat(3)}`), W],
    ['OTC not transitive', plus('80230400000001'), W],
    ['Partial on COMMUNITIES', plus('e0080400010002'), OK],
    ['Partial on ORIGIN is nobody’s business', `60010100${AS_PATH}${NEXT_HOP}`, OK],
    ['MP_REACH_NLRI transitive', plus(`c00e1500020110${V6_HOP}00`), `reset 3/9 c00e1500020110${V6_HOP}00`],
    ['MP_UNREACH_NLRI well-known', plus('400f03000201'), 'reset 3/9 400f03000201'],
  ]);
});

describe('what is mandatory, RFC 7606 section 3 (d)', () => {
  check([
    ['no attribute at all', '', W],
    ['no ORIGIN', AS_PATH + NEXT_HOP, W],
    ['no AS_PATH', ORIGIN + NEXT_HOP, W],
    ['no NEXT_HOP', ORIGIN + AS_PATH, W],
    ['no LOCAL_PREF, internal: the default counts', MANDATORY, OK, IBGP],
  ]);
  test('NEXT_HOP is not needed beside MP_REACH_NLRI', () => {
    const reach = `800e1600020110${V6_HOP}0000`;
    expect(verdictOf(scan(body(ORIGIN + AS_PATH + reach)))).toBe(OK);
    expect(verdictOf(scan(body(AS_PATH + reach)))).toBe(W);
    expect(verdictOf(scan(body(ORIGIN + reach), IBGP))).toBe(W);
  });
});

describe('repeated attributes, RFC 7606 section 3 (g)', () => {
  const unreach = '800f03000201';
  const reach = `800e1500020110${V6_HOP}00`;
  check([
    ['ORIGIN: the first counts', plus('40010102'), D],
    ['a second ORIGIN that is malformed', plus('400101ff'), D],
    ['an unknown one', plus('c0fe01aac0fe01bb'), D],
    ['MP_REACH_NLRI', plus(reach + reach), 'reset 3/1'],
    ['MP_UNREACH_NLRI', plus(unreach + unreach), 'reset 3/1'],
  ]);
  test('the first one is kept', () => {
    expect(scan(body(plus('c0fe01aac0fe01bb'), NLRI)).block.endsWith('e0fe01aa')).toBe(true);
    expect(scan(body(plus('40010102'), NLRI)).record.origin).toBe(0);
  });
});

describe('attribute lengths against the total, RFC 7606 section 4', () => {
  check([
    ['one octet left over', plus('40'), W],
    ['two octets left over', plus('4001'), W],
    ['three octets left over, extended', plus('d00800'), W],
    ['a value that is too long', plus('c0080400'), W],
    ['an extended value that is too long', plus('d008ffff00'), W],
  ]);
  test('nothing reachable beside it: RFC 7606 section 5.2', () => {
    expect(verdictOf(scan(body(plus('c0080400'))))).toBe('reset 3/1');
  });
});

describe('nothing reachable: every treat-as-withdraw is a reset, RFC 7606 section 5.2', () => {
  test.each([
    ['ORIGIN', '40010107', 'reset 3/6 40010107'],
    ['ORIGIN of two octets', '4001020000', 'reset 3/5 4001020000'],
    ['flags', 'c0010100', 'reset 3/4 c0010100'],
    ['AS_PATH', '4002020501', 'reset 3/11'],
    ['NEXT_HOP', '4003030a0000', 'reset 3/5 4003030a0000'],
    ['MULTI_EXIT_DISC', '80040100', 'reset 3/5 80040100'],
    ['COMMUNITIES', 'c0080100', 'reset 3/5 c0080100'],
    ['the first error names it', '40010107c0080100', 'reset 3/6 40010107'],
    ['a discarded attribute is no reason', '40060100', D],
    ['MP_REACH_NLRI without prefixes', `40010107800e1500020110${V6_HOP}00`, 'reset 3/6 40010107'],
    ['no attribute is wrong', MANDATORY, OK],
    ['only an unknown attribute', 'c0fe01aa', OK],
  ])('%s', (_name, attributes, verdict) => {
    expect(verdictOf(scan(body(attributes)))).toBe(verdict);
    expect(verdictOf(scan(body(attributes, '', '080a')))).toBe(verdict);
  });

  test('prefixes in MP_REACH_NLRI are enough to withdraw', () => {
    const reach = `800e1600020110${V6_HOP}0000`;
    const result = scan(body(`40010107${AS_PATH}${reach}`));
    expect(verdictOf(result)).toBe(W);
    expect(result.record.mpReachEnd - result.record.mpReachStart).toBe(1);
  });
});

describe('unknown attributes', () => {
  check([
    ['optional, transitive', plus('c0fe02beef'), OK],
    ['optional, not transitive', plus('80fe02beef'), OK],
    ['optional, empty', plus('c0fe00'), OK],
    ['well-known (RFC 4271 section 6.3)', plus('40fe02beef'), 'reset 3/2 40fe02beef'],
    ['well-known and not even transitive', plus('00fe00'), 'reset 3/2 00fe00'],
  ]);
});

describe('ORIGIN, RFC 7606 section 7.1', () => {
  check([
    ['value 3', `40010103${AS_PATH}${NEXT_HOP}`, W],
    ['empty', `400100${AS_PATH}${NEXT_HOP}`, W],
    ['two octets', `4001020000${AS_PATH}${NEXT_HOP}`, W],
  ]);
});

describe('AS_PATH, RFC 7606 section 7.2', () => {
  const path = (value: string): string =>
    `${ORIGIN}4002${(value.length / 2).toString(16).padStart(2, '0')}${value}${NEXT_HOP}`;
  check([
    ['segment type 0', path('00010000fde9'), W],
    ['segment type 5', path('05010000fde9'), W],
    ['segment longer than the attribute', path('02020000fde9'), W],
    ['segment of no numbers', path('02010000fde90200'), W],
    ['one octet left over', path('02010000fde902'), W],
    ['AS 0 (RFC 7607)', path('02020000fde900000000'), W],
    ['AS 0 in a set', path('02010000fde9010100000000'), W],
    ['confederation segment, external (RFC 5065 section 4)', path('03010000fde902010000fde9'), W],
    ['confederation set, external', path('02010000fde904010000fde9'), W],
    ['confederation segment, internal', path('03010000fde902010000fde9'), OK, IBGP],
    ['two-octet numbers on a four-octet session', path('0203fde900010002'), W],
    ['does not begin with the peer’s AS (RFC 4271 section 6.3)', path('02010000fdea'), W],
    ['begins with a set', path('01010000fde9'), W],
    ['empty, external', path(''), W],
    ['empty, internal', path(''), OK, IBGP],
    ['first AS is not enforced', path('02010000fdea'), OK, { ...EBGP, enforceFirstAs: false }],
    ['two octets: fine', path('0202fde90001'), OK, TWO_OCTET],
    ['two octets: AS 0', path('0202fde90000'), W, TWO_OCTET],
    ['two octets: cut off', path('0202fde900'), W, TWO_OCTET],
    ['two octets: confederation, external', path('0301fde90201fde9'), W, TWO_OCTET],
    ['two octets: first AS', path('0201fdea'), W, TWO_OCTET],
  ]);
});

describe('NEXT_HOP, RFC 7606 section 7.3', () => {
  const hop = (value: string): string =>
    `${ORIGIN}${AS_PATH}4003${(value.length / 2).toString(16).padStart(2, '0')}${value}`;
  check([
    // CVE-2026-30405: shorter than four octets.
    ['empty', hop(''), W],
    ['three octets', hop('0a0000'), W],
    ['five octets', hop('0a00000100'), W],
    ['0.0.0.0', hop('00000000'), W],
    ['multicast', hop('e0000001'), W],
    ['255.255.255.255', hop('ffffffff'), W],
    ['loopback', hop('7f000001'), W],
    ['loopback, from a speaker on this machine', hop('7f000001'), OK, LOCAL],
  ]);
  test('its value means nothing without classic prefixes (RFC 4760 section 3)', () => {
    const reach = `800e1600020110${V6_HOP}0000`;
    expect(verdictOf(scan(body(ORIGIN + AS_PATH + '40030400000000' + reach)))).toBe(OK);
    expect(verdictOf(scan(body(ORIGIN + AS_PATH + '400303000000' + reach)))).toBe(W);
  });
});

describe('attributes of fixed length, RFC 7606 sections 7.4 to 7.9', () => {
  check([
    ['MULTI_EXIT_DISC of three octets', plus('800403000000'), W],
    ['MULTI_EXIT_DISC, empty', plus('800400'), W],
    ['LOCAL_PREF of three octets, internal', plus('400503000000'), W, IBGP],
    ['LOCAL_PREF of three octets, external', plus('400503000000'), OK],
    ['ATOMIC_AGGREGATE of one octet', plus('40060100'), D],
    ['AGGREGATOR of six octets on a four-octet session', plus('c00706fde90a000001'), D],
    [
      'AGGREGATOR of eight octets on a two-octet session',
      `${ORIGIN}4002040201fde9${NEXT_HOP}c007080000fde90a000001`,
      D,
      TWO_OCTET,
    ],
    ['AGGREGATOR with AS 0 (RFC 7607)', plus('c00708000000000a000001'), D],
    ['AGGREGATOR with AS 0, two octets', `${ORIGIN}4002040201fde9${NEXT_HOP}c0070600000a000001`, D, TWO_OCTET],
    ['ORIGINATOR_ID of three octets, internal', plus('8009030a0000'), W, IBGP],
    ['ORIGINATOR_ID of three octets, external', plus('8009030a0000'), OK],
    ['OTC of three octets (RFC 9234 section 5)', plus('c02303000001'), W],
    ['OTC, empty', plus('c02300'), W],
  ]);
});

describe('lists, RFC 7606 sections 7.8, 7.10, 7.14, 7.15 and RFC 8092 section 6', () => {
  check([
    ['COMMUNITIES, empty', plus('c00800'), W],
    ['COMMUNITIES of six octets', plus('c00806000100020003'), W],
    ['CLUSTER_LIST, empty, internal', plus('800a00'), W, IBGP],
    ['CLUSTER_LIST of five octets, internal', plus('800a050a00000100'), W, IBGP],
    ['CLUSTER_LIST of five octets, external', plus('800a050a00000100'), OK],
    ['EXTENDED_COMMUNITIES, empty', plus('c01000'), W],
    ['EXTENDED_COMMUNITIES of seven octets', plus('c010070002fde9000000'), W],
    // CVE-2026-37461: shorter than one community.
    ['IPV6_EXTENDED_COMMUNITIES of nineteen octets', plus(`c01913${'00'.repeat(19)}`), W],
    ['IPV6_EXTENDED_COMMUNITIES, empty', plus('c01900'), W],
    ['IPV6_EXTENDED_COMMUNITIES', plus(`c01914${'00'.repeat(20)}`), OK],
    ['LARGE_COMMUNITY, empty', plus('c02000'), W],
    ['LARGE_COMMUNITY of eleven octets', plus(`c0200b${'00'.repeat(11)}`), W],
  ]);
});

describe('AIGP, RFC 7311 sections 3.2 and 3.3', () => {
  const aigp = (value: string): string => plus(`801a${(value.length / 2).toString(16).padStart(2, '0')}${value}`);
  check([
    ['empty, internal', aigp(''), D, IBGP],
    ['AIGP TLV of ten octets, internal', aigp('01000a00000000000000'), D, IBGP],
    ['TLV of two octets, internal', aigp('020002'), D, IBGP],
    ['TLV longer than the attribute, internal', aigp('0200ff00'), D, IBGP],
    ['half a TLV, internal', aigp('0200'), D, IBGP],
    ['no AIGP TLV, internal', aigp('02000400'), D, IBGP],
    ['behind another TLV, internal', aigp('0200040001000b0000000000000005'), OK, IBGP],
    ['anything, external', aigp('01000a00'), OK],
  ]);
});

describe('MP_REACH_NLRI and MP_UNREACH_NLRI, RFC 7606 sections 5.3, 7.11 and 7.12', () => {
  const attribute = (code: string, value: string): string =>
    `80${code}${(value.length / 2).toString(16).padStart(2, '0')}${value}`;
  const reset = (code: string, value: string): Case[1] => `reset 3/9 ${attribute(code, value)}`;
  const rows: readonly (readonly [string, string, string, ScanContext?])[] = [
    ['reach of four octets', '0e', '00020110'],
    ['reach, empty', '0e', ''],
    ['next hop longer than the attribute', '0e', '0002011000'],
    ['no reserved octet', '0e', `00020110${V6_HOP}`],
    ['IPv6 with an IPv4 next hop', '0e', '000201040a00000100'],
    ['IPv6 with no next hop', '0e', '0002010000'],
    ['IPv6 with a next hop of 24 octets', '0e', `00020118${'00'.repeat(24)}00`],
    ['IPv4 with an IPv6 next hop that was not negotiated (RFC 8950)', '0e', `00010110${V6_HOP}00100a01`],
    ['IPv6 of 129 bits', '0e', `00020110${V6_HOP}0081${'00'.repeat(17)}`],
    ['IPv6 cut off', '0e', `00020110${V6_HOP}004020010db8`],
    ['IPv4 of 33 bits', '0e', '000101040a00000100210a00000000'],
    ['unreach of two octets', '0f', '0002'],
    ['unreach, empty', '0f', ''],
    ['unreach, IPv6 of 129 bits', '0f', `00020181${'00'.repeat(17)}`],
    ['unreach, cut off', '0f', '0002014020010db8'],
    ['unreach, IPv4 of 33 bits', '0f', '000101210a00000000'],
    ['unreach, add-path, no prefix behind the identifier', '0f', '00020100000001', ADD_PATH],
    // CVE-2023-46752: families that are not ours are checked as far as they are understood.
    ['unknown family, next hop longer than the attribute', '0e', '00194620aabb'],
    ['unknown family, no reserved octet', '0e', '00194602aabb'],
  ];
  const reach = (hop: string): string => plus(attribute('0e', `00020110${hop}0000`));
  check(
    rows.map(([name, code, value, context = EBGP]): Case => [
      name,
      plus(attribute(code, value)),
      reset(code, value),
      context,
    ]),
  );
  check([
    ['next hop ::', reach('00'.repeat(16)), W],
    ['next hop ff02::1', reach(`ff02${'00'.repeat(13)}01`), W],
    ['next hop ::1', reach(`${'00'.repeat(15)}01`), W],
    ['next hop ::1, from a speaker on this machine', reach(`${'00'.repeat(15)}01`), OK, LOCAL],
    ['next hop ::2', reach(`${'00'.repeat(15)}02`), OK],
  ]);
});

describe('AS4_PATH and AS4_AGGREGATOR, RFC 6793 section 6', () => {
  const two = (attributes: string): string => `${ORIGIN}4002040201fde9${NEXT_HOP}${attributes}`;
  check([
    ['AS4_PATH, empty', two('c01100'), D, TWO_OCTET],
    ['AS4_PATH of five octets', two('c01105020100000a'), D, TWO_OCTET],
    ['AS4_PATH, segment of no numbers', two('c011020200'), D, TWO_OCTET],
    ['AS4_PATH, segment type 9', two('c0110609010000fde9'), D, TWO_OCTET],
    ['AS4_PATH with AS 0 (RFC 7607)', two('c01106020100000000'), D, TWO_OCTET],
    ['AS4_AGGREGATOR of six octets', two('c01206fde90a000001'), D, TWO_OCTET],
    ['AS4_AGGREGATOR with AS 0 (RFC 7607)', two('c01208000000000a000001'), D, TWO_OCTET],
    ['both are nothing between four-octet speakers', plus('c01100c01200'), OK],
  ]);
});

describe('the strongest verdict wins, RFC 7606 section 3 (h)', () => {
  check([
    ['discard and withdraw', plus('40060100c00800'), W],
    ['withdraw and reset', `40010107${AS_PATH}${NEXT_HOP}800f0200 02`, 'reset 3/9 800f020002'],
    ['withdraw, discard, reset', `40010107${AS_PATH}${NEXT_HOP}4006010040fe00`, 'reset 3/2 40fe00'],
  ]);
});

test('after treat-as-withdraw the whole attribute is consumed and the prefixes stand', () => {
  const { record } = scan(body(`40010107${AS_PATH}${NEXT_HOP}c00803000100`, '100a01', '080b'));
  expect(record.verdict).toBe('treatAsWithdraw');
  expect([record.nlriEnd - record.nlriStart, record.withdrawnEnd - record.withdrawnStart]).toEqual([3, 2]);
  expect(record.problems).toEqual(['ORIGIN: malformed value', 'COMMUNITIES: wrong length']);
});

test('of thousands of mistakes sixteen are told', () => {
  const { record } = scan(body(MANDATORY + 'c0fe00'.repeat(1000), NLRI));
  expect(record.problems.length).toBe(16);
});

test('an UPDATE behind another is not touched by it', () => {
  const bad = body(`40010107${AS_PATH}${NEXT_HOP}`, NLRI);
  expect(verdictOf(scan(bad))).toBe(W);
  expect(verdictOf(scan(body(MANDATORY, NLRI)))).toBe(OK);
});
