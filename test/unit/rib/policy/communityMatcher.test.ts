import { describe, expect, test } from '@jest/globals';
import { parseCommunityPattern } from '../../../../src/bgp/wire/communityPattern.js';
import { parseCommunity, parseExtendedCommunity, parseLargeCommunity } from '../../../../src/bgp/wire/communityText.js';
import type { Result } from '../../../../src/core/result.js';
import { compileCommunitySet, type CommunityTest } from '../../../../src/rib/policy/communityMatcher.js';

function value<T>(result: Result<T, string>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function set(...patterns: readonly string[]): CommunityTest {
  return compileCommunitySet(patterns.map(pattern => value(parseCommunityPattern(pattern))));
}

function holds(pattern: string, community: string): boolean {
  const matcher = set(pattern);
  if (/^(rt|soo|0x)/.test(community)) return matcher.extended(value(parseExtendedCommunity(community)));
  if (community.split(':').length === 3) return matcher.large(value(parseLargeCommunity(community)));
  return matcher.standard(value(parseCommunity(community)));
}

describe('community patterns', () => {
  test.each([
    ['65000:1', '65000:1', true],
    ['65000:1', '65000:2', false],
    ['65000:*', '65000:7', true],
    ['65000:*', '65001:7', false],
    ['*:666', '1:666', true],
    ['*:666', '1:667', false],
    ['*:*', '1:667', true],
    ['no-export', 'no-export', true],
    ['no-export', 'no-advertise', false],
    ['65535:*', 'graceful-shutdown', true],
    ['65000:1:2', '65000:1:2', true],
    ['65000:1:*', '65000:1:9', true],
    ['65000:1:*', '65000:2:9', false],
    ['*:1:2', '4200000000:1:2', true],
    ['65000:1', '65000:1:0', false],
    ['rt:65000:1', 'rt:65000:1', true],
    ['rt:65000:*', 'rt:65000:70000', true],
    ['rt:65000:*', 'soo:65000:1', false],
    ['rt:4200000000:*', 'rt:4200000000:9', true],
    ['rt:4200000000:*', 'rt:4200000001:9', false],
    ['soo:10.0.0.1:*', 'soo:10.0.0.1:9', true],
    ['0x0002fde800000001', 'rt:65000:1', true],
  ])('%s over %s is %s', (pattern, community, expected) => {
    expect(holds(pattern, community)).toBe(expected);
  });

  test('a set holds when one pattern does', () => {
    const matcher = set('65000:1', '65000:2', '64512:*', '1:2:3');
    expect([0xfde80001, 0xfde80002, 0xfc000009, 0xfde80003].map(c => matcher.standard(c))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(matcher.large([1, 2, 3])).toBe(true);
    expect(matcher.extended(0n)).toBe(false);
  });

  test.each(['65536:1', 'x', '1:2:3:4', '65000', 'rt:*:1', 'noexport', '*', ''])('%s is refused', text => {
    expect(parseCommunityPattern(text).ok).toBe(false);
  });
});
