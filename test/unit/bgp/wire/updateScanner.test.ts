import { describe, expect, test } from '@jest/globals';
import { AttrFlag, UpdateRecord } from '../../../../src/bgp/updateRecord.js';
import { decodeBlock } from '../../../../src/bgp/wire/attributeCodec.js';
import { decodeNlri, formatNlri } from '../../../../src/bgp/wire/nlri.js';
import { scanUpdate } from '../../../../src/bgp/wire/updateScanner.js';
import * as captures from '../../../vectors/captures.js';
import { hex, message, octets } from '../../../vectors/hex.js';
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

/** The sessions the captures were made on, some over the loopback link. */
const LOOPBACK = { ...EBGP, loopbackNextHops: true };
const BIRD = { ...LOOPBACK, localAsn: 65002, remoteAsn: 4200000100 };
const BIRD_ADD_PATH = { ...BIRD, addPathReceive: [true, false] as const, extendedNextHop: [true, false] as const };
const BIRD_TWO_OCTET = { ...LOOPBACK, localAsn: 65003, remoteAsn: 65001, fourOctetAs: false };
const GOBGP = { ...LOOPBACK, localAsn: 65002, remoteAsn: 65010 };
const FRR = { ...LOOPBACK, localAsn: 65002, remoteAsn: 65020, addPathReceive: [true, true] as const };

const bodyOf = (captured: string): Uint8Array => message(captured).subarray(19);

function prefixes(
  record: UpdateRecord,
  part: 'withdrawn' | 'nlri' | 'mpReach' | 'mpUnreach',
  addPath = false,
): string[] {
  const family = part === 'mpReach' ? record.mpReachFamily : part === 'mpUnreach' ? record.mpUnreachFamily : 0;
  if (family === -1) return [];
  return decodeNlri(record.octets, record[`${part}Start`], record[`${part}End`], addPath).map(n =>
    formatNlri(n, family),
  );
}

