import { describe, expect, test } from '@jest/globals';
import type { HostLink } from '../../../../src/kernel/podLinks.js';
import { INGRESS_HANDLE, TC_H_INGRESS, TC_H_ROOT, type Qdisc, type TokenBucket } from '../../../../src/kernel/tc.js';
import type { IngressFilter } from '../../../../src/kernel/tcFilter.js';
import {
  obstacle,
  OUR_HANDLE,
  OUR_PRIORITY,
  shapesOf,
  type LinkState,
} from '../../../../src/policy/bandwidth/linkState.js';

const BUCKET: TokenBucket = { rate: 125_000, burst: 6056, queue: 71_592 };

function link(index: number, name: string, more: Partial<HostLink> = {}): HostLink {
  return { index, name, mtu: 1500, up: true, kind: 'veth', master: null, peer: null, ...more };
}
function root(ifindex: number, handle = OUR_HANDLE, kind = 'tbf'): Qdisc {
  const counters = { octets: 0, packets: 0, dropped: 0, waiting: 0 };
  return { ifindex, handle, parent: TC_H_ROOT, kind, bucket: kind === 'tbf' ? BUCKET : undefined, counters };
}
function ingress(ifindex: number, kind = 'ingress'): Qdisc {
  return { ...root(ifindex, INGRESS_HANDLE, kind), parent: TC_H_INGRESS };
}
function filter(ifindex: number, redirectsTo: number | undefined, priority = OUR_PRIORITY): IngressFilter {
  return { ifindex, priority, kind: 'u32', redirectsTo };
}

const VETH = link(7, 'veth7');
const IFB = link(20, 'pgb7', { kind: 'ifb' });
const WHOLE: LinkState = {
  links: [VETH, IFB],
  qdiscs: [root(7), root(20), ingress(7)],
  filters: [filter(7, undefined), filter(7, 20)],
};
const WORKS = { ifindex: 7, direction: 'egress', bucket: BUCKET };
const BROKEN = { ...WORKS, bucket: undefined };

describe('what is ours', () => {
  test('is a bucket at the root, and a device that everything from the pod is sent to', () => {
    expect(shapesOf(WHOLE)).toEqual(
      new Map([
        ['7 ingress', { ifindex: 7, direction: 'ingress', bucket: BUCKET }],
        ['7 egress', WORKS],
      ]),
    );
  });

  test.each<readonly [string, Partial<LinkState>]>([
    ['its device is gone', { links: [VETH], qdiscs: [root(7), ingress(7)], filters: [filter(7, 0)] }],
    ['its device is down', { links: [VETH, { ...IFB, up: false }] }],
    ['its device has no bucket', { qdiscs: [root(7), ingress(7)] }],
    ['its device has a bucket of somebody else', { qdiscs: [root(7), root(20, 0x1_0000), ingress(7)] }],
    ['nothing leads to its device', { filters: [] }],
    ['what leads to its device hangs on another link', { filters: [filter(8, 20)] }],
    ['its link is gone', { links: [IFB], qdiscs: [root(20)], filters: [] }],
  ])('does not work when %s', (_name, change) => {
    expect(shapesOf({ ...WHOLE, ...change }).get('7 egress')).toEqual(BROKEN);
  });

  test('is nothing of another handle, another kind, or another way', () => {
    const others: LinkState = {
      links: [VETH, link(20, 'bwp1', { kind: 'ifb' }), link(21, 'pgb7', { kind: 'dummy' })],
      qdiscs: [root(7, 0x1_0000), root(8, OUR_HANDLE, 'htb'), root(20, 0x1_0000), ingress(7)],
      filters: [filter(7, 20, 49_152), filter(7, 20)],
    };
    expect(shapesOf(others)).toEqual(new Map());
  });
});

describe('in the way is', () => {
  const NOTHING: LinkState = { links: [VETH], qdiscs: [], filters: [] };
  test.each<readonly [string, 'ingress' | 'egress', Partial<LinkState>, RegExp | undefined]>([
    ['nothing on a bare link', 'ingress', {}, undefined],
    ['nothing that the kernel put there by itself', 'ingress', { qdiscs: [root(7, 0, 'fq_codel')] }, undefined],
    ['nothing of ours', 'ingress', WHOLE, undefined],
    ['nothing of ours, outbound', 'egress', WHOLE, undefined],
    ['a qdisc of somebody else', 'ingress', { qdiscs: [root(7, 0x8001_0000, 'htb')] }, /\(htb 8001:\), which is left/],
    ['no qdisc at the root, outbound', 'egress', { qdiscs: [root(7, 0x1_0000)] }, undefined],
    ['no clsact without filters', 'egress', { qdiscs: [ingress(7, 'clsact')] }, undefined],
    ['a filter of somebody else', 'egress', { filters: [filter(7, 9, 1)] }, /\(u32, pref 1\), which are left/],
    [
      'a filter of our priority that leads elsewhere',
      'egress',
      { links: [VETH, link(9, 'eth0')], filters: [filter(7, 9)] },
      /\(u32, pref 28773\)/,
    ],
    ['the end of the link', 'egress', { links: [] }, /^the link is gone$/],
  ])('%s', (_name, direction, change, text) => {
    const found = obstacle({ ifindex: 7, direction, bucket: BUCKET }, { ...NOTHING, ...change });
    if (text === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(text);
  });
});
