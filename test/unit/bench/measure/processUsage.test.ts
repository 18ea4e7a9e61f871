import { expect, test } from '@jest/globals';
import { parseCpuSeconds, parsePeakMegabytes, parseTriePrefixes } from '../../../../bench/measure/processUsage.js';

test('CPU time is user and system time, whatever the command is called', () => {
  const stat = '42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 8 20 0 1 0 100 1000 200';
  expect(parseCpuSeconds(stat)).toBe(3);
});

test('the largest resident set is in units of 1024 octets', () => {
  expect(parsePeakMegabytes('VmPeak:\t  9 kB\nVmHWM:\t  100000 kB\nVmRSS:\t 1 kB\n')).toBeCloseTo(102.4);
  expect(parsePeakMegabytes('')).toBe(0);
});

test('the main trie comes first', () => {
  const stat =
    'Basic info: size of leaf\nMain:\n\tLeaves:         4\n\tPrefixes:       17\nLocal:\n\tPrefixes:       3\n';
  expect(parseTriePrefixes(stat)).toBe(17);
  expect(parseTriePrefixes('Basic info: size of leaf')).toBe(0);
});
