import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  CHANGE_ANNOTATION,
  NUMBER_ANNOTATION,
  OPENSHIFT_CHANGE_ANNOTATION,
} from '../../../../src/policy/tenants/namespaceTenant.js';
import type { TenantRules } from '../../../../src/policy/tenants/resolveTenants.js';
import { createTenantModel, type TenantModel } from '../../../../src/policy/tenants/tenantModel.js';
import { derivedNumber } from '../../../../src/policy/tenants/tenantNumber.js';
import { batchBetween } from '../modelCluster.js';
import { namespaceObject, podObject } from './tenantObjects.js';

const GIVEN: TenantRules = { global: new Set(['default', 'kube-system']), numbers: 'given' };
const DERIVED: TenantRules = { ...GIVEN, numbers: 'derived' };

function modelOf(objects: readonly unknown[], rules = GIVEN): TenantModel {
  const model = createTenantModel('n1', rules);
  model.apply(batchBetween([], objects));
  return model;
}

const numbersOf = (model: TenantModel): Record<string, number> =>
  Object.fromEntries([...model.addresses].map(([address, { number }]) => [address, number]));

describe('numbers that were given out', () => {
  test('a pod is of the network of its namespace; without a number it is closed, unless the namespace is global', () => {
    const model = modelOf([
      namespaceObject('a', { [NUMBER_ANNOTATION]: '17' }),
      namespaceObject('b', { [NUMBER_ANNOTATION]: '17' }),
      namespaceObject('c'),
      namespaceObject('kube-system'),
      podObject('a/p', ['10.0.0.1', 'fd00::1']),
      podObject('b/p', ['10.0.0.2']),
      podObject('c/p', ['10.0.0.3']),
      podObject('kube-system/p', ['10.0.0.4']),
      podObject('unknown/p', ['10.0.0.5']),
    ]);
    expect(numbersOf(model)).toEqual({
      '10.0.0.1': 17,
      'fd00::1': 17,
      '10.0.0.2': 17,
      '10.0.0.3': 1,
      '10.0.0.4': 0,
      '10.0.0.5': 1,
    });
  });

  test.each(['', '-1', '1', '9', '16777216', '17x', ' 17', '1e3', '99999999999'])(
    '"%s" is no number: the namespace is closed and says why',
    text => {
      const model = createTenantModel('n1', GIVEN);
      const objects = [
        namespaceObject('a', { [NUMBER_ANNOTATION]: text }),
        namespaceObject('b', { [NUMBER_ANNOTATION]: '12' }),
        podObject('a/p', ['10.0.0.1']),
        podObject('b/p', ['10.0.0.2']),
      ];
      const { problems } = model.apply(batchBetween([], objects));
      expect(numbersOf(model)).toEqual({ '10.0.0.1': 1, '10.0.0.2': 12 });
      expect([...problems.keys()]).toEqual(['tenant a']);
      const mended = [namespaceObject('a', { [NUMBER_ANNOTATION]: '13' }), ...objects.slice(1)];
      expect(model.apply(batchBetween(objects, mended)).problems).toEqual(new Map([['tenant a', []]]));
      expect(numbersOf(model)).toEqual({ '10.0.0.1': 13, '10.0.0.2': 12 });
    },
  );

  test.each([
    [{ [CHANGE_ANNOTATION]: 'join:' }, 'none of join:NAMESPACE'],
    [{ [OPENSHIFT_CHANGE_ANNOTATION]: 'Join:b' }, 'none of join:NAMESPACE'],
    [{ [CHANGE_ANNOTATION]: 'isolate', [OPENSHIFT_CHANGE_ANNOTATION]: 'global' }, 'two changes at once'],
  ])('%j cannot be understood: the network stays as it is', (annotations, text) => {
    const model = createTenantModel('n1', GIVEN);
    const objects = [
      namespaceObject('a', { ...annotations, [NUMBER_ANNOTATION]: '17' }),
      podObject('a/p', ['10.0.0.1']),
    ];
    const { problems } = model.apply(batchBetween([], objects));
    expect(problems.get('tenant a')?.[0]?.text).toContain(text);
    expect(model.specs.get('a')?.change).toBeUndefined();
    expect(numbersOf(model)).toEqual({ '10.0.0.1': 17 });
  });

  test('what is asked for changes nothing before it is written down', () => {
    const model = modelOf([
      namespaceObject('a', { [NUMBER_ANNOTATION]: '17', [OPENSHIFT_CHANGE_ANNOTATION]: 'join:b' }),
      namespaceObject('b', { [NUMBER_ANNOTATION]: '18' }),
      podObject('a/p', ['10.0.0.1']),
    ]);
    expect(numbersOf(model)).toEqual({ '10.0.0.1': 17 });
    expect(model.specs.get('a')?.change).toEqual({ kind: 'join', namespace: 'b' });
  });
});

