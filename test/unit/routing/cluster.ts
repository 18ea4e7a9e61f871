/** Clusters as objects for tests of routing: parsed as an API server would tell them. */

import type { ObjectBatch, ObjectChange } from '../../../src/kube/objectBatch.js';
import type { KubeObject } from '../../../src/kube/objectTypes.js';
import { keyOf, parseObject, type ObjectKey } from '../../../src/kube/objects.js';
import type { ProblemReport } from '../../../src/kube/problems.js';

export interface NodeSpec {
  readonly ips?: readonly string[];
  readonly cidrs?: readonly string[];
  /** Keys without a prefix are of kube-router.io/. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly created?: string;
  readonly cordoned?: boolean;
}

/** A node n with 10.0.0.N, fd00::N, and a pod network of each family. */
export function nodeN(n: number, spec: NodeSpec = {}): KubeObject {
  const {
    ips = [`10.0.0.${n}`, `fd00::${n}`],
    cidrs = [`10.244.${n}.0/24`, `fd00:10:244:${n}::/64`],
    annotations = {},
    created,
    cordoned,
  } = spec;
  return objectOf({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${n}`, annotations: prefixed(annotations), creationTimestamp: created },
    spec: { podCIDRs: cidrs, unschedulable: cordoned },
    status: { addresses: ips.map(address => ({ type: 'InternalIP', address })) },
  });
}

export function prefixed(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(annotations).map(([key, value]) => [key.includes('/') ? key : `kube-router.io/${key}`, value]),
  );
}

export function objectOf(json: unknown): KubeObject {
  const parsed = parseObject(json);
  if (!parsed.ok) throw new Error(parsed.error.text);
  if (parsed.value === undefined) throw new Error('of no kind of ours');
  return parsed.value;
}

export function batchOf(change: ObjectChange['change'], ...objects: readonly KubeObject[]): ObjectBatch {
  const changes = objects.map((object): [ObjectKey, ObjectChange] => [keyOf(object), { change, object }]);
  return { changes: new Map(changes), synced: true };
}

export function textsOf(problems: ProblemReport): readonly string[] {
  return [...problems.values()].flat().map(({ subject, text }) => `${subject} ${text}`);
}
