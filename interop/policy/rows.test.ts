/** The firewall against the rows, with real packets: Kubernetes' own end-to-end cases, and ClusterNetworkPolicy's. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CLUSTER_POLICIES } from '../../test/policyRows/clusterPolicies.js';
import type { Row } from '../../test/policyRows/rows.js';
import { UPSTREAM_EGRESS } from '../../test/policyRows/upstreamEgress.js';
import { UPSTREAM_INGRESS } from '../../test/policyRows/upstreamIngress.js';
import { openEnforcer, type Enforcer } from './enforcer.js';
import { differences, hostsOf } from './kernelTable.js';
import { openProber, type Prober } from './packets/prober.js';
import { openPodRig, type PodRig } from './podRig.js';
import { podsOf, tableOf } from './rows.js';

/** By what clusters have the same pods: a rig for each. */
const SETS: Readonly<Record<string, readonly Row[]>> = {
  'end to end': [...UPSTREAM_INGRESS, ...UPSTREAM_EGRESS],
  ClusterNetworkPolicy: CLUSTER_POLICIES,
};

describe.each(Object.entries(SETS))('%s', (_title, rows) => {
  const steps = rows.flatMap(row => row.steps);
  const pods = podsOf(steps[0]!);
  let rig: PodRig;
  let prober: Prober;
  let enforcer: Enforcer;
  beforeAll(() => {
    rig = openPodRig('pgpr', pods);
    prober = openProber(hostsOf(rig, pods), [...new Set(steps.map(({ port }) => port))]);
    enforcer = openEnforcer(rig.node);
  });
  afterAll(async () => {
    prober.close();
    await enforcer.stop();
    rig.close();
  });

  test.each(rows.map(({ name, steps }) => [name, steps] as const))('%s', async (_name, steps) => {
    for (const step of steps) {
      await enforcer.enforce(step.objects);
      const { cluster, denied } = tableOf(step);
      expect(await differences(prober, cluster, denied)).toEqual([]);
    }
  });
});
