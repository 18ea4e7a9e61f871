/** Random path attributes for property tests: valid ones as values, and octets that are nearly right. */

import fc from 'fast-check';
import { ORIGINS, SEGMENT_TYPES, type AsSegment, type PathAttribute } from '../../src/bgp/attributes.js';
import { attributeCode, encodeAttributes } from '../../src/bgp/wire/attributeCodec.js';
import { Ipv4 } from '../../src/core/ip.js';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const asn = fc.oneof(fc.integer({ min: 1, max: 70000 }), fc.integer({ min: 1, max: 0xffff_ffff }));
const address = u32.map(Ipv4);
const segments: fc.Arbitrary<AsSegment[]> = fc.array(
  fc.record({ type: fc.constantFrom(...SEGMENT_TYPES), asns: fc.array(asn, { minLength: 1, maxLength: 8 }) }),
  { maxLength: 4 },
);
const octets = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const some = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(item, { minLength: 1, maxLength: 70 });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

/** Without repeated large communities, which do not come back as they went. */
const largeCommunities = fc.uniqueArray(fc.tuple(u32, u32, u32), {
  minLength: 1,
  maxLength: 30,
  selector: c => c.join(),
});

export const anyAttribute: fc.Arbitrary<PathAttribute> = fc.oneof(
  fc.record({ kind: fc.constant('origin' as const), origin: fc.constantFrom(...ORIGINS) }),
  fc.record({ kind: fc.constant('asPath' as const), segments }),
  fc.record({ kind: fc.constant('nextHop' as const), address }),
  fc.record({ kind: fc.constant('med' as const), med: u32 }),
  fc.record({ kind: fc.constant('localPref' as const), localPref: u32 }),
  fc.record({ kind: fc.constant('atomicAggregate' as const) }),
  fc.record({ kind: fc.constant('aggregator' as const), asn, routerId: address }),
  fc.record({ kind: fc.constant('communities' as const), communities: some(u32) }),
  fc.record({ kind: fc.constant('originatorId' as const), routerId: address }),
  fc.record({ kind: fc.constant('clusterList' as const), clusters: some(address) }),
  fc.record({ kind: fc.constant('extendedCommunities' as const), communities: some(u64) }),
  fc.record({ kind: fc.constant('as4Path' as const), segments }),
  fc.record({ kind: fc.constant('as4Aggregator' as const), asn, routerId: address }),
  fc.record({ kind: fc.constant('ipv6ExtendedCommunities' as const), communities: some(octets(20)) }),
  fc.record({ kind: fc.constant('aigp' as const), metric: u64 }),
  fc.record({ kind: fc.constant('largeCommunities' as const), communities: largeCommunities }),
  fc.record({ kind: fc.constant('otc' as const), asn }),
  fc.record({
    kind: fc.constant('unknown' as const),
    code: fc.integer({ min: 200, max: 255 }),
    flags: fc.constant(0xe0),
    value: fc.uint8Array({ maxLength: 300 }),
  }),
);

/** Octets of one attribute whose length field is right, with flags or value changed in one place out of four. */
export function mutatedAttribute(code: number): fc.Arbitrary<Uint8Array> {
  const valid = anyAttribute
    .filter(a => attributeCode(a) === code)
    .map(a => encodeAttributes([a], { fourOctetAs: true }));
  const random = fc
    .tuple(fc.constantFrom(0x40, 0x80, 0xc0, 0xe0, 0x00), fc.uint8Array({ maxLength: 24 }))
    .map(([flags, value]) => Uint8Array.of(flags, code, value.length, ...value));
  const flipped = fc.tuple(valid, fc.nat(), fc.integer({ min: 0, max: 7 })).map(([source, at, bit]) => {
    const start = (source[0]! & 0x10) === 0 ? 3 : 4;
    const copy = source.slice();
    // Not the length, and not the bit that says how long the length is.
    const index = at % 4 === 0 ? 0 : start + (at % Math.max(1, copy.length - start));
    if (index < copy.length && !(index === 0 && bit === 4)) copy[index] = copy[index]! ^ (1 << bit);
    return copy;
  });
  const shortened = fc.tuple(valid, fc.integer({ min: 1, max: 5 })).map(([source, cut]) => {
    if ((source[0]! & 0x10) !== 0 || source.length - cut < 3) return source;
    const copy = source.slice(0, source.length - cut);
    copy[2] = copy.length - 3;
    return copy;
  });
  return fc.oneof(valid, random, flipped, shortened);
}
