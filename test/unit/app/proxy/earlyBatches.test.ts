import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { earlyBatches, PART } from '../../../../src/app/proxy/earlyBatches.js';
import { mergeInto, type ObjectBatch, type ObjectChange } from '../../../../src/kube/objectBatch.js';
import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import { keyOf, parseObject, type ObjectKey } from '../../../../src/kube/objects.js';

function object(json: object): KubeObject {
  const parsed = parseObject(json);
  if (!parsed.ok || parsed.value === undefined) throw new Error('bad object');
  return parsed.value;
}
const service = (name: string, address = '10.96.0.1'): KubeObject =>
  object({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'a' }, spec: { clusterIP: address } });
const slice = (name: string, of: string | undefined): KubeObject =>
  object({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'a', labels: of === undefined ? {} : { 'kubernetes.io/service-name': of } },
    addressType: 'IPv4',
    endpoints: [],
    ports: [],
  });
const node = (name: string): KubeObject => object({ apiVersion: 'v1', kind: 'Node', metadata: { name } });

function batchOf(
  objects: readonly KubeObject[],
  synced = false,
  change: ObjectChange['change'] = 'added',
): ObjectBatch {
  return { changes: new Map(objects.map(each => [keyOf(each), { change, object: each }])), synced };
}
const names = (batch: ObjectBatch | undefined): readonly string[] | undefined =>
  batch && [...batch.changes.values()].map(({ object: { name } }) => name);

describe('before all is known', () => {
  test('services come with their endpoints, so many at a time; the rest with the last', () => {
    const early = earlyBatches();
    const many = Array.from({ length: PART / 2 - 1 }, (_, i) => i);
    expect(early(batchOf([node('n'), service('alone'), ...many.map(i => service(`s${i}`))]))).toBeUndefined();
    expect(early(batchOf(many.map(i => slice(`e${i}`, `s${i}`))))).toBeUndefined();
    const first = early(batchOf([slice('another', 's0')]));
    expect(first?.synced).toBe(false);
    expect(names(first)?.slice(0, 5)).toEqual(['n', 's0', 'e0', 's1', 'e1']);
    expect(names(first)).not.toContain('alone');
    expect(early(batchOf([slice('nobody', undefined)]))).toBeUndefined();
    const last = early(batchOf([slice('e', 's')], true));
    expect(last?.synced).toBe(true);
    expect(names(last)).toEqual(['nobody', 'alone', 'e']);
    expect(early(batchOf([service('late')]))).toBeUndefined();
  });

  test('what came and went is never told', () => {
    const early = earlyBatches();
    early(batchOf([service('s1'), service('s2'), slice('e2', 's2')]));
    early(batchOf([service('s1')], false, 'deleted'));
    early(batchOf([service('s2')], false, 'deleted'));
    expect(names(early(batchOf([], true)))).toEqual(['e2']);
  });

  test('all together is all there is, however it comes', () => {
    const one = fc.oneof(
      fc.nat(3).map(n => service(`s${n}`)),
      fc.tuple(fc.nat(5), fc.nat(3)).map(([n, of]) => slice(`e${n}`, `s${of}`)),
      fc.nat(2).map(n => node(`n${n}`)),
    );
    const step = fc.record({ objects: fc.array(one, { maxLength: 4 }), isGoing: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), steps => {
        const early = earlyBatches();
        const [all, told] = [new Map<ObjectKey, ObjectChange>(), new Map<ObjectKey, ObjectChange>()];
        steps.forEach(({ objects, isGoing }, i) => {
          const there = objects.filter(each => !isGoing || all.has(keyOf(each)));
          const changes = there.map(each => {
            const change = isGoing ? 'deleted' : all.has(keyOf(each)) ? 'changed' : 'added';
            return [keyOf(each), { change, object: each }] as const;
          });
          const batch: ObjectBatch = { changes: new Map(changes), synced: i === steps.length - 1 };
          mergeInto(all, batch);
          const some = early(batch);
          if (some !== undefined) mergeInto(told, some);
        });
        expect(new Map([...told].sort())).toEqual(new Map([...all].sort()));
      }),
    );
  });
});