describe('UPDATEs of real speakers', () => {
  test('BIRD, classic', () => {
    const { error, record, block } = scan(bodyOf(captures.BIRD_IPV4_UPDATE), BIRD);
    expect(error).toBeUndefined();
    expect(record).toMatchObject({
      verdict: 'accept',
      problems: [],
      nextHop4: 0x7f000001,
      origin: 0,
      asPathLength: 1,
      neighborAs: 4200000100,
      originAs: 4200000100,
      localAsCount: 0,
      flags: AttrFlag.noExport,
      endOfRib: -1,
      mpReachFamily: -1,
    });
    expect(prefixes(record, 'nlri')).toEqual(['192.0.2.0/24']);
    // The attributes as they came, without NEXT_HOP.
    expect(block).toBe(captures.BIRD_IPV4_UPDATE.slice(14, -8).replace('4003047f000001', ''));
  });

  test('BIRD, withdrawals', () => {
    const { record } = scan(bodyOf(captures.BIRD_WITHDRAW), BIRD);
    expect(prefixes(record, 'withdrawn')).toEqual(['192.0.2.0/24', '198.51.100.128/25', '203.0.113.0/24']);
    expect(record).toMatchObject({ verdict: 'accept', problems: [], endOfRib: -1 });
  });

  test('BIRD, path identifiers in MP_REACH_NLRI', () => {
    const { record } = scan(bodyOf(captures.BIRD_ADD_PATH_UPDATE), BIRD_ADD_PATH);
    expect(prefixes(record, 'mpReach', true)).toEqual(['192.0.2.0/24 (path 2)']);
    expect(record).toMatchObject({ mpReachFamily: 0, mpNextHopVersion: 4, verdict: 'accept', problems: [] });
    expect([...record.mpNextHop]).toEqual([0, 0, 0, 0x7f000001]);
  });

  test('BIRD, IPv6 both ways', () => {
    const reach = scan(bodyOf(captures.BIRD_IPV6_UPDATE), BIRD).record;
    expect(prefixes(reach, 'mpReach')).toEqual(['2001:db8:1::/48', '2001:db8:2::/64']);
    expect([...reach.mpNextHop]).toEqual([0x20010db8, 0, 0, 1]);
    expect([...reach.mpLinkLocal]).toEqual([0, 0, 0, 0]);
    expect(reach).toMatchObject({ mpNextHopVersion: 6, nlriStart: reach.nlriEnd, verdict: 'accept' });
    const unreach = scan(bodyOf(captures.BIRD_IPV6_WITHDRAW), BIRD).record;
    expect(prefixes(unreach, 'mpUnreach')).toEqual(['2001:db8:1::/48', '2001:db8:2::/64']);
    expect(unreach).toMatchObject({ endOfRib: -1, verdict: 'accept', problems: [] });
  });

  test('BIRD to a two-octet speaker: AS4_PATH is merged', () => {
    const { record, block } = scan(bodyOf(captures.BIRD_AS4_PATH_UPDATE), BIRD_TWO_OCTET);
    expect(block).toBe('40010100' + '40020a02020000fde9fa56ea01');
    expect(record).toMatchObject({ asPathLength: 2, neighborAs: 65001, originAs: 4200000001, verdict: 'accept' });
    expect(prefixes(record, 'nlri')).toEqual(['198.51.100.128/25', '203.0.113.0/24']);
  });

  test('GoBGP, with an AIGP that is passed over', () => {
    const { record, block } = scan(bodyOf(captures.GOBGP_UPDATE), GOBGP);
    expect(record).toMatchObject({ med: 9, flags: AttrFlag.med | AttrFlag.noExport, verdict: 'accept', problems: [] });
    expect(decodeBlock(octets(block), 0, block.length / 2).map(a => a.kind)).toEqual([
      'origin',
      'asPath',
      'med',
      'communities',
      'largeCommunities',
    ]);
  });

  test('GoBGP, MP_REACH_NLRI at the end', () => {
    const { record, block } = scan(bodyOf(captures.GOBGP_IPV6_UPDATE), GOBGP);
    expect(prefixes(record, 'mpReach')).toEqual(['2001:db8:10::/48']);
    expect(block).toBe('40010102' + '40020602010000fdf2');
  });

  test('FRR: a needless extended length is gone from the normal form', () => {
    const { record, block } = scan(bodyOf(captures.FRR_AGGREGATE_UPDATE), FRR);
    expect(prefixes(record, 'nlri', true)).toEqual(['198.0.0.0/8 (path 2)']);
    expect(block).toBe('40010100' + '40020602010000fdfc' + '80040400000000' + '400600' + 'c007080000fdfc0a000014');
    expect(record.flags).toBe(AttrFlag.med | AttrFlag.atomicAggregate);
  });

  test('FRR, IPv6 with a mapped next hop', () => {
    const { record } = scan(bodyOf(captures.FRR_IPV6_UPDATE), { ...FRR, addPathReceive: [true, false] });
    expect(prefixes(record, 'mpReach')).toEqual(['2001:db8:20::/48']);
    expect([...record.mpNextHop]).toEqual([0, 0, 0xffff, 0x7f000014]);
  });

  test.each([
    ['IPv4', captures.END_OF_RIB_IPV4, 0],
    ['IPv6', captures.END_OF_RIB_IPV6, 1],
  ])('End-of-RIB of %s', (_name, captured, family) => {
    const { error, record } = scan(bodyOf(captured), BIRD);
    expect(error).toBeUndefined();
    expect(record).toMatchObject({ endOfRib: family, verdict: 'accept', problems: [], blockLength: 0 });
  });
});

