/** From the agent's configuration and routing's intent to the engine's configuration, piece by piece as they change. */

import { assertNever } from '../core/assertNever.js';
import { formatPrefix, sameAddress, type IpAddress } from '../core/ip.js';
import type { Result } from '../core/result.js';
import { NO_POLICIES, type PolicySet } from '../bgp/policyTypes.js';
import type { EngineConfig, EnginePeer } from '../engine/engineTypes.js';
import type { ProblemReport } from '../kube/problems.js';
import {
  isEmptyDelta,
  type KeyedDelta,
  type NetworkIntent,
  type OwnNode,
  type PeerIntent,
  type RoutingDelta,
} from '../routing/intent.js';
import type { RoutingOptions } from '../routing/routingOptions.js';
import type { ConfigError } from './config/configError.js';
import type { SpeakerConfig } from './config/schema.js';
import { MESH_TEMPLATE, meshPath, onNode, ROUTER_TEMPLATE, type AgentConfig } from './kubeConfig.js';
import { routingOptions } from './kubeOptions.js';
import { enginePeer, withClusterPolicies, type Templates } from './kubePeers.js';

/** What may change the engine's configuration. */
export type EngineInput =
  | { readonly kind: 'settings'; readonly settings: AgentConfig }
  | { readonly kind: 'routing'; readonly delta: RoutingDelta }
  /** Addresses of services, at the moment when their data planes are ready or about to go. */
  | { readonly kind: 'services'; readonly delta: KeyedDelta<NetworkIntent> };

export interface EngineOutcome {
  /** Undefined: nothing to apply, because nothing changed or too little is known. */
  readonly config: EngineConfig | undefined;
  readonly problems: ProblemReport;
}

/** The configuration file's part: everything but what the cluster adds. */
interface Base {
  readonly engine: EngineConfig;
  readonly templates: Templates;
}

interface State {
  settings: AgentConfig | undefined;
  own: OwnNode | undefined;
  base: Base | undefined;
  readonly intents: Map<string, PeerIntent>;
  readonly peers: Map<string, EnginePeer>;
  /** All of them, the file's first; undefined: to be put together again. */
  allPeers: readonly EnginePeer[] | undefined;
  readonly networks: Map<string, NetworkIntent>;
  readonly services: Map<string, NetworkIntent>;
  /** Of both, what is announced: kept up to date by key, since one address of many thousands changes at a time. */
  readonly announced: Map<string, NetworkIntent>;
  /** Of networks that the file names itself. */
  filePrefixes: ReadonlySet<string>;
  clusterPolicies: PolicySet;
  /** The file's and the cluster's. The engine compares it by identity. */
  policies: PolicySet;
}

/** @param complete checks and completes a speaker's configuration (config/engineConfig.ts) */
export function createEngineComposer(
  complete: (config: SpeakerConfig) => Result<EngineConfig, readonly ConfigError[]>,
): (input: EngineInput) => EngineOutcome {
  const state: State = {
    settings: undefined,
    own: undefined,
    base: undefined,
    intents: new Map(),
    peers: new Map(),
    allPeers: undefined,
    networks: new Map(),
    services: new Map(),
    announced: new Map(),
    filePrefixes: new Set(),
    clusterPolicies: NO_POLICIES,
    policies: NO_POLICIES,
  };
  return input => {
    switch (input.kind) {
      case 'routing':
        if (isEmptyDelta(input.delta)) return { config: undefined, problems: new Map() };
        takeDelta(state, input.delta);
        break;
      case 'services':
        takeNetworks(state, state.services, input.delta);
        break;
      case 'settings':
        state.settings = input.settings;
        break;
      default:
        return assertNever(input);
    }
    const isBaseDue = input.kind === 'settings' || (input.kind === 'routing' && input.delta.ownChanged);
    const errors = isBaseDue ? renewBase(state, complete) : undefined;
    // Service addresses change often, sessions seldom.
    const problems = state.allPeers === undefined ? problemsOf(state, errors) : new Map();
    return { config: state.base === undefined ? undefined : assemble(state, state.base), problems };
  };
}

function takeDelta(state: State, { own, peers, networks, services, policies }: RoutingDelta): void {
  state.own = own;
  takeKeyed(state.intents, peers);
  for (const name of peers.removed) state.peers.delete(name);
  if (peers.removed.size + peers.set.size > 0) state.allPeers = undefined;
  for (const [name, peer] of peers.set)
    if (state.base !== undefined) state.peers.set(name, enginePeer(peer, state.base.templates));
  takeNetworks(state, state.networks, networks);
  takeNetworks(state, state.services, services);
  if (policies === undefined) return;
  state.clusterPolicies = policies;
  if (state.base !== undefined) state.policies = bothPolicies(state.base.engine.policies, policies);
}

function takeKeyed<T>(into: Map<string, T>, { set, removed }: KeyedDelta<T>): void {
  for (const key of removed) into.delete(key);
  for (const [key, value] of set) into.set(key, value);
}

function takeNetworks(state: State, into: Map<string, NetworkIntent>, delta: KeyedDelta<NetworkIntent>): void {
  takeKeyed(into, delta);
  for (const key of delta.removed) announce(state, key);
  for (const key of delta.set.keys()) announce(state, key);
}

