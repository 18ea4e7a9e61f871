/** What the machine makes of refusals that never end. Everything else is tested with a server. */

import { expect, test } from '@jest/globals';
import {
  INITIAL_REFLECTION,
  reflect,
  type ReflectionEvent,
  type ReflectionState,
} from '../../../../src/kube/client/reflection.js';

function follow(state: ReflectionState, ...events: readonly ReflectionEvent[]): readonly string[] {
  const actions: string[] = [];
  let now = state;
  for (const event of events) {
    const step = reflect(now, event, () => 0);
    now = step.state;
    actions.push(step.actions.map(({ kind }) => kind).join(' '));
  }
  return actions;
}

const WATCHING: ReflectionState = { ...INITIAL_REFLECTION, phase: 'watching', version: '7', heard: true };
const refused = (status: number): readonly ReflectionEvent[] => [
  { kind: 'failed', status, text: 'no' },
  { kind: 'timer' },
];

test('a watch that is refused again and again is begun anew with a list', () => {
  const events = [404, 404, 404, 404].flatMap(refused);
  expect(follow(WATCHING, ...events)).toEqual([
    ...['report wait', 'watch', 'report wait', 'watch', 'report wait', 'watch'],
    ...['report wait', 'beginSnapshot stream'],
  ]);
});

test('a kind that has gone from the server has no objects any more, and hinders nobody', () => {
  const events = [404, 404, 404, 404].flatMap(refused);
  const actions = follow({ ...WATCHING, isOptional: true }, ...events, { kind: 'failed', status: 404, text: 'no' });
  expect(actions.at(-1)).toBe('endSnapshot report wait');
});

test('a server that is away, or does not know us for a while, is no reason to list', () => {
  const events = [undefined, 401, 403, 429, 503, 502, 504, undefined].flatMap((status): readonly ReflectionEvent[] => [
    { kind: 'failed', status, text: 'away' },
    { kind: 'timer' },
  ]);
  expect(follow(WATCHING, ...events)).not.toContain('beginSnapshot stream');
});

test('a watch that says nothing twice, not even a bookmark, is begun anew with a list: its version may be of the future', () => {
  const silent: readonly ReflectionEvent[] = [
    { kind: 'failed', status: undefined, text: 'no answer for 150 s', isSilent: true },
    { kind: 'timer' },
  ];
  const quiet = { ...WATCHING, heard: false };
  expect(follow(quiet, ...silent, ...silent)).toEqual(['report wait', 'watch', 'report wait', 'beginSnapshot stream']);
  // One that has spoken goes on from where it was.
  const spoken: ReflectionEvent = { kind: 'progress', version: '8' };
  expect(follow(quiet, ...silent, spoken, ...silent).at(-1)).toBe('watch');
});
