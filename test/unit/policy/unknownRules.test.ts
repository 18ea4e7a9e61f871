import { expect, test } from '@jest/globals';
import type { ClusterNetworkPolicy } from '../../../src/kube/objectTypes.js';
import { unknownRulesReport } from '../../../src/policy/unknownRules.js';
import { batchOf, objectOf } from '../routing/cluster.js';

function policy(spec: object): ClusterNetworkPolicy {
  const object = objectOf({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'web' },
    spec: { tier: 'Admin', priority: 10, subject: { namespaces: {} }, ...spec },
  });
  if (object.kind !== 'ClusterNetworkPolicy') throw new Error(object.kind);
  return object;
}

const KNOWN = { action: 'Accept', from: [{ namespaces: {} }] };

test('a rule of a later version is named with what becomes of it; others are not', () => {
  const object = policy({
    ingress: [KNOWN, { action: 'Accept', from: [{ moons: {} }] }],
    egress: [{ action: 'Deny', to: [{ domainNames: ['example.org'] }] }],
  });
  const common = { subject: 'ClusterNetworkPolicy web', reason: 'NotUnderstood' };
  expect(unknownRulesReport(batchOf('added', object))).toEqual(
    new Map([
      [
        'unknown rules web',
        [
          { ...common, text: 'spec.ingress[1]: moons cannot be judged here: it accepts nothing' },
          { ...common, text: 'spec.egress[0]: domainNames cannot be judged here: it denies everything' },
        ],
      ],
    ]),
  );
});

test('mended or gone, nothing is said of it', () => {
  const report = new Map([['unknown rules web', []]]);
  expect(unknownRulesReport(batchOf('changed', policy({ ingress: [KNOWN] })))).toEqual(report);
  expect(
    unknownRulesReport(batchOf('deleted', policy({ ingress: [{ action: 'Deny', from: [{ moons: {} }] }] }))),
  ).toEqual(report);
  expect(unknownRulesReport(batchOf('added'))).toBeUndefined();
});
