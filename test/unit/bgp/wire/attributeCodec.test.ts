import { describe, expect, test } from '@jest/globals';
import type { PathAttribute } from '../../../../src/bgp/attributes.js';
import {
  attributeCode,
  decodeAttribute,
  decodeBlock,
  encodeAttributes,
} from '../../../../src/bgp/wire/attributeCodec.js';
import { Ipv4 } from '../../../../src/core/ip.js';
import { hex, octets } from '../../../vectors/hex.js';

const FOUR = { fourOctetAs: true, ebgp: false };
const TWO = { fourOctetAs: false, ebgp: false };
const path = (...asns: number[]): PathAttribute => ({ kind: 'asPath', segments: [{ type: 'sequence', asns }] });

/** Octets written after the figure or example of the RFC named, or taken from a capture in test/vectors. */
const ATTRIBUTES: readonly (readonly [string, string, typeof FOUR, PathAttribute])[] = [
  ['ORIGIN IGP, RFC 4271', '40 01 01 00', FOUR, { kind: 'origin', origin: 'igp' }],
  ['ORIGIN EGP', '40 01 01 01', FOUR, { kind: 'origin', origin: 'egp' }],
  ['ORIGIN INCOMPLETE', '40 01 01 02', FOUR, { kind: 'origin', origin: 'incomplete' }],
  ['AS_PATH, BIRD', '40 02 06 02 01 fa56ea64', FOUR, path(4200000100)],
  ['AS_PATH, two octets, BIRD', '40 02 06 02 02 fde9 5ba0', TWO, path(65001, 23456)],
  ['AS_PATH, empty', '40 02 00', FOUR, { kind: 'asPath', segments: [] }],
  [
    'AS_PATH with all four segment types, RFC 5065',
    '40 02 20 03 01 0000fde8 04 01 0000fde9 02 02 00000001 00000002 01 02 00000003 00000004',
    FOUR,
    {
      kind: 'asPath',
      segments: [
        { type: 'confedSequence', asns: [65000] },
        { type: 'confedSet', asns: [65001] },
        { type: 'sequence', asns: [1, 2] },
        { type: 'set', asns: [3, 4] },
      ],
    },
  ],
  ['NEXT_HOP, BIRD', '40 03 04 7f000001', FOUR, { kind: 'nextHop', address: Ipv4(0x7f000001) }],
  ['MULTI_EXIT_DISC, GoBGP', '80 04 04 00000009', FOUR, { kind: 'med', med: 9 }],
  ['LOCAL_PREF', '40 05 04 ffffffff', FOUR, { kind: 'localPref', localPref: 4294967295 }],
  ['ATOMIC_AGGREGATE, FRR', '40 06 00', FOUR, { kind: 'atomicAggregate' }],
  [
    'AGGREGATOR, FRR',
    'c0 07 08 0000fdfc 0a000014',
    FOUR,
    { kind: 'aggregator', asn: 65020, routerId: Ipv4(0x0a000014) },
  ],
  [
    'AGGREGATOR, two octets',
    'c0 07 06 5ba0 0a000014',
    TWO,
    { kind: 'aggregator', asn: 23456, routerId: Ipv4(0x0a000014) },
  ],
  [
    'COMMUNITIES, BIRD',
    'c0 08 08 fde90001 ffffff01',
    FOUR,
    { kind: 'communities', communities: [0xfde90001, 0xffffff01] },
  ],
  ['ORIGINATOR_ID, RFC 4456', '80 09 04 0a000001', FOUR, { kind: 'originatorId', routerId: Ipv4(0x0a000001) }],
  [
    'CLUSTER_LIST, RFC 4456',
    '80 0a 08 0a000001 0a000002',
    FOUR,
    { kind: 'clusterList', clusters: [Ipv4(0x0a000001), Ipv4(0x0a000002)] },
  ],
  [
    'MP_REACH_NLRI, BIRD',
    '80 0e 11 0001 01 04 7f000001 00 00000002 18 c00002',
    FOUR,
    { kind: 'mpReach', afi: 1, safi: 1, nextHop: octets('7f000001'), nlri: octets('00000002 18 c00002') },
  ],
  [
    'MP_UNREACH_NLRI, BIRD',
    '80 0f 0a 0002 01 30 20010db80001',
    FOUR,
    { kind: 'mpUnreach', afi: 2, safi: 1, nlri: octets('30 20010db80001') },
  ],
  [
    'EXTENDED_COMMUNITIES, BIRD',
    'c0 10 08 0002fde900000007',
    FOUR,
    { kind: 'extendedCommunities', communities: [0x0002fde900000007n] },
  ],
  [
    'AS4_PATH, BIRD',
    'c0 11 0a 02 02 0000fde9 fa56ea01',
    TWO,
    { kind: 'as4Path', segments: [{ type: 'sequence', asns: [65001, 4200000001] }] },
  ],
  [
    'AS4_AGGREGATOR, RFC 6793',
    'c0 12 08 fa56ea01 0a000001',
    TWO,
    { kind: 'as4Aggregator', asn: 4200000001, routerId: Ipv4(0x0a000001) },
  ],
  [
    'IPv6 extended community, RFC 5701',
    `c0 19 14 0002 20010db8000000000000000000000001 0007`,
    FOUR,
    { kind: 'ipv6ExtendedCommunities', communities: [octets('0002 20010db8000000000000000000000001 0007')] },
  ],
  ['AIGP, GoBGP', '80 1a 0b 01 000b 0000000000000005', FOUR, { kind: 'aigp', metric: 5n }],
  [
    'LARGE_COMMUNITY, BIRD',
    'c0 20 0c 0000fde9 00000001 00000002',
    FOUR,
    { kind: 'largeCommunities', communities: [[65001, 1, 2]] },
  ],
  ['OTC, RFC 9234', 'c0 23 04 0000fde9', FOUR, { kind: 'otc', asn: 65001 }],
  ['one nobody here knows', 'e0 fe 02 beef', FOUR, { kind: 'unknown', code: 254, flags: 0xe0, value: octets('beef') }],
];

