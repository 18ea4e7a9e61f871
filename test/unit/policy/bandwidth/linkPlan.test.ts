import { describe, expect, test } from '@jest/globals';
import type { PodLink } from '../../../../src/kernel/podLinks.js';
import { bucketFor, planLinks, sameShape } from '../../../../src/policy/bandwidth/linkPlan.js';
import type { PodLimits } from '../../../../src/policy/bandwidth/podLimits.js';

function limits(pod: string, addresses: readonly string[], ingress?: number, egress?: number): PodLimits {
  return { pod, addresses, ingress, egress };
}
function link(ifindex: number): PodLink {
  return { ifindex, name: `veth${ifindex}`, mtu: 1500, bridge: null, by: 'namespace' };
}
const TEN = bucketFor(10e6, 1500);
const TWO = bucketFor(2e6, 1500);

describe('what each link shall have', () => {
  test('is one bucket for each direction with a limit, on the link of the first address that has one', () => {
    const plan = planLinks(
      [limits('demo/a', ['10.1.0.5', 'fd00::5'], 10e6, 2e6), limits('demo/b', ['10.1.0.9', 'fd00::6'], 2e6)],
      new Map([
        ['10.1.0.5', link(7)],
        ['fd00::6', link(8)],
      ]),
    );
    expect(plan.shapes).toEqual(
      new Map([
        ['7 ingress', { ifindex: 7, direction: 'ingress', bucket: TEN }],
        ['7 egress', { ifindex: 7, direction: 'egress', bucket: TWO }],
        ['8 ingress', { ifindex: 8, direction: 'ingress', bucket: TWO }],
      ]),
    );
    expect([...plan.links].map(([pod, { name }]) => `${pod} ${name}`)).toEqual(['demo/a veth7', 'demo/b veth8']);
    expect(plan.missing).toEqual([]);
  });

  test('a pod without a link is named', () => {
    expect(planLinks([limits('demo/a', ['10.1.0.5'], 10e6)], new Map())).toEqual({
      shapes: new Map(),
      links: new Map(),
      missing: ['demo/a'],
    });
  });

  test.each([
    ['the slower first', [2e6, 10e6]],
    ['the slower last', [10e6, 2e6]],
  ])('of two pods on one link the slower counts: %s', (_name, rates) => {
    const pods = rates.map((rate, i) => limits(`demo/${i}`, ['10.1.0.5'], rate));
    expect([...planLinks(pods, new Map([['10.1.0.5', link(7)]])).shapes.values()]).toEqual([
      { ifindex: 7, direction: 'ingress', bucket: TWO },
    ]);
  });
});

describe('a bucket', () => {
  test.each([
    ['20 ms at the rate, and room for 50 ms more', 1e9, 1500, { rate: 125e6, burst: 2.5e6, queue: 8.75e6 }],
    [
      'four frames at a low rate, and room for one large packet',
      1e6,
      1500,
      { rate: 125_000, burst: 6056, queue: 71_592 },
    ],
    ['jumbo frames', 1e6, 9000, { rate: 125_000, burst: 36_056, queue: 101_592 }],
    ['the least there can be', 1e3, 1500, { rate: 125, burst: 6056, queue: 71_592 }],
    ['the most there can be', 1e15, 1500, { rate: 1.25e14, burst: 1 << 26, queue: 1 << 27 }],
  ])('%s', (_name, limit, mtu, bucket) => {
    expect(bucketFor(limit, mtu)).toEqual(bucket);
  });

  test('that does not work is like none', () => {
    const shape = { ifindex: 7, direction: 'egress', bucket: TEN } as const;
    expect(sameShape(shape, { ...shape, bucket: { ...TEN, burst: TEN.burst + 1 } })).toBe(true);
    expect(sameShape(shape, { ...shape, bucket: TWO })).toBe(false);
    expect(sameShape({ ...shape, bucket: undefined }, { ...shape, bucket: undefined })).toBe(false);
  });
});
