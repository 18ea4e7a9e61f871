/** The seam around a BGP session: what configures it, what it tells its owner, and the sockets it is given. */

import type { IpAddress, Ipv4 } from '../../core/ip.js';
import type { SharedBuffer } from '../../core/sharedBuffer.js';
import type { Asn } from '../asn.js';
import type { FamilyIndex, PerFamily } from '../families.js';
import type { Negotiated } from '../negotiated.js';

/** States of RFC 4271 section 8.2.2. */
export type FsmState = 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established';

/** How far away the peer may be, in IP hops. */
export type HopLimit =
  /** TTL 1 for eBGP, system default for iBGP. */
  | { readonly kind: 'direct' }
  /** Send with this TTL (eBGP multihop). */
  | { readonly kind: 'multihop'; readonly ttl: number }
  /** Send with 255 and refuse what arrives with less than 256 - hops (GTSM, RFC 5082). */
  | { readonly kind: 'gtsm'; readonly hops: number };

/** Everything that, when changed, needs the session to be set up anew. */
export interface SessionConfig {
  readonly remote: IpAddress;
  readonly remotePort: number;
  /** Address to connect from and to accept on; the system chooses when absent. */
  readonly local?: IpAddress;
  readonly localAsn: Asn;
  /** Absent: any AS is accepted (dynamic peers of a group without one). */
  readonly remoteAsn?: Asn;
  readonly localId: Ipv4;
  /** Never connect, only accept. */
  readonly passive: boolean;
  /** TCP-MD5 key (RFC 2385). Never logged or shown. */
  readonly password?: string;
  readonly hops: HopLimit;
  readonly families: PerFamily<boolean>;
  /** Seconds to offer; 0 or at least 3. */
  readonly holdTime: number;
  /** Seconds; default a third of the negotiated hold time. */
  readonly keepaliveTime?: number;
  /** Seconds between connection attempts (before jitter). */
  readonly connectRetryTime: number;
  /** Seconds to wait for the peer's OPEN before sending ours; absent: none (RFC 4271 section 8.1.1 DelayOpen). */
  readonly delayOpenTime?: number;
  /** Seconds: first wait after an error, and the most it doubles to (DampPeerOscillations). */
  readonly idleHoldTime: { readonly min: number; readonly max: number };
  readonly extendedMessages: boolean;
  readonly extendedNextHop: boolean;
  readonly addPath: { readonly receive: PerFamily<boolean>; readonly send: PerFamily<boolean> };
  /** Announce RFC 4724; absent: the capability is not sent. */
  readonly gracefulRestart?: { readonly restartTime: number };
  /** Sent in the FQDN capability; absent: not sent. */
  readonly hostname?: string;
}

/** Said about ourselves at the moment an OPEN is sent, because it changes while the process runs. */
export interface RestartClaims {
  /** Restart State bit: we restarted and have not reached End-of-RIB yet. */
  readonly restarting: boolean;
  /** Forwarding State bit per family: the kernel kept our routes. */
  readonly forwarding: PerFamily<boolean>;
}

/** Why a session ended. */
export type DownReason =
  | {
      readonly kind: 'notificationSent' | 'notificationReceived';
      readonly code: number;
      readonly subcode: number;
      readonly text: string;
    }
  | { readonly kind: 'connectionLost'; readonly text: string }
  | { readonly kind: 'stopped'; readonly text: string };

export interface SessionEndpoints {
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
}

/** Calls a session makes. Octets are lent for the duration of the call only. */
export interface SessionHandlers {
  stateChanged(state: FsmState): void;
  /** The session is up; from here on `update`, `refresh` and `down` may come. */
  established(negotiated: Negotiated, endpoints: SessionEndpoints): void;
  /** The body of one UPDATE: octets[start .. end) without the 19-octet header. The answer, when there is one, ends the session. */
  update(octets: Uint8Array, start: number, end: number): void;
  /** All messages of one socket read have been handed over: time to run decisions. */
  readDone(): void;
  /** ROUTE-REFRESH (RFC 2918) or its beginning and end marks (RFC 7313). */
  refresh(family: FamilyIndex, subtype: 'request' | 'begin' | 'end'): void;
  /** Space has come free in the socket after `send` answered false. */
  drained(): void;
  /** Only after `established`. */
  down(reason: DownReason): void;
}

/** Counters for people, monotonic. */
export interface SessionCounters {
  readonly messagesReceived: Readonly<
    Record<'open' | 'update' | 'notification' | 'keepalive' | 'routeRefresh', number>
  >;
  readonly messagesSent: Readonly<Record<'open' | 'update' | 'notification' | 'keepalive' | 'routeRefresh', number>>;
  readonly octetsReceived: number;
  readonly octetsSent: number;
  readonly established: number;
}

/** What the owner of a session may ask of it. */
export interface Session {
  readonly config: SessionConfig;
  readonly state: FsmState;
  readonly negotiated: Negotiated | undefined;
  readonly counters: SessionCounters;
  /** The last reason the session, or an attempt to set it up, ended; undefined when it never did. */
  readonly lastError: { readonly at: Date; readonly text: string } | undefined;
  readonly establishedAt: Date | undefined;
  /** Octets handed to `send` that the socket has not taken yet. */
  readonly queued: number;
  start(): void;
  /**
   * Ends the session with Cease and stays Idle until `start`.
   * @param cease `shutdown` and `reset` may carry a message for people (RFC 9003); `silent` closes the connection with
   *   no NOTIFICATION, so that a peer with graceful restart keeps our routes
   */
  stop(
    cease:
      { readonly kind: 'shutdown' | 'reset' | 'deconfigured'; readonly message?: string } | { readonly kind: 'silent' },
  ): void;
  /**
   * Queues whole messages, all UPDATEs, on the socket.
   * @param messages how many there are in `octets`, for the counters
   * @param buffer what the octets are part of, if others may write it again: it has one reader more until they are sent
   * @returns false when the socket's buffer is full: wait for `drained` before sending much more
   */
  send(octets: Uint8Array, messages: number, buffer?: SharedBuffer): boolean;
  sendRefresh(family: FamilyIndex, subtype: 'request' | 'begin' | 'end'): void;
  /** The owner found an error in an UPDATE: send this NOTIFICATION and go down. */
  fail(code: number, subcode: number, text: string, data?: Uint8Array): void;
}
