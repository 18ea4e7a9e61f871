/** What of ClusterNetworkPolicies is not understood here, for who wrote it: such rules fail closed, which nothing else would show. */

import { changesOf, type ObjectBatch } from '../kube/objectBatch.js';
import { describe } from '../kube/objects.js';
import type { ClusterNetworkPolicy } from '../kube/objectTypes.js';
import type { Problem, ProblemReport } from '../kube/problems.js';
import { compileClusterPolicy } from './compileClusterPolicy.js';
import type { Rule } from './policyTypes.js';

/** Of all ClusterNetworkPolicies that changed; undefined: none did. */
export function unknownRulesReport(batch: ObjectBatch): ProblemReport | undefined {
  const report = changesOf(batch, 'ClusterNetworkPolicy').map(
    ({ change, object }) => [`unknown rules ${object.name}`, change === 'deleted' ? [] : unknownRules(object)] as const,
  );
  return report.length === 0 ? undefined : new Map(report);
}

/** One problem for each rule that fails closed. */
export function unknownRules(object: ClusterNetworkPolicy): readonly Problem[] {
  const { ingress = [], egress = [] } = compileClusterPolicy(object);
  return [...problemsOf(object, 'ingress', ingress), ...problemsOf(object, 'egress', egress)];
}

function problemsOf(
  object: ClusterNetworkPolicy,
  direction: 'ingress' | 'egress',
  rules: readonly Rule[],
): readonly Problem[] {
  return rules.flatMap(({ index, action, closed }) => {
    if (closed === undefined) return [];
    const effect = action === 'accept' ? 'it accepts nothing' : 'it denies everything';
    const text = `spec.${direction}[${index}]: ${closed}: ${effect}`;
    return [{ subject: describe(object), text, reason: 'NotUnderstood' }];
  });
}
