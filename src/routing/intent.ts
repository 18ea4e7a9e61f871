/** What routing wants of BGP, in its own small words; src/app turns it into the engine's configuration. */

import type { IpAddress, IpPrefix } from '../core/ip.js';

/** An iBGP session with another node. */
export interface MeshPeer {
  /** `node/NAME`. */
  readonly name: string;
  readonly address: IpAddress;
  /** Our own address towards it: of the same family. */
  readonly local: IpAddress;
}

/** A network of this node's pods. Its next hop is the node itself. */
export interface PodNetwork {
  readonly prefix: IpPrefix;
}

/** What this node knows of itself. */
export interface OwnNode {
  readonly name: string;
  /** False while its Node object is missing; the addresses are then the last that were known. */
  readonly present: boolean;
  readonly v4: IpAddress | undefined;
  readonly v6: IpAddress | undefined;
}

export interface RoutingIntent {
  /** Undefined until the own Node object has been seen: nothing can be said of routing before. */
  readonly own: OwnNode | undefined;
  /** Keyed by name. */
  readonly peers: ReadonlyMap<string, MeshPeer>;
  /** Keyed by prefix text. */
  readonly networks: ReadonlyMap<string, PodNetwork>;
}

/** Changes of one keyed set: what to put in (also in place of what is there) and what to take out. */
export interface KeyedDelta<T> {
  readonly set: ReadonlyMap<string, T>;
  readonly removed: ReadonlySet<string>;
}

export interface RoutingDelta {
  readonly own: OwnNode | undefined;
  readonly ownChanged: boolean;
  readonly peers: KeyedDelta<MeshPeer>;
  readonly networks: KeyedDelta<PodNetwork>;
}

export function isEmptyDelta(delta: RoutingDelta): boolean {
  return !delta.ownChanged && [delta.peers, delta.networks].every(part => part.set.size + part.removed.size === 0);
}
