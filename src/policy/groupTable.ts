/**
 * The groups of addresses that rules in force refer to, kept up to date. Pods with equal labels are one class, so that the
 * next pod of a deployment evaluates no selector at all; a group's selectors meet each class once.
 */

import type { IpText } from '../kube/objectTypes.js';
import { createCountedSets } from './countedSets.js';
import { selects, type Labels } from './labelSelector.js';
import { inNamespaces } from './membership.js';
import { createNamespaceIndex, type NamespaceIndex } from './namespaceIndex.js';
import {
  groupKey,
  type Group,
  type GroupKey,
  type NamespaceScope,
  type PodName,
  type PolicyPod,
  type SetDelta,
} from './policyTypes.js';

export interface GroupTable {
  setPod(pod: PolicyPod): void;
  removePod(key: PodName): void;
  /** @param labels undefined: no Namespace object is known */
  setNamespace(name: string, labels: Labels | undefined): void;
  setNode(name: string, labels: Labels, addresses: readonly IpText[]): void;
  removeNode(name: string): void;
  /** One more rule refers to the group. */
  demand(group: Group): void;
  /** One less; a group that none refers to is gone when things settle. */
  release(key: GroupKey): void;
  settle(): SetDelta<GroupKey, IpText>;
  readonly groups: ReadonlyMap<GroupKey, ReadonlyMap<IpText, number>>;
}

/** Pods of one namespace with the same labels. */
interface PodClass {
  readonly key: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly pods: Map<PodName, PolicyPod>;
  readonly groups: Set<GroupKey>;
}

interface KnownNode {
  readonly labels: Labels;
  readonly addresses: readonly IpText[];
}

interface Demanded {
  readonly group: Group;
  readonly classes: Set<PodClass>;
  count: number;
}

interface State {
  readonly classes: Map<string, PodClass>;
  readonly classOf: Map<PodName, PodClass>;
  readonly byNamespace: Map<string, Set<PodClass>>;
  readonly namespaces: NamespaceIndex;
  readonly nodes: Map<string, KnownNode>;
  readonly demanded: Map<GroupKey, Demanded>;
  /** Groups whose last rule is gone. */
  readonly idle: Set<GroupKey>;
  readonly sets: ReturnType<typeof createCountedSets<GroupKey, IpText>>;
}

export function createGroupTable(): GroupTable {
  const state: State = {
    classes: new Map(),
    classOf: new Map(),
    byNamespace: new Map(),
    namespaces: createNamespaceIndex(),
    nodes: new Map(),
    demanded: new Map(),
    idle: new Set(),
    sets: createCountedSets(),
  };
  return {
    groups: state.sets.sets,
    setPod: pod => setPod(state, pod),
    removePod: key => removePod(state, key),
    setNamespace: (name, labels) => setNamespace(state, name, labels),
    setNode: (name, labels, addresses) => {
      countNode(state, state.nodes.get(name), 'remove');
      state.nodes.set(name, { labels, addresses });
      countNode(state, state.nodes.get(name), 'add');
    },
    removeNode: name => {
      countNode(state, state.nodes.get(name), 'remove');
      state.nodes.delete(name);
    },
    demand: group => demand(state, group),
    release: key => {
      const known = state.demanded.get(key);
      if (known !== undefined && --known.count === 0) state.idle.add(key);
    },
    settle: () => {
      for (const key of state.idle) forget(state, key);
      state.idle.clear();
      return state.sets.settle();
    },
  };
}

function setPod(state: State, pod: PolicyPod): void {
  const before = state.classOf.get(pod.key);
  if (pod.state !== 'governed') {
    if (before !== undefined) removePod(state, pod.key);
    return;
  }
  const after = classFor(state, pod);
  if (before !== undefined && before !== after) removePod(state, pod.key);
  const old = after.pods.get(pod.key);
  after.pods.set(pod.key, pod);
  state.classOf.set(pod.key, after);
  for (const group of after.groups) {
    for (const address of pod.addresses) state.sets.add(group, address);
    for (const address of old?.addresses ?? []) state.sets.remove(group, address);
  }
}

