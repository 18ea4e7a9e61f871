import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseAsPath } from '../../../../src/bgp/asPathExpression.js';
import type { AsSegment } from '../../../../src/bgp/attributes.js';
import type { AsPathNode } from '../../../../src/bgp/policyTypes.js';
import { compileAsPath } from '../../../../src/rib/policy/asPathMatcher.js';

function matches(text: string, segments: readonly AsSegment[]): boolean {
  const parsed = parseAsPath(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return compileAsPath(parsed.value)(segments);
}

function sequence(...asns: readonly number[]): AsSegment[] {
  return asns.length === 0 ? [] : [{ type: 'sequence', asns }];
}

describe('AS path expressions', () => {
  test.each<[string, readonly number[], boolean]>([
    ['^$', [], true],
    ['^$', [65000], false],
    ['65000', [1, 65000, 2], true],
    ['65000', [1, 650001, 2], false],
    ['^65000', [65000, 1], true],
    ['^65000', [1, 65000], false],
    ['_65000$', [1, 65000], true],
    ['_65000$', [65000, 1], false],
    ['^65000 .$', [65000, 7], true],
    ['^65000 .$', [65000, 7, 8], false],
    ['^65000 .* 9$', [65000, 9], true],
    ['^65000 .* 9$', [65000, 1, 2, 9], true],
    ['^(65000 | 65001)+ 7?$', [65001, 65000, 7], true],
    ['^(65000|65001)+ 7?$', [7], false],
    ['^64512-65534$', [65000], true],
    ['^64512-65534$', [65535], false],
    ['^[1 5-6]+$', [1, 6, 5, 1], true],
    ['^[1 5-6]+$', [1, 7], false],
    ['^7{2,3}$', [7], false],
    ['^7{2,3}$', [7, 7], true],
    ['^7{2,3}$', [7, 7, 7, 7], false],
    ['^7{2}$', [7, 7], true],
    ['^7{2,}$', [7, 7, 7, 7, 7], true],
    ['7 7', [1, 7, 7, 2], true],
    ['7 7', [7, 1, 7], false],
    ['', [1, 2, 3], true],
  ])('%s over %j is %s', (text, asns, expected) => {
    expect(matches(text, sequence(...asns))).toBe(expected);
  });

  test('a set is one place, which any of its members may fill', () => {
    const path: AsSegment[] = [...sequence(65000), { type: 'set', asns: [1, 2, 3] }];
    expect(matches('^65000 2$', path)).toBe(true);
    expect(matches('^65000 . .$', path)).toBe(false);
  });

  test.each([
    ['(1 2', 'ends where ")" should stand'],
    ['1)', '")" at place 2'],
    ['65000x', '"x" at place 6'],
    ['9-3', 'the range 9-3 is empty'],
    ['[]', 'nothing stands between'],
    ['7{3,2}', '{3,2} is empty'],
    ['99999999999', 'is more than'],
    ['a.*', '"a" at place 1'],
    ['1 ^ 2', '"^" at place 3'],
    ['((7{64}){64}){64}', 'too long'],
    ['('.repeat(30), 'more than 20'],
  ])('%s is refused', (text, reason) => {
    const parsed = parseAsPath(text);
    expect(parsed.ok ? '' : parsed.error).toContain(reason);
  });

  test('what backtracking would never finish is answered', () => {
    const path = sequence(...Array.from({ length: 400 }, () => 7));
    expect(matches('^(7* 7*)* 8$', path)).toBe(false);
  });

  // The oracle: the same expression over letters, with JavaScript's own engine.
  const LETTERS = 'abc';
  const node: fc.Arbitrary<AsPathNode> = fc.letrec<{ node: AsPathNode }>(tie => ({
    node: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.integer({ min: 0, max: 2 }).map((n): AsPathNode => ({ kind: 'asn', low: n, high: n })),
      fc.array(tie('node'), { maxLength: 3 }).map((parts): AsPathNode => ({ kind: 'sequence', parts })),
      fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((parts): AsPathNode => ({ kind: 'choice', parts })),
      fc
        .tuple(tie('node'), fc.integer({ min: 0, max: 2 }), fc.option(fc.integer({ min: 0, max: 2 })))
        .map(([part, min, more]): AsPathNode => ({
          kind: 'repeat',
          part,
          min,
          max: more === null ? null : min + more,
        })),
    ),
  })).node;

  function asRegExp(n: AsPathNode): string {
    switch (n.kind) {
      case 'asn':
        return LETTERS[n.low]!;
      case 'sequence':
        return n.parts.map(asRegExp).join('');
      case 'choice':
        return `(?:${n.parts.map(asRegExp).join('|')})`;
      case 'repeat':
        return `(?:${asRegExp(n.part)}){${n.min},${n.max ?? ''}}`;
    }
  }

  test('agrees with regular expressions over letters', () => {
    fc.assert(
      fc.property(
        node,
        fc.boolean(),
        fc.boolean(),
        fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 6 }),
        (body, fromStart, toEnd, asns) => {
          const expected = new RegExp(`${fromStart ? '^' : ''}(?:${asRegExp(body)})${toEnd ? '$' : ''}`).test(
            asns.map(n => LETTERS[n]!).join(''),
          );
          expect(compileAsPath({ fromStart, toEnd, body })(sequence(...asns))).toBe(expected);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
