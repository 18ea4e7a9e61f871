import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mergeBatches, type ObjectBatch, type ObjectChange } from '../../../src/kube/objectBatch.js';
import type { Namespace } from '../../../src/kube/objectTypes.js';
import { keyOf, type ObjectKey } from '../../../src/kube/objects.js';

type World = ReadonlyMap<string, string>;

function namespace(name: string, uid: string): Namespace {
  return { kind: 'Namespace', namespace: '', name, uid, createdAt: undefined, labels: {}, annotations: {} };
}

/** What a source would say on the way from one world to the next. */
function batchBetween(from: World, to: World): ObjectBatch {
  const changes = new Map<ObjectKey, ObjectChange>();
  for (const name of new Set([...from.keys(), ...to.keys()])) {
    const [before, after] = [from.get(name), to.get(name)];
    const object = namespace(name, after ?? before ?? '');
    if (before === after) continue;
    const change = before === undefined ? 'added' : after === undefined ? 'deleted' : 'changed';
    changes.set(keyOf(object), { change, object });
  }
  return { changes, synced: false };
}

const world = fc
  .dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2', '3'))
  .map(entries => new Map(Object.entries(entries)) as World);

test('batches merged say what one batch over the whole way would say', () => {
  fc.assert(
    fc.property(fc.array(world, { minLength: 2, maxLength: 6 }), worlds => {
      const steps = worlds.slice(1).map((next, index) => batchBetween(worlds[index]!, next));
      const merged = mergeBatches(steps).changes;
      const direct = batchBetween(worlds[0]!, worlds.at(-1)!).changes;
      for (const [key, { change, object }] of merged) {
        const expected = direct.get(key);
        // Going and coming back counts as changed, which a reader takes for what it is: put the object in place.
        expect(change).toBe(expected?.change ?? 'changed');
        if (change !== 'deleted') expect(object.uid).toBe(worlds.at(-1)!.get(object.name));
      }
      expect([...direct.keys()].filter(key => !merged.has(key))).toEqual([]);
    }),
  );
});

test('synced stays', () => {
  const empty = { changes: new Map(), synced: false };
  expect(mergeBatches([{ ...empty, synced: true }, empty]).synced).toBe(true);
  expect(mergeBatches([empty, empty]).synced).toBe(false);
});
