/**
 * All of routing's intent from the cluster's objects: sessions, networks, service addresses and policies, each worked out
 * again only when something it is made of has changed.
 */

import { isDeepStrictEqual } from 'node:util';
import { NO_POLICIES, type PolicySet } from '../bgp/policyTypes.js';
import type { ObjectBatch } from '../kube/objectBatch.js';
import type { ProblemReport } from '../kube/problems.js';
import { externalPeers, externalProblems } from './externalPeers.js';
import {
  keyedDelta,
  servedCluster,
  type KeyedDelta,
  type NetworkIntent,
  type PeerIntent,
  type RouterPeer,
  type RoutingDelta,
  type RoutingIntent,
} from './intent.js';
import { createNodeRouting, type NodeOutcome, type NodeRouting } from './nodes.js';
import { clusterPolicies } from './policies.js';
import type { RoutingOptions } from './routingOptions.js';

export interface RoutingOutcome {
  readonly delta: RoutingDelta;
  readonly problems: ProblemReport;
  /** What was looked at again, for tests and metrics: node names and `namespace/name` of services. */
  readonly recomputed: readonly string[];
}

/** Owns the state of the derivation; one reducer, one owner. */
export interface Routing {
  apply(batch: ObjectBatch): RoutingOutcome;
  configure(options: RoutingOptions): RoutingOutcome;
  intent(): RoutingIntent;
}

interface State {
  options: RoutingOptions;
  readonly nodes: NodeRouting;
  routers: ReadonlyMap<string, RouterPeer>;
  policies: PolicySet;
}

export function createRouting(nodeName: string, options: RoutingOptions): Routing {
  const state: State = {
    options,
    nodes: createNodeRouting(nodeName, options),
    routers: new Map(),
    policies: NO_POLICIES,
  };
  return {
    apply: batch => outcome(state, state.nodes.apply(batch)),
    configure: next => {
      state.options = next;
      return outcome(state, state.nodes.configure(next));
    },
    intent: () => ({
      own: state.nodes.own(),
      peers: new Map<string, PeerIntent>([...state.routers, ...state.nodes.peers()]),
      networks: state.nodes.networks(),
      services: new Map(),
      policies: state.policies,
    }),
  };
}

const NO_CHANGE: KeyedDelta<NetworkIntent> = { set: new Map(), removed: new Set() };

function outcome(
  state: State,
  { own, ownChanged, peers, networks, problems, recomputed }: NodeOutcome,
): RoutingOutcome {
  const routers = settleRouters(state);
  return {
    delta: {
      own,
      ownChanged,
      peers: join<PeerIntent>(routers, peers),
      networks,
      services: NO_CHANGE,
      policies: settlePolicies(state),
    },
    problems: new Map([...problems, ['routers', externalProblems(state.routers.values())]]),
    recomputed,
  };
}

/** Sessions with routers wait for the own node like all others. */
function settleRouters(state: State): KeyedDelta<RouterPeer> {
  const before = state.routers;
  const { options, nodes } = state;
  state.routers = nodes.own() === undefined ? new Map() : externalPeers(options, nodes.settings().peers);
  return keyedDelta(before, state.routers, isDeepStrictEqual);
}

/** @returns undefined: they are as before */
function settlePolicies(state: State): PolicySet | undefined {
  const { options, nodes } = state;
  const own = nodes.own();
  if (own === undefined) return undefined;
  const policies = clusterPolicies({
    options,
    settings: nodes.settings(),
    reflects: servedCluster(own) !== undefined,
    ownPods: [...nodes.networks().values()].filter(({ tag }) => tag === 'pod').map(({ prefix }) => prefix),
    strayServices: [],
  });
  if (isDeepStrictEqual(policies, state.policies)) return undefined;
  state.policies = policies;
  return policies;
}

function join<T>(a: KeyedDelta<T>, b: KeyedDelta<T>): KeyedDelta<T> {
  return { set: new Map([...a.set, ...b.set]), removed: new Set([...a.removed, ...b.removed]) };
}
