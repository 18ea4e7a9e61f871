import { expect, test } from '@jest/globals';
import { createBandwidthStage } from '../../../../src/app/bandwidth/bandwidthStage.js';
import { kindsOf } from '../../../../src/app/clusterSource.js';
import type { ObjectBatch } from '../../../../src/kube/objectBatch.js';
import { keyOf, parseObject } from '../../../../src/kube/objects.js';

function batch(bandwidth: string | undefined, synced: boolean): ObjectBatch {
  const annotations = bandwidth === undefined ? {} : { 'kubernetes.io/egress-bandwidth': bandwidth, other: 'x' };
  const pod = parseObject({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'demo', annotations },
    spec: { nodeName: 'n1', containers: [] },
    status: { phase: 'Running', podIPs: [{ ip: '10.244.1.5' }] },
  });
  if (!pod.ok || pod.value === undefined) throw new Error('no pod');
  return { synced, changes: new Map([[keyOf(pod.value), { change: 'changed', object: pod.value }]]) };
}

test('says what is new, and once that all has been told', () => {
  const stage = createBandwidthStage('n1');
  const limits = { pod: 'demo/web', addresses: ['10.244.1.5'], ingress: undefined, egress: 2e6 };
  expect(stage(batch('2M', false))).toMatchObject({ changes: new Map([['demo/web', limits]]), isComplete: false });
  expect(stage(batch('2M', false))).toBeUndefined();
  expect(stage(batch('2M', true))).toMatchObject({ changes: new Map(), isComplete: true });
  expect(stage(batch('2M', true))).toBeUndefined();
  expect(stage(batch(undefined, false))).toMatchObject({
    changes: new Map([['demo/web', undefined]]),
    isComplete: true,
  });
});

test('pods are followed for it', () => {
  expect(kindsOf([])).not.toContain('Pod');
  expect(kindsOf(['bandwidth'])).toContain('Pod');
});
