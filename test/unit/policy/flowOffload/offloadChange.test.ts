/** What is written when links come and go, and when that is not enough. */

import { expect, test } from '@jest/globals';
import { hostU32 } from '../../../../src/kernel/nftables/expressions.js';
import type { HostLink } from '../../../../src/kernel/podLinks.js';
import { offloadChange } from '../../../../src/policy/flowOffload/offloadChange.js';
import { offloadLinks } from '../../../../src/policy/flowOffload/offloadLinks.js';
import { offloadShape, type OffloadShape } from '../../../../src/policy/flowOffload/offloadTable.js';

const SETTINGS = { ipv4: true, ipv6: true, cutBit: 27 };

type Known = readonly [index: number, name: string, kind: string];

function shapeOf(links: readonly Known[], settings = SETTINGS): OffloadShape {
  const all = links.map(([index, name, kind]): HostLink => ({
    index,
    name,
    kind,
    mtu: 1500,
    up: true,
    master: null,
    peer: null,
  }));
  const shape = offloadShape(settings, offloadLinks(all));
  if (shape === undefined) throw new Error('there is nothing to put on a short way');
  return shape;
}

const key = (index: number): string => String.fromCharCode(...hostU32(index));
const NONE = { added: [], removed: [] };
const ETH0: Known = [2, 'eth0', ''];
const POD: Known = [3, 'veth3', 'veth'];
const BEFORE = shapeOf([ETH0, POD]);

test('a link that comes is added, one that goes is taken out', () => {
  const change = offloadChange(BEFORE, ['eth0', 'veth3'], shapeOf([ETH0, [4, 'veth4', 'veth']]));
  expect(change?.devices).toEqual({ added: ['veth4'], removed: ['veth3'] });
  expect(change?.elements).toEqual(
    new Map([
      ['routed', { added: [key(4)], removed: [key(3)] }],
      ['bridges', NONE],
    ]),
  );
});

test('what went with its link is not taken out again', () => {
  expect(offloadChange(BEFORE, ['eth0'], shapeOf([ETH0]))?.devices).toEqual(NONE);
});

test('a link in place of one of the same name is added where the kernel forgot the name', () => {
  const after = shapeOf([ETH0, [9, 'veth3', 'veth']]);
  expect(offloadChange(BEFORE, ['eth0'], after)?.devices).toEqual({ added: ['veth3'], removed: [] });
  const kept = offloadChange(BEFORE, ['eth0', 'veth3'], after);
  expect(kept?.devices).toEqual(NONE);
  expect(kept?.elements.get('routed')).toEqual({ added: [key(9)], removed: [key(3)] });
});

test('a link that was renamed is another device and the same element', () => {
  const after = shapeOf([ETH0, [3, 'pod3', 'veth']]);
  for (const [known, removed] of [
    ['veth3', ['veth3']],
    ['pod3', []],
  ] as const) {
    const change = offloadChange(BEFORE, ['eth0', known], after);
    expect(change?.devices).toEqual({ added: removed.length > 0 ? ['pod3'] : [], removed });
    expect(change?.elements.get('routed')).toEqual(NONE);
  }
});

test('bridges have a set of their own', () => {
  const change = offloadChange(BEFORE, ['eth0', 'veth3'], shapeOf([ETH0, POD, [7, 'br0', 'bridge']]));
  expect(change?.devices.added).toEqual(['br0']);
  expect(change?.elements.get('bridges')).toEqual({ added: [key(7)], removed: [] });
});

test('other rules are no difference of links', () => {
  expect(offloadChange(BEFORE, ['eth0', 'veth3'], shapeOf([ETH0, POD], { ...SETTINGS, cutBit: 5 }))).toBeUndefined();
  expect(offloadChange(BEFORE, ['eth0', 'veth3'], shapeOf([ETH0, POD], { ...SETTINGS, ipv6: false }))).toBeUndefined();
});
