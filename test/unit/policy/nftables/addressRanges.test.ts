import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ipv4, maskAddress, prefixContains, type IpAddress, type IpPrefix } from '../../../../src/core/ip.js';
import { addressOctets } from '../../../../src/kernel/nftables/elements.js';
import { next, rangesOf, type Block } from '../../../../src/policy/nftables/addressRanges.js';

/** Few addresses at both ends and in the middle, so that blocks meet. */
const word = fc.constantFrom(0, 1, 2, 3, 4, 7, 8, 0x0a000000, 0x0a0000ff, 0x0a000100, 0xfffffffe, 0xffffffff);
const four = word.map(ipv4);
const six = fc.tuple(word, word, word, word).map((words): IpAddress => ({ version: 6, words }));

function blocksOf(address: fc.Arbitrary<IpAddress>, bits: number): fc.Arbitrary<readonly Block[]> {
  const prefix = fc
    .tuple(address, fc.oneof(fc.integer({ min: 0, max: bits }), fc.integer({ min: bits - 4, max: bits })))
    .map(([given, length]): IpPrefix => ({ address: maskAddress(given, length), length }));
  return fc.array(fc.record({ cidr: prefix, except: fc.array(prefix, { maxLength: 3 }) }), { maxLength: 4 });
}

test.each([
  ['IPv4', four, 32],
  ['IPv6', six, 128],
] as const)('ranges of %s hold what a block holds and does not leave out, in order and apart', (_, address, bits) => {
  fc.assert(
    fc.property(blocksOf(address, bits), fc.array(address, { minLength: 20, maxLength: 40 }), (blocks, probes) => {
      const ranges = rangesOf(blocks);
      for (const probe of probes) {
        const octets = addressOctets(probe);
        const isIn = blocks.some(
          ({ cidr, except }) => prefixContains(cidr, probe) && !except.some(hole => prefixContains(hole, probe)),
        );
        expect(ranges.some(({ first, last }) => first <= octets && octets <= last)).toBe(isIn);
      }
      ranges.forEach(({ first, last }, i) => {
        expect(first <= last).toBe(true);
        const before = ranges[i - 1];
        if (before !== undefined) expect(first > next(before.last)!).toBe(true);
      });
    }),
    { numRuns: 300 },
  );
});
