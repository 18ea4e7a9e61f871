/** What the RIB knows of the speakers routes come from, by PeerId: columns for the decision process and for export. */

import { PeerKind, type PeerKindValue } from '../bgp/peerKind.js';
import type { Brand } from '../core/brand.js';
import { ipv4, type IpAddress } from '../core/ip.js';

/** Index of a source of routes; 0 is this router itself. Fits sixteen bits. */
export type PeerId = Brand<number, 'PeerId'>;
export const LOCAL_PEER = 0 as PeerId;

/** Largest number of peers, dynamic ones included. */
export const MAX_PEERS = 0xffff;

export interface PeerFacts {
  readonly name: string;
  readonly address: IpAddress;
  readonly kind: PeerKindValue;
  /** RFC 4456: a client of this route reflector. */
  readonly client: boolean;
  /** BGP identifier; 0 before the first session. */
  readonly routerId: number;
}

export class PeerTable {
  kind: Uint8Array = new Uint8Array(64);
  client: Uint8Array = new Uint8Array(64);
  routerId: Uint32Array = new Uint32Array(64);
  private readonly facts: (PeerFacts | undefined)[] = [];
  private readonly free: PeerId[] = [];

  constructor(routerId: number) {
    this.facts.push(undefined);
    this.set(LOCAL_PEER, { name: 'local', address: ipv4(0), kind: PeerKind.local, client: false, routerId });
  }

  /** @returns undefined when all {@link MAX_PEERS} ids are taken */
  add(facts: PeerFacts): PeerId | undefined {
    const id = this.free.pop() ?? (this.facts.length as PeerId);
    if (id > MAX_PEERS) return undefined;
    this.set(id, facts);
    return id;
  }

  set(id: PeerId, facts: PeerFacts): void {
    while (id >= this.kind.length) this.grow();
    this.facts[id] = facts;
    this.kind[id] = facts.kind;
    this.client[id] = Number(facts.client);
    this.routerId[id] = facts.routerId;
  }

  kindOf(id: PeerId): PeerKindValue {
    return this.kind[id]! as PeerKindValue;
  }

  get(id: PeerId): PeerFacts {
    const facts = this.facts[id];
    if (facts === undefined) throw new Error(`no peer has the id ${id}`);
    return facts;
  }

  /** The id may be handed out again at once: nothing may refer to it any more. */
  remove(id: PeerId): void {
    this.facts[id] = undefined;
    this.free.push(id);
  }

  private grow(): void {
    const n = this.kind.length * 4;
    const kind = new Uint8Array(n);
    kind.set(this.kind);
    this.kind = kind;
    const client = new Uint8Array(n);
    client.set(this.client);
    this.client = client;
    const routerId = new Uint32Array(n);
    routerId.set(this.routerId);
    this.routerId = routerId;
  }
}
