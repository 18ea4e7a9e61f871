/**
 * Pods, namespaces, nodes and policies to what a data plane has to know for the pods of one node, incrementally: a pod
 * costs the groups it is in, a policy the pods of this node that it may govern. Policies that select no pod of this node
 * are known and cost nothing more.
 */

import { isDeepStrictEqual } from 'node:util';
import { formatAddress } from '../core/ip.js';
import { changesOf, type ObjectBatch } from '../kube/objectBatch.js';
import type { IpText } from '../kube/objectTypes.js';
import { keyOf, type ObjectKey } from '../kube/objects.js';
import { compileClusterPolicy } from './compileClusterPolicy.js';
import { compileNetworkPolicy } from './compileNetworkPolicy.js';
import { compileEgressList } from './egress/egressList.js';
import { createGroupTable, type GroupTable } from './groupTable.js';
import type { Labels } from './labelSelector.js';
import { namespaceLabels } from './membership.js';
import type {
  GoverningPolicies,
  GroupKey,
  LocalPod,
  PodName,
  Policy,
  PolicyDelta,
  PolicyPod,
  PortElement,
  PortSetKey,
} from './policyTypes.js';
import { governingPolicies, policyPod, type PolicyNode, type PolicyWorld } from './policyWorld.js';
import { createPortSetTable, type PortDemand, type PortSetTable } from './portSetTable.js';

/** Owns the state of the derivation; one reducer, one owner. The maps are what all deltas together come to. */
export interface PolicyModel extends PolicyWorld {
  apply(batch: ObjectBatch): PolicyDelta;
  /** Policies that govern a pod of this node. */
  readonly policies: ReadonlyMap<ObjectKey, Policy>;
  readonly localPods: ReadonlyMap<PodName, LocalPod>;
  readonly groups: ReadonlyMap<GroupKey, ReadonlyMap<IpText, number>>;
  readonly portSets: ReadonlyMap<PortSetKey, ReadonlyMap<PortElement, number>>;
}

interface State {
  readonly isLocal: (pod: PolicyPod) => boolean;
  readonly namespaces: Map<string, Labels>;
  readonly nodes: Map<string, PolicyNode>;
  readonly pods: Map<PodName, PolicyPod>;
  /** All there are, by namespace; cluster-wide ones under ''. */
  readonly known: Map<string, Map<ObjectKey, Policy>>;
  readonly active: Map<ObjectKey, Policy>;
  readonly localPods: Map<PodName, LocalPod>;
  readonly localByNamespace: Map<string, Set<PodName>>;
  /** How many pods of this node each policy governs. */
  readonly uses: Map<ObjectKey, number>;
  readonly groups: GroupTable;
  readonly portSets: PortSetTable;
}

/** @param nodeName whose pods count; undefined: those of every node, as for questions about a whole cluster */
export function createPolicyModel(nodeName: string | undefined): PolicyModel {
  const isLocal = (pod: PolicyPod): boolean => nodeName === undefined || pod.node === nodeName;
  const state: State = {
    isLocal,
    namespaces: new Map(),
    nodes: new Map(),
    pods: new Map(),
    known: new Map(),
    active: new Map(),
    localPods: new Map(),
    localByNamespace: new Map(),
    uses: new Map(),
    groups: createGroupTable(),
    portSets: createPortSetTable(isLocal),
  };
  return {
    apply: batch => {
      takeNodes(state, batch);
      const moved = [...takeNamespaces(state, batch), ...takePods(state, batch), ...takePolicies(state, batch)];
      return settle(state, new Set(moved));
    },
    pods: state.pods,
    nodes: state.nodes,
    labelsOf: name => labelsOf(state, name),
    governing: pod => state.localPods.get(pod.key)?.governing ?? governingNow(state, pod),
    policies: state.active,
    localPods: state.localPods,
    groups: state.groups.groups,
    portSets: state.portSets.portSets,
  };
}

function labelsOf({ namespaces }: State, name: string): Labels {
  return namespaceLabels(name, namespaces.get(name));
}