/** What the file names itself goes before what the cluster has, and that before services. */
function announce({ announced, filePrefixes, networks, services }: State, key: string): void {
  const network = filePrefixes.has(key) ? undefined : (networks.get(key) ?? services.get(key));
  if (network === undefined) announced.delete(key);
  else announced.set(key, network);
}

/** Works the configuration out anew; one that is in error leaves the last good one in force. */
function renewBase(
  state: State,
  complete: (config: SpeakerConfig) => Result<EngineConfig, readonly ConfigError[]>,
): readonly ConfigError[] {
  state.allPeers = undefined;
  if (state.settings === undefined || state.own === undefined || !state.settings.kubernetes.run.router) return [];
  const options = routingOptions(state.settings);
  if (!canSpeak(state.settings, options, state.own)) return [];
  const completed = complete(onNode(state.settings, state.own));
  if (!completed.ok) return completed.error;
  const { peers, dynamicRanges, ...rest } = completed.value;
  const [node, router] = [MESH_TEMPLATE, ROUTER_TEMPLATE].map(name => peers.find(peer => peer.name === name));
  if (node === undefined || router === undefined)
    throw new Error('the templates of sessions are missing from the completed configuration');
  const ofFile = peers.filter(peer => peer !== node && peer !== router).map(withClusterPolicies);
  state.base = {
    engine: { ...rest, peers: ofFile, dynamicRanges: dynamicRanges.map(withClusterPolicies) },
    templates: { node, router, options, own: state.own },
  };
  state.policies = bothPolicies(state.base.engine.policies, state.clusterPolicies);
  for (const [name, peer] of state.intents) state.peers.set(name, enginePeer(peer, state.base.templates));
  state.filePrefixes = new Set(rest.networks.map(({ prefix }) => formatPrefix(prefix)));
  for (const key of [...state.networks.keys(), ...state.services.keys()]) announce(state, key);
  return [];
}

/**
 * A node without any address (its object says so) has nothing to speak BGP from, unless the file gives it something; and one
 * that has no AS yet is nobody.
 */
function canSpeak({ router }: AgentConfig, { fullMesh, role }: RoutingOptions, own: OwnNode): boolean {
  const hasAddress =
    own.v4 !== undefined || own.v6 !== undefined || (router.id !== undefined && router.listen.length > 0);
  return hasAddress && (fullMesh || role === 'edge' || own.asn !== undefined);
}

/** Names of the cluster's own begin with `cluster/`. */
function bothPolicies(ofFile: PolicySet = NO_POLICIES, ofCluster: PolicySet): PolicySet {
  return {
    prefixLists: { ...ofFile.prefixLists, ...ofCluster.prefixLists },
    asPaths: { ...ofFile.asPaths, ...ofCluster.asPaths },
    communitySets: { ...ofFile.communitySets, ...ofCluster.communitySets },
    policies: { ...ofFile.policies, ...ofCluster.policies },
  };
}

function assemble(state: State, { engine }: Base): EngineConfig {
  state.allPeers ??= [...engine.peers, ...oncePerAddress(clusterPeers(state, engine))];
  return {
    ...engine,
    peers: state.allPeers,
    networks: [...engine.networks, ...state.announced.values()],
    policies: state.policies,
  };
}

function clusterPeers({ peers }: State, engine: EngineConfig): readonly EnginePeer[] {
  return [...peers.values()].filter(peer => rivalOf(engine, peer.name, peer.session.remote) === undefined);
}

/** A router with a node's address is that node: the session with the node stays. */
function oncePerAddress(peers: readonly EnginePeer[]): readonly EnginePeer[] {
  const routers = peers.filter(({ name }) => name.startsWith('router/'));
  const doubles = new Set(
    routers.filter(router =>
      peers.some(peer => !routers.includes(peer) && sameAddress(peer.session.remote, router.session.remote)),
    ),
  );
  return doubles.size === 0 ? peers : peers.filter(peer => !doubles.has(peer));
}

/** What the configuration file names itself goes before what Kubernetes says of it: its peer with this name or address. */
function rivalOf({ peers }: EngineConfig, name: string, address: IpAddress): EnginePeer | undefined {
  return peers.find(peer => peer.name === name || sameAddress(peer.session.remote, address));
}

function problemsOf(state: State, errors: readonly ConfigError[] | undefined): ProblemReport {
  const doubles = [...state.intents.values()].flatMap(peer => {
    const rival = state.base && rivalOf(state.base.engine, peer.name, peer.address);
    if (rival === undefined) return [];
    const lost = `has the name or address of peer ${rival.name} in the configuration file, which goes before`;
    return [{ subject: subjectOf(peer), text: `${lost}: ${lossOf(peer)}` }];
  });
  const report = new Map([['mesh', doubles]]);
  if (errors === undefined) return report;
  const complaints = errors.map(({ path, reason }) => ({
    subject: 'configuration',
    text: `${state.settings === undefined ? path : meshPath(path, state.settings)}: ${reason}`,
  }));
  return report.set('configuration', complaints);
}

function subjectOf({ name }: PeerIntent): string {
  return name.replace('node/', 'Node ').replace('router/', 'router ');
}

function lossOf({ kind }: PeerIntent): string {
  switch (kind) {
    case 'node':
      return 'no session of the mesh';
    case 'router':
      return 'what flags and annotations say of it means nothing';
    default:
      return assertNever(kind);
  }
}
