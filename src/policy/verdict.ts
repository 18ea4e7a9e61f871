/**
 * Whether a connection may be made: asked at the pod that sends and at the pod that receives, each with what decided it and,
 * where it was denied, which rules come nearest to allowing it. Judged from objects, not from what a kernel was told.
 *
 * Sources: networking.k8s.io/v1 NetworkPolicy; policy.networking.k8s.io/v1alpha2 for tiers, order and actions.
 */

import type { IpAddress } from '../core/ip.js';
import type { Protocol } from '../kube/objectTypes.js';
import { selects } from './labelSelector.js';
import { hasPod, inBlock } from './membership.js';
import type { Direction, Peer, Policy, PolicyPod, PortMatch, Rule, Tier } from './policyTypes.js';
import type { PolicyWorld } from './policyWorld.js';

/** One end of a connection. A pod may have no address yet: then no block holds for it. */
export type Party =
  | { readonly kind: 'pod'; readonly pod: PolicyPod; readonly address: IpAddress | undefined }
  | { readonly kind: 'node'; readonly name: string; readonly address: IpAddress | undefined }
  | { readonly kind: 'address'; readonly address: IpAddress };

/** The first packet, as the pods see it: after a service's address was replaced by an endpoint's. */
export interface Connection {
  readonly from: Party;
  readonly to: Party;
  readonly protocol: Protocol;
  readonly port: number;
}

export type Decision =
  /** pass never decides. */
  | { readonly kind: 'rule'; readonly policy: Policy; readonly rule: Rule }
  /** NetworkPolicies select the pod, and none of their rules holds. */
  | { readonly kind: 'isolated'; readonly policies: readonly Policy[] }
  /** No policy has a word to say. */
  | { readonly kind: 'default' }
  | { readonly kind: 'exempt'; readonly reason: Exemption };

/**
 * notPod: policies select pods only. hostNetwork: its traffic is the node's. ownAddress: no policy stands between a pod and
 * itself. ownNode: a pod's node reaches it and is reached by it, whatever NetworkPolicies say.
 */
export type Exemption = 'notPod' | 'hostNetwork' | 'finished' | 'ownAddress' | 'ownNode';

export interface NearMiss {
  readonly policy: Policy;
  readonly rule: Rule;
  /** overruled: it holds, but something before it decided. ports, peers: what of it does not hold. */
  readonly missed: 'overruled' | 'ports' | 'peers';
}

export interface EndVerdict {
  readonly direction: Direction;
  readonly allowed: boolean;
  readonly decision: Decision;
  /** Accepting rules for this pod that do not apply, nearest first; empty where it is allowed. */
  readonly nearMisses: readonly NearMiss[];
}

export interface Verdict {
  readonly allowed: boolean;
  readonly egress: EndVerdict;
  readonly ingress: EndVerdict;
}

export function verdict(world: PolicyWorld, connection: Connection): Verdict {
  const { from, to } = connection;
  const egress = judge(world, connection, 'egress', from, to);
  const ingress = judge(world, connection, 'ingress', to, from);
  return { allowed: egress.allowed && ingress.allowed, egress, ingress };
}

/** @param self the end whose policies are asked */
function judge(
  world: PolicyWorld,
  connection: Connection,
  direction: Direction,
  self: Party,
  other: Party,
): EndVerdict {
  const exemption = exemptionOf(self, other);
  if (exemption !== undefined) return allowedBy(direction, { kind: 'exempt', reason: exemption });
  // Only a pod is left here.
  const policies = self.kind === 'pod' ? world.governing(self.pod)[direction] : [];
  const holds = (rule: Rule): boolean => peersHold(world, rule, other) && portsHold(rule, connection);
  const decision = decide(policies, direction, holds, isOwnNode(self, other));
  if (isAccepting(decision)) return allowedBy(direction, decision);
  return { direction, allowed: false, decision, nearMisses: nearMisses(world, connection, direction, policies, other) };
}

function allowedBy(direction: Direction, decision: Decision): EndVerdict {
  return { direction, allowed: true, decision, nearMisses: [] };
}

export function isAccepting(decision: Decision): boolean {
  if (decision.kind === 'rule') return decision.rule.action === 'accept';
  return decision.kind !== 'isolated';
}

