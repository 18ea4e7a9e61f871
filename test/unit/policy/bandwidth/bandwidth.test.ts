import { describe, expect, test } from '@jest/globals';
import type { ObjectBatch, ObjectChange } from '../../../../src/kube/objectBatch.js';
import { keyOf, parseObject } from '../../../../src/kube/objects.js';
import type { Pod } from '../../../../src/kube/objectTypes.js';
import { createBandwidth, type BandwidthOutcome } from '../../../../src/policy/bandwidth/bandwidth.js';

const INGRESS = 'kubernetes.io/ingress-bandwidth';
const EGRESS = 'kubernetes.io/egress-bandwidth';

interface Place {
  readonly nodeName?: string;
  readonly hostNetwork?: boolean;
  readonly ips?: readonly string[];
  readonly phase?: string;
}

/** As an API server would send it. */
function pod(
  name: string,
  annotations: Readonly<Record<string, string>>,
  { nodeName = 'n1', hostNetwork = false, ips = ['10.244.1.5'], phase = 'Running' }: Place = {},
): Pod {
  const parsed = parseObject({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo', annotations },
    spec: { nodeName, hostNetwork, containers: [] },
    status: { phase, podIPs: ips.map(ip => ({ ip })) },
  });
  if (!parsed.ok || parsed.value?.kind !== 'Pod') throw new Error('no pod');
  return parsed.value;
}

function batch(...changes: readonly (readonly [ObjectChange['change'], Pod])[]): ObjectBatch {
  return { synced: true, changes: new Map(changes.map(([change, object]) => [keyOf(object), { change, object }])) };
}

function texts({ problems }: BandwidthOutcome): readonly string[] {
  return [...problems.values()].flat().map(({ subject, text }) => `${subject}: ${text}`);
}

const LIMITS = { pod: 'demo/web', addresses: ['10.244.1.5'], ingress: 10e6, egress: undefined };

describe('the limits of a node’s pods', () => {
  test('follow annotations as they come, change and go', () => {
    const bandwidth = createBandwidth('n1');
    const added = bandwidth(batch(['added', pod('web', { [INGRESS]: '10M' })], ['added', pod('idle', {})]));
    expect(added).toEqual({ changes: new Map([['demo/web', LIMITS]]), problems: new Map() });
    const both = bandwidth(batch(['changed', pod('web', { [INGRESS]: '10M', [EGRESS]: '2M' })]));
    expect(both.changes).toEqual(new Map([['demo/web', { ...LIMITS, egress: 2e6 }]]));
    expect(bandwidth(batch(['changed', pod('web', { [INGRESS]: '10000k', [EGRESS]: '2M' })])).changes.size).toBe(0);
    expect(bandwidth(batch(['changed', pod('web', {})])).changes).toEqual(new Map([['demo/web', undefined]]));
    expect(bandwidth(batch(['deleted', pod('web', {})])).changes.size).toBe(0);
  });

  test.each<readonly [string, ObjectChange['change'], Place]>([
    ['is deleted', 'deleted', {}],
    ['is done', 'changed', { phase: 'Succeeded' }],
    ['has failed', 'changed', { phase: 'Failed' }],
    ['has no address any more', 'changed', { ips: [] }],
  ])('end when the pod %s', (_name, change, more) => {
    const bandwidth = createBandwidth('n1');
    bandwidth(batch(['added', pod('web', { [INGRESS]: '10M' })]));
    const end = bandwidth(batch([change, pod('web', { [INGRESS]: '10M' }, more)]));
    expect(end.changes).toEqual(new Map([['demo/web', undefined]]));
  });

  test('are none of a pod elsewhere, even if its annotation is bad', () => {
    const elsewhere = { nodeName: 'n2' };
    const outcome = createBandwidth('n1')(
      batch(['added', pod('a', { [INGRESS]: '10M' }, elsewhere)], ['added', pod('b', { [INGRESS]: 'x' }, elsewhere)]),
    );
    expect(outcome).toEqual({ changes: new Map(), problems: new Map() });
  });

  test('a bad value costs its own direction only, and is complained of until it is mended', () => {
    const bandwidth = createBandwidth('n1');
    const bad = bandwidth(batch(['added', pod('web', { [INGRESS]: '10M', [EGRESS]: 'lots' })]));
    expect(bad.changes).toEqual(new Map([['demo/web', LIMITS]]));
    expect(texts(bad)).toEqual([
      'Pod demo/web: annotation kubernetes.io/egress-bandwidth: "lots" is no quantity, such as 10M; unlimited until it is mended',
    ]);
    const mended = bandwidth(batch(['changed', pod('web', { [INGRESS]: '10M', [EGRESS]: '1M' })]));
    expect([...mended.problems]).toEqual([['bandwidth Pod/demo/web', []]]);
    expect(bandwidth(batch(['changed', pod('web', {})])).problems.size).toBe(0);
  });

  test('are none for a pod with the network of its node, which is said', () => {
    const outcome = createBandwidth('n1')(batch(['added', pod('web', { [INGRESS]: '10M' }, { hostNetwork: true })]));
    expect(outcome.changes.size).toBe(0);
    expect(texts(outcome)).toEqual([
      'Pod demo/web: asks for bandwidth and uses the network of its node, which has no limit for it',
    ]);
  });
});
