/** The offline engine against every row: Kubernetes' own end-to-end cases, and those of ClusterNetworkPolicy's conformance. */

import { describe, test } from '@jest/globals';
import { createPolicyModel } from '../../../src/policy/policyModel.js';
import { CLUSTER_POLICIES } from '../../policyRows/clusterPolicies.js';
import type { Row } from '../../policyRows/rows.js';
import { UPSTREAM_EGRESS } from '../../policyRows/upstreamEgress.js';
import { UPSTREAM_INGRESS } from '../../policyRows/upstreamIngress.js';
import { batchBetween } from './modelCluster.js';
import { expectTable } from './truthTable.js';

const SETS: Readonly<Record<string, readonly Row[]>> = {
  'who may come in': UPSTREAM_INGRESS,
  'who may go out, and all else': UPSTREAM_EGRESS,
  ClusterNetworkPolicy: CLUSTER_POLICIES,
};

describe.each(Object.entries(SETS))('%s', (_title, rows) => {
  test.each(rows.map(({ name, steps }) => [name, steps] as const))('%s', (_name, steps) => {
    const model = createPolicyModel(undefined);
    let before: readonly unknown[] = [];
    for (const { objects, protocol, port, expect: expectations } of steps) {
      model.apply(batchBetween(before, objects));
      before = objects;
      expectTable(model, protocol, port, expectations);
    }
  });
});
