import { describe, expect, test } from '@jest/globals';
import { PeerKind, type PeerKindValue } from '../../../../src/bgp/peerKind.js';
import type { OutgoingRoute } from '../../../../src/bgp/updateFraming.js';
import { createUpdateFraming, encodeEndOfRib, type FramingOptions } from '../../../../src/bgp/wire/updateEncoder.js';
import { ipv4, type IpAddress, parseAddress } from '../../../../src/core/ip.js';
import { END_OF_RIB_IPV4, END_OF_RIB_IPV6 } from '../../../vectors/captures.js';
import { hex, message, octets } from '../../../vectors/hex.js';
import { AS_PATH, EBGP, IBGP, ORIGIN, scan } from '../../../vectors/updates.js';

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

const TO_EBGP: FramingOptions = {
  family: 0,
  kind: 'ebgp',
  localAsn: 65000,
  clusterId: 0x0a0000fe,
  fourOctetAs: true,
  nextHopSelf: 'auto',
  self4: ipv4(0x0a0000fe),
  self6: address('2001:db8::fe'),
  selfLinkLocal: undefined,
  extendedNextHop: false,
  addPath: false,
  maxMessage: 4096,
};
const TO_IBGP: FramingOptions = { ...TO_EBGP, kind: 'ibgp' };

function routeOf(
  block: string,
  sourceKind: PeerKindValue,
  nextHop: IpAddress | undefined = ipv4(0x0a000001),
): OutgoingRoute {
  const source = octets(`dead${block}beef`);
  const length = block.length / 2;
  return { block: source, start: 2, length, nextHop, linkLocal: undefined, sourceKind, sourceRouterId: 0x0a000007 };
}

/** The attributes that go out for a block. */
function outgoing(options: FramingOptions, block: string, source: PeerKindValue): string {
  const framing = createUpdateFraming(options);
  expect(framing.prepare(routeOf(block, source))).toBe(true);
  const { octets: prepared, length } = framing.prepared();
  return hex(prepared.subarray(0, length));
}

const { ebgp: OUTSIDE, ibgp: INSIDE, local: OURS } = PeerKind;
const PREPENDED = '40020a02020000fde80000fde9';
const OUR_HOP = '4003040a0000fe';
const THEIR_HOP = '4003040a000001';
const LOCAL_PREF = '40050400000064';
const REFLECTED = '8009040a000007' + '800a040a0000fe';

