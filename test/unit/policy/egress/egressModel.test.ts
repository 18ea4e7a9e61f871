/** Who holds which egress address, and what each node does for which pod; incrementally the same as from nothing. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import { EGRESS_ADDRESSES, EGRESS_NODE, holderOf } from '../../../../src/policy/egress/egressClaims.js';
import { createEgressModel, type EgressChanges, type EgressModel } from '../../../../src/policy/egress/egressModel.js';
import { lostKey } from '../../../../src/policy/egress/lostNodes.js';
import { slotsOf } from '../../../../src/policy/egress/slots.js';
import { batchOf, prefixOf } from './egressObjects.js';

const RANGES = [prefixOf('192.0.2.0/24'), prefixOf('2001:db8::/64')];

interface Text {
  readonly kind: string;
  readonly [part: string]: unknown;
}

const node = (n: number, change: { readonly label?: string; readonly ready?: string } = {}): Text => ({
  kind: 'Node',
  metadata: { name: `n${n}`, labels: { [EGRESS_NODE]: change.label ?? '' } },
  status: {
    addresses: [
      { type: 'InternalIP', address: `10.0.0.${n}` },
      { type: 'InternalIP', address: `fd00::${n}` },
    ],
    conditions: [{ type: 'Ready', status: change.ready ?? 'True' }],
  },
});
const namespace = (name: string, addresses?: string): Text => ({
  kind: 'Namespace',
  metadata: { name, annotations: addresses === undefined ? {} : { [EGRESS_ADDRESSES]: addresses } },
});
const pod = (namespace: string, n: number, on: number, change: object = {}): Text => ({
  kind: 'Pod',
  metadata: { namespace, name: `p${n}` },
  spec: { nodeName: `n${on}`, ...change },
  status: { phase: 'Running', podIPs: [{ ip: `10.244.${on}.${n}` }, { ip: `fd00:${on}::${n}` }] },
});

function started(
  own: string,
  objects: readonly Text[],
): { readonly model: EgressModel; readonly first: EgressChanges } {
  const model = createEgressModel(own);
  model.configure(RANGES);
  return { model, first: model.apply(batchOf(objects)) };
}

const SHOP = namespace('shop', '192.0.2.7, 2001:db8::7');
const PODS = [pod('shop', 5, 1), pod('shop', 6, 2), pod('other', 7, 1)];
const OWNER4 = holderOf(['n1', 'n2'], '192.0.2.7');

describe('who holds an address', () => {
  test('the same node, whichever way round they are named, and another only if it has to be', () => {
    expect(holderOf(['a', 'b', 'c'], 'x')).toBe(holderOf(['c', 'b', 'a'], 'x'));
    const things = Array.from({ length: 300 }, (_, i) => `thing ${i}`);
    const [before, after] = [
      ['a', 'b', 'c'],
      ['a', 'b'],
    ].map(names => things.map(thing => holderOf(names, thing)));
    const moved = things.filter((_, i) => before![i] !== 'c' && before![i] !== after![i]);
    expect(moved).toEqual([]);
    expect(new Set(before).size).toBe(3);
    expect(holderOf([], 'x')).toBeUndefined();
  });

  test('a node that others have found gone holds nothing, until it takes itself out', () => {
    const system = (...lost: readonly string[]): Text => ({
      kind: 'Namespace',
      metadata: { name: 'kube-system', annotations: Object.fromEntries(lost.map(name => [lostKey(name), name])) },
    });
    const { model, first } = started('n1', [node(1), node(2), SHOP, ...PODS]);
    const [owner, heir] = first.held.has('192.0.2.7' as IpText) ? ['n1', 'n2'] : ['n2', 'n1'];
    expect(owner).toBe(OWNER4);
    const after = model.apply(batchOf([system(owner)]));
    expect([after.held.has('192.0.2.7' as IpText), [...after.lost]]).toEqual([heir === 'n1', [owner]]);
    expect([...after.candidates.keys()]).toEqual(['n1', 'n2']);
    const both = model.apply(batchOf([system('n1', 'n2')]));
    expect([both.held.size, both.problems.length]).toEqual([0, 1]);
    expect(model.apply(batchOf([system()])).held).toEqual(first.held);
  });

  test('every node says the same', () => {
    const held = ['n1', 'n2', 'n3'].map(own => started(own, [node(1), node(2), node(3), SHOP, ...PODS]).first.held);
    expect(held.flatMap(set => [...set]).sort()).toEqual(['192.0.2.7', '2001:db8::7']);
  });

  test.each([
    ['not ready', node(2, { ready: 'Unknown' })],
    ['without the label’s leave', node(2, { label: 'false' })],
  ])('nobody who is %s', (_name, other) => {
    const { first } = started('n1', [node(1), other, SHOP]);
    expect([...first.held].sort()).toEqual(['192.0.2.7', '2001:db8::7']);
  });

  test('moves when its holder fails, and back', () => {
    const survivor = OWNER4 === 'n1' ? 'n2' : 'n1';
    const failed = Number(OWNER4?.slice(1));
    const { model, first } = started(survivor, [node(1), node(2), SHOP, ...PODS]);
    expect(first.held.has('192.0.2.7' as never)).toBe(false);
    expect(model.apply(batchOf([node(failed, { ready: 'Unknown' })])).held.has('192.0.2.7' as never)).toBe(true);
    expect(model.apply(batchOf([node(failed)])).held.has('192.0.2.7' as never)).toBe(false);
    expect(model.apply(batchOf([], [node(failed)])).held.has('192.0.2.7' as never)).toBe(true);
  });
});

describe('what a node does', () => {
  const holder = node(Number(OWNER4?.slice(1)));
  const ownName = OWNER4 ?? '';

  test('the holder translates pods of every node', () => {
    const { model } = started(ownName, [holder, namespace('shop', '192.0.2.7'), ...PODS]);
    expect(Object.fromEntries([...model.elements()].filter(([key]) => key.startsWith('snat')))).toEqual({
      'snat4 10.244.1.5': '192.0.2.7',
      'snat4 10.244.2.6': '192.0.2.7',
    });
    expect(model.elements().has('held4 192.0.2.7')).toBe(true);
  });

  test('others mark their own pods only', () => {
    const { model, first } = started('n9', [holder, SHOP, ...PODS, pod('shop', 8, 9)]);
    const slot = first.holders.get(ownName)?.slot ?? 0;
    expect(slot).toBeGreaterThan(0);
    const mark = `0x${(slot << 16).toString(16).padStart(8, '0')}`;
    expect(Object.fromEntries(model.elements())).toEqual({
      'known4 10.244.9.8': '',
      'known6 fd00:9::8': '',
      'via4 10.244.9.8': mark,
      'via6 fd00:9::8': mark,
    });
  });

  test.each([
    ['nobody holds the address', [SHOP], /no node that is ready/],
    ['the annotation is bad', [holder, namespace('shop', '192.0.2.7,oops')], /oops/],
    ['the address is out of range', [holder, namespace('shop', '198.51.100.1')], /in none of 192\.0\.2\.0\/24/],
    [
      'another namespace has it',
      [holder, namespace('aaa', '192.0.2.7'), namespace('shop', '192.0.2.7')],
      /aaa already/,
    ],
  ])('nothing gets out where %s', (_name, objects, complaint) => {
    const { model, first } = started('n1', [...objects, pod('shop', 5, 1)]);
    expect([...model.elements().keys()]).toContain('dead4 10.244.1.5');
    expect([...model.elements().keys()].filter(key => /^(snat|via)4/.test(key))).toEqual([]);
    expect(first.problems.map(({ subject, text }) => `${subject} ${text}`).join()).toMatch(complaint);
  });

  test('a namespace that names addresses of one family says nothing of the other', () => {
    const { model } = started(ownName, [holder, namespace('shop', '192.0.2.7'), pod('shop', 5, 1)]);
    expect([...model.elements().keys()].filter(key => key.endsWith('fd00:1::5') && !key.startsWith('known'))).toEqual(
      [],
    );
  });

  test('pods on the host’s network and those that are done are in nothing', () => {
    const done = { ...pod('shop', 5, 1), status: { phase: 'Failed', podIPs: [{ ip: '10.244.1.5' }] } };
    const { model } = started(ownName, [holder, SHOP, done, pod('shop', 6, 1, { hostNetwork: true })]);
    expect([...model.elements().keys()].filter(key => key.includes('10.244'))).toEqual([]);
  });

  test('without ranges nobody has any', () => {
    const { model } = started(ownName, [holder, SHOP, ...PODS]);
    const { held, holders, problems } = model.configure([]);
    expect([held.size, holders.size, problems]).toEqual([0, 0, []]);
    expect([...model.elements().keys()].filter(key => !key.startsWith('known'))).toEqual([]);
  });

  test('an address that one pod leaves and another takes stays with the other, in whichever order that is told', () => {
    const { model } = started('n1', [node(1), namespace('shop', '192.0.2.7'), pod('shop', 5, 1)]);
    const heir = { ...pod('other', 5, 1), metadata: { namespace: 'other', name: 'heir' } };
    model.apply(batchOf([heir]));
    model.apply(batchOf([], [pod('shop', 5, 1)]));
    expect([...model.elements().keys()].filter(key => key.endsWith('10.244.1.5'))).toEqual(['known4 10.244.1.5']);
  });
});

test('a node that is cut off holds nothing, and takes all of it back', () => {
  const { model, first } = started('n1', [node(1), SHOP, ...PODS]);
  const before = new Map(model.elements());
  expect(first.held.size).toBe(2);
  const shut = model.fence(true);
  expect(shut.held).toEqual(new Set());
  expect([...model.elements().keys()].filter(key => /^(held|snat)/.test(key))).toEqual([]);
  expect([...model.elements().keys()].filter(key => key.startsWith('dead'))).toHaveLength(2);
  expect(model.shown().map(({ node: holder, problem }) => [holder, problem])).toEqual([
    [undefined, expect.stringMatching(/cut off from the cluster/)],
    [undefined, expect.stringMatching(/cut off from the cluster/)],
  ]);
  expect(model.fence(false).held.size).toBe(2);
  expect(model.elements()).toEqual(before);
});

test('nodes have numbers of their own', () => {
  const slots = slotsOf(new Set(Array.from({ length: 300 }, (_, i) => `n${i}`)));
  expect(new Set(slots.values()).size).toBe(250);
  expect(Math.min(...slots.values())).toBe(1);
  expect(Math.max(...slots.values())).toBe(250);
});

test('any history comes to what the last state alone comes to', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('node' as const),
      n: fc.integer({ min: 1, max: 3 }),
      ready: fc.boolean(),
      is: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('namespace' as const),
      n: fc.integer({ min: 1, max: 3 }),
      addresses: fc.constantFrom(undefined, '192.0.2.7', '192.0.2.7,192.0.2.8', '2001:db8::9', 'bad'),
      is: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('pod' as const),
      n: fc.integer({ min: 1, max: 5 }),
      ns: fc.integer({ min: 1, max: 3 }),
      on: fc.integer({ min: 1, max: 3 }),
      is: fc.boolean(),
    }),
  );
  const textOf = (s: typeof step extends fc.Arbitrary<infer T> ? T : never): Text =>
    s.kind === 'node'
      ? node(s.n, { ready: s.ready ? 'True' : 'False' })
      : s.kind === 'namespace'
        ? namespace(`s${s.n}`, s.addresses)
        : pod(`s${s.ns}`, s.n * 10 + s.ns, s.on);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), steps => {
      const model = createEgressModel('n1');
      model.configure(RANGES);
      const last = new Map<string, Text>();
      const told = new Map<string, string>();
      let held: ReadonlySet<string> = new Set();
      for (const s of steps) {
        const text = textOf(s);
        const key = JSON.stringify([text.kind, text['metadata']]).replace(/,"annotations.*$/, '');
        const changes = model.apply(s.is ? batchOf([text]) : batchOf([], [text]));
        if (s.is) last.set(key, text);
        else last.delete(key);
        for (const [element, value] of changes.elements)
          if (value === undefined) told.delete(element);
          else told.set(element, value);
        held = changes.held;
      }
      const fresh = started('n1', [...last.values()]);
      expect(new Map([...told].sort())).toEqual(new Map([...fresh.model.elements()].sort()));
      expect(held).toEqual(fresh.first.held);
    }),
    { numRuns: 150 },
  );
});