function governingNow(state: State, pod: PolicyPod): GoverningPolicies {
  const candidates = [pod.namespace, ''].flatMap(namespace => [...(state.known.get(namespace)?.values() ?? [])]);
  return governingPolicies(candidates, pod, labelsOf(state, pod.namespace));
}

function takeNodes({ nodes, groups }: State, batch: ObjectBatch): void {
  for (const { change, object } of changesOf(batch, 'Node')) {
    const { name, labels, internalIps } = object;
    if (change === 'deleted') {
      nodes.delete(name);
      groups.removeNode(name);
      continue;
    }
    const node = { labels, addresses: internalIps.map(address => formatAddress(address) as IpText) };
    if (isDeepStrictEqual(node, nodes.get(name))) continue;
    nodes.set(name, node);
    groups.setNode(name, labels, node.addresses);
  }
}

/** @returns pods of this node that other policies may govern now */
function takeNamespaces(state: State, batch: ObjectBatch): readonly PodName[] {
  const { namespaces, groups, localByNamespace } = state;
  return changesOf(batch, 'Namespace').flatMap(({ change, object: { name, labels } }) => {
    const before = labelsOf(state, name);
    if (change === 'deleted') namespaces.delete(name);
    else namespaces.set(name, labels);
    if (isDeepStrictEqual(before, labelsOf(state, name))) return [];
    groups.setNamespace(name, namespaces.get(name));
    return [...(localByNamespace.get(name) ?? [])];
  });
}

/** @returns pods of this node that are others now */
function takePods(state: State, batch: ObjectBatch): readonly PodName[] {
  const { pods, groups, portSets, isLocal } = state;
  return changesOf(batch, 'Pod').flatMap(({ change, object }) => {
    const pod = policyPod(object);
    const before = pods.get(pod.key);
    if (change === 'deleted') {
      pods.delete(pod.key);
      groups.removePod(pod.key);
      portSets.removePod(pod.key);
    } else {
      if (isDeepStrictEqual(before, pod)) return [];
      pods.set(pod.key, pod);
      groups.setPod(pod);
      portSets.setPod(pod);
    }
    return isLocal(pod) || (before !== undefined && isLocal(before)) ? [pod.key] : [];
  });
}

/** @returns pods of this node that they may govern */
function takePolicies(state: State, batch: ObjectBatch): readonly PodName[] {
  const touched = new Set<string>();
  for (const { change, object } of changesOf(batch, 'NetworkPolicy')) {
    const policy = change === 'deleted' ? undefined : compileNetworkPolicy(object);
    note(state, touched, keyOf(object), policy, object.namespace);
  }
  for (const { change, object } of changesOf(batch, 'ClusterNetworkPolicy'))
    note(state, touched, keyOf(object), change === 'deleted' ? undefined : compileClusterPolicy(object), '');
  for (const { change, object } of changesOf(batch, 'Namespace'))
    note(state, touched, keyOf(object), change === 'deleted' ? undefined : compileEgressList(object), object.name);
  if (touched.has('')) return [...state.localPods.keys()];
  return [...touched].flatMap(namespace => [...(state.localByNamespace.get(namespace) ?? [])]);
}

function note(
  { known }: State,
  touched: Set<string>,
  key: ObjectKey,
  policy: Policy | undefined,
  namespace: string,
): void {
  const ofNamespace = known.get(namespace) ?? new Map<ObjectKey, Policy>();
  // What changed may be a label of the object alone.
  if (isDeepStrictEqual(policy, ofNamespace.get(key))) return;
  touched.add(namespace);
  if (policy === undefined) ofNamespace.delete(key);
  else ofNamespace.set(key, policy);
  if (ofNamespace.size === 0) known.delete(namespace);
  else known.set(namespace, ofNamespace);
}

