/** Policies, rules and decisions in words. */

import { formatPrefix } from '../core/ip.js';
import type { ObjectKey } from '../kube/objects.js';
import { selectorText } from './labelSelector.js';
import { LAST_PORT } from './compileNetworkPolicy.js';
import type { Direction, Group, NamespaceScope, Peer, Policy, PortMatch, Rule } from './policyTypes.js';
import type { Decision, Exemption } from './verdict.js';

/** `NetworkPolicy demo/web`. */
export function policyTitle({ key }: Policy): string {
  return policyTitleOf(key);
}

export function policyTitleOf(key: ObjectKey): string {
  return key.replace('/', ' ');
}

/** `spec.ingress[0]`, with the rule's name if it has one. */
export function rulePlace({ index, name }: Rule, direction: Direction): string {
  return `spec.${direction}[${index}]${name === '' ? '' : ` "${name}"`}`;
}

/** `accepts from pods app=web of namespace demo on 80/TCP`. */
export function ruleText({ action, peers, ports, closed }: Rule, direction: Direction): string {
  const verb = { accept: 'accepts', deny: 'denies', pass: 'passes on' }[action];
  if (closed !== undefined) return `${action === 'accept' ? 'accepts nothing' : 'denies everything'}: ${closed}`;
  const side = direction === 'ingress' ? 'from' : 'to';
  const who = peers === undefined ? 'anybody' : peers.map(peerText).join(' or ');
  const where = ports === undefined ? 'any port' : ports.map(portText).join(', ');
  return `${verb} ${side} ${who} on ${where}`;
}

function peerText(peer: Peer): string {
  if (peer.kind === 'group') return groupText(peer.group);
  const except = peer.except.length === 0 ? '' : ` except ${peer.except.map(formatPrefix).join(' ')}`;
  return `${formatPrefix(peer.cidr)}${except}`;
}

function groupText(group: Group): string {
  if (group.kind === 'nodes') return `nodes ${selectorText(group.nodes)}`.trim();
  const labels = selectorText(group.pods);
  return `${labels === '' ? 'all pods' : `pods ${labels}`} of ${scopeText(group.namespaces)}`;
}

function scopeText(scope: NamespaceScope): string {
  if (scope.kind === 'one') return `namespace ${scope.name}`;
  const labels = selectorText(scope.selector);
  return labels === '' ? 'all namespaces' : `namespaces ${labels}`;
}

function portText(port: PortMatch): string {
  if (port.kind === 'named') return `${port.name}${port.protocol === undefined ? '' : `/${port.protocol}`}`;
  const { protocol, first, last } = port;
  if (first <= 1 && last === LAST_PORT) return `any port of ${protocol}`;
  return `${first === last ? first : `${first}-${last}`}/${protocol}`;
}

const EXEMPTIONS: { readonly [E in Exemption]: string } = {
  notPod: 'policies select pods only',
  hostNetwork: 'the pod is on the network of its host, where no policy selects it',
  finished: 'the pod has finished',
  ownAddress: 'no policy stands between a pod and itself',
  ownNode: 'a pod and its own node reach each other whatever NetworkPolicies say',
};

/** Why an end allows or denies, in a sentence without its subject. */
export function decisionText(decision: Decision, direction: Direction): string {
  switch (decision.kind) {
    case 'rule':
      return `${policyTitle(decision.policy)} ${rulePlace(decision.rule, direction)} ${ruleText(decision.rule, direction)}`;
    case 'isolated': {
      const names = decision.policies.map(policyTitle).join(', ');
      return `selected by ${names}, and no ${direction} rule holds`;
    }
    case 'default':
      return `no policy decides about its ${direction}`;
    case 'exempt':
      return EXEMPTIONS[decision.reason];
  }
}
