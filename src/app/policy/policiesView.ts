/** From what the running firewall knows to what `peerage show policies` and `peerage explain policy` show. */

import type { DenialView, PoliciesView, PolicyView } from '../../api/policyView.js';
import { err } from '../../core/result.js';
import type { PolicyModel } from '../../policy/policyModel.js';
import { policyTitle } from '../../policy/policyText.js';
import type { PodName, Policy, PolicyPod } from '../../policy/policyTypes.js';
import { answerPolicy } from './askPolicy.js';
import type { PodStates } from './podStates.js';
import type { LiveServices } from './liveServices.js';
import type { PolicyCluster } from './policyCluster.js';
import { policyMatrix } from './policyMatrix.js';

export interface PoliciesSource {
  /** Undefined before the first objects. */
  readonly known: () => { readonly model: PolicyModel; readonly services: LiveServices } | undefined;
  readonly states: PodStates;
  readonly denials: () => Iterable<DenialView>;
}

const WAITING = 'the agent has not read its cluster yet';

export function createPoliciesView({ known, states, denials }: PoliciesSource): PoliciesView {
  const cluster = (): PolicyCluster | undefined => {
    const now = known();
    if (now === undefined) return undefined;
    return { world: now.model, services: now.services.known(), sources: new Map(), place: 'in the cluster' };
  };
  return {
    policies: () => {
      const model = known()?.model;
      return model === undefined ? [] : policyLines(model, states);
    },
    denials,
    explain: question => {
      const now = cluster();
      return now === undefined
        ? err(WAITING)
        : answerPolicy(now, question, pod => kernelText(pod, known()?.model, states));
    },
    matrix: scope => {
      const now = cluster();
      return now === undefined ? err(WAITING) : policyMatrix(now, scope);
    },
  };
}

const TIERS = { admin: 0, namespace: 1, baseline: 2 } as const;

/** In the order they are asked. */
function policyLines(model: PolicyModel, states: PodStates): readonly PolicyView[] {
  const governed = new Map<Policy['key'], Set<PodName>>();
  for (const [name, { governing }] of model.localPods)
    for (const { key } of [...governing.ingress, ...governing.egress]) {
      const pods = governed.get(key);
      if (pods === undefined) governed.set(key, new Set([name]));
      else pods.add(name);
    }
  return [...model.policies.values()]
    .sort((a, b) => TIERS[a.tier] - TIERS[b.tier] || a.priority - b.priority || (a.key < b.key ? -1 : 1))
    .map(policy => policyLine(policy, [...(governed.get(policy.key) ?? [])], states));
}

function policyLine(policy: Policy, pods: readonly PodName[], states: PodStates): PolicyView {
  const { tier, priority, ingress, egress } = policy;
  const error = pods.map(pod => states.failureOf(pod)).find(text => text !== undefined) ?? null;
  const isProgrammed = pods.every(pod => states.isProgrammed(pod));
  return {
    policy: policyTitle(policy),
    tier,
    priority: tier === 'namespace' ? null : priority,
    pods: pods.length,
    ingress: ingress?.length ?? null,
    egress: egress?.length ?? null,
    state: error !== null ? 'failed' : isProgrammed ? 'programmed' : 'pending',
    error,
  };
}

/** Pods of other nodes are other agents' business. */
function kernelText({ key }: PolicyPod, model: PolicyModel | undefined, states: PodStates): string | undefined {
  if (model?.localPods.has(key) !== true) return undefined;
  const failure = states.failureOf(key);
  if (failure !== undefined) return `refused, so that the pod is closed: ${failure}`;
  return states.isProgrammed(key) ? 'the same' : 'on its way';
}