describe('decision fields', () => {
  const path = (value: string): string => `4002${(value.length / 2).toString(16).padStart(2, '0')}${value}`;
  const fields = (value: string, context = IBGP): readonly unknown[] => {
    const { record, error } = scan(body(ORIGIN + path(value) + NEXT_HOP, NLRI), context);
    expect(error).toBeUndefined();
    expect(record.verdict).toBe('accept');
    const { asPathLength, neighborAs, originAs, localAsCount } = record;
    return [asPathLength, neighborAs, originAs, localAsCount, (record.flags & AttrFlag.asSet) !== 0];
  };

  test.each([
    ['empty', '', [0, 0, 0, 0, false]],
    ['sequence', '0203 00000001 00000002 00000003', [3, 1, 3, 0, false]],
    ['sequence and set: the set counts once', '0201 00000001 0103 00000002 00000003 00000004', [2, 1, 0, 0, true]],
    ['set first: no neighbour', '0101 00000002 0201 00000005', [2, 0, 5, 0, true]],
    ['two sequences', '0201 00000001 0201 00000002', [2, 1, 2, 0, false]],
    ['our own AS, twice', '0203 0000fde8 00000001 0000fde8', [3, 65000, 65000, 2, false]],
    ['our own AS in a set', '0201 00000001 0101 0000fde8', [2, 1, 0, 1, true]],
    ['confederation segments have no length', '0302 00000007 00000008 0201 00000001', [1, 1, 1, 0, false]],
    ['confederation segments alone', '0301 00000007 0401 0000fde8', [0, 0, 0, 1, true]],
    ['AS numbers above 2^31', '0202 fa56ea64 ffffffff', [2, 4200000100, 4294967295, 0, false]],
  ])('AS_PATH: %s', (_name, value, expected) => {
    expect(fields(value.replace(/ /g, ''))).toEqual(expected);
  });

  test('everything else', () => {
    const attributes =
      ORIGIN.replace(/00$/, '02') +
      AS_PATH +
      NEXT_HOP +
      '800404ffffffff' +
      '40050480000000' +
      'c0081cffff0000ffff0006ffff0007ffffff01ffffff02ffffff0300010002' +
      '8009040a000007' +
      '800a080a0000010a000002' +
      '801a0b01000b0000000000000005' +
      'c0230400000001';
    const { record } = scan(body(attributes, NLRI), IBGP);
    const bits = AttrFlag;
    expect(record).toMatchObject({
      verdict: 'accept',
      problems: [],
      origin: 2,
      med: 0xffffffff,
      localPref: 0x80000000,
      originatorId: 0x0a000007,
      clusterListLength: 2,
      reflectionLoop: false,
      flags:
        bits.localPref |
        bits.med |
        bits.originatorId |
        bits.clusterList |
        bits.aigp |
        bits.otc |
        bits.noExport |
        bits.noAdvertise |
        bits.noExportSubconfed |
        bits.llgrStale |
        bits.noLlgr |
        bits.gracefulShutdown,
    });
  });

  test.each([
    ['ORIGINATOR_ID is our identifier', '8009040a0000fe', true],
    ['CLUSTER_LIST holds our cluster', '800a080a0000010a0000fe', true],
    ['neither', '8009040a000001' + '800a040a000001', false],
  ])('reflection loop, RFC 4456 section 8: %s', (_name, attributes, loop) => {
    expect(scan(body(MANDATORY + attributes, NLRI), IBGP).record.reflectionLoop).toBe(loop);
  });

  test('a speaker without a cluster has no reflection loop', () => {
    const { record } = scan(body(`${MANDATORY}800a0400000000`, NLRI), { ...IBGP, clusterId: 0 });
    expect(record).toMatchObject({ clusterListLength: 1, reflectionLoop: false });
  });

  test('nothing is left over from the scan before', () => {
    const record = new UpdateRecord();
    const fresh = new UpdateRecord();
    const full = bodyOf(captures.FRR_AGGREGATE_UPDATE);
    const plain = body(MANDATORY, NLRI);
    scanUpdate(full, 0, full.length, FRR, record);
    const bad = body(`${MANDATORY}400503000000`, NLRI);
    scanUpdate(bad, 0, bad.length, IBGP, record);
    for (const captured of [captures.BIRD_IPV6_UPDATE, captures.BIRD_IPV6_WITHDRAW, captures.END_OF_RIB_IPV6]) {
      scanUpdate(bodyOf(captured), 0, bodyOf(captured).length, BIRD, record);
    }
    const loop = body(`${MANDATORY}8009040a0000fe`, NLRI);
    scanUpdate(loop, 0, loop.length, IBGP, record);
    expect(record.reflectionLoop).toBe(true);
    scanUpdate(plain, 0, plain.length, EBGP, record);
    scanUpdate(plain, 0, plain.length, EBGP, fresh);
    fresh.mpNextHop.set(record.mpNextHop); // of no meaning without MP_REACH_NLRI
    record.block = record.block.slice(0, record.blockLength);
    fresh.block = fresh.block.slice(0, fresh.blockLength);
    record.blockWords = fresh.blockWords = new Uint32Array();
    expect(record).toEqual(fresh);
  });
});

