/** Verdicts with their reasons, as they are shown. */

import type { ConnectionView, EndView, PolicyExplanation, RuleView } from '../../api/policyView.js';
import type { ObjectKey } from '../../kube/objects.js';
import { decisionText, policyTitle, rulePlace, ruleText } from '../../policy/policyText.js';
import type { Direction, Policy, PolicyPod, Rule } from '../../policy/policyTypes.js';
import type { PolicyWorld } from '../../policy/policyWorld.js';
import { verdict, type Decision, type EndVerdict, type Party } from '../../policy/verdict.js';
import { mergeFamilies } from './mergeFamilies.js';
import type { NamedConnection } from './subjects.js';

type Sources = ReadonlyMap<ObjectKey, string>;

/** What the kernel has of a pod's policies, for people; undefined: nobody knows, as of pods of other nodes. */
export type KernelState = (pod: PolicyPod) => string | undefined;

interface Known {
  readonly world: PolicyWorld;
  /** Where objects were read. */
  readonly sources: Sources;
  readonly kernel?: KernelState;
}

/** @param connections at least one */
export function explainConnections(
  known: Known,
  from: string,
  to: string,
  connections: readonly NamedConnection[],
): PolicyExplanation {
  const views = mergeFamilies(connections.map(connection => connectionView(known, connection)));
  const allowed = views.filter(view => view.allowed).length;
  return { from, to, allowed: allowed === 0 ? 'none' : allowed === views.length ? 'all' : 'some', connections: views };
}

function connectionView(known: Known, connection: NamedConnection): ConnectionView {
  const { fromText, toText, port, protocol, family, from, to } = connection;
  const { allowed, egress, ingress } = verdict(known.world, connection);
  return {
    from: fromText,
    to: toText,
    port,
    protocol,
    families: family === undefined ? [] : [family],
    allowed,
    egress: endView(egress, from, known),
    ingress: endView(ingress, to, known),
  };
}

/** @param self whose word it is */
function endView(
  { direction, allowed, decision, nearMisses }: EndVerdict,
  self: Party,
  { sources, kernel }: Known,
): EndView {
  return {
    direction,
    allowed,
    reason: decisionText(decision, direction),
    decidedBy: decidedBy(decision, direction, sources),
    nearest: nearMisses.map(({ policy, rule, missed }) => ({ ...ruleView(policy, rule, direction, sources), missed })),
    kernel: (self.kind === 'pod' ? kernel?.(self.pod) : undefined) ?? null,
  };
}

function decidedBy(decision: Decision, direction: Direction, sources: Sources): readonly RuleView[] {
  if (decision.kind === 'rule') return [ruleView(decision.policy, decision.rule, direction, sources)];
  if (decision.kind !== 'isolated') return [];
  return decision.policies.map(policy => ({
    policy: policyTitle(policy),
    source: sources.get(policy.key) ?? null,
    rule: null,
    text: `isolates the pod for ${direction}`,
  }));
}

function ruleView(policy: Policy, rule: Rule, direction: Direction, sources: Sources): RuleView {
  return {
    policy: policyTitle(policy),
    source: sources.get(policy.key) ?? null,
    rule: rulePlace(rule, direction),
    text: ruleText(rule, direction),
  };
}
