/** What routing wants of BGP, in its own small words; src/app turns it into the engine's configuration. */

import type { Asn } from '../bgp/asn.js';
import type { NetworkTag, PolicySet } from '../bgp/policyTypes.js';
import type { Ipv4, IpAddress, IpPrefix } from '../core/ip.js';
import type { ReflectorRole } from './nodeFacts.js';
import type { BfdOptions, NetworkAttributes } from './routingOptions.js';

/** An iBGP session with another node. */
export interface MeshPeer {
  readonly kind: 'node';
  /** `node/NAME`. */
  readonly name: string;
  readonly address: IpAddress;
  /** Our own address towards it: of the same family. */
  readonly local: IpAddress;
  /** We reflect its routes to others, and others' to it (RFC 4456). */
  readonly reflectorClient: boolean;
}

/** A session with a router outside the cluster. What is absent is as in the session's defaults. */
export interface RouterPeer {
  readonly kind: 'router';
  /** `router/ADDRESS`. */
  readonly name: string;
  readonly address: IpAddress;
  readonly asn: Asn;
  readonly port: number;
  readonly local?: IpAddress;
  /** Never logged or shown. */
  readonly password?: string;
  readonly holdTime?: number;
  /** At least 2. */
  readonly multihopTtl?: number;
  /** For whoever runs BFD over this session. */
  readonly bfd?: BfdOptions;
}

export type PeerIntent = MeshPeer | RouterPeer;

/** A network this node announces. Its next hop is the node itself. */
export interface NetworkIntent extends NetworkAttributes {
  readonly prefix: IpPrefix;
  readonly tag: NetworkTag;
  readonly aggregate?: { readonly summaryOnly: boolean };
  /** No aggregate hides it. */
  readonly keepSpecific?: boolean;
}

/** What this node knows of itself. */
export interface OwnNode {
  readonly name: string;
  /** False while its Node object is missing; the addresses are then the last that were known. */
  readonly present: boolean;
  readonly v4: IpAddress | undefined;
  readonly v6: IpAddress | undefined;
  /** The node's own AS where nodes have one each; absent: that of the configuration. */
  readonly asn?: Asn;
  readonly reflector?: ReflectorRole;
  /** To listen on in place of v4 and v6. */
  readonly listen?: readonly IpAddress[];
  readonly cordoned?: boolean;
}

/** The cluster id this node reflects with; undefined: it is no server. */
export function servedCluster(own: OwnNode): Ipv4 | undefined {
  return own.reflector?.role === 'server' ? own.reflector.clusterId : undefined;
}

export interface RoutingIntent {
  /** Undefined until the own Node object has been seen: nothing can be said of routing before. */
  readonly own: OwnNode | undefined;
  /** Keyed by name. */
  readonly peers: ReadonlyMap<string, PeerIntent>;
  /** Pod networks, aggregates and static ones, keyed by prefix text. */
  readonly networks: ReadonlyMap<string, NetworkIntent>;
  /** Addresses of services, keyed by prefix text: announced only once their data plane is programmed. */
  readonly services: ReadonlyMap<string, NetworkIntent>;
  readonly policies: PolicySet;
}

/** Changes of one keyed set: what to put in (also in place of what is there) and what to take out. */
export interface KeyedDelta<T> {
  readonly set: ReadonlyMap<string, T>;
  readonly removed: ReadonlySet<string>;
}

export interface RoutingDelta {
  readonly own: OwnNode | undefined;
  readonly ownChanged: boolean;
  readonly peers: KeyedDelta<PeerIntent>;
  readonly networks: KeyedDelta<NetworkIntent>;
  readonly services: KeyedDelta<NetworkIntent>;
  /** All of them; undefined: as before. */
  readonly policies: PolicySet | undefined;
}

export function isEmptyDelta({ ownChanged, policies, peers, networks, services }: RoutingDelta): boolean {
  const parts = [peers, networks, services];
  return !ownChanged && policies === undefined && parts.every(part => part.set.size + part.removed.size === 0);
}

/** From one keyed set to another, by comparison of each member. */
export function keyedDelta<T>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  isSame: (a: T, b: T) => boolean,
): KeyedDelta<T> {
  const changed = [...after].filter(([key, value]) => {
    const old = before.get(key);
    return old === undefined || !isSame(old, value);
  });
  return { set: new Map(changed), removed: new Set([...before.keys()].filter(key => !after.has(key))) };
}
