/**
 * A namespace's list of destinations outside the cluster that its pods may reach, in order, to a policy: last of the Admin
 * tier, so that what it lets pass is still for NetworkPolicies to judge. What cannot be judged fails closed. Pure.
 */

import { parsePrefix } from '../../core/ip.js';
import type { Namespace } from '../../kube/objectTypes.js';
import { describe, keyOf } from '../../kube/objects.js';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { Problem, ProblemReport } from '../../kube/problems.js';
import { ALL, groupPeer } from '../compileNetworkPolicy.js';
import type { Policy, Rule } from '../policyTypes.js';

/** `allow 192.0.2.0/24, allow 2001:db8::/32, deny 0.0.0.0/0, deny ::/0`: the first that holds decides; none: allowed. */
export const EGRESS_RULES = 'peerage.io/egress.rules';

/**
 * Rules that a list may have. Every packet to the outside that begins a connection may have to be compared with all of them,
 * and each list is chains of the kernel's: far more than anybody writes by hand.
 */
export const MOST_EGRESS_RULES = 500;

/** ClusterNetworkPolicies have 0 to 1000. */
const PRIORITY = 1001;

/** @returns undefined when the namespace has no list */
export function compileEgressList(namespace: Namespace): Policy | undefined {
  const text = namespace.annotations[EGRESS_RULES];
  if (text === undefined || text.trim() === '') return undefined;
  return {
    key: keyOf(namespace),
    tier: 'admin',
    priority: PRIORITY,
    namespace: namespace.name,
    name: namespace.name,
    subject: { kind: 'pods', namespaces: { kind: 'one', name: namespace.name }, pods: ALL },
    ingress: undefined,
    egress: [INSIDE, ...rulesOf(itemsOf(text))],
  };
}

/** The list is about the world outside. */
const INSIDE: Rule = {
  index: 0,
  name: 'inside the cluster',
  action: 'pass',
  peers: [
    groupPeer({ kind: 'pods', namespaces: { kind: 'matching', selector: ALL }, pods: ALL }),
    groupPeer({ kind: 'nodes', nodes: ALL }),
  ],
  ports: undefined,
  closed: undefined,
};

function itemsOf(text: string): readonly string[] {
  return text
    .split(/[,\n]/)
    .map(item => item.trim())
    .filter(item => item !== '');
}

/** Which of too many rules were meant most nobody can say: all of the world outside is denied, to this namespace alone. */
function rulesOf(items: readonly string[]): readonly Rule[] {
  if (items.length <= MOST_EGRESS_RULES) return items.map((item, i) => ruleOf(item, i + 1));
  const closed = `more than ${MOST_EGRESS_RULES}, which no list may have`;
  return [{ index: 1, name: `${items.length} rules`, ports: undefined, action: 'deny', peers: undefined, closed }];
}

function ruleOf(item: string, index: number): Rule {
  const [verb, destination, ...more] = item.split(/\s+/);
  const rest = { index, name: item, ports: undefined };
  const isAllow = verb?.toLowerCase() === 'allow';
  if ((!isAllow && verb?.toLowerCase() !== 'deny') || destination === undefined || more.length > 0)
    return { ...rest, action: 'deny', peers: undefined, closed: 'is neither "allow" nor "deny" and one network' };
  const parsed = parsePrefix(destination);
  if (parsed.ok)
    return {
      ...rest,
      action: isAllow ? 'pass' : 'deny',
      peers: [{ kind: 'block', cidr: parsed.value, except: [] }],
      closed: undefined,
    };
  const closed = `${parsed.error}; names are not resolved`;
  return isAllow
    ? { ...rest, action: 'accept', peers: [], closed }
    : { ...rest, action: 'deny', peers: undefined, closed };
}

/** Of all namespaces that changed; undefined: none did. */
export function egressListReport(batch: ObjectBatch): ProblemReport | undefined {
  const report = changesOf(batch, 'Namespace').map(
    ({ change, object }) =>
      [`egress rules ${object.name}`, change === 'deleted' ? [] : egressListProblems(object)] as const,
  );
  return report.length === 0 ? undefined : new Map(report);
}

/** @returns what of the namespace's list is another than its author wrote */
export function egressListProblems(namespace: Namespace): readonly Problem[] {
  return (compileEgressList(namespace)?.egress ?? []).flatMap(({ name, action, closed }) => {
    if (closed === undefined) return [];
    const effect = action === 'accept' ? 'it allows nothing' : 'nothing outside is allowed from there on';
    const text = `annotation ${EGRESS_RULES}: "${name}": ${closed}: ${effect}`;
    return [{ subject: describe(namespace), text, reason: 'InvalidAnnotation' }];
  });
}
