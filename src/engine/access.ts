/** Who may connect: listeners, their keys, and which neighbour an incoming connection belongs to. */

import { createListener } from '../bgp/session/listener.js';
import type { Listener } from '../bgp/session/listenerTypes.js';
import type { SessionEndpoints } from '../bgp/session/sessionTypes.js';
import type { SocketFactory, StreamSocket } from '../bgp/session/socketTypes.js';
import { formatAddress, formatPrefix, prefixContains, sameAddress, type IpAddress, type IpPrefix } from '../core/ip.js';
import type { EngineConfig, EngineDynamicRange, EngineEvent } from './engineTypes.js';
import type { Neighbor } from './neighbor.js';

export interface AccessHost {
  readonly sockets: SocketFactory;
  neighbors(): Iterable<Neighbor>;
  /** Makes a neighbour for an address inside a range; undefined when the range is full. */
  admit(range: EngineDynamicRange, remote: IpAddress): Neighbor | undefined;
  event(event: EngineEvent): void;
}

/** A key and whom it is demanded of. */
interface Key {
  readonly peer: IpAddress | IpPrefix;
  readonly password: string;
}

export class Access {
  private readonly listeners = new Map<string, Listener>();
  private keys = new Map<string, Key>();
  private ranges: readonly EngineDynamicRange[] = [];

  constructor(private readonly host: AccessHost) {}

  /** Opens and closes listening sockets, and sets keys, to match a configuration. */
  set(config: EngineConfig): void {
    this.ranges = config.dynamicRanges;
    const keys = keysOf(config);
    const wanted = new Map(config.listen.map(l => [`${formatAddress(l.address)} port ${l.port}`, l]));
    for (const [name, listener] of [...this.listeners]) {
      if (wanted.has(name)) continue;
      listener.close();
      this.listeners.delete(name);
    }
    for (const listener of this.listeners.values()) {
      for (const [name, { peer }] of this.keys) if (!keys.has(name)) listener.setPassword(peer, undefined);
      for (const [name, key] of keys) {
        if (this.keys.get(name)?.password !== key.password) listener.setPassword(key.peer, key.password);
      }
    }
    this.keys = keys;
    for (const [name, { address, port }] of wanted) if (!this.listeners.has(name)) this.open(name, address, port);
  }

  close(): void {
    for (const listener of this.listeners.values()) listener.close();
    this.listeners.clear();
  }

  private open(name: string, address: IpAddress, port: number): void {
    const listener = createListener({
      address,
      port,
      sockets: this.host.sockets,
      onConnection: (socket, endpoints) => this.accept(socket, endpoints),
      onListening: () => this.host.event({ kind: 'listening', address: name }),
      onError: text => this.host.event({ kind: 'listenFailed', address: name, text }),
    });
    for (const key of this.keys.values()) listener.setPassword(key.peer, key.password);
    this.listeners.set(name, listener);
  }

  private accept(socket: StreamSocket, endpoints: SessionEndpoints): void {
    const neighbor = this.owner(endpoints);
    if (neighbor !== undefined) {
      neighbor.session.accept(socket);
      return;
    }
    const range = this.rangeOf(endpoints.remote);
    if (range === undefined) {
      socket.destroy();
      this.host.event({
        kind: 'connectionRefused',
        address: formatAddress(endpoints.remote),
        text: 'no peer has this address and no dynamic range covers it',
      });
      return;
    }
    const admitted = this.host.admit(range, endpoints.remote);
    if (admitted === undefined) socket.destroy();
    else admitted.session.accept(socket);
  }

  /** The neighbour with the connection's remote address; of several, the one that also names the local one. */
  private owner(endpoints: SessionEndpoints): Neighbor | undefined {
    let found: Neighbor | undefined;
    for (const neighbor of this.host.neighbors()) {
      if (!sameAddress(neighbor.config.remote, endpoints.remote)) continue;
      const { local } = neighbor.config;
      if (local !== undefined && sameAddress(local, endpoints.local)) return neighbor;
      if (local === undefined) found = neighbor;
    }
    return found;
  }

  private rangeOf(remote: IpAddress): EngineDynamicRange | undefined {
    return this.ranges
      .filter(range => prefixContains(range.prefix, remote))
      .sort((a, b) => b.prefix.length - a.prefix.length)[0];
  }
}

function keysOf(config: EngineConfig): Map<string, Key> {
  const keys = new Map<string, Key>();
  for (const { prefix, session } of config.dynamicRanges) {
    if (session.password !== undefined) keys.set(formatPrefix(prefix), { peer: prefix, password: session.password });
  }
  for (const { session } of config.peers) {
    if (session.password !== undefined)
      keys.set(formatAddress(session.remote), { peer: session.remote, password: session.password });
  }
  return keys;
}
