import { describe, expect, test } from '@jest/globals';
import { markdownTables, resultLines, terminalTable } from '../../../../bench/report/render.js';
import { isMet, median, ratioOf, reflectRows, type Row } from '../../../../bench/report/rows.js';
import { scenarios } from '../../../../bench/run/scenarios.js';
import type { PhaseResult, TrialResult } from '../../../../bench/run/trial.js';

const one = scenarios(1_000_000).find(s => s.key === 'one')!;

function trial(wall: number, more: Partial<PhaseResult> = {}): TrialResult {
  const phase: PhaseResult = { phase: 'announce', wall, cpu: wall, receiversCpu: 0, feederCpu: 0, ...more };
  return { phases: [phase], heldMegabytes: 100, peakMegabytes: 150 };
}

const announce = (rows: readonly Row[]): Row => rows.find(r => r.measure === 'announce' && r.unit === 's')!;

describe('rows', () => {
  test('the ratio is theirs / ours, of the medians, and is held against the target', () => {
    const row = announce(reflectRows(one, [trial(1), trial(3), trial(2)], 'BIRD', [trial(10)]));
    expect([row.ours, row.theirs, ratioOf(row), isMet(row)]).toEqual([2, 10, 5, true]);
    expect(isMet(announce(reflectRows(one, [trial(1)], 'BIRD', [trial(3.9)])))).toBe(false);
  });

  test('without ours there is no ratio and no verdict', () => {
    const row = announce(reflectRows(one, [], 'BIRD', [trial(10)]));
    expect([ratioOf(row), isMet(row)]).toEqual([null, null]);
  });

  test('a peer out of time counts with its limit, marked; ours out of time misses its target', () => {
    const out: TrialResult = {
      phases: [],
      timedOut: { phase: 'announce', limit: 100 },
      heldMegabytes: 1,
      peakMegabytes: 1,
    };
    const theirs = reflectRows(one, [trial(1)], 'GoBGP', [out]);
    expect(announce(theirs)).toMatchObject({ theirs: 100, theirsIsLimit: true });
    expect(terminalTable(theirs)).toContain('> 100 ×');
    expect(isMet(announce(reflectRows(one, [out], 'BIRD', [trial(1000)])))).toBe(false);
  });

  test('says when the generator was the limit', () => {
    expect(announce(reflectRows(one, [trial(1, { receiversCpu: 0.9 })], 'BIRD', [trial(1)])).generatorBound).toBe(true);
    expect(announce(reflectRows(one, [trial(1, { receiversCpu: 0.5 })], 'BIRD', [trial(1)])).generatorBound).toBe(
      false,
    );
  });

  test('memory is held against an absolute number', () => {
    const rows = reflectRows(one, [trial(1)], 'BIRD', [trial(1)]);
    expect(rows.filter(r => r.unit === 'MB').map(isMet)).toEqual([true, true]);
  });
});

test('the lines for programs have the agreed fields', () => {
  const [line] = resultLines(reflectRows(one, [trial(1)], 'BIRD 2', [trial(5)]));
  expect(line).toEqual({
    name: '1,000,000 prefixes, 1 client: announce',
    unit: 's',
    ours: 1,
    peer: 'BIRD 2',
    theirs: 5,
    ratio: 5,
    target: '≥ 4.00 ×',
    ok: true,
  });
});

test('Markdown has one table for each workload, the ratio first', () => {
  const text = markdownTables(reflectRows(one, [trial(1)], 'BIRD 2', [trial(5)]));
  expect(text).toContain('### 1,000,000 prefixes, 1 client');
  expect(text).toContain('| announce | 5.00 × | (1.00 : 5.00 s) | BIRD 2 | ≥ 4.00 × | ok |');
});

test.each([
  [[], null],
  [[3], 3],
  [[5, 1, 3], 3],
  [[4, 1], 2.5],
])('median of %j', (values, expected) => {
  expect(median(values)).toBe(expected);
});