test.each(ATTRIBUTES)('%s, both ways', (_name, whole, context, attribute) => {
  const source = octets(whole);
  expect(decodeAttribute(source[1]!, source[0]!, source, 3, source.length, context)).toEqual(attribute);
  expect(hex(encodeAttributes([attribute], context))).toBe(hex(source));
});

test('every kind has a golden row', () => {
  const kinds = new Set(ATTRIBUTES.map(([, , , a]) => a.kind));
  expect(kinds.size).toBe(20);
});

describe('encodeAttributes', () => {
  test('sorts by type code and decodeBlock gives the values back', () => {
    const list = ATTRIBUTES.filter(
      ([name, , c]) => c === FOUR && !name.startsWith('ORIGIN ') && !name.includes('empty'),
    )
      .map(row => row[3])
      .filter((a, i, all) => all.findIndex(b => b.kind === a.kind) === i);
    const block = encodeAttributes(list.toReversed(), FOUR);
    const decoded = decodeBlock(block, 0, block.length);
    expect(decoded).toEqual(list.toSorted((a, b) => attributeCode(a) - attributeCode(b)));
  });

  test('uses the extended length only from 256 octets on', () => {
    const communities = (n: number): PathAttribute => ({ kind: 'communities', communities: Array<number>(n).fill(1) });
    expect(hex(encodeAttributes([communities(63)], FOUR).subarray(0, 3))).toBe('c008fc');
    expect(hex(encodeAttributes([communities(64)], FOUR).subarray(0, 4))).toBe('d0080100');
  });

  test('splits segments at 255 numbers', () => {
    const asns = Array.from({ length: 300 }, (_, i) => i + 1);
    const block = encodeAttributes([path(...asns)], FOUR);
    expect(decodeBlock(block, 0, block.length)).toEqual([
      {
        kind: 'asPath',
        segments: [
          { type: 'sequence', asns: asns.slice(0, 255) },
          { type: 'sequence', asns: asns.slice(255) },
        ],
      },
    ]);
  });

  test('writes AS_TRANS for what does not fit two octets', () => {
    const aggregator: PathAttribute = { kind: 'aggregator', asn: 4200000001, routerId: Ipv4(1) };
    expect(hex(encodeAttributes([path(4200000001, 65000), aggregator], TWO))).toBe(
      '40020602025ba0fde8' + 'c007065ba000000001',
    );
  });

  test('refuses numbers that fit nowhere', () => {
    expect(() => encodeAttributes([{ kind: 'med', med: 2 ** 32 }], FOUR)).toThrow('out of range');
  });
});

test('a block that is none is our own mistake and throws', () => {
  const source = octets('40 01 01 07');
  expect(() => decodeBlock(source, 0, source.length)).toThrow('ORIGIN: value 7');
});

describe('malformed values get the verdict of their row', () => {
  test.each([
    ['40 01 01 03', 'treatAsWithdraw'],
    ['40 05 03 000000', 'treatAsWithdraw'],
    ['40 06 01 00', 'discard'],
    ['c0 07 07 00000000000000', 'discard'],
    ['80 0e 03 000101', 'reset'],
    ['80 01 01 00', 'treatAsWithdraw'],
    ['c0 1a 0b 01 000b 0000000000000005', 'discard'],
  ])('%s: %s', (whole, verdict) => {
    const source = octets(whole);
    expect(decodeAttribute(source[1]!, source[0]!, source, 3, source.length, FOUR)).toMatchObject({ verdict });
  });
});
