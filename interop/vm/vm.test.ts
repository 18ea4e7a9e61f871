/** Every check of every suite that runs in the guest, as a test; the guest is booted once. Needs root: scripts/fetchGuestKernel.sh. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runGuest, type GuestOutcome } from './guest.js';
import { ON_REQUEST, SUITES } from './suites.js';

/** Boot and end of the guest, on a machine with other work. */
const BOOT = 120;
const names = process.env['PEERAGE_VM_SUITES']?.split(',');
const suites = names === undefined ? SUITES : [...SUITES, ...ON_REQUEST].filter(({ name }) => names.includes(name));
const limit = (BOOT + suites.reduce((sum, suite) => sum + suite.limit, 0)) * 1000;

let outcome: GuestOutcome | undefined;
beforeAll(async () => {
  outcome = await runGuest(suites, limit);
}, limit + 60_000);

afterAll(() => {
  const failed = suites.some(({ name }) => outcome?.ended.get(name) !== 0);
  const isBad = failed || outcome?.results.some(({ error }) => error !== undefined) !== false;
  if (outcome !== undefined) process.stderr.write(`the guest took ${outcome.seconds.toFixed(0)} s\n`);
  if (isBad || process.env['PEERAGE_VM_CONSOLE'] !== undefined)
    process.stderr.write(`--- the guest's console\n${outcome?.console ?? ''}---\n`);
});

describe.each(suites)('$name', suite => {
  test.each(suite.steps.flatMap(({ kind, name }) => (kind === 'check' ? [name] : [])))('%s', check => {
    const result = outcome?.results.find(one => one.suite === suite.name && one.check === check);
    if (result === undefined) throw new Error('the guest gave no result: its console is below');
    if (result.error !== undefined) throw new Error(`in the guest: ${result.error}`);
  });

  test('the suite came to its end', () => {
    expect(outcome?.ended.get(suite.name)).toBe(0);
    const names = new Set(suite.steps.map(({ name }) => name));
    expect(outcome?.results.filter(one => one.suite === suite.name && !names.has(one.check))).toEqual([]);
  });
});
