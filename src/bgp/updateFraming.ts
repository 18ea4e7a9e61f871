/**
 * What an update group needs from the wire: how attributes change on the way out, and the octets around NLRI.
 * bgp/wire implements it (the RIB stores attribute octets and never reads them).
 */

import type { IpAddress } from '../core/ip.js';
import type { PeerKindValue } from './peerKind.js';

/** The route of which attributes are prepared; one record, used again. */
export interface OutgoingRoute {
  /** Normal-form block: block[start .. start + length). */
  block: Uint8Array;
  start: number;
  length: number;
  /** Undefined: a network of our own without a next hop, our own address is meant. */
  nextHop: IpAddress | undefined;
  linkLocal: IpAddress | undefined;
  sourceKind: PeerKindValue;
  /** BGP identifier of the peer it came from, for ORIGINATOR_ID. */
  sourceRouterId: number;
}

export interface UpdateFraming {
  /** Octets in the largest message. */
  readonly maxMessage: number;
  /** Octets of path identifier in front of each NLRI: 4 when the members negotiated to receive them, else 0. */
  readonly pathIdOctets: 0 | 4;
  /**
   * Turns attributes into what this group is told (RFC 4271 section 5, RFC 4456 section 8, RFC 6793 section 4.2.2) and
   * keeps the result for the messages that follow.
   * @returns false when the route cannot be told to this group, for want of a next hop of a family it speaks, or
   *   because the attributes leave no room in a message for the longest NLRI
   */
  prepare(route: OutgoingRoute): boolean;
  /** What was prepared last, for people to see: attributes as they go out, octets[0 .. length), and the next hop. */
  prepared(): { readonly octets: Uint8Array; readonly length: number; readonly nextHop: IpAddress };
  /** Begins an UPDATE at `at` with the attributes prepared last. @returns where its NLRI begin */
  beginAnnounce(out: Uint8Array, at: number): number;
  /** NLRI of an announcement begun at `at` must end here or before. */
  announceLimit(at: number): number;
  /** Completes the message whose NLRI end at `nlriEnd`. @returns the offset behind it */
  finishAnnounce(out: Uint8Array, at: number, nlriEnd: number): number;
  beginWithdraw(out: Uint8Array, at: number): number;
  withdrawLimit(at: number): number;
  finishWithdraw(out: Uint8Array, at: number, nlriEnd: number): number;
}
