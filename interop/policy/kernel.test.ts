/**
 * The firewall against Cyclonus with real packets: every case it generates, step after step on one node and without a fresh
 * start in between, and random clusters of a seed; every cell, both families, TCP, UDP and SCTP. PEERAGE_POLICY_CASES=all
 * takes all cases instead of one in so many; PEERAGE_POLICY_SEED and PEERAGE_POLICY_PACKET_CLUSTERS choose others.
 */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { allCases } from './cases.js';
import { NINE_PODS, objectsOf, PORTS, SPARE, SERVED, type ClusterPod } from './cluster.js';
import { judgeAll } from './cyclonus.js';
import { openEnforcer, type Enforcer } from './enforcer.js';
import { cellsOf, differences, hostsOf } from './kernelTable.js';
import { openProber, type Prober } from './packets/prober.js';
import { openPodRig, type PodRig } from './podRig.js';
import { randomClusters } from './randomClusters.js';

const ALL = process.env['PEERAGE_POLICY_CASES'] === 'all';
/** Of the cases of a single step, many of which are alike: one in so many. */
const ONE_IN = ALL ? 1 : 5;
const SEED = Number(process.env['PEERAGE_POLICY_SEED'] ?? 1);
const CLUSTERS = Number(process.env['PEERAGE_POLICY_PACKET_CLUSTERS'] ?? 15);
/** Differences that are worth going on for. */
const ENOUGH = 20;
/** Milliseconds: for each step with packets on a slow machine. */
const LIMIT = 1_800_000;

const spare: readonly ClusterPod[] = Object.entries(SPARE).map(([key, ips]) => {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name, labels: {}, ips, ports: SERVED };
});
const pods = [...NINE_PODS.pods, ...spare];
let rig: PodRig;
let prober: Prober;
let enforcer: Enforcer;

beforeAll(async () => {
  rig = openPodRig('pgpk', pods);
  prober = openProber(hostsOf(rig, pods), [53, ...PORTS]);
  enforcer = openEnforcer(rig.node);
  await enforcer.enforce(objectsOf(NINE_PODS));
});
afterAll(async () => {
  prober.close();
  await enforcer.stop();
  rig.close();
});

test('without policies every cell is open', async () => {
  expect(cellsOf(NINE_PODS)).toHaveLength(9 * 8 * 2 * 6);
  expect(await differences(prober, NINE_PODS, [[], []])).toEqual([]);
});

const cases = allCases().filter(({ steps }, i) => steps.length > 1 || i % ONE_IN === 0);

test(
  `${cases.length} cases of Cyclonus, step by step: packets agree with every cell`,
  async () => {
    const found: string[] = [];
    for (const { name, steps } of cases) {
      if (found.length > ENOUGH) break;
      for (const [i, step] of steps.entries()) {
        await enforcer.enforce(objectsOf(step));
        for (const text of await differences(prober, step, step.denied)) found.push(`${name}, step ${i}: ${text}`);
      }
    }
    expect(found).toEqual([]);
  },
  LIMIT,
);

test(
  `${CLUSTERS} random clusters of seed ${SEED}: packets agree with every cell`,
  async () => {
    const clusters = randomClusters(SEED, CLUSTERS);
    const tables = judgeAll(clusters);
    const found: string[] = [];
    for (const [i, cluster] of clusters.entries()) {
      await enforcer.enforce(objectsOf(cluster));
      for (const text of await differences(prober, cluster, tables[i] ?? [])) found.push(`cluster ${i}: ${text}`);
      if (found.length > ENOUGH) break;
    }
    expect(found).toEqual([]);
  },
  LIMIT,
);
