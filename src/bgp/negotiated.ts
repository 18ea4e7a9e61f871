/** What two speakers agreed on in their OPENs: everything that the meaning of later octets depends on. */

import type { Ipv4 } from '../core/ip.js';
import type { Asn } from './asn.js';
import type { FamilyIndex, PerFamily } from './families.js';

/** What the peer said about graceful restart (RFC 4724 section 3), for the families both sides speak. */
export interface PeerGracefulRestart {
  /** Restart State bit: the peer has just restarted and asks not to be waited for. */
  readonly restarting: boolean;
  /** N bit of RFC 8538: NOTIFICATIONs too are survived. */
  readonly notification: boolean;
  /** Seconds the peer may take to come back. */
  readonly restartTime: number;
  /** Families for which the peer can keep state at all. */
  readonly families: PerFamily<boolean>;
  /** Forwarding State bit: the peer kept forwarding in this family while it restarted. */
  readonly forwarding: PerFamily<boolean>;
}

export interface Negotiated {
  readonly kind: 'ebgp' | 'ibgp';
  readonly localAsn: Asn;
  readonly remoteAsn: Asn;
  readonly localId: Ipv4;
  readonly remoteId: Ipv4;
  /** Seconds; 0 means neither hold timer nor keepalives (RFC 4271 section 4.2). */
  readonly holdTime: number;
  /** Seconds between keepalives, 0 when holdTime is 0. */
  readonly keepaliveTime: number;
  /** AS_PATH and AGGREGATOR carry four-octet numbers (RFC 6793). */
  readonly fourOctetAs: boolean;
  readonly families: PerFamily<boolean>;
  /** NLRI we receive carry a path identifier (RFC 7911). */
  readonly addPathReceive: PerFamily<boolean>;
  /** NLRI we send carry a path identifier. */
  readonly addPathSend: PerFamily<boolean>;
  /** Both sides may use an IPv6 next hop for this family (RFC 8950); only index 0, IPv4, can be true. */
  readonly extendedNextHop: PerFamily<boolean>;
  /** Octets in the largest message: 4096, or 65535 once both sides announced RFC 8654. */
  readonly maxMessage: 4096 | 65535;
  readonly routeRefresh: boolean;
  readonly enhancedRouteRefresh: boolean;
  /** Absent when the peer did not announce the capability: such a peer is never waited for. */
  readonly gracefulRestart?: PeerGracefulRestart;
  /** From the FQDN capability, for people to read. */
  readonly remoteHostname?: string;
}

/** Families in use, for loops. */
export function negotiatedFamilies(negotiated: Negotiated): FamilyIndex[] {
  return ([0, 1] as const).filter(f => negotiated.families[f]);
}
