/** What of bad objects is in force: the last good state, or of a policy that never had any, what can be read of it. */

import { expect, test } from '@jest/globals';
import { ReflectedObjects } from '../../../../src/kube/client/reflectedObjects.js';

const policy = (...ingress: readonly object[]): object => ({
  metadata: { name: 'p', namespace: 'd' },
  spec: { podSelector: { matchLabels: { app: 'db' } }, ingress },
});
const GOOD = { ports: [{ port: 80 }] };
const WORSE = { from: [{ moonPhase: 'full' }] };

function told(objects: ReflectedObjects): unknown {
  const taken = objects.take();
  return {
    rules: [...(taken?.changes.values() ?? [])].map(({ change, object }) =>
      object.kind === 'NetworkPolicy' ? `${change} ${object.ingress?.length}` : 'none',
    ),
    problems: [...(taken?.problems.values() ?? [])].flat().map(({ text }) => text.slice(text.indexOf(';') + 2)),
  };
}

const CLOSED = ['it governs what it selects, and what cannot be read in it allows nothing'];

test('a policy that never could be read governs, and what cannot be read allows nothing', () => {
  const objects = new ReflectedObjects('NetworkPolicy');
  objects.put(policy(GOOD, WORSE));
  expect(told(objects)).toEqual({ rules: ['added 1'], problems: CLOSED });
  objects.put(policy(WORSE));
  expect(told(objects)).toEqual({ rules: ['changed 0'], problems: CLOSED });
  objects.put({ ...policy(), spec: { podSelector: 'db' } });
  expect(told(objects)).toEqual({ rules: [], problems: CLOSED });
  objects.put(policy(GOOD, GOOD));
  expect(told(objects)).toEqual({ rules: ['changed 2'], problems: [] });
  objects.put(policy(WORSE));
  expect(told(objects)).toEqual({ rules: [], problems: ['its last good state stays in force'] });
  objects.delete(policy(WORSE));
  expect(told(objects)).toEqual({ rules: ['deleted 2'], problems: [] });
});

test('gone from the next list, it governs nobody', () => {
  const objects = new ReflectedObjects('NetworkPolicy');
  objects.beginSnapshot();
  objects.put(policy(WORSE));
  objects.endSnapshot();
  expect(told(objects)).toEqual({ rules: ['added 0'], problems: CLOSED });
  objects.beginSnapshot();
  objects.endSnapshot();
  expect(told(objects)).toEqual({ rules: ['deleted 0'], problems: [] });
});

test('of whom it governs nothing can be read: it is left out', () => {
  const objects = new ReflectedObjects('NetworkPolicy');
  objects.put({ ...policy(), spec: { podSelector: { matchExpressions: [{ key: 'a', operator: 'Is' }] } } });
  expect(told(objects)).toEqual({ rules: [], problems: ['it is left out'] });
});