describe('attributes on their way out', () => {
  test.each([
    ['our AS in front, our next hop', TO_EBGP, ORIGIN + AS_PATH, OUTSIDE, ORIGIN + PREPENDED + OUR_HOP],
    ['an empty path gets our AS', TO_EBGP, `${ORIGIN}400200`, OURS, `${ORIGIN}40020602010000fde8${THEIR_HOP}`],
    [
      'a path that begins with a set',
      TO_EBGP,
      `${ORIGIN}40020601010000fde9`,
      OUTSIDE,
      `${ORIGIN}40020c02010000fde801010000fde9${OUR_HOP}`,
    ],
    [
      'confederation segments stay inside (RFC 5065)',
      TO_EBGP,
      `${ORIGIN}40020c03010000fde702010000fde9`,
      INSIDE,
      ORIGIN + PREPENDED + OUR_HOP,
    ],
    [
      'nothing but a confederation',
      TO_EBGP,
      `${ORIGIN}40020603010000fde7`,
      INSIDE,
      `${ORIGIN}40020602010000fde8${OUR_HOP}`,
    ],
    [
      'MED, LOCAL_PREF and reflection stay inside',
      TO_EBGP,
      `${ORIGIN}${AS_PATH}800404000000094005040000000a${REFLECTED}`,
      INSIDE,
      ORIGIN + PREPENDED + OUR_HOP,
    ],
    [
      'our own MED goes out',
      TO_EBGP,
      `${ORIGIN}40020080040400000009`,
      OURS,
      `${ORIGIN}40020602010000fde8${THEIR_HOP}80040400000009`,
    ],
    [
      'AIGP stays inside',
      TO_EBGP,
      `${ORIGIN}${AS_PATH}801a0b01000b0000000000000005`,
      INSIDE,
      ORIGIN + PREPENDED + OUR_HOP,
    ],
    [
      'extended communities that are not transitive stay inside',
      TO_EBGP,
      `${ORIGIN}${AS_PATH}c010104002fde9000000070002fde900000007`,
      INSIDE,
      `${ORIGIN}${PREPENDED}${OUR_HOP}c010080002fde900000007`,
    ],
    [
      'and are gone when none is left',
      TO_EBGP,
      `${ORIGIN}${AS_PATH}c010084002fde900000007`,
      INSIDE,
      ORIGIN + PREPENDED + OUR_HOP,
    ],
    [
      'inside: default LOCAL_PREF, path and next hop as they are',
      TO_IBGP,
      ORIGIN + AS_PATH,
      OUTSIDE,
      ORIGIN + AS_PATH + THEIR_HOP + LOCAL_PREF,
    ],
    [
      'inside: MED goes along',
      TO_IBGP,
      `${ORIGIN}${AS_PATH}80040400000009`,
      OUTSIDE,
      `${ORIGIN}${AS_PATH}${THEIR_HOP}80040400000009${LOCAL_PREF}`,
    ],
    [
      'reflected: ORIGINATOR_ID and CLUSTER_LIST (RFC 4456)',
      TO_IBGP,
      ORIGIN + AS_PATH,
      INSIDE,
      ORIGIN + AS_PATH + THEIR_HOP + LOCAL_PREF + REFLECTED,
    ],
    [
      'reflected again',
      TO_IBGP,
      `${ORIGIN}${AS_PATH}${LOCAL_PREF}8009040a000009800a040a000008`,
      INSIDE,
      `${ORIGIN}${AS_PATH}${THEIR_HOP}${LOCAL_PREF}8009040a000009800a080a0000fe0a000008`,
    ],
    [
      'unknown attributes and large communities go anywhere',
      TO_EBGP,
      `${ORIGIN}${AS_PATH}c0200c000000010000000200000003e0fe02beef`,
      OUTSIDE,
      `${ORIGIN}${PREPENDED}${OUR_HOP}c0200c000000010000000200000003e0fe02beef`,
    ],
  ] as const)('%s', (_name, options, block, source, expected) => {
    expect(outgoing(options, block, source)).toBe(expected);
  });

  test.each([
    ['narrow numbers', ORIGIN + AS_PATH, `${ORIGIN}4002060202fde8fde9${OUR_HOP}`],
    [
      'a wide one: AS_TRANS and AS4_PATH',
      `${ORIGIN}40020602010fffffff`,
      `${ORIGIN}4002060202fde85ba0${OUR_HOP}c0110a02020000fde80fffffff`,
    ],
    [
      'a wide aggregator',
      `${ORIGIN}${AS_PATH}c007080fffffff0a000001`,
      `${ORIGIN}4002060202fde8fde9${OUR_HOP}c007065ba00a000001c012080fffffff0a000001`,
    ],
  ])('two-octet peers, RFC 6793 section 4.2.2: %s', (_name, block, expected) => {
    expect(outgoing({ ...TO_EBGP, fourOctetAs: false }, block, OUTSIDE)).toBe(expected);
  });

  test('what a two-octet peer reads is the path we meant', () => {
    const block = `${ORIGIN}40020a02020fffffff0000fde9c007080fffffff0a000001`;
    const sent = outgoing({ ...TO_EBGP, fourOctetAs: false }, block, OUTSIDE);
    const reads = { ...EBGP, localAsn: 65002, remoteAsn: 65000, fourOctetAs: false };
    const { record, block: read } = scan(
      octets(`0000${(sent.length / 2).toString(16).padStart(4, '0')}${sent}00`),
      reads,
    );
    expect([record.verdict, record.problems]).toEqual(['accept', []]);
    expect(read).toBe(`${ORIGIN}40020e02030000fde80fffffff0000fde9c007080fffffff0a000001`);
  });
});

/** A whole announcement and a whole withdrawal of these NLRI. */
function messages(options: FramingOptions, nlri: string, nextHop: IpAddress): readonly [string, string] {
  const framing = createUpdateFraming(options);
  expect(framing.prepare(routeOf(ORIGIN + AS_PATH, OUTSIDE, nextHop))).toBe(true);
  const out = new Uint8Array(4096);
  const build = (start: number, finish: (end: number) => number): string => {
    out.set(octets(nlri), start);
    const end = finish(start + nlri.length / 2);
    return hex(out.subarray(3, end));
  };
  const announced = build(framing.beginAnnounce(out, 3), end => framing.finishAnnounce(out, 3, end));
  const withdrawn = build(framing.beginWithdraw(out, 3), end => framing.finishWithdraw(out, 3, end));
  return [announced, withdrawn];
}

