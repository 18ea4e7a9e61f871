/**
 * The derivation of tenants for a large cluster: what the first reading costs, a pod, a namespace that joins another, and
 * memory. Without the kernel, which `make test` looks after. Run with --expose-gc.
 */

import type { ObjectBatch, ObjectChange } from '../src/kube/objectBatch.js';
import { keyOf, parseObject, type ObjectKey } from '../src/kube/objects.js';
import { NUMBER_ANNOTATION } from '../src/policy/tenants/namespaceTenant.js';
import type { TenantRules } from '../src/policy/tenants/resolveTenants.js';
import { createTenantModel, type TenantModel } from '../src/policy/tenants/tenantModel.js';

const NODE = 'node-0';
const ROUNDS = 1000;
const [NAMESPACES = 1000, PODS = 150_000] = process.argv.slice(2).map(Number);
const RULES: TenantRules = { numbers: 'given', global: new Set(['kube-system']) };

function namespaceJson(n: number, number = 10 + n): object {
  const metadata = { name: `ns-${n}`, annotations: { [NUMBER_ANNOTATION]: String(number) } };
  return { apiVersion: 'v1', kind: 'Namespace', metadata };
}

function podJson(i: number): object {
  const four = `10.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `pod-${i}`, namespace: `ns-${i % NAMESPACES}` },
    spec: { nodeName: i % 1500 === 0 ? NODE : 'other', containers: [] },
    status: {
      phase: 'Running',
      podIPs: [{ ip: four }, { ip: `fd00::${(i >> 16).toString(16)}:${(i & 65535).toString(16)}` }],
    },
  };
}

function batchOf(change: 'added' | 'changed' | 'deleted', all: readonly object[]): ObjectBatch {
  const changes = new Map<ObjectKey, ObjectChange>();
  for (const json of all) {
    const parsed = parseObject(json);
    if (!parsed.ok || parsed.value === undefined) throw new Error('an object of the benchmark is none');
    changes.set(keyOf(parsed.value), { change, object: parsed.value });
  }
  return { changes, synced: true };
}

/** Megabytes in use, after a collection. */
function memory(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1e6;
}

/** Milliseconds that each took. */
function timed(batches: readonly ObjectBatch[], model: TenantModel): readonly number[] {
  return batches.map(batch => {
    const begun = performance.now();
    model.apply(batch);
    return performance.now() - begun;
  });
}

function tell(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(3);
  process.stdout.write(`${what}: median ${at(0.5)} ms, p99 ${at(0.99)} ms\n`);
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
const cluster = batchOf('added', [...range(NAMESPACES).map(n => namespaceJson(n)), ...range(PODS).map(podJson)]);
const before = memory();
const model = createTenantModel(NODE, RULES);
const [cold = 0] = timed([cluster], model);
const used = memory() - before;
process.stdout.write(`${NAMESPACES} namespaces, ${PODS} pods of both families: ${model.addresses.size} addresses\n`);
process.stdout.write(`first reading: ${cold.toFixed(0)} ms; memory beside the objects: ${used.toFixed(0)} MB\n`);
const pods = range(ROUNDS).map(i => podJson(PODS + i));
tell(
  'a pod added',
  timed(
    pods.map(pod => batchOf('added', [pod])),
    model,
  ),
);
tell(
  'a pod deleted',
  timed(
    pods.map(pod => batchOf('deleted', [pod])),
    model,
  ),
);
const joined = range(ROUNDS).map(i => namespaceJson(i % NAMESPACES, 11 + i));
tell(
  `a namespace of ${Math.round(PODS / NAMESPACES)} pods that joins another`,
  timed(
    joined.map(json => batchOf('changed', [json])),
    model,
  ),
);
