/**
 * Services, EndpointSlices and Nodes to what the kernel shall do for services, incrementally: one slice's change looks at
 * one service again, and what is wrong with a service concerns no other.
 */

import { isDeepStrictEqual } from 'node:util';
import { formatAddress } from '../core/ip.js';
import { changesOf, type ObjectBatch } from '../kube/objectBatch.js';
import type { EndpointSlice, Node, Service } from '../kube/objectTypes.js';
import type { Problem } from '../kube/problems.js';
import { selectBackends, sameLists, serviceOfSlice, type NodeView } from './endpointSelection.js';
import { createFrontendOwners, type FrontendOwners } from './frontendOwners.js';
import type { ProxyRules } from './proxyRules.js';
import type { BackendLists, Frontend, FrontendKey, KeyedChange, ProxyDelta, ServicePortKey } from './proxyTypes.js';
import { serviceFrontends, type ServiceFacts } from './serviceFrontends.js';

/** Asked by balancers outside: whether this node has endpoints of a service (traffic policy Local). */
export interface HealthCheck {
  /** `namespace/name`. */
  readonly service: string;
  readonly port: number;
  /** Ready endpoints on this node. */
  readonly localEndpoints: number;
}

export interface ProxyOutcome {
  readonly delta: ProxyDelta;
  /** By service. */
  readonly healthChecks: KeyedChange<string, HealthCheck>;
  /** By owner, as in kube/problems. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
  /** Services that were looked at again. */
  readonly recomputed: readonly string[];
}

/** Owns the state of the derivation; one reducer, one owner. */
export interface Proxy {
  apply(batch: ObjectBatch): ProxyOutcome;
  /** Looks at everything again if the rules differ. */
  configure(rules: ProxyRules): ProxyOutcome;
  readonly frontends: ReadonlyMap<FrontendKey, Frontend>;
  readonly backends: ReadonlyMap<ServicePortKey, BackendLists>;
  readonly healthChecks: ReadonlyMap<string, HealthCheck>;
  readonly node: NodeView;
  /** What is known of one service, to explain it. @param service `namespace/name` */
  serviceState(service: string): ServiceState | undefined;
  /** Of the whole cluster. */
  nodeNames(): Iterable<string>;
  /** All that have a frontend, or had something wrong with theirs. */
  serviceNames(): readonly string[];
}

export interface ServiceState {
  readonly object: Service;
  readonly facts: ServiceFacts | undefined;
  readonly slices: readonly EndpointSlice[];
}

interface State {
  rules: ProxyRules;
  node: NodeView;
  readonly services: Map<string, Service>;
  readonly facts: Map<string, ServiceFacts>;
  readonly slices: Map<string, Map<string, EndpointSlice>>;
  /** From slice to service. */
  readonly serviceOf: Map<string, string>;
  /** Addresses of every node, by node. */
  readonly nodeAddresses: Map<string, readonly string[]>;
  readonly owners: FrontendOwners;
  readonly backends: Map<ServicePortKey, BackendLists>;
  /** Ports of a service that have lists. */
  readonly listed: Map<string, readonly ServicePortKey[]>;
  readonly healthChecks: Map<string, HealthCheck>;
}

export function createProxy(nodeName: string, rules: ProxyRules): Proxy {
  const state: State = {
    rules,
    node: { name: nodeName, zone: undefined, addresses: new Set() },
    services: new Map(),
    facts: new Map(),
    slices: new Map(),
    serviceOf: new Map(),
    nodeAddresses: new Map(),
    owners: createFrontendOwners(),
    backends: new Map(),
    listed: new Map(),
    healthChecks: new Map(),
  };
  return {
    apply: batch => {
      const moved = takeNodes(state, batch) ? state.facts.keys() : [];
      const changed = takeServices(state, batch);
      const stirred = takeSlices(state, batch);
      const asked = new Set([...changed, ...takePorts(state, stirred)]);
      return settle(state, asked, new Set([...moved, ...asked, ...stirred]));
    },
    configure: next => {
      if (isDeepStrictEqual(next, state.rules)) return settle(state, new Set(), new Set());
      state.rules = next;
      for (const [name, service] of state.services) takeFacts(state, name, service);
      reserveNodes(state);
      return settle(state, new Set(state.services.keys()), new Set(state.services.keys()));
    },
    frontends: state.owners.frontends,
    backends: state.backends,
    healthChecks: state.healthChecks,
    get node() {
      return state.node;
    },
    serviceState: name => {
      const object = state.services.get(name);
      if (object === undefined) return undefined;
      return { object, facts: state.facts.get(name), slices: [...(state.slices.get(name)?.values() ?? [])] };
    },
    nodeNames: () => state.nodeAddresses.keys(),
    serviceNames: () => [...state.facts.keys()],
  };
}

/** @returns whether endpoints have to be looked at again, because this node is another to them */
function takeNodes(state: State, batch: ObjectBatch): boolean {
  const changes = changesOf(batch, 'Node');
  if (changes.length === 0) return false;
  for (const { change, object } of changes) {
    if (change === 'deleted') state.nodeAddresses.delete(object.name);
    else state.nodeAddresses.set(object.name, object.internalIps.map(formatAddress));
  }
  reserveNodes(state);
  const own = changes.find(({ object }) => object.name === state.node.name);
  // A Node that is gone for a moment has not moved.
  if (own === undefined || own.change === 'deleted') return false;
  const view = viewOf(own.object);
  const isOther = !isDeepStrictEqual(view, state.node);
  state.node = view;
  return isOther;
}

function viewOf({ name, labels, internalIps }: Node): NodeView {
  return { name, zone: labels['topology.kubernetes.io/zone'], addresses: new Set(internalIps.map(formatAddress)) };
}

