/** The five messages of BGP as values (RFC 4271 section 4, RFC 2918). UPDATEs have a record of their own: updateRecord.ts. */

import type { Ipv4 } from '../core/ip.js';
import type { PathAttribute } from './attributes.js';
import type { AfiSafi, Capability } from './capabilities.js';

/** RFC 4271 section 4.2. */
export interface OpenMessage {
  readonly version: number;
  /** The two-octet My Autonomous System field: AS_TRANS when the real number, in the capability, is wider. */
  readonly asn: number;
  /** Seconds the sender proposes; 0, or 3 and more. */
  readonly holdTime: number;
  readonly routerId: Ipv4;
  readonly capabilities: readonly Capability[];
}

/** RFC 4271 section 4.5. */
export interface NotificationMessage {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

/** RFC 2918 and, for the marks around the answer, RFC 7313 section 3.2. */
export type RefreshSubtype = 'request' | 'begin' | 'end';

export interface RouteRefresh extends AfiSafi {
  /** `unknown` is to be ignored (RFC 7313 section 5). */
  readonly subtype: RefreshSubtype | 'unknown';
}

/** One prefix as the wire has it: as many octets of the address as the length needs. */
export interface Nlri {
  /** RFC 7911; absent without add-path. */
  readonly pathId?: number;
  readonly length: number;
  readonly octets: Uint8Array;
}

/** An UPDATE taken apart, for people, tests and tools: the engine never makes one. */
export interface UpdateMessage {
  readonly withdrawn: readonly Nlri[];
  readonly attributes: readonly PathAttribute[];
  readonly nlri: readonly Nlri[];
}

export type Message =
  | ({ readonly kind: 'open' } & OpenMessage)
  | ({ readonly kind: 'update' } & UpdateMessage)
  | ({ readonly kind: 'notification' } & NotificationMessage)
  | { readonly kind: 'keepalive' }
  | ({ readonly kind: 'routeRefresh' } & RouteRefresh);
