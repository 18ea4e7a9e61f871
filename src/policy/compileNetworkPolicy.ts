/** NetworkPolicy (networking.k8s.io/v1) to a policy of the namespace tier. */

import type { LabelSelector, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule } from '../kube/objectTypes.js';
import { keyOf } from '../kube/objects.js';
import { groupKey, type Group, type Peer, type Policy, type PortMatch, type Rule } from './policyTypes.js';

export const ALL: LabelSelector = { matchLabels: {}, matchExpressions: [] };
export const LAST_PORT = 65535;

export function compileNetworkPolicy(object: NetworkPolicy): Policy {
  const { namespace, name, podSelector, ingress, egress } = object;
  return {
    key: keyOf(object),
    tier: 'namespace',
    priority: 0,
    namespace,
    name,
    subject: { kind: 'pods', namespaces: { kind: 'one', name: namespace }, pods: podSelector },
    ingress: ingress?.map((rule, index) => ruleOf(rule, index, namespace)),
    egress: egress?.map((rule, index) => ruleOf(rule, index, namespace)),
  };
}

/** Lists that are empty restrict nothing. */
function ruleOf({ peers, ports }: PolicyRule, index: number, namespace: string): Rule {
  return {
    index,
    name: '',
    action: 'accept',
    peers: peers.length === 0 ? undefined : peers.map(peer => peerOf(peer, namespace)),
    ports: ports.length === 0 ? undefined : ports.map(portOf),
    closed: undefined,
  };
}

function peerOf(peer: PolicyPeer, namespace: string): Peer {
  if (peer.kind === 'ipBlock') return { kind: 'block', cidr: peer.cidr, except: peer.except };
  const { pods = ALL, namespaces } = peer;
  return groupPeer({
    kind: 'pods',
    namespaces:
      namespaces === undefined ? { kind: 'one', name: namespace } : { kind: 'matching', selector: namespaces },
    pods,
  });
}

export function groupPeer(group: Group): Peer {
  return { kind: 'group', key: groupKey(group), group };
}

function portOf({ protocol, port, endPort }: PolicyPort): PortMatch {
  if (port === undefined) return { kind: 'range', protocol, first: 0, last: LAST_PORT };
  if (typeof port === 'string') return { kind: 'named', protocol, name: port };
  return { kind: 'range', protocol, first: port, last: endPort ?? port };
}
