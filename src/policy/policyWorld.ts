/** What is known of pods, namespaces, nodes and policies: what questions about policies are answered from. */

import type { IpText, Pod } from '../kube/objectTypes.js';
import type { Labels } from './labelSelector.js';
import { hasPod } from './membership.js';
import { podName, type GoverningPolicies, type Policy, type PolicyPod, type PodName } from './policyTypes.js';

export interface PolicyNode {
  readonly labels: Labels;
  readonly addresses: readonly IpText[];
}

export interface PolicyWorld {
  readonly pods: ReadonlyMap<PodName, PolicyPod>;
  readonly nodes: ReadonlyMap<string, PolicyNode>;
  labelsOf(namespace: string): Labels;
  /** Of any pod of the cluster, here or elsewhere. */
  governing(pod: PolicyPod): GoverningPolicies;
}

export function policyPod(pod: Pod): PolicyPod {
  const { namespace, name, labels, ips, namedPorts, nodeName, hostNetwork, phase } = pod;
  const isFinished = phase === 'Succeeded' || phase === 'Failed';
  return {
    key: podName(namespace, name),
    namespace,
    name,
    labels,
    addresses: ips,
    namedPorts,
    node: nodeName,
    state: isFinished ? 'finished' : hostNetwork ? 'hostNetwork' : 'governed',
  };
}

/** @param candidates policies that may govern the pod @param namespaceLabels of its namespace */
export function governingPolicies(
  candidates: readonly Policy[],
  pod: PolicyPod,
  namespaceLabels: Labels,
): GoverningPolicies {
  const selecting = candidates.filter(({ subject }) => hasPod(subject, pod, namespaceLabels)).sort(inOrder);
  return {
    ingress: selecting.filter(policy => policy.ingress !== undefined),
    egress: selecting.filter(policy => policy.egress !== undefined),
  };
}

const TIERS = { admin: 0, namespace: 1, baseline: 2 } as const;

/** Policies of equal priority may go in any order: by name, so that it is always the same. */
function inOrder(a: Policy, b: Policy): number {
  const byTier = TIERS[a.tier] - TIERS[b.tier];
  if (byTier !== 0) return byTier;
  return a.priority - b.priority || (a.key < b.key ? -1 : 1);
}
