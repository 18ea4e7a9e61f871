/** Nodes to routing intent, incrementally: what one node's change means for this node's sessions and networks. */

import { isDeepStrictEqual } from 'node:util';
import { formatAddress, formatPrefix } from '../core/ip.js';
import type { ObjectBatch } from '../kube/objectBatch.js';
import { changesOf } from '../kube/objectBatch.js';
import type { Problem } from '../kube/problems.js';
import { addressesOf, createClaims, type Claims } from './claims.js';
import type { KeyedDelta, MeshPeer, OwnNode, PodNetwork, RoutingDelta, RoutingIntent } from './intent.js';
import { meshPeer, type MeshOptions } from './mesh.js';
import { podNetworks } from './networks.js';
import { nodeFacts, type NodeFacts } from './nodeFacts.js';

export interface RoutingOptions extends MeshOptions {
  readonly nodeName: string;
}

export interface RoutingOutcome {
  readonly delta: RoutingDelta;
  /** By owner, as in kube/problems: of every node that was looked at again. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
  /** Nodes that were looked at again, for tests and metrics. */
  readonly recomputed: readonly string[];
}

/** Owns the state of the derivation; one reducer, one owner. */
export interface Routing {
  apply(batch: ObjectBatch): RoutingOutcome;
  /** Other options mean another look at every node; the same ones at none. */
  configure(options: MeshOptions): RoutingOutcome;
  intent(): RoutingIntent;
}

interface State {
  readonly facts: Map<string, NodeFacts>;
  readonly claims: Claims;
  /** The last that was known: sessions outlive the node's object, its networks do not. */
  own: NodeFacts | undefined;
  options: MeshOptions;
  readonly peers: Map<string, MeshPeer>;
  networks: ReadonlyMap<string, PodNetwork>;
}

export function createRouting({ nodeName, mesh }: RoutingOptions): Routing {
  const state: State = {
    facts: new Map(),
    claims: createClaims(),
    own: undefined,
    options: { mesh },
    peers: new Map(),
    networks: new Map(),
  };
  return {
    apply: batch => {
      const before = ownNode(state);
      return settle(state, takeIn(state, batch, nodeName), nodeName, before);
    },
    configure: options => {
      const isOther = !isDeepStrictEqual(options, state.options);
      state.options = options;
      return settle(state, new Set(isOther ? state.facts.keys() : []), nodeName, ownNode(state));
    },
    intent: () => ({
      own: ownNode(state),
      peers: new Map([...state.peers.values()].map(peer => [peer.name, peer])),
      networks: state.networks,
    }),
  };
}

function ownNode(state: State): OwnNode | undefined {
  if (state.own === undefined) return undefined;
  const { name, v4, v6 } = state.own;
  return { name, present: state.facts.has(name), v4, v6 };
}

/** Decides again about some nodes. */
function settle(
  state: State,
  dirty: ReadonlySet<string>,
  ownName: string,
  ownBefore: OwnNode | undefined,
): RoutingOutcome {
  const own = ownNode(state);
  const peers = settlePeers(state, dirty, ownName);
  const networks = settleNetworks(state, dirty.has(ownName), ownName);
  const problems = [...dirty].map(name => [`node ${name}`, problemsOf(state, name, ownName)] as const);
  return {
    delta: { own, ownChanged: !isDeepStrictEqual(ownBefore, own), peers, networks },
    problems: new Map(problems),
    recomputed: [...dirty],
  };
}

/** Brings facts and claims up to date. @returns names of the nodes whose outcome may be another now */
function takeIn(state: State, batch: ObjectBatch, ownName: string): ReadonlySet<string> {
  const dirty = new Set<string>();
  for (const { change, object } of changesOf(batch, 'Node')) {
    const before = state.facts.get(object.name);
    const after = change === 'deleted' ? undefined : nodeFacts(object);
    // Most changes of a Node are heartbeats and conditions.
    if (isDeepStrictEqual(before, after)) continue;
    dirty.add(object.name);
    if (before !== undefined) {
      for (const rival of state.claims.rivalsOf(before)) dirty.add(rival);
      state.claims.remove(before);
      state.facts.delete(object.name);
    }
    if (after !== undefined) {
      state.facts.set(object.name, after);
      state.claims.add(after);
      for (const rival of state.claims.rivalsOf(after)) dirty.add(rival);
    }
    if (object.name === ownName && after !== undefined) {
      if (!sameAddresses(state.own, after)) for (const name of state.facts.keys()) dirty.add(name);
      state.own = after;
    }
  }
  return dirty;
}

function sameAddresses(a: NodeFacts | undefined, b: NodeFacts): boolean {
  return a !== undefined && isDeepStrictEqual([a.v4, a.v6], [b.v4, b.v6]);
}

function settlePeers(state: State, dirty: ReadonlySet<string>, ownName: string): KeyedDelta<MeshPeer> {
  const set = new Map<string, MeshPeer>();
  const removed = new Set<string>();
  for (const name of dirty) {
    const before = state.peers.get(name);
    const after = verdictOf(state, name, ownName)?.peer;
    if (isDeepStrictEqual(before, after)) continue;
    if (after !== undefined) {
      state.peers.set(name, after);
      set.set(after.name, after);
    } else if (before !== undefined) {
      state.peers.delete(name);
      removed.add(before.name);
    }
  }
  return { set, removed };
}

function verdictOf(state: State, name: string, ownName: string): ReturnType<typeof meshPeer> | undefined {
  const other = state.facts.get(name);
  if (state.own === undefined || other === undefined || name === ownName) return undefined;
  return meshPeer(state.own, other, state.claims, state.options);
}

function settleNetworks(state: State, isDirty: boolean, ownName: string): KeyedDelta<PodNetwork> {
  const before = state.networks;
  const own = state.facts.get(ownName);
  if (isDirty) state.networks = own === undefined ? new Map() : podNetworks(own, state.claims);
  const after = state.networks;
  const changed = [...after].filter(([key, network]) => !isDeepStrictEqual(before.get(key), network));
  return { set: new Map(changed), removed: new Set([...before.keys()].filter(key => !after.has(key))) };
}

function problemsOf(state: State, name: string, ownName: string): readonly Problem[] {
  const facts = state.facts.get(name);
  if (facts === undefined) return [];
  const session = verdictOf(state, name, ownName)?.problems ?? [];
  return [...facts.problems, ...claimProblems(facts, state.claims), ...session];
}

function claimProblems(facts: NodeFacts, claims: Claims): readonly Problem[] {
  const subject = `Node ${facts.name}`;
  const addresses = addressesOf(facts).flatMap(address => {
    const owner = claims.ownerOfAddress(facts, address);
    if (owner === undefined) return [];
    const text = `address ${formatAddress(address)} is also that of Node ${owner.name}, which keeps it: no BGP session is set up with this one`;
    return [{ subject, text }];
  });
  const networks = facts.podCidrs.flatMap(prefix => {
    const owner = claims.ownerOfPrefix(facts, prefix);
    if (owner === undefined) return [];
    const theirs = `${formatPrefix(owner.prefix)} of Node ${owner.node.name}`;
    return [
      { subject, text: `pod network ${formatPrefix(prefix)} overlaps ${theirs}, which keeps it: it is not announced` },
    ];
  });
  return [...addresses, ...networks];
}
