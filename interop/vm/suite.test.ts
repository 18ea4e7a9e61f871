/** How steps of a suite for the guest are taken, and that a guest which does not end is ended. Needs root. */

import { expect, test } from '@jest/globals';
import { runGuest } from './guest.js';
import { runSteps, vmSuite, type SuiteBuilder, type VmResult } from './suite.js';

async function results(build: (suite: SuiteBuilder) => void): Promise<readonly string[]> {
  const told: VmResult[] = [];
  await runSteps(vmSuite('s', 1, build), result => told.push(result));
  return told.map(({ check, error }) => `${check}: ${error?.split('\n')[0] ?? 'ok'}`);
}

function fails(text: string): () => void {
  return () => {
    throw new Error(text);
  };
}

test('checks are told one by one, and a failure is no end', async () => {
  const told = await results(({ check }) => {
    check('a', fails('x'));
    check('b', () => Promise.reject(new Error('y')));
    check('c', () => undefined);
  });
  expect(told).toEqual(['a: Error: x', 'b: Error: y', 'c: ok']);
});

test('what a failed preparation was for fails, up to the next one', async () => {
  const ran: string[] = [];
  const told = await results(({ check, prepare, cleanup }) => {
    prepare('p', fails('x'));
    check('a', () => void ran.push('a'));
    cleanup('q', () => void ran.push('q'));
    check('b', () => void ran.push('b'));
    prepare('r', () => void ran.push('r'));
    check('c', () => void ran.push('c'));
  });
  expect(told).toEqual(["a: 'p' failed before it: Error: x", "b: 'p' failed before it: Error: x", 'c: ok']);
  expect(ran).toEqual(['q', 'r', 'c']);
});

test('a failure behind the last check is told too', async () => {
  const told = await results(({ check, cleanup }) => {
    check('a', () => undefined);
    cleanup('q', fails('x'));
  });
  expect(told).toEqual(['a: ok', "its last step: 'q' failed before it: Error: x"]);
});

test('two checks of one name are refused', () => {
  const twice = ({ check }: SuiteBuilder): void => {
    check('a', () => undefined);
    check('a', () => undefined);
  };
  expect(() => vmSuite('s', 1, twice)).toThrow("suite s has two checks named 'a'");
});

test('a guest that takes too long is ended', async () => {
  const { results: told, ended, console } = await runGuest([], 1);
  expect([told, [...ended]]).toEqual([[], []]);
  expect(console).toContain('the guest was ended after 0.001 s');
}, 60_000);