describe('normal form', () => {
  const blockOf = (attributes: string, context = IBGP): string => {
    const result = scan(body(attributes, NLRI), context);
    expect(verdictOf(result)).toBe('accept');
    return result.block;
  };
  const plain = blockOf(MANDATORY);

  test.each([
    ['attributes in another order', NEXT_HOP + AS_PATH + ORIGIN],
    ['a needless extended length', `5001000100${AS_PATH}${NEXT_HOP}`],
    ['lower flag bits set', `4f010100${AS_PATH}${NEXT_HOP}`],
    ['Partial on a well-known attribute', `60010100${AS_PATH}${NEXT_HOP}`],
    ['an unknown attribute that is not transitive', `${MANDATORY}80fe02beef`],
    ['AS4_PATH from a four-octet speaker (RFC 6793 section 4.1)', `${MANDATORY}c01106020100000001`],
  ])('%s makes no difference', (_name, attributes) => {
    expect(blockOf(attributes)).toBe(plain);
  });

  test('an unknown transitive attribute is carried, with Partial set', () => {
    expect(blockOf(`${MANDATORY}c0fe02beef`)).toBe(`${plain}e0fe02beef`);
    expect(blockOf(`c0fe02beef${MANDATORY}`)).toBe(`${plain}e0fe02beef`);
    expect(blockOf(`${MANDATORY}e0fe02beef`)).toBe(`${plain}e0fe02beef`);
    expect(blockOf(`${MANDATORY}d0fe0002beef`)).toBe(`${plain}e0fe02beef`);
  });

  test('Partial stays on a known transitive attribute', () => {
    expect(blockOf(`${MANDATORY}e0080400010002`)).toBe(`${plain}e0080400010002`);
  });

  test('an attribute of more than 255 octets keeps its extended length', () => {
    const communities = 'd0080100' + '00010002'.repeat(64);
    expect(blockOf(MANDATORY + communities)).toBe(plain + communities);
  });

  test('one of 255 octets has none', () => {
    const value = '00'.repeat(255);
    expect(blockOf(`${MANDATORY}f0fe00ff${value}`)).toBe(`${plain}e0feff${value}`);
    expect(blockOf(`${MANDATORY}e0feff${value}`)).toBe(`${plain}e0feff${value}`);
  });

  test('large communities stand there once (RFC 8092)', () => {
    const one = '000000010000000200000003';
    const two = '000000010000000200000004';
    expect(blockOf(`${MANDATORY}c02024${one}${two}${one}`)).toBe(`${plain}c02018${one}${two}`);
    expect(blockOf(`${MANDATORY}c02018${one}${one}`)).toBe(`${plain}c0200c${one}`);
    expect(blockOf(`${MANDATORY}d020012c${one.repeat(25)}`)).toBe(`${plain}c0200c${one}`);
  });

  test('LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST and AIGP of an external peer are gone, without a word', () => {
    const internal = '400504000000648009040a000007800a040a000001801a0b01000b0000000000000005';
    const result = scan(body(MANDATORY + internal, NLRI), EBGP);
    expect([verdictOf(result), result.block, result.record.flags]).toEqual(['accept', plain, 0]);
  });

  test('a block scanned again is the same block', () => {
    const attributes = `${MANDATORY}c0080400010002c02018${'0'.repeat(24)}${'1'.repeat(24)}e0fe02beef`;
    const block = blockOf(attributes);
    expect(blockOf(block + NEXT_HOP)).toBe(block);
  });
});

