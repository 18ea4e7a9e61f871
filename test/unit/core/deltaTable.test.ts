/** The difference between what is wanted and what is there. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createDeltaTable } from '../../../src/core/deltaTable.js';

const same = (a: number, b: number): boolean => a === b;

describe('difference', () => {
  test('what is new, what is other, what is to go', () => {
    const table = createDeltaTable<string, number>(same);
    expect(
      table.found(
        new Map([
          ['a', 1],
          ['b', 2],
          ['c', 3],
        ]),
      ),
    ).toEqual(['a', 'b', 'c']);
    table.want([
      ['a', 1],
      ['b', 9],
      ['d', 4],
    ]);
    expect(table.delta()).toEqual({
      set: new Map([
        ['b', { value: 9, before: 2 }],
        ['d', { value: 4, before: undefined }],
      ]),
      removed: new Map([['c', 3]]),
    });
    expect([table.isSettled('a'), table.isSettled('b'), table.isSettled('c'), table.pending]).toEqual([
      true,
      false,
      false,
      3,
    ]);
  });

  test('many changes to one key cost one entry, or none when it ends as it began', () => {
    const table = createDeltaTable<string, number>(same);
    for (let i = 0; i < 40; i++) table.want([['a', i]]);
    expect(table.delta().set.size).toBe(1);
    table.want([['a', undefined]]);
    expect(table.pending).toBe(0);
  });

  test('what failed stays different; what was written is not', () => {
    const table = createDeltaTable<string, number>(same);
    table.want([
      ['a', 1],
      ['b', 2],
    ]);
    table.applied(table.delta(), new Set(['b']));
    expect([...table.delta().set.keys()]).toEqual(['b']);
    expect(table.present).toEqual(new Map([['a', 1]]));
  });

  test('a change that comes while its predecessor is written is not lost', () => {
    const table = createDeltaTable<string, number>(same);
    table.want([['a', 1]]);
    const sent = table.delta();
    table.want([['a', 2]]);
    table.applied(sent, new Set());
    expect(table.delta().set.get('a')).toEqual({ value: 2, before: 1 });
  });
});

test('applying the difference always makes both sides equal, whatever came before', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const value = fc.integer({ min: 0, max: 3 });
  const entries = fc.dictionary(key, value).map(o => new Map(Object.entries(o)));
  const step = fc.oneof(
    fc.tuple(key, fc.option(value, { nil: undefined })).map(change => ({ kind: 'want', change }) as const),
    entries.map(values => ({ kind: 'wantAll', values }) as const),
    entries.map(values => ({ kind: 'found', values }) as const),
    fc.uniqueArray(key).map(failed => ({ kind: 'commit', failed }) as const),
  );
  fc.assert(
    fc.property(fc.array(step), steps => {
      const table = createDeltaTable<string, number>(same);
      for (const step of steps) {
        if (step.kind === 'want') table.want([step.change]);
        else if (step.kind === 'wantAll') table.wantAll(step.values);
        else if (step.kind === 'found') table.found(step.values);
        else table.applied(table.delta(), new Set(step.failed));
      }
      const differing = new Set([...table.wanted.keys(), ...table.present.keys()]);
      for (const k of differing) if (table.wanted.get(k) === table.present.get(k)) differing.delete(k);
      expect(table.pending).toBe(differing.size);
      table.applied(table.delta(), new Set());
      expect(table.present).toEqual(table.wanted);
    }),
  );
});
