/**
 * Whose connections a change may forbid, or allow again: those of pods whose policies are others now, and those of addresses
 * that came into a set or left it. A pod that joins what rules accept forbids nothing, so that most changes ask for no look
 * at connections at all. Pure.
 */

import type { IpText } from '../../kube/objectTypes.js';
import type { ObjectKey } from '../../kube/objects.js';
import {
  portSetKey,
  type GroupKey,
  type LocalPod,
  type Policy,
  type PolicyDelta,
  type PortElement,
  type PortSetKey,
  type Rule,
} from '../policyTypes.js';

/** Ends of connections. */
export interface Suspects {
  /** Something that these ends have may be forbidden now. */
  readonly forbidding: ReadonlySet<IpText>;
  /** Nothing of these is forbidden, but what was may be allowed now. */
  readonly allowing: ReadonlySet<IpText>;
}

export interface SuspectFinder {
  /** Takes every delta of a model, in order. */
  find(delta: PolicyDelta): Suspects;
}

/** Where policies in force refer to a set. */
interface Uses {
  /** In rules that accept or pass: who leaves the set may lose something. */
  accepting: number;
  /** In rules that deny or pass: who joins the set may lose something. */
  denying: number;
}

export function createSuspectFinder(): SuspectFinder {
  const policies = new Map<ObjectKey, Policy>();
  const uses = new Map<GroupKey | PortSetKey, Uses>();
  const count = (policy: Policy | undefined, step: 1 | -1): void => {
    if (policy !== undefined) for (const { key, rule } of setsOf(policy)) countUse(uses, key, rule, step);
  };
  return {
    find: delta => {
      const found: Found = { forbidding: new Set(), allowing: new Set() };
      // By what was in force and what is: a set may have changed together with the policies that use it.
      for (const policy of delta.policies.set.values()) count(policy, 1);
      for (const [key, { added, removed }] of delta.groups.changed)
        noteSet(found, uses.get(key), [...added], [...removed]);
      for (const [key, { added, removed }] of delta.portSets.changed)
        noteSet(found, uses.get(key), [...added].map(addressOf), [...removed].map(addressOf));
      for (const [key, policy] of delta.policies.set) {
        count(policies.get(key), -1);
        policies.set(key, policy);
      }
      for (const key of delta.policies.removed) {
        count(policies.get(key), -1);
        policies.delete(key);
      }
      for (const pod of delta.pods.set.values()) notePod(found, pod);
      for (const end of found.forbidding) found.allowing.delete(end);
      return found;
    },
  };
}

interface Found {
  readonly forbidding: Set<IpText>;
  readonly allowing: Set<IpText>;
}

function noteSet(found: Found, uses: Uses | undefined, added: readonly IpText[], removed: readonly IpText[]): void {
  const { accepting, denying } = uses ?? { accepting: 0, denying: 0 };
  for (const end of added) (denying > 0 ? found.forbidding : found.allowing).add(end);
  for (const end of removed) (accepting > 0 ? found.forbidding : found.allowing).add(end);
}

/** Whom no policy governs any more loses nothing. A pod that is new may have the address of another, whose flows are not over. */
function notePod(found: Found, { pod, governing }: LocalPod): void {
  const isGoverned = governing.ingress.length + governing.egress.length > 0;
  for (const end of pod.addresses) (isGoverned ? found.forbidding : found.allowing).add(end);
}

function countUse(uses: Map<GroupKey | PortSetKey, Uses>, key: GroupKey | PortSetKey, rule: Rule, step: 1 | -1): void {
  const known = uses.get(key) ?? { accepting: 0, denying: 0 };
  if (rule.action !== 'deny') known.accepting += step;
  if (rule.action !== 'accept') known.denying += step;
  if (known.accepting + known.denying === 0) uses.delete(key);
  else uses.set(key, known);
}

function* setsOf(policy: Policy): Generator<{ readonly key: GroupKey | PortSetKey; readonly rule: Rule }> {
  for (const direction of ['ingress', 'egress'] as const)
    for (const rule of policy[direction] ?? []) {
      for (const peer of rule.peers ?? []) if (peer.kind === 'group') yield { key: peer.key, rule };
      for (const port of rule.ports ?? [])
        if (port.kind === 'named')
          yield { key: portSetKey(direction === 'ingress' ? 'local' : 'all', port.protocol, port.name), rule };
    }
}

function addressOf(element: PortElement): IpText {
  return element.slice(0, element.indexOf(' ')) as IpText;
}
