import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Journal } from '../../../src/rib/journal.js';
import type { PrefixId } from '../../../src/rib/prefixTable.js';

const PREFIXES = 50;

describe('Journal', () => {
  test('each reader meets, after any history, exactly the prefixes changed since it read last, once each', () => {
    const step = fc.oneof(
      {
        weight: 20,
        arbitrary: fc.record({
          kind: fc.constant('append' as const),
          prefix: fc.integer({ min: 1, max: PREFIXES }),
          times: fc.integer({ min: 1, max: 3000 }),
        }),
      },
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('read' as const),
          reader: fc.integer({ min: 0, max: 2 }),
          most: fc.integer({ min: 1, max: 5000 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim' as const) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const journal = new Journal(PREFIXES + 1);
        const readers = [0, 1, 2].map(() => ({ reader: journal.open(), unread: new Set<number>() }));
        const read = (index: number, most: number): void => {
          const { reader, unread } = readers[index]!;
          const end = Math.min(journal.length, reader.cursor + most);
          const seen: number[] = [];
          for (let i = reader.cursor; i < end; i++) if (journal.isLast(i)) seen.push(journal.entries[i]!);
          reader.cursor = end;
          expect(new Set(seen).size).toBe(seen.length);
          for (const prefix of seen) expect(unread.delete(prefix)).toBe(true);
          if (end === journal.length) expect(unread.size).toBe(0);
        };
        for (const s of steps) {
          if (s.kind === 'append') {
            for (let i = 0; i < s.times; i++) {
              const prefix = ((s.prefix + i) % PREFIXES) + 1;
              journal.append(prefix as PrefixId);
              for (const { unread } of readers) unread.add(prefix);
            }
          } else if (s.kind === 'read') read(s.reader, s.most);
          else journal.trim();
        }
        readers.forEach((_, i) => read(i, Infinity));
        expect(journal.trim()).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  test('a reader that never reads does not make it grow beyond the number of prefixes', () => {
    const journal = new Journal(PREFIXES + 1);
    journal.open();
    for (let i = 0; i < 500_000; i++) journal.append(((i % PREFIXES) + 1) as PrefixId);
    expect(journal.entries.length).toBe(1 << 14);
  });

  test('without readers it forgets', () => {
    const journal = new Journal(2);
    journal.append(1 as PrefixId);
    expect(journal.trim()).toBe(true);
    expect(journal.length).toBe(0);
  });
});
