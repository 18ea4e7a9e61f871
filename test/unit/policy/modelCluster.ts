/** Objects as JSON into a model, and back out of what it tells: a data plane that knows nothing but the deltas. */

import { parseAddress, type IpAddress } from '../../../src/core/ip.js';
import type { ObjectBatch, ObjectChange } from '../../../src/kube/objectBatch.js';
import type { IpText, Protocol } from '../../../src/kube/objectTypes.js';
import { keyOf, parseObject, type ObjectKey } from '../../../src/kube/objects.js';
import { inBlock } from '../../../src/policy/membership.js';
import { createPolicyModel, type PolicyModel } from '../../../src/policy/policyModel.js';
import {
  portElement,
  portSetKey,
  type Direction,
  type GroupKey,
  type LocalPod,
  type PodName,
  type Policy,
  type PolicyDelta,
  type PortElement,
  type PortSetKey,
  type Rule,
  type SetDelta,
  podName,
} from '../../../src/policy/policyTypes.js';
import type { Party } from '../../../src/policy/verdict.js';
import type { OracleEnd } from './oracle.js';

/** What turns one list of objects into another. @throws when an object cannot be read */
export function batchBetween(before: readonly unknown[], after: readonly unknown[]): ObjectBatch {
  const [old, now] = [byKey(before), byKey(after)];
  const changes = new Map<ObjectKey, ObjectChange>();
  for (const [key, object] of now) changes.set(key, { change: old.has(key) ? 'changed' : 'added', object });
  for (const [key, object] of old) if (!now.has(key)) changes.set(key, { change: 'deleted', object });
  return { changes, synced: true };
}

function byKey(objects: readonly unknown[]): ReadonlyMap<ObjectKey, ObjectChange['object']> {
  return new Map(
    objects.map(json => {
      const parsed = parseObject(json);
      if (!parsed.ok) throw new Error(parsed.error.text);
      if (parsed.value === undefined) throw new Error('not of ours');
      return [keyOf(parsed.value), parsed.value] as const;
    }),
  );
}

export function modelOf(objects: readonly unknown[], nodeName?: string): PolicyModel {
  const model = createPolicyModel(nodeName);
  model.apply(batchBetween([], objects));
  return model;
}

export function addressOf(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export function partyOf(model: PolicyModel, end: OracleEnd): Party {
  const address = addressOf(end.ip);
  if (!('name' in end)) return { kind: 'address', address };
  return { kind: 'pod', pod: model.pods.get(podName(end.namespace, end.name))!, address };
}

/** What a kernel would have after some deltas, and how it would judge: by addresses alone. */
export interface Plane {
  take(delta: PolicyDelta): void;
  /** Undefined: no pod of this node has the address. */
  judge(direction: Direction, self: string, other: string, protocol: Protocol, port: number): boolean | undefined;
  readonly content: unknown;
}

export function createPlane(): Plane {
  const groups = new Map<GroupKey, Set<IpText>>();
  const portSets = new Map<PortSetKey, Set<PortElement>>();
  const policies = new Map<ObjectKey, Policy>();
  const pods = new Map<PodName, LocalPod>();

  const holds = (
    rule: Rule,
    direction: Direction,
    self: string,
    other: string,
    protocol: Protocol,
    port: number,
  ): boolean => {
    const peers =
      rule.peers === undefined ||
      rule.peers.some(peer =>
        peer.kind === 'block' ? inBlock(peer, addressOf(other)) : groups.get(peer.key)!.has(other as IpText),
      );
    const element = portElement((direction === 'ingress' ? self : other) as IpText, protocol, port);
    const ports =
      rule.ports === undefined ||
      rule.ports.some(match => {
        if (match.kind === 'range') return match.protocol === protocol && port >= match.first && port <= match.last;
        return portSets
          .get(portSetKey(direction === 'ingress' ? 'local' : 'all', match.protocol, match.name))!
          .has(element);
      });
    return peers && ports;
  };
  return {
    content: { groups, portSets, policies, pods },
    take: delta => {
      takeSets(groups, delta.groups);
      takeSets(portSets, delta.portSets);
      takeKeyed(policies, delta.policies);
      takeKeyed(pods, delta.pods);
    },
    judge: (direction, self, other, protocol, port) => {
      const local = [...pods.values()].find(({ pod }) => pod.addresses.includes(self as IpText));
      if (local === undefined) return undefined;
      const governing = local.governing[direction].map(({ key }) => policies.get(key)!);
      for (const tier of ['admin', 'namespace', 'baseline'] as const) {
        const ofTier = governing.filter(policy => policy.tier === tier);
        const rules = ofTier.flatMap(policy => policy[direction] ?? []);
        const first = rules.find(rule => holds(rule, direction, self, other, protocol, port));
        if (first !== undefined && first.action !== 'pass') return first.action === 'accept';
        if (tier === 'namespace' && ofTier.length > 0) return false;
      }
      return true;
    },
  };
}

/** Insists that a delta says what is new: nothing is added twice or removed that was not there. */
function takeSets<K extends string, E extends string>(
  sets: Map<K, Set<E>>,
  { changed, removed }: SetDelta<K, E>,
): void {
  for (const key of removed) if (!sets.delete(key)) throw new Error(`no set ${key} to remove`);
  for (const [key, change] of changed) {
    const set = sets.get(key) ?? new Set<E>();
    sets.set(key, set);
    for (const element of change.removed) if (!set.delete(element)) throw new Error(`${element} was not in ${key}`);
    for (const element of change.added) {
      if (set.has(element)) throw new Error(`${element} was in ${key} already`);
      set.add(element);
    }
  }
}

function takeKeyed<K, V>(
  map: Map<K, V>,
  { set, removed }: { readonly set: ReadonlyMap<K, V>; readonly removed: ReadonlySet<K> },
): void {
  for (const key of removed) if (!map.delete(key)) throw new Error(`no ${String(key)} to remove`);
  for (const [key, value] of set) map.set(key, value);
}
