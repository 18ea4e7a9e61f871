/**
 * ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) to a policy of the Admin or Baseline tier. A rule with something
 * we cannot judge fails closed, as the API asks: Accept matches nothing, Deny and Pass deny everything.
 */

import type {
  ClusterNetworkPolicy,
  ClusterPolicyPeer,
  ClusterPolicyProtocol,
  ClusterPolicyRule,
} from '../kube/objectTypes.js';
import { keyOf } from '../kube/objects.js';
import { groupPeer } from './compileNetworkPolicy.js';
import type { Action, Peer, Policy, PodGroup, PortMatch, Rule } from './policyTypes.js';

const TIERS = { Admin: 'admin', Baseline: 'baseline' } as const;
const ACTIONS: { readonly [A in ClusterPolicyRule['action']]: Action } = {
  Accept: 'accept',
  Deny: 'deny',
  Pass: 'pass',
};

export function compileClusterPolicy(object: ClusterNetworkPolicy): Policy {
  const { name, tier, priority, subject, ingress, egress } = object;
  return {
    key: keyOf(object),
    tier: TIERS[tier],
    priority,
    namespace: '',
    name,
    subject: podGroup(subject),
    ingress: ingress.length === 0 ? undefined : ingress.map(ruleOf),
    egress: egress.length === 0 ? undefined : egress.map(ruleOf),
  };
}

function podGroup({ namespaces, pods }: ClusterNetworkPolicy['subject']): PodGroup {
  return { kind: 'pods', namespaces: { kind: 'matching', selector: namespaces }, pods };
}

function ruleOf(rule: ClusterPolicyRule, index: number): Rule {
  const { name, peers, protocols } = rule;
  const action = ACTIONS[rule.action];
  const unknown = [...peers, ...(protocols ?? [])].find(part => part.kind === 'unknown');
  if (unknown?.kind === 'unknown') {
    const closed = `${unknown.field} cannot be judged here`;
    if (action === 'accept') return { index, name, action, peers: [], ports: undefined, closed };
    return { index, name, action: 'deny', peers: undefined, ports: undefined, closed };
  }
  return { index, name, action, peers: peers.flatMap(peersOf), ports: protocols?.flatMap(portsOf), closed: undefined };
}

function peersOf(peer: ClusterPolicyPeer): readonly Peer[] {
  switch (peer.kind) {
    case 'pods':
      return [groupPeer(podGroup(peer))];
    case 'nodes':
      return [groupPeer(peer)];
    case 'networks':
      return peer.networks.map(cidr => ({ kind: 'block', cidr, except: [] }));
    case 'unknown':
      return [];
  }
}

function portsOf(match: ClusterPolicyProtocol): readonly PortMatch[] {
  switch (match.kind) {
    case 'ports':
      return [{ kind: 'range', protocol: match.protocol, first: match.first, last: match.last }];
    case 'named':
      return [{ kind: 'named', protocol: undefined, name: match.name }];
    case 'unknown':
      return [];
  }
}