function removePod(state: State, key: PodName): void {
  const podClass = state.classOf.get(key);
  if (podClass === undefined) return;
  const addresses = podClass.pods.get(key)?.addresses ?? [];
  for (const group of podClass.groups) for (const address of addresses) state.sets.remove(group, address);
  podClass.pods.delete(key);
  state.classOf.delete(key);
  if (podClass.pods.size > 0) return;
  state.classes.delete(podClass.key);
  for (const group of podClass.groups) state.demanded.get(group)?.classes.delete(podClass);
  const ofNamespace = state.byNamespace.get(podClass.namespace);
  ofNamespace?.delete(podClass);
  if (ofNamespace?.size === 0) state.byNamespace.delete(podClass.namespace);
}

/** The class of the pod, which is made if the pod is the first of it. */
function classFor(state: State, { namespace, labels }: PolicyPod): PodClass {
  const key = JSON.stringify([namespace, Object.entries(labels).sort()]);
  const known = state.classes.get(key);
  if (known !== undefined) return known;
  const fresh: PodClass = { key, namespace, labels, pods: new Map(), groups: new Set() };
  state.classes.set(key, fresh);
  state.byNamespace.set(namespace, (state.byNamespace.get(namespace) ?? new Set<PodClass>()).add(fresh));
  for (const [group, demanded] of state.demanded) if (belongs(state, fresh, demanded.group)) join(state, fresh, group);
  return fresh;
}

function belongs(state: State, { namespace, labels }: PodClass, group: Group): boolean {
  if (group.kind !== 'pods') return false;
  return inNamespaces(group.namespaces, namespace, state.namespaces.labelsOf(namespace)) && selects(group.pods, labels);
}

function setNamespace(state: State, name: string, labels: Labels | undefined): void {
  state.namespaces.set(name, labels);
  const classes = state.byNamespace.get(name);
  if (classes === undefined) return;
  for (const [key, { group }] of state.demanded) {
    if (group.kind !== 'pods' || group.namespaces.kind === 'one') continue;
    for (const podClass of classes)
      if (belongs(state, podClass, group)) join(state, podClass, key);
      else leave(state, podClass, key);
  }
}

function join({ sets, demanded }: State, podClass: PodClass, key: GroupKey): void {
  if (podClass.groups.has(key)) return;
  podClass.groups.add(key);
  demanded.get(key)?.classes.add(podClass);
  for (const pod of podClass.pods.values()) sets.addAll(key, pod.addresses);
}

function leave({ sets, demanded }: State, podClass: PodClass, key: GroupKey): void {
  if (!podClass.groups.delete(key)) return;
  demanded.get(key)?.classes.delete(podClass);
  for (const pod of podClass.pods.values()) for (const address of pod.addresses) sets.remove(key, address);
}

function demand(state: State, group: Group): void {
  const key = groupKey(group);
  const known = state.demanded.get(key);
  if (known !== undefined) {
    known.count++;
    state.idle.delete(key);
    return;
  }
  state.demanded.set(key, { group, classes: new Set(), count: 1 });
  state.sets.create(key);
  if (group.kind === 'nodes') {
    for (const { labels, addresses } of state.nodes.values())
      if (selects(group.nodes, labels)) for (const address of addresses) state.sets.add(key, address);
    return;
  }
  const { namespaces, pods } = group;
  for (const name of candidates(state, namespaces)) {
    if (!inNamespaces(namespaces, name, state.namespaces.labelsOf(name))) continue;
    for (const podClass of state.byNamespace.get(name) ?? [])
      if (selects(pods, podClass.labels)) join(state, podClass, key);
  }
}

/** Namespaces that the scope may take in. */
function candidates({ namespaces, byNamespace }: State, scope: NamespaceScope): Iterable<string> {
  if (scope.kind === 'one') return [scope.name];
  return namespaces.candidates(scope.selector) ?? byNamespace.keys();
}

function forget(state: State, key: GroupKey): void {
  for (const podClass of state.demanded.get(key)?.classes ?? []) podClass.groups.delete(key);
  state.demanded.delete(key);
  state.sets.drop(key);
}

function countNode({ demanded, sets }: State, node: KnownNode | undefined, step: 'add' | 'remove'): void {
  if (node === undefined) return;
  for (const [key, { group }] of demanded)
    if (group.kind === 'nodes' && selects(group.nodes, node.labels))
      for (const address of node.addresses) sets[step](key, address);
}
