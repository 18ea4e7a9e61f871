/** The outermost prefixes of a collection, against a walk over all. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatPrefix, maskAddress, parsePrefix, prefixContains, ipv4, type IpPrefix } from '../../../src/core/ip.js';
import { createPrefixCover } from '../../../src/core/prefixCover.js';

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

test('a prefix hides what is inside it, and shows it again when it goes', () => {
  const cover = createPrefixCover();
  expect([...cover.add(prefix('10.1.0.0/24'))]).toEqual([['10.1.0.0/24', true]]);
  expect([...cover.add(prefix('10.1.1.0/24'))]).toEqual([['10.1.1.0/24', true]]);
  expect([...cover.add(prefix('10.1.0.0/16'))]).toEqual([
    ['10.1.0.0/24', false],
    ['10.1.1.0/24', false],
    ['10.1.0.0/16', true],
  ]);
  expect([...cover.add(prefix('10.1.2.0/24'))]).toEqual([]);
  expect(cover.outermost()).toEqual(['10.1.0.0/16']);
  expect([...cover.remove(prefix('10.1.1.0/24'))]).toEqual([]);
  expect([...cover.remove(prefix('10.1.0.0/16'))]).toEqual([
    ['10.1.0.0/16', false],
    ['10.1.0.0/24', true],
    ['10.1.2.0/24', true],
  ]);
});

test('families are apart, and the default route covers all of its own', () => {
  const cover = createPrefixCover();
  cover.add(prefix('fd00::/8'));
  cover.add(prefix('10.0.0.0/8'));
  expect([...cover.add(prefix('0.0.0.0/0'))]).toEqual([
    ['10.0.0.0/8', false],
    ['0.0.0.0/0', true],
  ]);
  expect([...cover.outermost()].sort()).toEqual(['0.0.0.0/0', 'fd00::/8']);
});

describe('whatever comes and goes', () => {
  const anyPrefix = fc.tuple(fc.nat({ max: 15 }), fc.constantFrom(28, 29, 30, 32)).map(([low, length]): IpPrefix => {
    const address = maskAddress(ipv4(0x0a000000 + low), length);
    return { address, length };
  });
  const step = fc.record({ add: fc.boolean(), prefix: anyPrefix });

  test('changes told add up to what a walk over all finds', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const cover = createPrefixCover();
        const held: IpPrefix[] = [];
        const told = new Set<string>();
        for (const { add, prefix } of steps) {
          const at = held.findIndex(other => formatPrefix(other) === formatPrefix(prefix));
          const changes = add ? cover.add(prefix) : cover.remove(prefix);
          if (add) held.push(prefix);
          else if (at >= 0) held.splice(at, 1);
          for (const [text, isIn] of changes) {
            expect(told.has(text)).toBe(!isIn);
            if (isIn) told.add(text);
            else told.delete(text);
          }
          const outermost = held.filter(
            one => !held.some(other => other.length < one.length && prefixContains(other, one.address)),
          );
          expect([...told].sort()).toEqual([...new Set(outermost.map(formatPrefix))].sort());
          expect([...cover.outermost()].sort()).toEqual([...told].sort());
        }
      }),
    );
  });
});
