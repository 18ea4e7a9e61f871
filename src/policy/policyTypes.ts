/**
 * What network policies come to, as plain data: policies with their rules, the groups of addresses that rules share, and
 * what changed of them. Kinds of policy objects differ no more from here on, but for their tier.
 */

import type { Brand } from '../core/brand.js';
import type { IpPrefix } from '../core/ip.js';
import type { IpText, LabelSelector, NamedPort, Protocol } from '../kube/objectTypes.js';
import type { ObjectKey } from '../kube/objects.js';
import { selectorKey, type Labels } from './labelSelector.js';

/** At the pod that receives, and at the pod that sends: each end has a word. */
export type Direction = 'ingress' | 'egress';

/** In the order they are asked: ClusterNetworkPolicy Admin, NetworkPolicy, ClusterNetworkPolicy Baseline. */
export type Tier = 'admin' | 'namespace' | 'baseline';

/** pass: the next tier decides. */
export type Action = 'accept' | 'deny' | 'pass';

export type NamespaceScope =
  { readonly kind: 'one'; readonly name: string } | { readonly kind: 'matching'; readonly selector: LabelSelector };

/** Pods of namespaces, both by label. Pods on the host's network are in none: their address is the node's. */
export interface PodGroup {
  readonly kind: 'pods';
  readonly namespaces: NamespaceScope;
  readonly pods: LabelSelector;
}

export interface NodeGroup {
  readonly kind: 'nodes';
  readonly nodes: LabelSelector;
}

export type Group = PodGroup | NodeGroup;

/** Equal for groups that are written alike: many policies share one set of addresses. */
export type GroupKey = Brand<string, 'GroupKey'>;
export function groupKey(group: Group): GroupKey {
  if (group.kind === 'nodes') return `nodes ${selectorKey(group.nodes)}` as GroupKey;
  const { namespaces, pods } = group;
  const scope = namespaces.kind === 'one' ? JSON.stringify(namespaces.name) : selectorKey(namespaces.selector);
  return `pods ${scope} ${selectorKey(pods)}` as GroupKey;
}

export type Peer =
  | { readonly kind: 'group'; readonly key: GroupKey; readonly group: Group }
  | { readonly kind: 'block'; readonly cidr: IpPrefix; readonly except: readonly IpPrefix[] };

export type PortMatch =
  | { readonly kind: 'range'; readonly protocol: Protocol; readonly first: number; readonly last: number }
  /** The port that the receiving pod has under this name: a number of its own for every pod. */
  | { readonly kind: 'named'; readonly protocol: Protocol | undefined; readonly name: string };

/** Holds when one of the peers and one of the ports do; undefined: all of them. */
export interface Rule {
  /** Its place in the object's list, from 0. */
  readonly index: number;
  /** Empty where it has none. */
  readonly name: string;
  readonly action: Action;
  readonly peers: readonly Peer[] | undefined;
  readonly ports: readonly PortMatch[] | undefined;
  /** Why the rule is another than its author wrote: it has something we cannot judge, and so fails closed. */
  readonly closed: string | undefined;
}

export interface Policy {
  readonly key: ObjectKey;
  readonly tier: Tier;
  /** Lower goes first within its tier; 0 for NetworkPolicies, whose order means nothing. */
  readonly priority: number;
  /** Empty for cluster-wide policies. */
  readonly namespace: string;
  readonly name: string;
  readonly subject: PodGroup;
  /** Undefined: says nothing of this direction. In the namespace tier no rules mean: nothing is allowed. */
  readonly ingress: readonly Rule[] | undefined;
  readonly egress: readonly Rule[] | undefined;
}

/** What policies need to know of a pod. */
export interface PolicyPod {
  /** `namespace/name`. */
  readonly key: PodName;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  /** None before the pod has any. */
  readonly addresses: readonly IpText[];
  readonly namedPorts: readonly NamedPort[];
  readonly node: string | undefined;
  /**
   * hostNetwork: its traffic is the node's, and no policy selects it. finished: it is done, and its addresses may be
   * another's by now.
   */
  readonly state: 'governed' | 'hostNetwork' | 'finished';
}

/** `namespace/name`. */
export type PodName = Brand<string, 'PodName'>;
export function podName(namespace: string, name: string): PodName {
  return `${namespace}/${name}` as PodName;
}
/** Neither part can have a slash in it. */
export function splitPodName(key: PodName): { readonly namespace: string; readonly pod: string } {
  const [namespace = '', pod = ''] = key.split('/');
  return { namespace, pod };
}

/** The policies that govern a pod in one direction, in the order they are asked. */
export interface GoverningPolicies {
  readonly ingress: readonly Policy[];
  readonly egress: readonly Policy[];
}

/** A pod of this node: to be covered even if no policy governs it. */
export interface LocalPod {
  readonly pod: PolicyPod;
  readonly governing: GoverningPolicies;
}

/** Pods that have a port of a name: which pods, which protocol (undefined: any), which name. */
export type PortSetKey = Brand<string, 'PortSetKey'>;
/** @param scope local: only pods of this node, which is all that ingress rules need */
export function portSetKey(scope: 'local' | 'all', protocol: Protocol | undefined, name: string): PortSetKey {
  return `${scope} ${protocol ?? 'any'} ${name}` as PortSetKey;
}

/** One port of one address: `10.244.1.7 TCP 8080`. */
export type PortElement = Brand<string, 'PortElement'>;
export function portElement(address: IpText, protocol: Protocol, port: number): PortElement {
  return `${address} ${protocol} ${port}` as PortElement;
}

/** What became of keyed sets. A set that is new is in `changed` even if it is empty. */
export interface SetDelta<K, E> {
  readonly changed: ReadonlyMap<K, { readonly added: ReadonlySet<E>; readonly removed: ReadonlySet<E> }>;
  readonly removed: ReadonlySet<K>;
}

export interface KeyedDelta<K, V> {
  readonly set: ReadonlyMap<K, V>;
  readonly removed: ReadonlySet<K>;
}

/** Everything a data plane has to change. Policies that select no pod of this node are in none of it. */
export interface PolicyDelta {
  readonly groups: SetDelta<GroupKey, IpText>;
  readonly portSets: SetDelta<PortSetKey, PortElement>;
  readonly policies: KeyedDelta<ObjectKey, Policy>;
  readonly pods: KeyedDelta<PodName, LocalPod>;
}
