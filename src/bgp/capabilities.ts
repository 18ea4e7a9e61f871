/** The capabilities a speaker announces in its OPEN (RFC 5492), as values. */

/** A family by its numbers: capabilities may name families this speaker does not know. */
export interface AfiSafi {
  /** IANA "Address Family Numbers". */
  readonly afi: number;
  /** IANA "SAFI Values". */
  readonly safi: number;
}

export type Capability =
  /** RFC 4760 section 8: one family. */
  | ({ readonly kind: 'multiprotocol' } & AfiSafi)
  /** RFC 2918. `prestandard` is the code 128 that old Cisco software uses for the same thing. */
  | { readonly kind: 'routeRefresh'; readonly prestandard: boolean }
  /** RFC 8950: IPv4 NLRI with IPv6 next hops, for each family named. */
  | { readonly kind: 'extendedNextHop'; readonly families: readonly (AfiSafi & { readonly nextHopAfi: number })[] }
  /** RFC 8654. */
  | { readonly kind: 'extendedMessages' }
  /** RFC 4724, with the N bit of RFC 8538. */
  | {
      readonly kind: 'gracefulRestart';
      /** Restart State: the sender has just restarted. */
      readonly restarting: boolean;
      /** N: the sender also survives NOTIFICATIONs and an expired hold timer. */
      readonly notification: boolean;
      /** Seconds, 0..4095. */
      readonly restartTime: number;
      /** `forwarding`: the state of this family was kept over the restart. */
      readonly families: readonly (AfiSafi & { readonly forwarding: boolean })[];
    }
  /** RFC 6793: the sender's real AS number, 1 .. 2^32-1. */
  | { readonly kind: 'fourOctetAs'; readonly asn: number }
  /** RFC 7911; what the sender is able to do, not what the receiver may. */
  | {
      readonly kind: 'addPath';
      readonly families: readonly (AfiSafi & { readonly send: boolean; readonly receive: boolean })[];
    }
  /** RFC 7313. */
  | { readonly kind: 'enhancedRouteRefresh' }
  /** draft-walton-bgp-hostname-capability; empty strings where a part is not given. */
  | { readonly kind: 'fqdn'; readonly hostname: string; readonly domain: string }
  /** Anything else, kept as it came. */
  | { readonly kind: 'unknown'; readonly code: number; readonly value: Uint8Array };

export type KnownCapability = Exclude<Capability['kind'], 'unknown'>;
