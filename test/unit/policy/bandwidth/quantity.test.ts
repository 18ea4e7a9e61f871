import { expect, test } from '@jest/globals';
import { parseLimit } from '../../../../src/policy/bandwidth/podLimits.js';
import { parseQuantity } from '../../../../src/policy/bandwidth/quantity.js';

test.each([
  ['10M', 10e6],
  ['1k', 1000],
  ['1.5G', 1.5e9],
  ['.5M', 500_000],
  ['5.', 5],
  ['+3k', 3000],
  ['-3k', -3000],
  ['512Ki', 524_288],
  ['2Mi', 2_097_152],
  ['1Pi', 2 ** 50],
  ['2e6', 2e6],
  ['2E6', 2e6],
  ['1E', 1e18],
  ['25e-1', 3],
  ['1500m', 2],
  ['100n', 1],
  ['1u', 1],
  ['0', 0],
  ['0e999', 0],
  ['0.1k', 100],
  ['1000000.3', 1_000_001],
])('%s is %d', (text, value) => {
  expect(parseQuantity(text)).toEqual({ ok: true, value });
});

test.each(['', '10 M', '10Mbit', '1K', 'M', '10mi', '1e', '--1', '1,5M', '0x10', '10m/s', ' 10M'])(
  '%j is none',
  text => {
    expect(parseQuantity(text)).toEqual({ ok: false, error: 'is no quantity, such as 10M' });
  },
);

test.each([
  ['999', 'is less than 1k, the least there can be'],
  ['0', 'is less than 1k, the least there can be'],
  ['-5M', 'is less than 1k, the least there can be'],
  ['1001T', 'is more than 1P, the most there can be'],
  ['ten', 'is no quantity, such as 10M'],
])('%s is no limit', (text, error) => {
  expect(parseLimit(text)).toEqual({ ok: false, error });
});

test('the bounds themselves are limits', () => {
  expect([parseLimit('1k'), parseLimit('1P')]).toEqual([
    { ok: true, value: 1000 },
    { ok: true, value: 1e15 },
  ]);
});
