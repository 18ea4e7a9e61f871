/** What changed in the cluster, as an immutable set of changes keyed by object: the value that flows through the graph. */

import type { KubeObject, Kind, ObjectOf } from './objectTypes.js';
import type { ObjectKey } from './objects.js';

/** A deleted object comes with its last state, so that a reader may look up what it has to undo. */
export interface ObjectChange<T extends KubeObject = KubeObject> {
  readonly change: 'added' | 'changed' | 'deleted';
  readonly object: T;
}

export interface ObjectBatch {
  /** One change for each object at most. */
  readonly changes: ReadonlyMap<ObjectKey, ObjectChange>;
  /** The source has told everything it had at its start. Once true it stays true. */
  readonly synced: boolean;
}

/** The changes of one kind, in the batch's order. */
export function changesOf<K extends Kind>(batch: ObjectBatch, kind: K): readonly ObjectChange<ObjectOf<K>>[] {
  const isOfKind = (change: ObjectChange): change is ObjectChange<ObjectOf<K>> => change.object.kind === kind;
  const found: ObjectChange<ObjectOf<K>>[] = [];
  for (const change of batch.changes.values()) if (isOfKind(change)) found.push(change);
  return found;
}

/** One batch that says the same as several in order; an object that came and went is in none. */
export function mergeBatches(batches: readonly ObjectBatch[]): ObjectBatch {
  const [first, ...others] = batches;
  if (others.length === 0 && first !== undefined) return first;
  const changes = new Map<ObjectKey, ObjectChange>();
  for (const batch of batches) mergeInto(changes, batch);
  return { changes, synced: batches.some(batch => batch.synced) };
}

/** Adds a later batch to what has been gathered: the whole cluster at the start, so that nothing is copied. */
export function mergeInto(changes: Map<ObjectKey, ObjectChange>, batch: ObjectBatch): void {
  for (const [key, later] of batch.changes) {
    const merged = mergeChanges(changes.get(key), later);
    if (merged === undefined) changes.delete(key);
    else changes.set(key, merged);
  }
}

/** @returns one change that says the same as two in order; undefined: the object came and went */
export function mergeChanges(earlier: ObjectChange | undefined, later: ObjectChange): ObjectChange | undefined {
  if (earlier === undefined) return later;
  const existedBefore = earlier.change !== 'added';
  if (later.change === 'deleted') return existedBefore ? later : undefined;
  return { change: existedBefore ? 'changed' : 'added', object: later.object };
}
