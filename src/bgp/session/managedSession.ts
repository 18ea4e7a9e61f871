/** A session as its owner makes and feeds it. */

import type { Clock } from '../../core/clock.js';
import type { RestartClaims, Session, SessionConfig, SessionHandlers } from './sessionTypes.js';
import type { SocketFactory, StreamSocket } from './socketTypes.js';

/** The argument of `createSession` (peerSession.ts). */
export interface SessionOptions {
  readonly config: SessionConfig;
  /** Asked each time an OPEN is sent. */
  readonly claims: () => RestartClaims;
  readonly handlers: SessionHandlers;
  readonly sockets: SocketFactory;
  readonly clock: Clock;
  /** 0 <= x < 1, for timer jitter; Math.random when absent. */
  readonly random?: () => number;
}

/** What `createSession` returns: `createSession(options: SessionOptions): ManagedSession`. It is Idle until `start`. */
export interface ManagedSession extends Session {
  /**
   * Takes over a connection that came in from this peer's address. A session that is Idle closes it; one that has a
   * connection already decides by RFC 4271 section 6.8 which of the two stays.
   */
  accept(socket: StreamSocket): void;
}
