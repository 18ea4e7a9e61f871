import { expect, test } from '@jest/globals';
import { Kubernetes } from '../../../../src/app/config/kubernetesSchema.js';
import { balancerOptions, createBalancerStage } from '../../../../src/app/loadBalancer/balancerStage.js';
import { batchOf, nodeN, objectOf } from '../../routing/cluster.js';

const optionsOf = (loadBalancer: object, ranges: readonly string[] = ['192.0.2.0/24']) =>
  balancerOptions(
    Kubernetes.parse({ run: { loadBalancer: true }, services: { loadBalancerIpRanges: ranges }, loadBalancer }),
  );
const web = objectOf({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'demo' },
  spec: { type: 'LoadBalancer', clusterIP: '10.96.0.9', ports: [{ port: 80 }] },
});

test('without pools all ranges are one', () => {
  expect(optionsOf({})?.allocation.pools).toMatchObject([
    { name: 'default', ranges: [{ length: 24 }], automatic: true },
  ]);
});

test('pools that are named are those, and need no ranges besides', () => {
  const pools = [{ name: 'a', ranges: ['198.51.100.0/28'], namespaces: ['x'], labels: { y: 'z' }, automatic: false }];
  expect(optionsOf({ pools }, [])?.allocation.pools).toMatchObject([
    { name: 'a', namespaces: ['x'], labels: { y: 'z' }, automatic: false },
  ]);
});

test.each([
  [{ run: { loadBalancer: true } }, /there is nothing to give out/],
  [
    { run: { loadBalancer: true }, role: 'edge', services: { loadBalancerIpRanges: ['192.0.2.0/24'] } },
    /a host outside the cluster/,
  ],
  [
    { loadBalancer: { pools: ['192.0.2.0/24', '192.0.3.0/24'].map(range => ({ name: 'a', ranges: [range] })) } },
    /name of the first too/,
  ],
])('%j is refused', (settings, reason) => {
  const parsed = Kubernetes.safeParse(settings);
  expect(parsed.success ? '' : parsed.error.message).toMatch(reason);
});

test('counts nodes, and can be switched on and off while it leads', () => {
  const stage = createBalancerStage();
  stage({ kind: 'batch', batch: batchOf('added', nodeN(1), nodeN(2), web) });
  expect(stage({ kind: 'batch', batch: batchOf('deleted', nodeN(2)) }).nodes).toBe(1);
  expect(stage({ kind: 'leading', isLeading: true }).due.size).toBe(0);
  const running = stage({ kind: 'options', options: optionsOf({}) });
  expect([...running.due.values()].map(({ ips }) => ips)).toEqual([['192.0.2.1']]);
  const { options, due } = stage({ kind: 'options', options: undefined });
  expect([options, due.size]).toEqual([undefined, 0]);
});
