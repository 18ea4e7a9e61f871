/** Objects of egress tests as batches, and their texts. */

import { parsePrefix, type IpPrefix } from '../../../../src/core/ip.js';
import type { ObjectBatch, ObjectChange } from '../../../../src/kube/objectBatch.js';
import { keyOf, parseObject, type ObjectKey } from '../../../../src/kube/objects.js';

export function prefixOf(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** @param set objects of apiVersion v1 that are there now @param deleted those that are no more */
export function batchOf(set: readonly object[], deleted: readonly object[] = []): ObjectBatch {
  const changes = new Map<ObjectKey, ObjectChange>();
  for (const [change, objects] of [
    ['added', set],
    ['deleted', deleted],
  ] as const)
    for (const json of objects) {
      const parsed = parseObject({ apiVersion: 'v1', ...json });
      if (!parsed.ok || parsed.value === undefined) throw new Error('no object');
      changes.set(keyOf(parsed.value), { change, object: parsed.value });
    }
  return { changes, synced: true };
}
