import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { PrefixList, PrefixRule } from '../../../../src/bgp/policyTypes.js';
import { addressBits, parsePrefix, prefixContains, maskAddress, ipv4, type IpPrefix } from '../../../../src/core/ip.js';
import { compilePrefixList, lengthsOf } from '../../../../src/rib/policy/prefixMatcher.js';

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function isIn(list: PrefixList, asked: IpPrefix): boolean {
  const { address, length } = asked;
  const words = Uint32Array.from([0, ...(address.version === 4 ? [address.value] : address.words)]);
  return compilePrefixList(list, address.version === 4 ? 0 : 1)(words, 1, length);
}

/** The meaning of a list, word for word. */
function oracle(list: PrefixList, asked: IpPrefix): boolean {
  const first = list.find(rule => {
    const { from, to } = lengthsOf(rule);
    return prefixContains(rule.prefix, asked.address) && asked.length >= from && asked.length <= to;
  });
  return first?.action === 'permit';
}

describe('prefix lists', () => {
  test.each<[string, Partial<Omit<PrefixRule, 'prefix'>>, string, boolean]>([
    ['10.0.0.0/8', {}, '10.0.0.0/8', true],
    ['10.0.0.0/8', {}, '10.1.0.0/16', false],
    ['10.0.0.0/8', { le: 24 }, '10.0.0.0/8', true],
    ['10.0.0.0/8', { le: 24 }, '10.1.2.0/25', false],
    ['10.0.0.0/8', { ge: 16 }, '10.1.2.3/32', true],
    ['10.0.0.0/8', { ge: 16 }, '10.0.0.0/15', false],
    ['10.0.0.0/8', { ge: 16, le: 24 }, '11.0.0.0/16', false],
    ['0.0.0.0/0', {}, '0.0.0.0/0', true],
    ['0.0.0.0/0', { le: 32 }, '192.0.2.1/32', true],
    ['0.0.0.0/0', { le: 32 }, '2001:db8::/32', false],
    ['::/0', { ge: 48, le: 64 }, '2001:db8:1::/48', true],
    ['2001:db8::/32', { le: 48 }, '2001:db8:ffff::/48', true],
    ['2001:db8::/32', { le: 48 }, '2001:db9::/48', false],
    ['fd00::/8', { ge: 128 }, 'fd00:1:2:3:4:5:6:7/128', true],
  ])('%s %j has %s: %s', (text, range, asked, expected) => {
    expect(isIn([{ prefix: prefix(text), action: 'permit', ...range }], prefix(asked))).toBe(expected);
  });

  test('the first rule that matches decides, however general the others are', () => {
    const list: PrefixList = [
      { prefix: prefix('10.1.0.0/16'), le: 32, action: 'deny' },
      { prefix: prefix('10.0.0.0/8'), le: 32, action: 'permit' },
      { prefix: prefix('10.2.0.0/16'), le: 32, action: 'deny' },
    ];
    expect(isIn(list, prefix('10.1.2.0/24'))).toBe(false);
    expect(isIn(list, prefix('10.2.2.0/24'))).toBe(true);
    expect(isIn(list, prefix('11.0.0.0/24'))).toBe(false);
  });

  test('an empty list has nothing', () => {
    expect(isIn([], prefix('10.0.0.0/8'))).toBe(false);
  });

  // Few distinct bits, so that prefixes lie inside each other often.
  const anyPrefix = fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 6 }))
    .map(([bits, length]): IpPrefix => ({ address: maskAddress(ipv4((bits << 29) >>> 0), length), length }));
  const anyRule = fc
    .record({
      prefix: anyPrefix,
      ge: fc.option(fc.integer({ min: 0, max: 7 }), { nil: undefined }),
      le: fc.option(fc.integer({ min: 0, max: 7 }), { nil: undefined }),
      action: fc.constantFrom('permit' as const, 'deny' as const),
    })
    .map(({ prefix: at, ge, le, action }): PrefixRule => ({
      prefix: at,
      action,
      ...(ge === undefined ? {} : { ge }),
      ...(le === undefined ? {} : { le }),
    }));

  test('agree with their meaning word for word', () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 12 }), anyPrefix, (list, asked) => {
        expect(isIn(list, asked)).toBe(oracle(list, asked));
        expect(addressBits(asked.address)).toBe(32);
      }),
      { numRuns: 2000 },
    );
  });
});