describe('whole messages', () => {
  test('IPv4', () => {
    const [announced, withdrawn] = messages(TO_IBGP, '180a0102', ipv4(0x0a000001));
    const attributes = ORIGIN + AS_PATH + THEIR_HOP + LOCAL_PREF;
    expect(announced).toBe(hex(message(`003602 0000 001b ${attributes} 180a0102`)));
    expect(withdrawn).toBe(hex(message('001b02 0004 180a0102 0000')));
  });

  test('IPv6, MP_REACH_NLRI first (RFC 7606 section 5.1)', () => {
    const [announced, withdrawn] = messages({ ...TO_IBGP, family: 1 }, '2020010db8', address('2001:db8::1'));
    const reach = '900e001a000201' + '1020010db8000000000000000000000001' + '00' + '2020010db8';
    expect(announced).toBe(hex(message(`004902 0000 0032 ${reach}${ORIGIN}${AS_PATH}${LOCAL_PREF}`)));
    expect(withdrawn).toBe(hex(message('002302 0000 000c 900f0008000201 2020010db8')));
  });

  test('IPv4 with an IPv6 next hop (RFC 8950)', () => {
    const extended = { ...TO_IBGP, extendedNextHop: true };
    const [announced, withdrawn] = messages(extended, '080a', address('2001:db8::1'));
    const read = scan(octets(announced.slice(38)), { ...IBGP, extendedNextHop: [true, false] });
    expect([read.record.verdict, read.record.mpReachFamily, read.record.mpNextHopVersion]).toEqual(['accept', 0, 6]);
    const gone = scan(octets(withdrawn.slice(38)), { ...IBGP, extendedNextHop: [true, false] });
    expect([gone.record.mpUnreachFamily, gone.record.mpUnreachEnd - gone.record.mpUnreachStart]).toEqual([0, 2]);
  });

  test('our link-local address stands beside the global one (RFC 2545)', () => {
    const options = { ...TO_EBGP, family: 1 as const, selfLinkLocal: address('fe80::1') };
    const [announced] = messages(options, '2020010db8', address('2001:db8::1'));
    const { record } = scan(octets(announced.slice(38)), { ...EBGP, remoteAsn: 65000, localAsn: 1 });
    expect([...record.mpNextHop, ...record.mpLinkLocal]).toEqual([0x20010db8, 0, 0, 0xfe, 0xfe800000, 0, 0, 1]);
  });

  test.each([
    [0, END_OF_RIB_IPV4],
    [1, END_OF_RIB_IPV6],
  ] as const)('End-of-RIB of family %d is what every daemon sends', (family, captured) => {
    expect(hex(encodeEndOfRib(family))).toBe(hex(message(captured)));
  });
});

describe('what cannot be told', () => {
  test.each([
    ['an IPv6 next hop for IPv4 without RFC 8950', TO_IBGP, address('2001:db8::1'), ''],
    ['an IPv4 next hop for IPv6', { ...TO_IBGP, family: 1 as const }, ipv4(0x0a000001), ''],
    ['our own next hop, and we have none', { ...TO_EBGP, self4: undefined }, ipv4(0x0a000001), ''],
    ['attributes that fill a message', TO_IBGP, ipv4(0x0a000001), `f0fe0fd2${'00'.repeat(4050)}`],
  ])('%s', (_name, options, nextHop, extra) => {
    expect(createUpdateFraming(options).prepare(routeOf(ORIGIN + AS_PATH + extra, OUTSIDE, nextHop))).toBe(false);
  });

  test('attributes that leave room for one prefix can', () => {
    const rest = 4096 - 19 - 4 - 27 - 4 - 21;
    const extra = `f0fe${rest.toString(16).padStart(4, '0')}${'00'.repeat(rest)}`;
    expect(createUpdateFraming(TO_IBGP).prepare(routeOf(ORIGIN + AS_PATH + extra, OUTSIDE))).toBe(true);
    const more = `f0fe${(rest + 1).toString(16).padStart(4, '0')}${'00'.repeat(rest + 1)}`;
    expect(createUpdateFraming(TO_IBGP).prepare(routeOf(ORIGIN + AS_PATH + more, OUTSIDE))).toBe(false);
  });
});
