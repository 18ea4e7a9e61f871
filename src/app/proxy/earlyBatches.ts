/**
 * What the service proxy may work out while the cluster is still telling what it has: services whose endpoints are known, so
 * that none is looked at twice. Most of a cold start's work is done by the time the last object has come. Pure.
 */

import { mergeChanges, mergeInto, type ObjectBatch, type ObjectChange } from '../../kube/objectBatch.js';
import type { ObjectKey } from '../../kube/objects.js';
import { serviceOfSlice } from '../../proxy/endpointSelection.js';

/** Objects that are worth a look together: servers tell a few at a time. */
export const PART = 1000;

/**
 * Of each batch of a source, what may be looked at; with the one that says `synced`, all that is left.
 * @returns a reducer, whose answer of undefined is nothing; also for all that comes after `synced`
 */
export function earlyBatches(): (batch: ObjectBatch) => ObjectBatch | undefined {
  /** By service: what is known of it, and cannot be looked at yet. */
  const held = new Map<string, Map<ObjectKey, ObjectChange>>();
  /** Which service an object is held for: a slice's label may come to name another. */
  const heldFor = new Map<ObjectKey, string>();
  /** Let go, with whatever comes of them later. */
  const known = new Set<string>();
  /** What may be looked at and was not handed out yet. */
  let free = new Map<ObjectKey, ObjectChange>();
  let isOver = false;
  const letGo = (service: string): void => {
    const waiting = held.get(service) ?? new Map<ObjectKey, ObjectChange>();
    for (const key of waiting.keys()) heldFor.delete(key);
    // Of some, earlier changes may have been let go just now.
    mergeInto(free, { changes: waiting, synced: false });
    held.delete(service);
    known.add(service);
  };
  /** @returns with what is held of the object: one change that says the same */
  const joined = (key: ObjectKey, change: ObjectChange): ObjectChange | undefined => {
    const place = heldFor.get(key);
    const waiting = place === undefined ? undefined : held.get(place);
    const earlier = waiting?.get(key);
    if (earlier === undefined) return change;
    waiting?.delete(key);
    heldFor.delete(key);
    return mergeChanges(earlier, change);
  };
  return batch => {
    if (isOver) return undefined;
    for (const [key, later] of batch.changes) {
      const change = joined(key, later);
      if (change === undefined) continue;
      const service = serviceOf(change);
      if (service === undefined || known.has(service)) {
        mergeInto(free, { changes: new Map([[key, change]]), synced: false });
        continue;
      }
      const waiting = held.get(service) ?? new Map<ObjectKey, ObjectChange>();
      held.set(service, waiting.set(key, change));
      heldFor.set(key, service);
      if (isWhole(waiting)) letGo(service);
    }
    isOver = batch.synced;
    if (isOver) for (const service of [...held.keys()]) letGo(service);
    if (free.size < PART && !isOver) return undefined;
    const changes = free;
    free = new Map();
    return { changes, synced: isOver };
  };
}

/** `namespace/name` of the service that an object says something of. */
function serviceOf({ object }: ObjectChange): string | undefined {
  if (object.kind === 'Service') return `${object.namespace}/${object.name}`;
  return object.kind === 'EndpointSlice' ? serviceOfSlice(object) : undefined;
}

function isWhole(waiting: ReadonlyMap<ObjectKey, ObjectChange>): boolean {
  let [hasService, hasSlice] = [false, false];
  for (const { object } of waiting.values()) {
    if (object.kind === 'Service') hasService = true;
    else hasSlice = true;
  }
  return hasService && hasSlice;
}
