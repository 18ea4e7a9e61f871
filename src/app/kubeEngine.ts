/** From the agent's configuration and routing's intent to the engine's configuration, piece by piece as they change. */

import { formatPrefix, sameAddress, type IpAddress } from '../core/ip.js';
import type { Result } from '../core/result.js';
import type { EngineConfig, EngineNetwork, EnginePeer } from '../engine/engineTypes.js';
import type { ProblemReport } from '../kube/problems.js';
import type { MeshPeer, OwnNode, PodNetwork, RoutingDelta } from '../routing/intent.js';
import { isEmptyDelta } from '../routing/intent.js';
import type { ConfigError } from './config/configError.js';
import type { SpeakerConfig } from './config/schema.js';
import { MESH_TEMPLATE, meshPath, onNode, type AgentConfig } from './kubeConfig.js';

/** What may change the engine's configuration. */
export type EngineInput =
  | { readonly kind: 'settings'; readonly settings: AgentConfig }
  | { readonly kind: 'routing'; readonly delta: RoutingDelta };

export interface EngineOutcome {
  /** Undefined: nothing to apply, because nothing changed or too little is known. */
  readonly config: EngineConfig | undefined;
  readonly problems: ProblemReport;
}

/** The configuration file's part: everything but mesh and pod networks. */
interface Base {
  readonly engine: EngineConfig;
  readonly template: EnginePeer;
}

interface State {
  settings: AgentConfig | undefined;
  own: OwnNode | undefined;
  base: Base | undefined;
  readonly mesh: Map<string, MeshPeer>;
  readonly peers: Map<string, EnginePeer>;
  readonly networks: Map<string, PodNetwork>;
}

/** @param complete checks and completes a speaker's configuration (config/engineConfig.ts) */
export function createEngineComposer(
  complete: (config: SpeakerConfig) => Result<EngineConfig, readonly ConfigError[]>,
): (input: EngineInput) => EngineOutcome {
  const state: State = {
    settings: undefined,
    own: undefined,
    base: undefined,
    mesh: new Map(),
    peers: new Map(),
    networks: new Map(),
  };
  return input => {
    if (input.kind === 'routing') {
      if (isEmptyDelta(input.delta)) return { config: undefined, problems: new Map() };
      takeDelta(state, input.delta);
    } else {
      state.settings = input.settings;
    }
    const isBaseDue = input.kind === 'settings' || input.delta.ownChanged;
    const errors = isBaseDue ? renewBase(state, complete) : undefined;
    if (state.base === undefined) return { config: undefined, problems: problemsOf(state, errors) };
    return { config: assemble(state, state.base), problems: problemsOf(state, errors) };
  };
}

function takeDelta(state: State, { own, peers, networks }: RoutingDelta): void {
  state.own = own;
  for (const name of peers.removed) {
    state.mesh.delete(name);
    state.peers.delete(name);
  }
  for (const [name, peer] of peers.set) {
    state.mesh.set(name, peer);
    if (state.base !== undefined) state.peers.set(name, enginePeer(peer, state.base.template));
  }
  for (const prefix of networks.removed) state.networks.delete(prefix);
  for (const [prefix, network] of networks.set) state.networks.set(prefix, network);
}

/** Works the configuration out anew; one that is in error leaves the last good one in force. */
function renewBase(
  state: State,
  complete: (config: SpeakerConfig) => Result<EngineConfig, readonly ConfigError[]>,
): readonly ConfigError[] {
  if (state.settings === undefined || state.own === undefined || !isReachable(state.settings, state.own)) return [];
  const completed = complete(onNode(state.settings, state.own));
  if (!completed.ok) return completed.error;
  const template = completed.value.peers.find(peer => peer.name === MESH_TEMPLATE);
  if (template === undefined) throw new Error('the template of the mesh is missing from the completed configuration');
  const peers = completed.value.peers.filter(peer => peer !== template);
  state.base = { engine: { ...completed.value, peers }, template };
  for (const [name, peer] of state.mesh) state.peers.set(name, enginePeer(peer, template));
  return [];
}

/** A node without any address (its object says so) has nothing to speak BGP from, unless the file gives it something. */
function isReachable({ router }: AgentConfig, own: OwnNode): boolean {
  return own.v4 !== undefined || own.v6 !== undefined || (router.id !== undefined && router.listen.length > 0);
}

function enginePeer(peer: MeshPeer, template: EnginePeer): EnginePeer {
  return { ...template, name: peer.name, session: { ...template.session, remote: peer.address, local: peer.local } };
}

function assemble(state: State, { engine }: Base): EngineConfig {
  const mesh = [...state.peers.values()].filter(peer => rivalOf(engine, peer.name, peer.session.remote) === undefined);
  const prefixes = new Set(engine.networks.map(network => formatPrefix(network.prefix)));
  const pods = [...state.networks].filter(([prefix]) => !prefixes.has(prefix));
  const networks = pods.map(([, { prefix }]): EngineNetwork => ({ prefix }));
  return { ...engine, peers: [...engine.peers, ...mesh], networks: [...engine.networks, ...networks] };
}

/** What the configuration file names itself goes before what Kubernetes says of it: its peer with this name or address. */
function rivalOf({ peers }: EngineConfig, name: string, address: IpAddress): EnginePeer | undefined {
  return peers.find(peer => peer.name === name || sameAddress(peer.session.remote, address));
}

function problemsOf(state: State, errors: readonly ConfigError[] | undefined): ProblemReport {
  const doubles = [...state.mesh.values()].flatMap(({ name, address }) => {
    const rival = state.base && rivalOf(state.base.engine, name, address);
    if (rival === undefined) return [];
    const text = `has the name or address of peer ${rival.name} in the configuration file, which goes before: no session of the mesh`;
    return [{ subject: name.replace('node/', 'Node '), text }];
  });
  const report = new Map([['mesh', doubles]]);
  if (errors === undefined) return report;
  const complaints = errors.map(({ path, reason }) => ({
    subject: 'configuration',
    text: `${state.settings === undefined ? path : meshPath(path, state.settings)}: ${reason}`,
  }));
  return report.set('configuration', complaints);
}
