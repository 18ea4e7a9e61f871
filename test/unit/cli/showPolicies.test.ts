import { expect, test } from '@jest/globals';
import type { PolicyView } from '../../../src/api/policyView.js';
import { POLICY_COLUMNS } from '../../../src/cli/showPolicies.js';

const POLICY: PolicyView = {
  policy: 'NetworkPolicy demo/web',
  tier: 'namespace',
  priority: null,
  pods: 3,
  ingress: 1,
  egress: null,
  state: 'programmed',
  error: null,
};

test.each<[Partial<PolicyView>, readonly string[]]>([
  [{}, ['NetworkPolicy demo/web', 'namespace', '-', '3', '1 rule', '-', 'programmed']],
  [
    { policy: 'ClusterNetworkPolicy base', tier: 'admin', priority: 0, egress: 0, state: 'failed', error: 'no memory' },
    ['ClusterNetworkPolicy base', 'admin', '0', '3', '1 rule', '0 rules', 'failed: no memory'],
  ],
])('%j in a line', (changes, expected) => {
  expect(POLICY_COLUMNS.map(({ value }) => value({ ...POLICY, ...changes }))).toEqual(expected);
});
