/** One Node object to what routing needs of it: a pure function of that node alone. */

import { formatPrefix, type IpAddress, type IpPrefix } from '../core/ip.js';
import type { Node } from '../kube/objectTypes.js';
import { describe } from '../kube/objects.js';
import type { Problem } from '../kube/problems.js';
import { parseCidr } from '../kube/schemaParts.js';

export interface NodeFacts {
  readonly name: string;
  readonly createdAt: string | undefined;
  /** The first InternalIP of each family. */
  readonly v4: IpAddress | undefined;
  readonly v6: IpAddress | undefined;
  readonly podCidrs: readonly IpPrefix[];
  /** What is wrong with the object itself. */
  readonly problems: readonly Problem[];
}

/** The older annotation wins over the newer one, as in kube-router. */
const POD_CIDR_ANNOTATIONS = ['kube-router.io/pod-cidr', 'kube-router.io/pod-cidrs'] as const;

export function nodeFacts(node: Node): NodeFacts {
  const v4 = node.internalIps.find(ip => ip.version === 4);
  const v6 = node.internalIps.find(ip => ip.version === 6);
  const { cidrs, problems } = podCidrsOf(node);
  const missing =
    v4 === undefined && v6 === undefined
      ? [problem(node, 'has no InternalIP address: no BGP session is set up with it')]
      : [];
  return { name: node.name, createdAt: node.createdAt, v4, v6, podCidrs: cidrs, problems: [...missing, ...problems] };
}

function podCidrsOf(node: Node): { readonly cidrs: readonly IpPrefix[]; readonly problems: readonly Problem[] } {
  const annotation = POD_CIDR_ANNOTATIONS.find(key => (node.annotations[key] ?? '').trim() !== '');
  if (annotation === undefined) return { cidrs: node.podCidrs, problems: [] };
  const parsed = (node.annotations[annotation] ?? '').split(',').map(text => parseCidr(text.trim()));
  const problems = parsed.flatMap(result =>
    result.ok ? [] : [problem(node, `annotation ${annotation}: ${result.error}; it is left out`)],
  );
  const cidrs = parsed.flatMap(result => (result.ok ? [result.value] : []));
  // The same prefix twice is one network.
  return { cidrs: [...new Map(cidrs.map(cidr => [formatPrefix(cidr), cidr])).values()], problems };
}

function problem(node: Node, text: string): Problem {
  return { subject: describe(node), text };
}

/**
 * Who keeps what two nodes claim: the older node; of two that are equally old, or that do not tell, the first by name.
 * Every node of the cluster comes to the same answer.
 */
export function comesFirst(a: NodeFacts, b: NodeFacts): boolean {
  const [ageA, ageB] = [a.createdAt ?? '', b.createdAt ?? ''];
  return ageA === ageB ? a.name < b.name : ageA < ageB;
}
