/** Keyed sets whose elements may be in them for several reasons (two pods of one address), and what changed of them. */

import type { SetDelta } from './policyTypes.js';

export interface CountedSets<K, E> {
  create(key: K): void;
  drop(key: K): void;
  /** One more reason for an element to be in a set. The set must have been created. */
  add(key: K, element: E): void;
  /** The same for many. */
  addAll(key: K, elements: Iterable<E>): void;
  /** One reason less. */
  remove(key: K, element: E): void;
  /** What changed since it was asked last; what came and went is in nothing. */
  settle(): SetDelta<K, E>;
  readonly sets: ReadonlyMap<K, ReadonlyMap<E, number>>;
}

interface Changes<E> {
  readonly added: Set<E>;
  readonly removed: Set<E>;
}

export function createCountedSets<K, E>(): CountedSets<K, E> {
  const sets = new Map<K, Map<E, number>>();
  let created = new Set<K>();
  let dropped = new Set<K>();
  let changed = new Map<K, Changes<E>>();

  const changesOf = (key: K): Changes<E> => {
    const known = changed.get(key);
    if (known !== undefined) return known;
    const fresh = { added: new Set<E>(), removed: new Set<E>() };
    changed.set(key, fresh);
    return fresh;
  };
  const addAll = (key: K, added: Iterable<E>): void => {
    const elements = sets.get(key)!;
    let changes: Changes<E> | undefined;
    for (const element of added) {
      const count = elements.get(element) ?? 0;
      elements.set(element, count + 1);
      if (count > 0) continue;
      changes ??= changesOf(key);
      if (changes.removed.size === 0 || !changes.removed.delete(element)) changes.added.add(element);
    }
  };
  return {
    sets,
    create: key => {
      sets.set(key, new Map());
      created.add(key);
      changesOf(key);
    },
    drop: key => {
      sets.delete(key);
      changed.delete(key);
      if (!created.delete(key)) dropped.add(key);
    },
    add: (key, element) => addAll(key, [element]),
    addAll,
    remove: (key, element) => {
      const elements = sets.get(key)!;
      const count = elements.get(element) ?? 0;
      if (count > 1) {
        elements.set(element, count - 1);
        return;
      }
      elements.delete(element);
      const { added, removed } = changesOf(key);
      if (!added.delete(element)) removed.add(element);
    },
    settle: () => {
      for (const [key, { added, removed }] of changed)
        if (!created.has(key) && added.size === 0 && removed.size === 0) changed.delete(key);
      const delta = { changed, removed: dropped };
      created = new Set();
      dropped = new Set();
      changed = new Map();
      return delta;
    },
  };
}
