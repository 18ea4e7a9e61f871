/** What the owner of a listener gives it and gets from it. */

import type { IpAddress, IpPrefix } from '../../core/ip.js';
import type { SessionEndpoints } from './sessionTypes.js';
import type { SocketFactory, StreamSocket } from './socketTypes.js';

export interface ListenerOptions {
  readonly address: IpAddress;
  readonly port: number;
  readonly sockets: SocketFactory;
  /** A connection came in. The receiver gives the socket to a session's `accept` or destroys it. */
  onConnection(socket: StreamSocket, endpoints: SessionEndpoints): void;
  /** The port is open. */
  onListening?(): void;
  /** A sentence that names address and port: "cannot listen on 10.0.0.1 port 179: address already in use". */
  onError(text: string): void;
}

/** One listening address. A failure of one leaves the others alone. */
export interface Listener {
  readonly address: IpAddress;
  readonly port: number;
  /**
   * Demands TCP-MD5 (RFC 2385) of a peer or of all peers in a prefix; undefined demands none again. Peers of the other
   * IP version are ignored, so every key can be given to every listener. What the kernel refuses goes to `onError`.
   */
  setPassword(peer: IpAddress | IpPrefix, key: string | undefined): void;
  close(): void;
}
