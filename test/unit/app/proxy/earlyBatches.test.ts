import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { earlyBatches } from '../../../../src/app/proxy/earlyBatches.js';
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
  test('a service comes with its endpoints, whichever was first; the rest with the last', () => {
    const early = earlyBatches();
    expect(names(early(batchOf([node('n'), service('s1'), slice('e2', 's2')])))).toEqual(['n']);
    expect(early(batchOf([service('s3')]))).toBeUndefined();
    expect(names(early(batchOf([slice('e1', 's1'), service('s2')])))).toEqual(['s1', 'e1', 'e2', 's2']);
    expect(names(early(batchOf([slice('another', 's2'), slice('nobody', undefined)])))).toEqual(['another', 'nobody']);
    const last = early(batchOf([slice('e4', 's4')], true));
    expect(last?.synced).toBe(true);
    expect(names(last)).toEqual(['s3', 'e4']);
    expect(early(batchOf([service('s5')]))).toBeUndefined();
  });

  test('what came and went is never told, what was told and went is', () => {
    const early = earlyBatches();
    early(batchOf([service('s1'), service('s2'), slice('e2', 's2')]));
    expect(early(batchOf([service('s1')], false, 'deleted'))).toBeUndefined();
    expect([...(early(batchOf([service('s2')], false, 'deleted'))?.changes.values() ?? [])]).toMatchObject([
      { change: 'deleted' },
    ]);
    expect(early(batchOf([], true))?.changes.size).toBe(0);
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