describe('next hops', () => {
  const reach = (family: string, hop: string, nlri: string): string => {
    const value = `${family}${(hop.length / 2).toString(16).padStart(2, '0')}${hop}00${nlri}`;
    return `800e${(value.length / 2).toString(16).padStart(2, '0')}${value}`;
  };
  const GLOBAL = '20010db8000000000000000000000001';
  const LINK = 'fe800000000000000000000000000002';
  const V6 = '000201';
  const V4 = '000101';
  const extended = { ...EBGP, extendedNextHop: [true, false] as const };
  const words = (hop: Uint32Array): string => [...hop].map(w => w.toString(16)).join(' ');

  test.each([
    ['global', EBGP, V6, GLOBAL, '20010db8 0 0 1', '0 0 0 0'],
    ['global and link-local (RFC 2545)', EBGP, V6, GLOBAL + LINK, '20010db8 0 0 1', 'fe800000 0 0 2'],
    ['link-local alone', EBGP, V6, LINK, 'fe800000 0 0 2', '0 0 0 0'],
    ['nothing and link-local', EBGP, V6, '0'.repeat(32) + LINK, 'fe800000 0 0 2', 'fe800000 0 0 2'],
    ['global twice', EBGP, V6, GLOBAL + GLOBAL, '20010db8 0 0 1', '0 0 0 0'],
    ['IPv6 for IPv4 (RFC 8950)', extended, V4, GLOBAL, '20010db8 0 0 1', '0 0 0 0'],
    ['IPv6 and link-local for IPv4 (RFC 8950)', extended, V4, GLOBAL + LINK, '20010db8 0 0 1', 'fe800000 0 0 2'],
    ['IPv4 for IPv4', extended, V4, '0a000001', '0 0 0 a000001', '0 0 0 0'],
  ])('%s', (_name, context, family, hop, expected, link) => {
    const result = scan(body(ORIGIN + AS_PATH + reach(family, hop, '100a01')), context);
    expect(verdictOf(result)).toBe('accept');
    expect(words(result.record.mpNextHop)).toBe(expected);
    expect(words(result.record.mpLinkLocal)).toBe(link);
    expect(result.record.mpNextHopVersion).toBe(hop.length === 8 ? 4 : 6);
  });

  test('a link-local address is not left over from the message before', () => {
    const record = new UpdateRecord();
    for (const hop of [GLOBAL + LINK, GLOBAL]) {
      const source = body(ORIGIN + AS_PATH + reach(V6, hop, '00'));
      expect(scanUpdate(source, 0, source.length, EBGP, record)).toBeUndefined();
    }
    expect(words(record.mpLinkLocal)).toBe('0 0 0 0');
  });

  test.each([
    ['unspecified', V6, '0'.repeat(32)],
    ['multicast', V6, 'ff020000000000000000000000000001'],
    ['unspecified twice', V6, '0'.repeat(64)],
    ['IPv4 multicast', V4, 'e0000001'],
  ])('%s: treat-as-withdraw', (_name, family, hop) => {
    const result = scan(body(ORIGIN + AS_PATH + reach(family, hop, '100a01')), EBGP);
    expect(verdictOf(result)).toBe('treatAsWithdraw');
    expect(hex(result.record.octets.subarray(result.record.mpReachStart, result.record.mpReachEnd))).toBe('100a01');
  });
});

describe('families that were not negotiated are ignored', () => {
  const onlyV6 = { ...EBGP, families: [false, true] as const };
  const onlyV4 = { ...EBGP, families: [true, false] as const };

  test('classic prefixes', () => {
    const result = scan(body(MANDATORY, NLRI, '080b'), onlyV6);
    expect(verdictOf(result)).toBe('discard');
    expect([prefixes(result.record, 'nlri'), prefixes(result.record, 'withdrawn')]).toEqual([[], []]);
  });

  test('MP_REACH_NLRI and MP_UNREACH_NLRI', () => {
    const reach = scan(bodyOf(captures.GOBGP_IPV6_UPDATE), { ...onlyV4, remoteAsn: 65010 });
    expect([verdictOf(reach), reach.record.mpReachFamily]).toEqual(['discard', -1]);
    const unreach = scan(bodyOf(captures.BIRD_IPV6_WITHDRAW), onlyV4);
    expect([verdictOf(unreach), unreach.record.mpUnreachFamily]).toEqual(['discard', -1]);
  });

  test('families nobody here knows', () => {
    const evpn = '800e0b00194604' + '0a00000100' + 'ffff';
    expect(verdictOf(scan(body(ORIGIN + AS_PATH + evpn), EBGP))).toBe('discard');
  });

  test('their End-of-RIB', () => {
    expect(scan(bodyOf(captures.END_OF_RIB_IPV4), onlyV6).record.endOfRib).toBe(-1);
    expect(scan(bodyOf(captures.END_OF_RIB_IPV6), onlyV4).record.endOfRib).toBe(-1);
  });
});

describe('End-of-RIB has exact forms (RFC 4724 section 2)', () => {
  test.each([
    ['IPv4', body(''), 0],
    ['IPv6', body('800f03000201'), 1],
    ['IPv6 with an extended length', body('900f0003000201'), 1],
    ['IPv4 in MP_UNREACH_NLRI', body('800f03000101'), -1],
    ['IPv6 and a withdrawal', body('800f03000201', '', '080a'), -1],
    ['IPv6 and another attribute', body('800f0300020180fe00'), -1],
    ['another attribute and IPv6', body('80fe00800f03000201'), -1],
    ['IPv6 and a prefix', body('800f0400020100'), -1],
    ['IPv6 and an announcement', body(MANDATORY + '800f03000201', NLRI), -1],
  ])('%s', (_name, source, family) => {
    const { error, record } = scan(source, EBGP);
    expect(error).toBeUndefined();
    expect(record.endOfRib).toBe(family);
  });
});
