/** The sockets that sessions and listeners are given: TCP with the options BGP needs, and nothing of the protocol. */

import type { IpAddress, IpPrefix } from '../../core/ip.js';
import type { SessionEndpoints } from './sessionTypes.js';

/** Calls that a socket makes. None comes before the call that took the events has returned. */
export interface SocketEvents {
  /** The TCP handshake of a connection of ours is complete. Never for accepted sockets. */
  connected(): void;
  /** Octets arrived; they are lent for the duration of the call. */
  data(octets: Uint8Array): void;
  /** The connection is gone, or never came about: "connection refused", "closed by the peer". Nothing follows. */
  closed(text: string): void;
}

/** How far segments may travel. Absent fields leave the system's default. */
export interface SocketHops {
  /** TTL or hop limit of what we send. */
  readonly ttl?: number;
  /** Segments that arrive with less are dropped by the kernel (RFC 5082). */
  readonly minTtl?: number;
}

/** One TCP connection. */
export interface StreamSocket {
  /** Both ends; only once connected. */
  endpoints(): SessionEndpoints;
  /** Gives an accepted socket its user; nothing is read before. Sockets of `connect` have theirs already. */
  attach(events: SocketEvents): void;
  /**
   * Sends the chunks, in order and without copying them: they may not change until `flushed`, which is called once the
   * kernel has taken them all. One write at a time: the next only after `flushed`.
   */
  write(chunks: readonly Uint8Array[], flushed: () => void): void;
  /** Stops calling `data` until `resumeReading`, so that others get their turn of the event loop. */
  pauseReading(): void;
  resumeReading(): void;
  /** For accepted sockets, whose peer is known only afterwards. @throws Error when the kernel refuses. */
  setHops(hops: SocketHops): void;
  /** Sends FIN after what was written. `closed` still comes, when the peer has closed too. */
  end(): void;
  /** Closes at once and frees the descriptor. No event follows. Harmless when repeated. */
  destroy(): void;
}

export interface ConnectOptions extends SocketHops {
  readonly remote: IpAddress;
  readonly remotePort: number;
  /** Address to connect from; the system chooses when absent. */
  readonly local?: IpAddress;
  /** TCP-MD5 key (RFC 2385). */
  readonly password?: string;
}

/** Calls that a listening socket makes. */
export interface ListeningEvents {
  listening(): void;
  accepted(socket: StreamSocket): void;
  /** It could not be opened, or broke; it is closed. The text names neither address nor port. */
  failed(text: string): void;
}

export interface ListeningSocket {
  /**
   * Demands TCP-MD5 with this key from a peer, or from all of a prefix (longest match); undefined demands none again.
   * @throws Error when the kernel refuses, without the key in its message
   */
  setPassword(peer: IpAddress | IpPrefix, password: string | undefined): void;
  close(): void;
}

export interface SocketFactory {
  /** Begins to connect. Never throws: what goes wrong comes as `closed`. */
  connect(options: ConnectOptions, events: SocketEvents): StreamSocket;
  /** Begins to listen on one address. Never throws: what goes wrong comes as `failed`. */
  listen(options: { readonly address: IpAddress; readonly port: number }, events: ListeningEvents): ListeningSocket;
}
