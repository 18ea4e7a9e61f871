/** Namespaces by their labels: never one too few. */

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createNamespaceIndex } from '../../../src/policy/namespaceIndex.js';
import { selects } from '../../../src/policy/labelSelector.js';

const name = fc.constantFrom('a', 'b', 'c', 'd');
const key = fc.constantFrom('team', 'tier', 'kubernetes.io/metadata.name', 'constructor');
const labels = fc.dictionary(key, name);

test('whatever is selected is a candidate, and what has another value of a label is not', () => {
  const step = fc.tuple(name, fc.option(labels, { nil: undefined }));
  fc.assert(
    fc.property(fc.array(step), labels, (steps, matchLabels) => {
      const index = createNamespaceIndex();
      for (const [one, its] of steps) index.set(one, its);
      const selector = { matchLabels, matchExpressions: [] };
      const candidates = index.candidates(selector);
      expect(candidates === undefined).toBe(Object.keys(matchLabels).length === 0);
      const selected = ['a', 'b', 'c', 'd'].filter(one => selects(selector, index.labelsOf(one)));
      if (candidates !== undefined) expect([...candidates]).toEqual(expect.arrayContaining(selected));
    }),
  );
});

test('one label is asked for: only who has that value', () => {
  const index = createNamespaceIndex();
  index.set('a', { team: 'x' });
  index.set('b', { team: 'y' });
  const candidates = (key: string, value: string): readonly string[] => [
    ...(index.candidates({ matchLabels: { [key]: value }, matchExpressions: [] }) ?? []),
  ];
  expect(candidates('team', 'x')).toEqual(['a']);
  index.set('a', { team: 'y' });
  expect([candidates('team', 'x'), candidates('team', 'y')]).toEqual([[], ['b', 'a']]);
  index.set('b', undefined);
  expect(candidates('team', 'y')).toEqual(['a']);
  // Every namespace has that one, also without an object.
  expect(candidates('kubernetes.io/metadata.name', 'b')).toEqual(['b']);
});