/** @param moved pods of this node, now or before, to be looked at again */
function settle(state: State, moved: ReadonlySet<PodName>): PolicyDelta {
  const pods = { set: new Map<PodName, LocalPod>(), removed: new Set<PodName>() };
  const asked = new Set<ObjectKey>();
  for (const key of moved) {
    const before = state.localPods.get(key);
    const after = localPod(state, key);
    if (before?.pod === after?.pod && sameGoverning(before?.governing, after?.governing)) continue;
    for (const policy of policiesOf(before)) use(state, asked, policy.key, -1);
    for (const policy of policiesOf(after)) use(state, asked, policy.key, 1);
    place(state, key, before, after);
    if (after !== undefined) pods.set.set(key, after);
    else pods.removed.add(key);
  }
  const policies = { set: new Map<ObjectKey, Policy>(), removed: new Set<ObjectKey>() };
  for (const key of asked) activate(state, key, policies);
  return { groups: state.groups.settle(), portSets: state.portSets.settle(), policies, pods };
}

/** Pods on the host's network, and those that are done, are not covered. */
function localPod(state: State, key: PodName): LocalPod | undefined {
  const pod = state.pods.get(key);
  if (pod?.state !== 'governed' || !state.isLocal(pod)) return undefined;
  return { pod, governing: governingNow(state, pod) };
}

function sameGoverning(a: GoverningPolicies | undefined, b: GoverningPolicies | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const same = (left: readonly Policy[], right: readonly Policy[]): boolean =>
    left.length === right.length && left.every((policy, i) => policy === right[i]);
  return same(a.ingress, b.ingress) && same(a.egress, b.egress);
}

function policiesOf(local: LocalPod | undefined): ReadonlySet<Policy> {
  return new Set([...(local?.governing.ingress ?? []), ...(local?.governing.egress ?? [])]);
}

function use({ uses }: State, asked: Set<ObjectKey>, key: ObjectKey, step: 1 | -1): void {
  const count = (uses.get(key) ?? 0) + step;
  if (count === 0) uses.delete(key);
  else uses.set(key, count);
  asked.add(key);
}

function place(
  { localPods, localByNamespace }: State,
  key: PodName,
  before: LocalPod | undefined,
  after: LocalPod | undefined,
): void {
  const namespace = (after ?? before)?.pod.namespace ?? '';
  const ofNamespace = localByNamespace.get(namespace) ?? new Set<PodName>();
  if (after === undefined) {
    localPods.delete(key);
    ofNamespace.delete(key);
  } else {
    localPods.set(key, after);
    ofNamespace.add(key);
  }
  if (ofNamespace.size === 0) localByNamespace.delete(namespace);
  else localByNamespace.set(namespace, ofNamespace);
}

interface PolicyChanges {
  readonly set: Map<ObjectKey, Policy>;
  readonly removed: Set<ObjectKey>;
}

/** Brings one policy in force, takes it out of force, or puts its new form in place of the old one. */
function activate(state: State, key: ObjectKey, changes: PolicyChanges): void {
  const before = state.active.get(key);
  const after = state.uses.has(key) ? policyOf(state, key) : undefined;
  if (before === after) return;
  // What both forms refer to stays in demand all along.
  if (after !== undefined) demandAll(state, after, 'demand');
  if (before !== undefined) demandAll(state, before, 'release');
  if (after === undefined) {
    state.active.delete(key);
    changes.removed.add(key);
  } else {
    state.active.set(key, after);
    changes.set.set(key, after);
  }
}

function policyOf({ known }: State, key: ObjectKey): Policy | undefined {
  const [kind, first = '', second] = key.split('/');
  // A namespace's egress rules are its own, though the namespace itself is in none.
  const isInNone = second === undefined && kind !== 'Namespace';
  return known.get(isInNone ? '' : first)?.get(key);
}

function demandAll({ groups, portSets }: State, policy: Policy, step: 'demand' | 'release'): void {
  for (const direction of ['ingress', 'egress'] as const)
    for (const { peers, ports } of policy[direction] ?? []) {
      for (const peer of peers ?? []) {
        if (peer.kind !== 'group') continue;
        if (step === 'demand') groups.demand(peer.group);
        else groups.release(peer.key);
      }
      for (const port of ports ?? []) {
        if (port.kind !== 'named') continue;
        const { protocol, name } = port;
        const demand: PortDemand = { scope: direction === 'ingress' ? 'local' : 'all', protocol, name };
        portSets[step](demand);
      }
    }
}
