/** The prefix index against a plain Map. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PrefixIndex } from '../../../src/fib/prefixIndex.js';

// Few values, so that prefixes meet again and shards fill up.
const anyPrefix = fc.record({
  words: fc.tuple(fc.nat(3), fc.nat(2), fc.nat(1), fc.nat(60)),
  length: fc.constantFrom(0, 24, 64, 128),
});
const anyStep = fc.record({ remove: fc.boolean(), prefix: anyPrefix });

describe.each([1, 4] as const)('%i words', wordsPerAddress => {
  test('keeps what was inserted and not removed, under distinct ids', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 600 }), steps => {
        const index = new PrefixIndex(wordsPerAddress);
        const model = new Map<string, number>();
        for (const { remove, prefix } of steps) {
          const words = Uint32Array.from([7, ...prefix.words.slice(4 - wordsPerAddress)]);
          const key = `${words.join()}/${prefix.length}`;
          const known = model.get(key);
          expect(index.find(words, 1, prefix.length)).toBe(known ?? -1);
          if (!remove) {
            const id = index.insert(words, 1, prefix.length);
            if (known !== undefined) expect(id).toBe(known);
            else expect([...model.values()]).not.toContain(id);
            model.set(key, id);
          } else if (known !== undefined) {
            index.remove(known);
            model.delete(key);
          }
        }
        expect(index.size).toBe(model.size);
        expect(index.end).toBeLessThanOrEqual(steps.length);
        for (const [key, id] of model) {
          const at = id * wordsPerAddress;
          expect(`7,${index.addresses.slice(at, at + wordsPerAddress).join()}/${index.lengths[id]!}`).toBe(key);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('grows past every capacity and finds all again', () => {
    const index = new PrefixIndex(wordsPerAddress);
    const words = new Uint32Array(wordsPerAddress);
    const count = 70_000;
    const wrong = (idOf: () => number): number => {
      let found = 0;
      for (let i = 0; i < count; i++) {
        words[wordsPerAddress - 1] = i * 256;
        if (idOf() !== i) found += 1;
      }
      return found;
    };
    expect(wrong(() => index.insert(words, 0, 24))).toBe(0);
    expect(wrong(() => index.find(words, 0, 24))).toBe(0);
  });
});
