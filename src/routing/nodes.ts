/** Nodes to sessions and pod networks, incrementally: what one node's change means for this node. */

import { isDeepStrictEqual } from 'node:util';
import { formatAddress, formatPrefix } from '../core/ip.js';
import type { ObjectBatch } from '../kube/objectBatch.js';
import { changesOf } from '../kube/objectBatch.js';
import type { Node } from '../kube/objectTypes.js';
import type { Problem } from '../kube/problems.js';
import { addressesOf, createClaims, type Claims } from './claims.js';
import { edgeFacts, isEdgePeer } from './edge.js';
import { keyedDelta, type KeyedDelta, type MeshPeer, type NetworkIntent, type OwnNode } from './intent.js';
import { meshPeer } from './mesh.js';
import { ownNetworks } from './networks.js';
import { ASN_ANNOTATION, nodeFacts, type NodeFacts } from './nodeFacts.js';
import { NO_SETTINGS, nodeSettings, type NodeSettings } from './nodeSettings.js';
import type { RoutingOptions } from './routingOptions.js';

export interface NodeOutcome {
  readonly own: OwnNode | undefined;
  readonly ownChanged: boolean;
  readonly peers: KeyedDelta<MeshPeer>;
  readonly networks: KeyedDelta<NetworkIntent>;
  /** By owner, as in kube/problems: of every node that was looked at again. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
  /** Nodes that were looked at again, for tests and metrics. */
  readonly recomputed: readonly string[];
}

/** Owns the state of the derivation; one reducer, one owner. */
export interface NodeRouting {
  apply(batch: ObjectBatch): NodeOutcome;
  /** Other options mean another look at every node; the same ones at none. */
  configure(options: RoutingOptions): NodeOutcome;
  own(): OwnNode | undefined;
  settings(): NodeSettings;
  peers(): ReadonlyMap<string, MeshPeer>;
  networks(): ReadonlyMap<string, NetworkIntent>;
}

interface State {
  readonly nodeName: string;
  readonly facts: Map<string, NodeFacts>;
  readonly claims: Claims;
  /** The last that was known: sessions outlive the node's object, its networks do not. */
  own: NodeFacts | undefined;
  cordoned: boolean;
  settings: NodeSettings;
  settingsProblems: readonly Problem[];
  servers: number;
  options: RoutingOptions;
  readonly peers: Map<string, MeshPeer>;
  networks: ReadonlyMap<string, NetworkIntent>;
}

export function createNodeRouting(nodeName: string, options: RoutingOptions): NodeRouting {
  const state: State = {
    nodeName,
    facts: new Map(),
    claims: createClaims(),
    own: undefined,
    cordoned: false,
    settings: NO_SETTINGS,
    settingsProblems: [],
    servers: 0,
    options,
    peers: new Map(),
    networks: new Map(),
  };
  const isEdge = (): boolean => state.options.role === 'edge';
  if (isEdge()) state.own = edgeFacts(nodeName, options);
  return {
    apply: batch => {
      const before = ownNode(state);
      return settle(state, takeIn(state, batch), before);
    },
    configure: next => {
      const before = ownNode(state);
      const isOther = !isDeepStrictEqual(next, state.options);
      state.options = next;
      if (isEdge()) state.own = edgeFacts(nodeName, next);
      return settle(state, new Set(isOther ? [...state.facts.keys(), nodeName] : []), before);
    },
    own: () => ownNode(state),
    settings: () => state.settings,
    peers: () => new Map([...state.peers.values()].map(peer => [peer.name, peer])),
    networks: () => state.networks,
  };
}

function ownNode({ own, facts, options, settings, cordoned }: State): OwnNode | undefined {
  if (own === undefined) return undefined;
  const { name, v4, v6, asn, reflector } = own;
  return {
    name,
    present: options.role === 'edge' || facts.has(name),
    v4,
    v6,
    ...(options.fullMesh || asn === undefined ? {} : { asn }),
    ...(reflector === undefined ? {} : { reflector }),
    ...(settings.listen.length === 0 ? {} : { listen: settings.listen }),
    ...(cordoned ? { cordoned } : {}),
  };
}

/** Decides again about some nodes. */
function settle(state: State, dirty: ReadonlySet<string>, ownBefore: OwnNode | undefined): NodeOutcome {
  const own = ownNode(state);
  const peers = settlePeers(state, dirty);
  const before = state.networks;
  if (dirty.has(state.nodeName)) state.networks = ownNetworks(announcer(state), state.claims, state.options);
  const problems = [...dirty].map(name => [`node ${name}`, problemsOf(state, name)] as const);
  return {
    own,
    ownChanged: !isDeepStrictEqual(ownBefore, own),
    peers,
    networks: keyedDelta(before, state.networks, isDeepStrictEqual),
    problems: new Map(problems),
    recomputed: [...dirty],
  };
}

