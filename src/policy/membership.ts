/** Who belongs to a group, and which addresses to a block: the one place that says so for one pod or address. */

import { prefixContains, type IpAddress } from '../core/ip.js';
import { selects, type Labels } from './labelSelector.js';
import type { Group, NamespaceScope, Peer, PolicyPod } from './policyTypes.js';

export function inNamespaces(scope: NamespaceScope, name: string, labels: Labels): boolean {
  return scope.kind === 'one' ? scope.name === name : selects(scope.selector, labels);
}

/** @param namespaceLabels of the pod's namespace */
export function hasPod(group: Group, pod: PolicyPod, namespaceLabels: Labels): boolean {
  if (group.kind !== 'pods' || pod.state !== 'governed') return false;
  return inNamespaces(group.namespaces, pod.namespace, namespaceLabels) && selects(group.pods, pod.labels);
}

export function inBlock({ cidr, except }: Extract<Peer, { kind: 'block' }>, address: IpAddress): boolean {
  return prefixContains(cidr, address) && !except.some(hole => prefixContains(hole, address));
}

/** The label that the API server puts on every namespace. */
export const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

/** Manifests may lack that label, or the namespace itself. */
export function namespaceLabels(name: string, labels: Labels | undefined): Labels {
  return { ...labels, [NAMESPACE_NAME]: name };
}