/** Whoever may write a Service must not draw the traffic of a node to himself. */
function reserveNodes({ owners, nodeAddresses, rules }: State): void {
  const reserved = new Map<string, string>();
  if (rules.strictValidation)
    for (const [node, addresses] of nodeAddresses)
      for (const address of addresses) reserved.set(address, `an address of Node ${node}`);
  owners.reserve(reserved);
}

/** @returns services whose frontends may have changed */
function takeServices(state: State, batch: ObjectBatch): ReadonlySet<string> {
  const dirty = new Set<string>();
  for (const { change, object } of changesOf(batch, 'Service')) {
    const name = `${object.namespace}/${object.name}`;
    if (change === 'deleted') state.services.delete(name);
    else state.services.set(name, object);
    if (takeFacts(state, name, state.services.get(name))) dirty.add(name);
  }
  return dirty;
}

/** @returns services whose frontends are others because of where their endpoints listen */
function takePorts(state: State, stirred: ReadonlySet<string>): readonly string[] {
  const isOther = (name: string): boolean =>
    state.facts.get(name)?.asksDirect === true && takeFacts(state, name, state.services.get(name));
  return [...stirred].filter(isOther);
}

/** @returns whether they are others than before */
function takeFacts({ facts, rules, slices }: State, name: string, service: Service | undefined): boolean {
  const before = facts.get(name);
  const own = [...(slices.get(name)?.values() ?? [])];
  const after = service === undefined ? undefined : serviceFrontends(service, rules, own);
  if (isDeepStrictEqual(before, after)) return false;
  if (after === undefined) facts.delete(name);
  else facts.set(name, after);
  return true;
}

/** @returns services whose endpoints may have changed */
function takeSlices(state: State, batch: ObjectBatch): ReadonlySet<string> {
  const dirty = new Set<string>();
  for (const { change, object } of changesOf(batch, 'EndpointSlice')) {
    const key = `${object.namespace}/${object.name}`;
    const former = state.serviceOf.get(key);
    const service = change === 'deleted' ? undefined : serviceOfSlice(object);
    // A slice's label may come to name another service.
    if (former !== undefined && former !== service) {
      dropSlice(state, former, key);
      dirty.add(former);
    }
    if (service === undefined) continue;
    state.slices.set(service, (state.slices.get(service) ?? new Map<string, EndpointSlice>()).set(key, object));
    state.serviceOf.set(key, service);
    dirty.add(service);
  }
  return dirty;
}

function dropSlice({ slices, serviceOf }: State, service: string, key: string): void {
  const own = slices.get(service);
  own?.delete(key);
  if (own?.size === 0) slices.delete(service);
  serviceOf.delete(key);
}

/** @param asked services whose frontends may have changed @param dirty services whose backends may have, too */
function settle(state: State, asked: ReadonlySet<string>, dirty: ReadonlySet<string>): ProxyOutcome {
  for (const name of asked) state.owners.claim(name, state.facts.get(name));
  const { frontends, addresses, problems } = state.owners.settle();
  const backends = { set: new Map<ServicePortKey, BackendLists>(), removed: new Set<ServicePortKey>() };
  const healthChecks = { set: new Map<string, HealthCheck>(), removed: new Set<string>() };
  for (const name of dirty) {
    settleBackends(state, name, backends);
    settleHealthCheck(state, name, healthChecks);
  }
  const ofServices = [...asked].map(name => [`frontends ${name}`, state.facts.get(name)?.problems ?? []] as const);
  return {
    delta: { frontends, backends, addresses },
    healthChecks,
    problems: new Map([...problems, ...ofServices]),
    recomputed: [...dirty],
  };
}

interface Changes<K, V> {
  readonly set: Map<K, V>;
  readonly removed: Set<K>;
}

function settleBackends(state: State, name: string, changes: Changes<ServicePortKey, BackendLists>): void {
  const { facts, slices, backends, listed, node } = state;
  const own = facts.get(name);
  const keys = own?.ports.map(({ key }) => key) ?? [];
  for (const key of listed.get(name) ?? [])
    if (!keys.includes(key)) {
      backends.delete(key);
      changes.removed.add(key);
    }
  if (own === undefined) listed.delete(name);
  else listed.set(name, keys);
  const ofService = [...(slices.get(name)?.values() ?? [])];
  for (const port of own?.ports ?? []) {
    const { lists } = selectBackends(port, ofService, node, own?.weights);
    const before = backends.get(port.key);
    if (before !== undefined && sameLists(before, lists)) continue;
    backends.set(port.key, lists);
    changes.set.set(port.key, lists);
  }
}

function settleHealthCheck(
  { facts, backends, healthChecks }: State,
  name: string,
  changes: Changes<string, HealthCheck>,
): void {
  const own = facts.get(name);
  const before = healthChecks.get(name);
  if (own?.healthCheckPort === undefined) {
    if (before === undefined) return;
    healthChecks.delete(name);
    changes.removed.add(name);
    return;
  }
  const check = { service: name, port: own.healthCheckPort, localEndpoints: localEndpoints(own, backends) };
  if (isDeepStrictEqual(before, check)) return;
  healthChecks.set(name, check);
  changes.set.set(name, check);
}

/** Distinct ready addresses on this node; of a service with both families, those of the one that has more. */
function localEndpoints({ ports }: ServiceFacts, backends: ReadonlyMap<ServicePortKey, BackendLists>): number {
  const readyAddresses = (family: 4 | 6): ReadonlySet<string> =>
    new Set(
      ports
        .filter(port => port.family === family)
        .flatMap(({ key }) => backends.get(key)?.local ?? [])
        .filter(({ state }) => state === 'ready')
        .map(({ address }) => address),
    );
  return Math.max(readyAddresses(4).size, readyAddresses(6).size);
}
