import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { createPolicyMetrics, denialRows } from '../../../../src/app/policy/policyMetrics.js';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import type { ObjectKey } from '../../../../src/kube/objects.js';
import type { Denial } from '../../../../src/policy/policyFirewall.js';
import { createPolicyModel } from '../../../../src/policy/policyModel.js';
import { podName } from '../../../../src/policy/policyTypes.js';
import { batchOf } from '../../routing/cluster.js';
import { CLUSTER, NODE } from './policyObjects.js';

const denial = (n: number, packets: bigint): Denial => ({
  pod: podName('demo', `pod-${n}`),
  address: `10.244.1.${n}` as IpText,
  direction: 'ingress',
  cause: { kind: 'isolated', policies: ['NetworkPolicy/demo/web' as ObjectKey] },
  packets,
});
const stranger = (address: string): Denial => ({
  pod: undefined,
  address: address as IpText,
  direction: 'egress',
  cause: { kind: 'unknown' },
  packets: 1n,
});

test('the largest denials have rows of their own, the rest is one', () => {
  const rows = denialRows([denial(1, 1n), denial(2, 30n), denial(3, 20n), denial(4, 2n)], 2);
  expect(rows.map(({ labels: { pod }, packets }) => [pod, packets])).toEqual([
    ['pod-2', 30],
    ['pod-3', 20],
    ['other', 3],
  ]);
});

test('both addresses of a pod are one row, and so are all addresses that no pod has', () => {
  const rows = denialRows([denial(1, 1n), denial(1, 2n), stranger('10.244.1.9'), stranger('10.244.1.8')], 10);
  expect(rows.map(({ labels, packets }) => [labels.pod, labels.cause, packets])).toEqual([
    ['pod-1', 'NetworkPolicy demo/web', 3],
    ['', 'unknown', 2],
  ]);
});

test('a scrape shows policies, pods and denials; a reading that failed keeps the last', async () => {
  const registry = new Registry();
  const metrics = createPolicyMetrics([registry]);
  const model = createPolicyModel(NODE);
  model.apply(batchOf('added', ...CLUSTER));
  metrics.event({ kind: 'committed', seconds: 0.01, full: true });
  metrics.show({ model, failures: 0, denials: [denial(1, 7n)] });
  metrics.show({ model, failures: 0, denials: undefined });
  const text = await registry.metrics();
  const lines = text.split('\n').filter(line => !line.startsWith('#'));
  expect(lines).toEqual(
    expect.arrayContaining([
      'peerage_policy_policies{tier="admin"} 1',
      'peerage_policy_policies{tier="namespace"} 1',
      'peerage_policy_policies{tier="baseline"} 0',
      'peerage_policy_pods 2',
      'kube_router_controller_policy_chains 2',
      'kube_router_controller_iptables_sync_time_count 1',
      'peerage_policy_denied_packets{namespace="demo",pod="pod-1",direction="ingress",cause="NetworkPolicy demo/web"} 7',
    ]),
  );
});
