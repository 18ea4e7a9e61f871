import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PrefixTable, type PrefixId } from '../../../src/rib/prefixTable.js';

/** Few distinct keys, so that histories meet the same prefix again; clustered, so that probe chains form. */
const key4 = fc.record({
  word: fc.integer({ min: 0, max: 300 }).map(n => (n * 0x01000193) >>> 0),
  length: fc.integer({ min: 0, max: 32 }),
});
const step = fc.record({ remove: fc.boolean(), key: key4 });

describe('PrefixTable', () => {
  test('any history of insertions and removals answers like a Map (IPv4)', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2000 }), steps => {
        const table = new PrefixTable(1);
        const model = new Map<string, PrefixId>();
        for (const { remove, key } of steps) {
          const name = `${key.word}/${key.length}`;
          if (remove) {
            const id = model.get(name);
            expect(table.find4(key.word, key.length)).toBe(id ?? 0);
            if (id !== undefined) table.remove(id);
            model.delete(name);
          } else {
            const id = table.idOf4(key.word, key.length);
            if (model.has(name)) expect(id).toBe(model.get(name));
            else expect([...model.values()]).not.toContain(id);
            model.set(name, id);
            expect([table.words[id], table.lengths[id]]).toEqual([key.word, key.length]);
          }
        }
        expect(table.size).toBe(model.size);
        for (const [name, id] of model) {
          const [word, length] = name.split('/').map(Number);
          expect(table.find4(word!, length!)).toBe(id);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('any history of insertions and removals answers like a Map (IPv6)', () => {
    const word = fc.constantFrom(0, 1, 0xffff_ffff, 0x20010db8);
    const key = fc.tuple(word, word, word, word, fc.constantFrom(32, 48, 64, 128));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), key), { maxLength: 1000 }), steps => {
        const table = new PrefixTable(4);
        const model = new Map<string, PrefixId>();
        for (const [remove, k] of steps) {
          const name = k.join();
          const known = model.get(name);
          expect(table.find6(...k)).toBe(known ?? 0);
          if (!remove) model.set(name, table.idOf6(...k));
          else if (known !== undefined) {
            table.remove(known);
            model.delete(name);
          }
        }
        expect(new Set(model.values()).size).toBe(model.size);
        for (const [name, id] of model)
          expect([...table.words.subarray(id * 4, id * 4 + 4), table.lengths[id]].join()).toBe(name);
      }),
      { numRuns: 50 },
    );
  });

  test('grows past its first capacity and keeps every prefix', () => {
    const table = new PrefixTable(1);
    const before = table.capacity;
    let astray = 0;
    for (let i = 0; i <= before; i++) if (table.idOf4(i << 8, 31) !== i + 1) astray++;
    expect(table.capacity).toBeGreaterThan(before);
    for (let i = 0; i <= before; i += 997) if (table.find4(i << 8, 31) !== i + 1) astray++;
    expect([astray, table.size]).toEqual([0, before + 1]);
  });
});