describe('addresses', () => {
  test('pods on the network of their host, and pods that are done, have none', () => {
    const model = modelOf([
      namespaceObject('a', { [NUMBER_ANNOTATION]: '17' }),
      podObject('a/host', ['192.0.2.1'], { hostNetwork: true }),
      podObject('a/done', ['10.0.0.1'], { phase: 'Succeeded' }),
      podObject('a/none', []),
    ]);
    expect(numbersOf(model)).toEqual({});
  });

  test('one that pods of two tenants claim is closed until one of them is gone', () => {
    const objects = [
      namespaceObject('a', { [NUMBER_ANNOTATION]: '17' }),
      namespaceObject('b', { [NUMBER_ANNOTATION]: '18' }),
      podObject('a/old', ['10.0.0.1']),
      podObject('b/new', ['10.0.0.1'], { node: 'n1' }),
    ];
    const model = modelOf(objects);
    expect([...model.addresses.values()]).toEqual([{ number: 1, isLocal: true }]);
    const { delta } = model.apply(
      batchBetween(
        objects,
        objects.filter((_, i) => i !== 2),
      ),
    );
    expect([...delta.set.values()]).toEqual([{ number: 18, isLocal: true }]);
  });

  test('a namespace that joins another changes its own addresses only', () => {
    const before = [
      namespaceObject('a', { [NUMBER_ANNOTATION]: '17' }),
      namespaceObject('b', { [NUMBER_ANNOTATION]: '18' }),
      podObject('a/p', ['10.0.0.1']),
      podObject('a/q', ['10.0.0.2'], { node: 'n1' }),
      podObject('b/p', ['10.0.0.3']),
    ];
    const model = modelOf(before);
    const after = [namespaceObject('a', { [NUMBER_ANNOTATION]: '18' }), ...before.slice(1)];
    const { delta } = model.apply(batchBetween(before, after));
    expect(Object.fromEntries(delta.set)).toEqual({
      '10.0.0.1': { number: 18, isLocal: false },
      '10.0.0.2': { number: 18, isLocal: true },
    });
    expect(delta.removed.size).toBe(0);
  });
});

describe('numbers made from names', () => {
  const numberOf = (objects: readonly unknown[], name: string): number | undefined =>
    modelOf(objects, DERIVED).namespaces.get(name)?.number;
  const asks = (name: string, text: string): unknown => namespaceObject(name, { [CHANGE_ANNOTATION]: text });

  test('are the same wherever they are made, and each its own; a written one goes before', () => {
    expect(numberOf([namespaceObject('a')], 'a')).toBe(derivedNumber('a'));
    expect(derivedNumber('a')).not.toBe(derivedNumber('b'));
    expect(derivedNumber('a')).toBeGreaterThan(0xff_ffff);
    expect(numberOf([namespaceObject('a', { [NUMBER_ANNOTATION]: '17' })], 'a')).toBe(17);
    expect(numberOf([namespaceObject('kube-system')], 'kube-system')).toBe(0);
    expect(numberOf([podObject('a/p', ['10.0.0.1'])], 'a')).toBe(derivedNumber('a'));
  });

  test('changes that are asked for are in force, one through the other', () => {
    const objects = [
      asks('a', 'join:b'),
      asks('b', 'join:c'),
      namespaceObject('c'),
      asks('d', 'global'),
      asks('kube-system', 'isolate'),
    ];
    const model = modelOf(objects, DERIVED);
    const c = derivedNumber('c');
    expect([...model.namespaces].map(([name, { number }]) => [name, number])).toEqual([
      ['a', c],
      ['b', c],
      ['c', c],
      ['d', 0],
      ['kube-system', derivedNumber('kube-system')],
    ]);
  });

  test.each([
    ['a circle', [asks('a', 'join:b'), asks('b', 'join:a')], 'circle'],
    ['nobody', [asks('a', 'join:gone')], 'not there'],
  ])('who joins %s is closed', (_, objects, text) => {
    const { number, complaints } = modelOf(objects, DERIVED).namespaces.get('a') ?? {};
    expect(number).toBe(1);
    expect(complaints?.join()).toContain(text);
  });
});

describe('whatever happens, in whatever steps', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'kube-system');
  const annotations = fc.record(
    {
      [NUMBER_ANNOTATION]: fc.constantFrom('0', '17', '18', 'x'),
      [CHANGE_ANNOTATION]: fc.constantFrom('join:a', 'join:b', 'isolate', 'global', 'x'),
    },
    { requiredKeys: [] },
  );
  const pod = fc.record({
    key: fc.tuple(name, fc.constantFrom('p', 'q')),
    ips: fc.subarray(['10.0.0.1', '10.0.0.2', 'fd00::1']),
    node: fc.constantFrom('n1', 'n2'),
    phase: fc.constantFrom('Running', 'Failed'),
  });
  const world = fc.record({
    namespaces: fc.uniqueArray(fc.record({ name, annotations }), { selector: one => one.name }),
    pods: fc.uniqueArray(pod, { selector: ({ key }) => key.join() }),
  });

  test.each([GIVEN, DERIVED])('deltas add up to what a fresh model has (%j)', rules => {
    fc.assert(
      fc.property(fc.array(world, { minLength: 1, maxLength: 6 }), worlds => {
        const model = createTenantModel('n1', rules);
        const told = new Map<string, unknown>();
        const standing = new Map<string, unknown>();
        let before: readonly unknown[] = [];
        for (const { namespaces, pods } of worlds) {
          const after = [
            ...namespaces.map(one => namespaceObject(one.name, one.annotations)),
            ...pods.map(({ key, ips, node, phase }) => podObject(key.join('/'), ips, { node, phase })),
          ];
          const { delta, problems } = model.apply(batchBetween(before, after));
          for (const address of delta.removed) expect(told.delete(address)).toBe(true);
          for (const [address, tenant] of delta.set) told.set(address, tenant);
          for (const [owner, found] of problems)
            if (found.length === 0) standing.delete(owner);
            else standing.set(owner, found);
          before = after;
        }
        const fresh = createTenantModel('n1', rules);
        const { problems } = fresh.apply(batchBetween([], before));
        expect(told).toEqual(fresh.addresses);
        expect(model.addresses).toEqual(fresh.addresses);
        expect(model.namespaces).toEqual(fresh.namespaces);
        expect(standing).toEqual(problems);
      }),
      { numRuns: 100 },
    );
  });
});
