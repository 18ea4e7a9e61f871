/**
 * Services and EndpointSlices to announced addresses, incrementally: one slice's change looks at one service again, and
 * what is wrong with a service or a slice concerns no other.
 */

import { isDeepStrictEqual } from 'node:util';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { Service } from '../../kube/objectTypes.js';
import type { Problem } from '../../kube/problems.js';
import type { KeyedDelta, NetworkIntent } from '../intent.js';
import { createServiceAddresses, type Claim, type ServiceAddresses } from './addresses.js';
import { serviceFacts, type ServiceFacts, type ServiceRules } from './candidates.js';
import { presenceOf, sliceFacts, type SliceFacts } from './endpoints.js';

/** What this node is to services. */
export interface ServiceNode {
  readonly name: string;
  /** Texts of its addresses. */
  readonly addresses: ReadonlySet<string>;
  /** False: nothing is announced for services, because the node is gone, cordoned or no node at all. */
  readonly announces: boolean;
}

export interface ServiceOutcome {
  readonly delta: KeyedDelta<NetworkIntent>;
  /** By owner, as in kube/problems. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
  /** Services that were looked at again. */
  readonly recomputed: readonly string[];
}

/** Owns the state of the derivation; one reducer, one owner. */
export interface ServiceRouting {
  apply(batch: ObjectBatch, rules: ServiceRules, node: ServiceNode): ServiceOutcome;
  /** Keyed by prefix text. */
  networks(): ReadonlyMap<string, NetworkIntent>;
}

interface State {
  /** Kept whole: other rules read them anew. */
  readonly services: Map<string, Service>;
  readonly facts: Map<string, ServiceFacts>;
  readonly slices: Map<string, Map<string, SliceFacts>>;
  /** From slice to service. */
  readonly serviceOf: Map<string, string>;
  /** Services with endpoints that do not say where they are. */
  readonly unplaced: Set<string>;
  readonly addresses: ServiceAddresses;
  rules: ServiceRules | undefined;
  node: ServiceNode | undefined;
}

export function createServiceRouting(): ServiceRouting {
  const state: State = {
    services: new Map(),
    facts: new Map(),
    slices: new Map(),
    serviceOf: new Map(),
    unplaced: new Set(),
    addresses: createServiceAddresses(),
    rules: undefined,
    node: undefined,
  };
  return {
    apply: (batch, rules, node) => {
      const dirty = takeConditions(state, rules, node);
      for (const name of takeServices(state, batch, rules)) dirty.add(name);
      for (const name of takeSlices(state, batch, node)) dirty.add(name);
      for (const name of dirty) state.addresses.claim(name, claimsOf(state, name, rules, node));
      const { delta, problems } = state.addresses.settle();
      const ofServices = [...dirty].map(name => [`service ${name}`, state.facts.get(name)?.problems ?? []] as const);
      return { delta, problems: new Map([...problems, ...ofServices]), recomputed: [...dirty] };
    },
    networks: () => state.addresses.networks(),
  };
}

/** @returns services that other rules, or another state of the node, may mean something else for */
function takeConditions(state: State, rules: ServiceRules, node: ServiceNode): Set<string> {
  const { rules: formerRules, node: formerNode } = state;
  state.rules = rules;
  state.node = node;
  if (formerRules !== rules && !isDeepStrictEqual(formerRules, rules)) {
    for (const [name, service] of state.services) state.facts.set(name, serviceFacts(service, rules));
    return new Set(state.facts.keys());
  }
  if (formerNode?.announces !== node.announces) return new Set(state.facts.keys());
  return isDeepStrictEqual(formerNode.addresses, node.addresses) ? new Set() : new Set(state.unplaced);
}

function takeServices(state: State, batch: ObjectBatch, rules: ServiceRules): readonly string[] {
  return changesOf(batch, 'Service').flatMap(({ change, object }) => {
    const name = `${object.namespace}/${object.name}`;
    if (change === 'deleted') {
      state.services.delete(name);
      state.facts.delete(name);
      return [name];
    }
    const facts = serviceFacts(object, rules);
    const isSame = isDeepStrictEqual(state.facts.get(name), facts);
    state.services.set(name, object);
    state.facts.set(name, facts);
    return isSame ? [] : [name];
  });
}

function takeSlices(state: State, batch: ObjectBatch, node: ServiceNode): ReadonlySet<string> {
  const dirty = new Set<string>();
  for (const { change, object } of changesOf(batch, 'EndpointSlice')) {
    const key = `${object.namespace}/${object.name}`;
    const after = change === 'deleted' ? undefined : sliceFacts(object, node.name);
    const former = state.serviceOf.get(key);
    if (former !== undefined && isDeepStrictEqual(state.slices.get(former)?.get(key), after)) continue;
    // A slice's label may come to name another service.
    if (former !== undefined) {
      state.slices.get(former)?.delete(key);
      state.serviceOf.delete(key);
      dirty.add(former);
    }
    if (after === undefined) continue;
    const { service } = after;
    const slices = state.slices.get(service) ?? new Map<string, SliceFacts>();
    state.slices.set(service, slices.set(key, after));
    state.serviceOf.set(key, service);
    dirty.add(service);
  }
  for (const name of dirty) tidy(state, name);
  return dirty;
}

function tidy({ slices, unplaced }: State, service: string): void {
  const own = slices.get(service);
  if (own?.size === 0) slices.delete(service);
  const hasUnplaced = [...(own?.values() ?? [])].some(slice => slice.unplaced.length > 0);
  if (hasUnplaced) unplaced.add(service);
  else unplaced.delete(service);
}

function claimsOf(
  { facts: all, slices }: State,
  name: string,
  { services }: ServiceRules,
  node: ServiceNode,
): ReadonlyMap<string, Claim> {
  const facts = all.get(name);
  if (facts === undefined || !node.announces) return new Map();
  const own = [...(slices.get(name)?.values() ?? [])];
  const presence = { 4: presenceOf(own, 4, node.addresses), 6: presenceOf(own, 6, node.addresses) };
  const { createdAt, attributes, candidates } = facts;
  const wanted = candidates.filter(({ local, prefix }) => {
    const { serving, localReady } = presence[prefix.address.version];
    return local ? localReady : serving || services.announceIdle;
  });
  return new Map(wanted.map(candidate => [candidate.key, { candidate, attributes, createdAt }]));
}
