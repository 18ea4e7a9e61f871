/** A map in parts is a map. */

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PARTS, partOf, SpreadMap } from '../../../src/core/spreadMap.js';

const key = fc.oneof(fc.string({ maxLength: 20 }), fc.integer(), fc.constantFrom(-1, 2 ** 40, 0.5, NaN));

test('holds what a Map holds', () => {
  const step = fc.tuple(key, fc.option(fc.integer(), { nil: undefined }));
  fc.assert(
    fc.property(fc.array(step), steps => {
      const [subject, model] = [new SpreadMap<string | number, number>(), new Map<string | number, number>()];
      for (const [key, value] of steps) {
        if (value === undefined) {
          subject.delete(key);
          model.delete(key);
        } else {
          subject.set(key, value);
          model.set(key, value);
        }
        expect(subject.get(key)).toBe(model.get(key));
      }
      expect(new Map(subject.entries())).toEqual(model);
    }),
  );
});

test('spreads addresses, and ports of addresses, over its parts', () => {
  const address = (i: number): string => String.fromCharCode(10, 0, i >> 8, i & 255);
  for (const end of ['', String.fromCharCode(6, 0, 0, 0, 31, 144, 0, 0)]) {
    const sizes = new Array<number>(PARTS).fill(0);
    for (let i = 0; i < 100 * PARTS; i++) sizes[partOf(`group-1 ${address(i)}${end}`)]! += 1;
    expect(Math.max(...sizes)).toBeLessThan(400);
  }
});