/** Whose networks are announced; nobody's while the own object is missing. */
function announcer({ options, own, facts, nodeName }: State): NodeFacts | undefined {
  return options.role === 'edge' ? own : facts.get(nodeName);
}

/** Brings facts and claims up to date. @returns names of the nodes whose outcome may be another now */
function takeIn(state: State, batch: ObjectBatch): ReadonlySet<string> {
  const dirty = new Set<string>();
  for (const { change, object } of changesOf(batch, 'Node')) {
    const isOwn = object.name === state.nodeName && state.options.role === 'node';
    const isOther = isOwn && takeSettings(state, change === 'deleted' ? undefined : object);
    const before = state.facts.get(object.name);
    const after = change === 'deleted' ? undefined : nodeFacts(object, before);
    // Most changes of a Node are heartbeats and conditions.
    if (isDeepStrictEqual(before, after) && !isOther) continue;
    dirty.add(object.name);
    exchange(state, before, after, dirty);
    if (isOwn && after !== undefined) {
      if (!meetsAlike(state.own, after)) for (const name of state.facts.keys()) dirty.add(name);
      state.own = after;
    }
  }
  return dirty;
}

/** Puts one node's facts in place of its former ones; adds to `dirty` whom that concerns besides. */
function exchange(state: State, before: NodeFacts | undefined, after: NodeFacts | undefined, dirty: Set<string>): void {
  if (before !== undefined) {
    for (const rival of state.claims.rivalsOf(before)) dirty.add(rival);
    state.claims.remove(before);
    state.facts.delete(before.name);
  }
  if (after !== undefined) {
    state.facts.set(after.name, after);
    state.claims.add(after);
    for (const rival of state.claims.rivalsOf(after)) dirty.add(rival);
  }
  const hadServers = state.servers > 0;
  const isServer = (facts: NodeFacts | undefined): number => (facts?.reflector?.role === 'server' ? 1 : 0);
  state.servers += isServer(after) - isServer(before);
  // An edge turns from all nodes to the reflectors, and back.
  if (state.options.role === 'edge' && hadServers !== state.servers > 0)
    for (const name of state.facts.keys()) dirty.add(name);
}

/** @returns whether the own node's annotations or its cordon say anything else now */
function takeSettings(state: State, node: Node | undefined): boolean {
  const { settings, problems } =
    node === undefined ? { settings: state.settings, problems: [] } : nodeSettings(node, state.settings);
  const cordoned = node?.unschedulable ?? state.cordoned;
  const isOther = !isDeepStrictEqual(
    [settings, problems, cordoned],
    [state.settings, state.settingsProblems, state.cordoned],
  );
  Object.assign(state, { settings, settingsProblems: problems, cordoned });
  return isOther;
}

/** Whether others would decide the same about both. */
function meetsAlike(a: NodeFacts | undefined, b: NodeFacts): boolean {
  const meeting = ({ v4, v6, asn, reflector }: NodeFacts): unknown => [v4, v6, asn, reflector];
  return a !== undefined && isDeepStrictEqual(meeting(a), meeting(b));
}

function settlePeers(state: State, dirty: ReadonlySet<string>): KeyedDelta<MeshPeer> {
  const set = new Map<string, MeshPeer>();
  const removed = new Set<string>();
  for (const name of dirty) {
    const before = state.peers.get(name);
    const after = verdictOf(state, name)?.peer;
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

function verdictOf(
  { own, facts, nodeName, options, claims, servers }: State,
  name: string,
): ReturnType<typeof meshPeer> | undefined {
  const other = facts.get(name);
  if (own === undefined || other === undefined || name === nodeName) return undefined;
  if (options.role === 'edge' && !isEdgePeer(other, servers > 0)) return undefined;
  return meshPeer(own, other, claims, options);
}

function problemsOf(state: State, name: string): readonly Problem[] {
  const facts = state.facts.get(name);
  if (facts === undefined) return [];
  const session = verdictOf(state, name)?.problems ?? [];
  const own = name === state.nodeName ? [...state.settingsProblems, ...asnProblems(facts, state.options)] : [];
  return [...facts.problems, ...own, ...claimProblems(facts, state.claims), ...session];
}

function asnProblems({ name, asn }: NodeFacts, { fullMesh, role }: RoutingOptions): readonly Problem[] {
  if (fullMesh || role === 'edge' || asn !== undefined) return [];
  const text = `has no annotation ${ASN_ANNOTATION}, which says its AS where there is no full mesh: BGP waits for it`;
  return [{ subject: `Node ${name}`, text }];
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
