/** ClusterNetworkPolicies that an API server would not take. Those that it takes are rows (test/policyRows). */

import { describe, expect, test } from '@jest/globals';
import { parseObject } from '../../../src/kube/objects.js';
import { of, out, policy, rule } from '../../policyRows/clusterPolicies.js';

describe('what an API server would refuse', () => {
  const complaint = (spec: object): string => {
    const result = parseObject(policy('p', spec));
    return result.ok ? 'good' : result.error.text;
  };
  test.each([
    ['a tier', { tier: 'User' }, /^ClusterNetworkPolicy p: spec\.tier: /],
    ['a priority', { priority: 1001 }, /spec\.priority: /],
    ['no subject', { subject: {} }, /spec\.subject: needs either namespaces or pods/],
    ['no peers', { ingress: [{ action: 'Deny', from: [] }] }, /spec\.ingress\[0\]\.from: /],
    [
      'two kinds in one peer',
      { egress: [out('Deny', [{ ...of('x'), networks: ['10.0.0.0/8'] }])] },
      /to\[0\]: has namespaces and networks: only one/,
    ],
    [
      'an empty range',
      { ingress: [rule('Deny', 'x', { tcp: { destinationPort: { range: { start: 2, end: 2 } } } })] },
      /end: must be greater than start/,
    ],
    [
      'names of ports outside',
      { egress: [out('Deny', [{ networks: ['10.0.0.0/8'] }], { destinationNamedPort: 'web' })] },
      /protocols: nodes and networks have no named ports/,
    ],
  ])('%s', (_name, spec, text) => {
    expect(complaint(spec)).toMatch(text);
  });
});
