/**
 * The offline engine against Cyclonus: all the cases that it generates, and random clusters from a seed, cell by cell, for
 * both families. PEERAGE_POLICY_SEED and PEERAGE_POLICY_CLUSTERS choose others.
 */

import { expect, test } from '@jest/globals';
import { createPolicyModel } from '../../src/policy/policyModel.js';
import { allCases } from './cases.js';
import type { Cluster } from './cluster.js';
import { judgeAll, type DeniedCells } from './cyclonus.js';
import { clusterChange, deniedByEngine } from './engine.js';
import { randomClusters } from './randomClusters.js';

const SEED = Number(process.env['PEERAGE_POLICY_SEED'] ?? 1);
const CLUSTERS = Number(process.env['PEERAGE_POLICY_CLUSTERS'] ?? 100);
const FAMILIES = [0, 1];

const cases = allCases();

test('Cyclonus generates its 230 cases', () => {
  const families = cases.map(({ family }) => family);
  expect(families.filter(family => family === 'IPv4')).toHaveLength(230);
  expect(families.filter(family => family === 'IPv6')).not.toHaveLength(0);
  expect(cases.filter(({ steps }) => steps.length > 1)).not.toHaveLength(0);
});

test('every case of Cyclonus, step by step: the same cells', () => {
  const differences = cases.flatMap(({ name, steps }) => {
    const model = createPolicyModel(undefined);
    let before: Cluster | undefined;
    return steps.flatMap((step, i) => {
      model.apply(clusterChange(before, step));
      before = step;
      return FAMILIES.flatMap(family =>
        differencesOf(`${name}, step ${i}`, step.denied[family], deniedByEngine(model, step, family)),
      );
    });
  });
  expect(differences).toEqual([]);
});

test(`${CLUSTERS} random clusters of seed ${SEED}: the same cells, at once and after one another`, () => {
  const clusters = randomClusters(SEED, CLUSTERS);
  const tables = judgeAll(clusters);
  expect(tables).toHaveLength(CLUSTERS);
  const running = createPolicyModel(undefined);
  const denied = new Set<number>();
  const differences = clusters.flatMap((cluster, i) => {
    const fresh = createPolicyModel(undefined);
    fresh.apply(clusterChange(undefined, cluster));
    running.apply(clusterChange(clusters[i - 1], cluster));
    return FAMILIES.flatMap(family => {
      const expected = tables[i]?.[family];
      denied.add(expected?.length ?? 0);
      return [fresh, running].flatMap(model =>
        differencesOf(`cluster ${i}`, expected, deniedByEngine(model, cluster, family)),
      );
    });
  });
  expect(differences).toEqual([]);
  // Tables that are all alike would prove little.
  expect(denied.size).toBeGreaterThan(CLUSTERS / 10);
});

function differencesOf(where: string, expected: DeniedCells | undefined, found: DeniedCells): readonly string[] {
  if (expected === undefined) return [`${where}: no table`];
  const [theirs, ours] = [new Set(expected), new Set(found)];
  return [
    ...expected.filter(cell => !ours.has(cell)).map(cell => `${where}: ${cell} is denied by Cyclonus alone`),
    ...found.filter(cell => !theirs.has(cell)).map(cell => `${where}: ${cell} is denied by us alone`),
  ];
}