function exemptionOf(self: Party, other: Party): Exemption | undefined {
  if (self.kind !== 'pod') return 'notPod';
  if (self.pod.state !== 'governed') return self.pod.state;
  return other.kind === 'pod' && other.pod.key === self.pod.key ? 'ownAddress' : undefined;
}

function isOwnNode(self: Party, other: Party): boolean {
  const node = nodeOf(other);
  return self.kind === 'pod' && node !== undefined && node === self.pod.node;
}

/** The node whose address the party has, if it has one's. */
function nodeOf(party: Party): string | undefined {
  if (party.kind === 'node') return party.name;
  return party.kind === 'pod' && party.pod.state === 'hostNetwork' ? party.pod.node : undefined;
}

/**
 * The order of tiers, whatever rules are judged by: objects here, addresses elsewhere.
 * @param policies that govern the pod, in order @param ownNode the other end is the pod's own node
 */
export function decide(
  policies: readonly Policy[],
  direction: Direction,
  holds: (rule: Rule) => boolean,
  ownNode: boolean,
): Decision {
  const inTier = (tier: Tier): readonly Policy[] => policies.filter(policy => policy.tier === tier);
  const admin = firstRule(inTier('admin'), direction, holds);
  if (admin !== undefined && admin.rule.action !== 'pass') return { kind: 'rule', ...admin };
  if (ownNode) return { kind: 'exempt', reason: 'ownNode' };
  const namespaced = inTier('namespace');
  if (namespaced.length > 0) {
    const accepting = firstRule(namespaced, direction, holds);
    return accepting === undefined ? { kind: 'isolated', policies: namespaced } : { kind: 'rule', ...accepting };
  }
  const baseline = firstRule(inTier('baseline'), direction, holds);
  return baseline === undefined || baseline.rule.action === 'pass'
    ? { kind: 'default' }
    : { kind: 'rule', ...baseline };
}

interface FoundRule {
  readonly policy: Policy;
  readonly rule: Rule;
}

function firstRule(
  policies: readonly Policy[],
  direction: Direction,
  holds: (rule: Rule) => boolean,
): FoundRule | undefined {
  for (const policy of policies) {
    const rule = policy[direction]?.find(holds);
    if (rule !== undefined) return { policy, rule };
  }
  return undefined;
}

function peersHold(world: PolicyWorld, { peers }: Rule, other: Party): boolean {
  return peers === undefined || peers.some(peer => peerHolds(world, peer, other));
}

function peerHolds(world: PolicyWorld, peer: Peer, other: Party): boolean {
  if (peer.kind === 'block') return other.address !== undefined && inBlock(peer, other.address);
  const { group } = peer;
  if (group.kind === 'pods')
    return other.kind === 'pod' && hasPod(group, other.pod, world.labelsOf(other.pod.namespace));
  const node = world.nodes.get(nodeOf(other) ?? '');
  return node !== undefined && selects(group.nodes, node.labels);
}

function portsHold({ ports }: Rule, connection: Connection): boolean {
  return ports === undefined || ports.some(match => portHolds(match, connection));
}

/** Named ports are those of the pod that receives, at either end. */
function portHolds(match: PortMatch, { to, protocol, port }: Connection): boolean {
  if (match.kind === 'range') return match.protocol === protocol && match.first <= port && port <= match.last;
  if (to.kind !== 'pod' || to.pod.state !== 'governed') return false;
  if (match.protocol !== undefined && match.protocol !== protocol) return false;
  return to.pod.namedPorts.some(own => own.name === match.name && own.protocol === protocol && own.port === port);
}

const NEARNESS = { overruled: 0, ports: 1, peers: 2 } as const;

/** Accepting rules of which at least one half holds. */
function nearMisses(
  world: PolicyWorld,
  connection: Connection,
  direction: Direction,
  policies: readonly Policy[],
  other: Party,
): readonly NearMiss[] {
  const misses = policies.flatMap(policy =>
    (policy[direction] ?? []).flatMap((rule): readonly NearMiss[] => {
      if (rule.action !== 'accept' || rule.closed !== undefined) return [];
      const [peers, ports] = [peersHold(world, rule, other), portsHold(rule, connection)];
      if (!peers && !ports) return [];
      return [{ policy, rule, missed: peers && ports ? 'overruled' : peers ? 'ports' : 'peers' }];
    }),
  );
  return misses.sort((a, b) => NEARNESS[a.missed] - NEARNESS[b.missed]);
}
