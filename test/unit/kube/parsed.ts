/** An object as the API server gives it, read; and what is said of one that cannot be read. */

import type { KubeObject, Kind, ObjectOf } from '../../../src/kube/objectTypes.js';
import { parseObject } from '../../../src/kube/objects.js';

export function parsed<K extends Kind>(kind: K, json: unknown): ObjectOf<K> {
  const result = parseObject(json);
  if (!result.ok) throw new Error(result.error.text);
  const isOfKind = (object: KubeObject | undefined): object is ObjectOf<K> => object?.kind === kind;
  if (!isOfKind(result.value)) throw new Error(`not a ${kind}`);
  return result.value;
}

export function complaint(json: unknown): string {
  const result = parseObject(json);
  return result.ok ? `read: ${JSON.stringify(result.value)}` : result.error.text;
}
