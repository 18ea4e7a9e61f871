import { expect, test } from '@jest/globals';
import { fieldSelectorsOf, kindsOf } from '../../../src/app/clusterSource.js';

const OF_ROUTER = ['Node', 'Service', 'EndpointSlice'];

test.each([
  [[], OF_ROUTER],
  [['serviceProxy'], [...OF_ROUTER, 'ServiceCIDR']],
  [['firewall'], [...OF_ROUTER, 'Pod', 'Namespace', 'NetworkPolicy', 'ClusterNetworkPolicy']],
] as const)('%j: each kind that a part uses is followed, and no other', (parts, kinds) => {
  expect(kindsOf(parts)).toEqual(kinds);
});

test('a kind of two parts is followed once', () => {
  const kinds = kindsOf(['firewall', 'firewall', 'serviceProxy']);
  expect(new Set(kinds).size).toBe(kinds.length);
});

test.each([
  [['bandwidth'], { Pod: 'spec.nodeName=n1' }],
  [['serviceProxy', 'bandwidth'], { Pod: 'spec.nodeName=n1' }],
  [['bandwidth', 'tenants'], {}],
  [['firewall', 'bandwidth'], {}],
  [['serviceProxy'], {}],
] as const)('%j: pods of other nodes are followed where somebody needs them', (parts, selectors) => {
  expect(fieldSelectorsOf(parts, 'n1')).toEqual(selectors);
});
