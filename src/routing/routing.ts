/**
 * All of routing's intent from the cluster's objects: sessions, networks, service addresses and policies, each worked out
 * again only when something it is made of has changed.
 */

import { isDeepStrictEqual } from 'node:util';
import { NO_POLICIES, type PolicySet } from '../bgp/policyTypes.js';
import { formatAddress, prefixContains, type IpPrefix } from '../core/ip.js';
import type { ObjectBatch } from '../kube/objectBatch.js';
import type { Problem, ProblemReport } from '../kube/problems.js';
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
import { createServiceRouting, type ServiceNode, type ServiceRouting } from './services/services.js';

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
  readonly services: ServiceRouting;
  /** What the node is to services; the same object as long as nothing of it changes. */
  serviceNode: ServiceNode;
  routers: ReadonlyMap<string, RouterPeer>;
  /** Announced service addresses that are in none of the configured ranges. */
  readonly strays: Map<string, IpPrefix>;
  policies: PolicySet;
}

export function createRouting(nodeName: string, options: RoutingOptions): Routing {
  const state: State = {
    options,
    nodes: createNodeRouting(nodeName, options),
    services: createServiceRouting(),
    serviceNode: { name: nodeName, addresses: new Set(), announces: false },
    routers: new Map(),
    strays: new Map(),
    policies: NO_POLICIES,
  };
  return {
    apply: batch => settle(state, state.nodes.apply(batch), batch, false),
    configure: next => {
      state.options = next;
      return settle(state, state.nodes.configure(next), NOTHING, true);
    },
    intent: () => ({
      own: state.nodes.own(),
      peers: new Map<string, PeerIntent>([...state.routers, ...state.nodes.peers()]),
      networks: state.nodes.networks(),
      services: state.services.networks(),
      policies: state.policies,
    }),
  };
}

const NOTHING: ObjectBatch = { changes: new Map(), synced: true };
const NO_ROUTERS: KeyedDelta<RouterPeer> = { set: new Map(), removed: new Set() };

function settle(state: State, nodes: NodeOutcome, batch: ObjectBatch, isConfigured: boolean): RoutingOutcome {
  const isOwnDue = isConfigured || nodes.recomputed.includes(state.serviceNode.name);
  if (isOwnDue || nodes.ownChanged) state.serviceNode = serviceNode(state);
  const services = state.services.apply(batch, state.options, state.serviceNode);
  const hasOtherStrays = takeStrays(state, services.delta, isConfigured);
  const routers = isOwnDue ? settleRouters(state) : NO_ROUTERS;
  return {
    delta: {
      own: nodes.own,
      ownChanged: nodes.ownChanged,
      peers: {
        set: new Map<string, PeerIntent>([...routers.set, ...nodes.peers.set]),
        removed: union(routers.removed, nodes.peers.removed),
      },
      networks: nodes.networks,
      services: services.delta,
      policies: isOwnDue || hasOtherStrays ? settlePolicies(state) : undefined,
    },
    problems: new Map<string, readonly Problem[]>([
      ...nodes.problems,
      ...services.problems,
      ...routerProblems(state, isOwnDue),
    ]),
    recomputed: [...nodes.recomputed, ...services.recomputed],
  };
}

/** A cordoned node may be about to go: by option its services are announced by others only. */
function serviceNode({ nodes, options, serviceNode: before }: State): ServiceNode {
  const own = nodes.own();
  const ips = [own?.v4, own?.v6].filter(address => address !== undefined).map(formatAddress);
  const isLeaving = options.onCordon === 'withdrawServices' && own?.cordoned === true;
  const announces = options.role === 'node' && own?.present === true && !isLeaving;
  const after = { name: before.name, addresses: new Set(ips), announces };
  return isDeepStrictEqual(before, after) ? before : after;
}

/** Sessions with routers wait for the own node like all others. */
function settleRouters(state: State): KeyedDelta<RouterPeer> {
  const before = state.routers;
  const { options, nodes } = state;
  state.routers = nodes.own() === undefined ? new Map() : externalPeers(options, nodes.settings().peers);
  return keyedDelta(before, state.routers, isDeepStrictEqual);
}

function routerProblems({ routers }: State, isDue: boolean): ProblemReport {
  return new Map(isDue ? [['routers', externalProblems(routers.values())]] : []);
}

/** @returns whether policies have to name other addresses */
function takeStrays(state: State, { set, removed }: KeyedDelta<NetworkIntent>, isConfigured: boolean): boolean {
  const { clusterIpRanges, externalIpRanges, loadBalancerIpRanges } = state.options.services;
  const ranges = [...clusterIpRanges, ...externalIpRanges, ...loadBalancerIpRanges];
  const isStray = ({ prefix }: NetworkIntent): boolean => !ranges.some(range => prefixContains(range, prefix.address));
  const before = state.strays.size;
  if (isConfigured) state.strays.clear();
  const gone = [...removed].filter(key => state.strays.delete(key));
  const news = [...(isConfigured ? state.services.networks() : set)].filter(
    ([key, network]) => !state.strays.has(key) && isStray(network),
  );
  for (const [key, { prefix }] of news) state.strays.set(key, prefix);
  return gone.length + news.length > 0 || before !== state.strays.size;
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
    strayServices: [...state.strays.values()],
  });
  if (isDeepStrictEqual(policies, state.policies)) return undefined;
  state.policies = policies;
  return policies;
}

function union<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): ReadonlySet<T> {
  return new Set([...a, ...b]);
}
