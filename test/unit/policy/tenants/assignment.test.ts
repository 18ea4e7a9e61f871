import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { dueTasks, freshNumbers } from '../../../../src/policy/tenants/assignment.js';
import { CHANGE_ANNOTATION, NUMBER_ANNOTATION, tenantSpec } from '../../../../src/policy/tenants/namespaceTenant.js';
import { FIRST, LAST } from '../../../../src/policy/tenants/tenantNumber.js';

describe('numbers to give out', () => {
  test.each([
    ['the first one of all', undefined, [], 2, [10, 11], 12],
    ['behind the highest, where nobody wrote down where to begin', undefined, [0, 12], 1, [13], 14],
    ['not those that somebody has', 10, [11, 12], 3, [10, 13, 14], 15],
    ['from the beginning again behind the last', LAST, [], 2, [LAST, FIRST], 11],
    ['the last', LAST, [], 1, [LAST], FIRST],
    ['a place to begin that is none', 3, [], 1, [10], 11],
  ])('%s', (_, next, taken, count, numbers, after) => {
    expect(freshNumbers(next, new Set(taken), count)).toEqual({ numbers, next: after });
  });

  test('more than there are is an error, not an endless search', () => {
    expect(() => freshNumbers(undefined, new Set(), LAST)).toThrow('there are no');
  });

  test('whoever goes on where another stopped gives out others, whatever is taken', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.array(fc.integer({ min: 8, max: 40 })))),
        turns => {
          const given: number[] = [];
          let next: number | undefined;
          for (const [count, taken] of turns) {
            const fresh = freshNumbers(next, new Set(taken), count);
            for (const number of fresh.numbers) expect(taken).not.toContain(number);
            given.push(...fresh.numbers);
            ({ next } = fresh);
          }
          expect(new Set(given).size).toBe(given.length);
        },
      ),
    );
  });
});

test('first numbers go before changes, both by name; nobody writes where numbers are made from names', () => {
  const specs = new Map([
    ['z', tenantSpec({})],
    ['c', tenantSpec({ [CHANGE_ANNOTATION]: 'global' })],
    ['b', tenantSpec({ [NUMBER_ANNOTATION]: '10', [CHANGE_ANNOTATION]: 'isolate' })],
    ['bad', tenantSpec({ [NUMBER_ANNOTATION]: 'x' })],
    ['kube-system', tenantSpec({})],
    ['a', tenantSpec({})],
  ]);
  const global = new Set(['kube-system']);
  expect(dueTasks(specs, { global, numbers: 'given' })).toEqual([
    { namespace: 'a', kind: 'first' },
    { namespace: 'z', kind: 'first' },
    { namespace: 'b', kind: 'change' },
    { namespace: 'c', kind: 'change' },
  ]);
  expect(dueTasks(specs, { global, numbers: 'derived' })).toEqual([]);
});
