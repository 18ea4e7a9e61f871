import { expect, test } from '@jest/globals';
import {
  answered,
  asked,
  heard,
  isDeaf,
  newTie,
  suspectAt,
  whyShut,
  type Tie,
  type Word,
} from '../../../../src/app/egressAddresses/holderFence.js';

const OTHERS = ['b', 'c'];

/** Heard of at 0 for the last time, asks from 2.4 s on, and was answered so at these times. */
function tieWith(...words: readonly (readonly [number, string, Word])[]): Tie {
  const first = asked(heard(newTie(-10_000), 0), 2400);
  return words.reduce((tie, [at, node, word]) => answered(tie, node, word, at), first);
}

test.each<readonly [string, Tie, number, string | undefined]>([
  ['heard of lately', heard(newTie(0), 0), 1000, undefined],
  ['nobody has been asked yet, after a pause of the whole machine', heard(newTie(0), 0), 60_000, undefined],
  ['too early to tell', tieWith(), 3599, undefined],
  ['early, though nobody answers', tieWith(), 3999, undefined],
  ['nobody answers', tieWith(), 4000, 'reaches neither the API server nor b'],
  ['one of them does not', tieWith([3200, 'b', 'there']), 4000, 'reaches neither the API server nor c'],
  ['all answer', tieWith([3200, 'b', 'there'], [3200, 'c', 'there']), 4000, undefined],
  [
    'one is out of reach in the end',
    tieWith([9000, 'b', 'there'], [10_000, 'c', 'there']),
    10_200,
    'reaches neither the API server nor b',
  ],
  [
    'an answer that came for an old question',
    tieWith([2000, 'b', 'there']),
    4000,
    'reaches neither the API server nor b',
  ],
  [
    'silence after an answer',
    tieWith([3200, 'b', 'there'], [3600, 'b', 'silent'], [3600, 'c', 'there']),
    4399,
    undefined,
  ],
  [
    'long enough to be called not Ready by somebody who hears of the server',
    tieWith([25_000, 'b', 'there'], [25_000, 'c', 'deaf']),
    25_000,
    'does not reach the API server, which b may reach',
  ],
  ['the server is away for all', tieWith([90_000, 'b', 'deaf'], [90_000, 'c', 'deaf']), 90_400, undefined],
  [
    'and comes back for one of them first',
    tieWith([90_000, 'b', 'deaf'], [91_500, 'b', 'there'], [91_500, 'c', 'deaf']),
    91_600,
    'does not reach the API server, which b may reach',
  ],
  ['not since the start, and nobody answers', asked(newTie(0), 0), 1200, 'reaches neither the API server nor b'],
])('%s', (_, tie, now, why) => {
  expect(whyShut(tie, OTHERS, now)).toBe(why);
});

test('who is alone has nobody to make way for', () => {
  expect(whyShut(tieWith(), [], 1e9)).toBeUndefined();
});

test('others are asked in time for answers to be late', () => {
  expect(suspectAt(heard(newTie(0), 5000))).toBe(7400);
  expect(suspectAt(newTie(300))).toBe(300);
});

test('who has not heard of the server for seconds says so', () => {
  expect([2999, 3000].map(now => isDeaf(newTie(0), now))).toEqual([false, true]);
  expect(isDeaf(heard(newTie(0), 1000), 3500)).toBe(false);
});
