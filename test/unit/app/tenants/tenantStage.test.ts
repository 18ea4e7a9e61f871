import { expect, test } from '@jest/globals';
import { createDeniedTotals } from '../../../../src/app/tenants/denied.js';
import { createTenantStage } from '../../../../src/app/tenants/tenantStage.js';
import { tenantLines } from '../../../../src/app/tenants/tenantsView.js';
import { Kubernetes } from '../../../../src/app/config/kubernetesSchema.js';
import { formatPrefix } from '../../../../src/core/ip.js';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import { CHANGE_ANNOTATION, NUMBER_ANNOTATION } from '../../../../src/policy/tenants/namespaceTenant.js';
import { batchBetween } from '../../policy/modelCluster.js';
import { namespaceObject, podObject } from '../../policy/tenants/tenantObjects.js';

const nodeObject = (name: string, ...podCIDRs: readonly string[]): unknown => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec: { podCIDRs },
});
const options = (global: readonly string[]) =>
  ({ kind: 'options', kubernetes: Kubernetes.parse({ tenancy: 'namespace', tenants: { global } }) }) as const;

test('networks of pods are told when nodes change, who is global when the configuration does', () => {
  const stage = createTenantStage('n1', 'given');
  expect(stage(options(['default']))).toMatchObject({ isComplete: false, due: [] });
  const first = [
    nodeObject('n1', '10.244.1.0/24', 'fd44:1::/64'),
    namespaceObject('a'),
    podObject('a/p', ['10.244.1.2']),
  ];
  const told = stage({ kind: 'batch', batch: batchBetween([], first) });
  expect(told.networks?.map(formatPrefix)).toEqual(['10.244.1.0/24', 'fd44:1::/64']);
  expect(told).toMatchObject({ isComplete: true, due: [{ namespace: 'a', kind: 'first' }] });
  expect([...told.delta.set.values()]).toEqual([{ number: 1, isLocal: false }]);

  const global = stage(options(['default', 'a']));
  expect(global).toMatchObject({ networks: undefined, due: [] });
  expect([...global.delta.set.values()]).toEqual([{ number: 0, isLocal: false }]);

  const second = [...first, nodeObject('n2', '10.244.2.0/24')];
  const more = stage({ kind: 'batch', batch: batchBetween(first, second) });
  expect(more.networks).toHaveLength(3);
  expect(more.delta.set.size).toBe(0);
  expect(stage({ kind: 'batch', batch: batchBetween(second, first) }).networks).toHaveLength(2);
});

test('what is shown: networks with their namespaces, addresses, what is asked, and what was denied', () => {
  const stage = createTenantStage('n1', 'given');
  stage(options(['kube-system']));
  const objects = [
    namespaceObject('a', { [NUMBER_ANNOTATION]: '10', [CHANGE_ANNOTATION]: 'isolate' }),
    namespaceObject('b', { [NUMBER_ANNOTATION]: '10' }),
    namespaceObject('bad', { [NUMBER_ANNOTATION]: 'x' }),
    namespaceObject('kube-system'),
    podObject('a/p', ['10.0.0.1', 'fd00::1'], { node: 'n1' }),
    podObject('a/q', ['10.0.0.2']),
  ];
  const { model } = stage({ kind: 'batch', batch: batchBetween([], objects) });
  const nothing = { addresses: 0, localAddresses: 0, deniedTo: 0, deniedFrom: 0, asked: null, problem: null };
  const [first, second] = ['10.0.0.1', 'fd00::1'].map(text => text as IpText);
  const denied = createDeniedTotals();
  denied.take(
    new Map([
      [first!, { to: 3n, from: 0n }],
      [second!, { to: 1n, from: 2n }],
    ]),
    model,
  );
  // The first address has begun anew, with another pod.
  const news = denied.take(
    new Map([
      [first!, { to: 2n, from: 0n }],
      [second!, { to: 1n, from: 5n }],
    ]),
    model,
  );
  expect([...news]).toEqual([['a', { to: 2, from: 3 }]]);
  expect(tenantLines(model, denied.totals)).toEqual([
    {
      ...nothing,
      namespace: 'a',
      tenant: 10,
      with: ['b'],
      addresses: 3,
      localAddresses: 2,
      deniedTo: 6,
      deniedFrom: 5,
      asked: 'isolate',
    },
    { ...nothing, namespace: 'b', tenant: 10, with: ['a'] },
    { ...nothing, namespace: 'bad', tenant: null, with: [], problem: expect.stringContaining('"x" is no number') },
    { ...nothing, namespace: 'kube-system', tenant: 0, with: [] },
  ]);
  expect(tenantLines(model, undefined)[0]).toMatchObject({ deniedTo: null, deniedFrom: null });
});
