import { describe, expect, test } from '@jest/globals';
import { bool, duration, formatDuration, texts, uint, uints } from '../../../../src/app/flags/goValues.js';

describe('durations are as Go writes them', () => {
  test.each([
    ['0', 0],
    ['90s', 90],
    ['5m', 300],
    ['1h30m', 5400],
    ['18h12m16s', 65536],
    ['1.5s', 1.5],
    ['250ms', 0.25],
    ['-1s', -1],
    ['+2m', 120],
    ['.5h', 1800],
  ])('%s', (text, seconds) => {
    expect(duration.read([text])).toEqual({ ok: true, value: seconds });
  });

  test.each(['', '90', '1 m', '5x', 's', '1h30', '1,5s'])('not %j', text => {
    expect(duration.read([text])).toEqual({ ok: false, error: 'is not a duration, such as 90s, 5m or 1h30m' });
  });

  test.each([
    [0, '0s'],
    [90, '1m30s'],
    [65536, '18h12m16s'],
    [4095, '1h8m15s'],
    [3600, '1h'],
    [0.5, '0.5s'],
  ])('%d s is written %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

test.each([
  ['true', true],
  ['1', true],
  ['T', true],
  ['False', false],
  ['0', false],
])('switch %s', (text, value) => {
  expect(bool.read([text])).toEqual({ ok: true, value });
});

test('a switch is not what merely sounds like one', () => {
  expect(bool.read(['yes'])).toEqual({ ok: false, error: 'is neither true nor false' });
});

test.each([
  ['0', 0],
  ['179', 179],
  ['0x10', 16],
  ['010', 8],
  ['0b11', 3],
  ['1_000', 1000],
  ['65535', 65535],
])('number %s', (text, value) => {
  expect(uint(16).read([text])).toEqual({ ok: true, value });
});

test.each([
  ['65536', 'is more than 65535'],
  ['-1', 'is not a whole number'],
  ['', 'is not a whole number'],
  ['1e3', 'is not a whole number'],
  ['09', 'is not a whole number'],
])('not number %j', (text, error) => {
  expect(uint(16).read([text])).toEqual({ ok: false, error });
});

test('the last of several texts counts, lists add up', () => {
  expect(uint(16).read(['1', '2'])).toEqual({ ok: true, value: 2 });
  expect(uints.read(['1, 2', '3'])).toEqual({ ok: true, value: [1, 2, 3] });
  expect(uints.read(['1,x'])).toEqual({ ok: false, error: '"x" is not a whole number' });
});

test('a list may have empty parts, an empty text has none', () => {
  expect(texts.read([',b'])).toEqual({ ok: true, value: ['', 'b'] });
  expect(texts.read([''])).toEqual({ ok: true, value: [] });
});
