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
    expect(new Map(table.present.entries())).toEqual(new Map([['a', 1]]));
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

/** The two sides as plain maps; what is there may be another value that is as good as the one wanted. */
class Model {
  readonly wanted = new Map<string, number>();
  readonly present = new Map<string, number>();

  get differing(): readonly string[] {
    const keys = new Set([...this.wanted.keys(), ...this.present.keys()]);
    return [...keys].filter(key => {
      const [wanted, present] = [this.wanted.get(key), this.present.get(key)];
      return wanted === undefined || present === undefined || !alike(wanted, present);
    });
  }

  want(key: string, value: number | undefined): void {
    if (value === undefined) this.wanted.delete(key);
    else this.wanted.set(key, value);
  }

  find(values: ReadonlyMap<string, number>): void {
    for (const key of this.present.keys()) if (!values.has(key)) this.present.delete(key);
    for (const [key, value] of values) {
      const before = this.present.get(key);
      if (before === undefined || !alike(before, value)) this.present.set(key, value);
    }
  }

  write(failed: readonly string[]): void {
    for (const key of this.differing) {
      if (failed.includes(key)) continue;
      const value = this.wanted.get(key);
      if (value === undefined) this.present.delete(key);
      else this.present.set(key, value);
    }
  }
}

function alike(a: number, b: number): boolean {
  return a % 3 === b % 3;
}

test('is what two plain maps and a comparison are, whatever comes', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const value = fc.integer({ min: 0, max: 5 });
  const entries = fc.dictionary(key, value).map(o => new Map(Object.entries(o)));
  const step = fc.oneof(
    fc.tuple(key, fc.option(value, { nil: undefined })).map(change => ({ kind: 'want', change }) as const),
    entries.map(values => ({ kind: 'wantAll', values }) as const),
    entries.map(values => ({ kind: 'found', values }) as const),
    fc.uniqueArray(key).map(failed => ({ kind: 'commit', failed }) as const),
  );
  fc.assert(
    fc.property(fc.array(step), steps => {
      const [table, model] = [createDeltaTable<string, number>(alike), new Model()];
      for (const step of steps) {
        if (step.kind === 'want') {
          table.want([step.change]);
          model.want(...step.change);
        } else if (step.kind === 'wantAll') {
          table.wantAll(step.values);
          for (const key of model.wanted.keys()) if (!step.values.has(key)) model.want(key, undefined);
          for (const [key, value] of step.values) model.want(key, value);
        } else if (step.kind === 'found') {
          table.found(step.values);
          model.find(step.values);
        } else {
          table.applied(table.delta(), new Set(step.failed));
          model.write(step.failed);
        }
        expect(new Map(table.present.entries())).toEqual(model.present);
        const { set, removed } = table.delta();
        const before = (key: string): number | undefined => model.present.get(key);
        const [came, gone] = [model.differing.filter(key => model.wanted.has(key)), model.differing];
        expect(set).toEqual(new Map(came.map(key => [key, { value: model.wanted.get(key), before: before(key) }])));
        expect(removed).toEqual(new Map(gone.flatMap(key => (set.has(key) ? [] : [[key, before(key)]]))));
        expect(table.pending).toBe(model.differing.length);
        for (const key of ['a', 'b', 'c', 'd'])
          expect([table.isSettled(key), table.present.get(key), table.present.has(key)]).toEqual([
            model.wanted.has(key) && !model.differing.includes(key),
            before(key),
            model.present.has(key),
          ]);
      }
    }),
  );
});
