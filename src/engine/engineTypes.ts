/**
 * The border of the BGP engine: commands in, change batches and events out. All values are plain data, so that the
 * engine may run on a thread of its own.
 */

import type { Asn } from '../bgp/asn.js';
import type { Family, FamilyIndex, PerFamily } from '../bgp/families.js';
import type { MaxPrefixes, NetworkTag, PolicySet } from '../bgp/policyTypes.js';
import type { DownReason, FsmState, SessionConfig } from '../bgp/session/sessionTypes.js';
import type { IpAddress, IpPrefix, Ipv4 } from '../core/ip.js';
import type { RibChanges } from '../rib/changes.js';
import type { DecisionOptions } from '../rib/decision.js';
import type { EngineView } from './view.js';

/** What the RIB does with a peer's routes; changing it never resets the session. */
export interface PeerRouting {
  /** RFC 4456: routes of this iBGP peer are reflected to all, and it is sent those of all others. */
  readonly routeReflectorClient: boolean;
  /** Put our own address into NEXT_HOP: always, never, or (auto) towards eBGP peers only. */
  readonly nextHopSelf: 'auto' | 'always' | 'never';
  /** Tell the peer all best routes, or only networks of our own (a host that is no transit). */
  readonly announce: 'all' | 'own';
  /** How often our own AS may stand in an AS_PATH from this peer. */
  readonly allowOwnAs: number;
  /** RFC 4271 section 6.3: an eBGP peer's routes begin with its AS. */
  readonly enforceFirstAs: boolean;
  /** Names of policies that routes from the peer pass, one after another; absent or empty: all are taken as they are. */
  readonly importPolicy?: readonly string[];
  /** Names of policies that routes to the peer pass. */
  readonly exportPolicy?: readonly string[];
  /** RFC 8212: without a policy for it, an eBGP peer's routes are not taken, and it is told none. Default false. */
  readonly requirePolicy?: boolean;
  /** RFC 8326: routes of an eBGP peer with the community GRACEFUL_SHUTDOWN get LOCAL_PREF 0. Default true. */
  readonly honorGracefulShutdown?: boolean;
  readonly maxPrefixes?: { readonly [F in Family]?: MaxPrefixes };
}

export interface EnginePeer {
  /** Unique; diffs between configurations go by it. */
  readonly name: string;
  readonly session: SessionConfig;
  readonly routing: PeerRouting;
}

/** Peers that are accepted from anywhere in a prefix; each gets the template with its own address, and a name `group@address`. */
export interface EngineDynamicRange {
  readonly group: string;
  readonly prefix: IpPrefix;
  /** At most so many at a time. */
  readonly limit: number;
  readonly session: Omit<SessionConfig, 'remote' | 'remotePort' | 'passive'>;
  readonly routing: PeerRouting;
}

/** A network of our own. */
export interface EngineNetwork {
  readonly prefix: IpPrefix;
  /** Absent: our own address, filled in for each peer. */
  readonly nextHop?: IpAddress;
  readonly med?: number;
  readonly localPref?: number;
  /** RFC 1997 values. */
  readonly communities?: readonly number[];
  /** RFC 8092 values. */
  readonly largeCommunities?: readonly (readonly [number, number, number])[];
  /** What it is, for export policies. Default `static`. */
  readonly tag?: NetworkTag;
  /**
   * Makes it an aggregate: announced only while a more specific network of our own is. `summaryOnly`: those are not
   * announced themselves, unless they say `keepSpecific`.
   */
  readonly aggregate?: { readonly summaryOnly: boolean };
  /** No aggregate hides this network. */
  readonly keepSpecific?: boolean;
}

export type { DecisionOptions };

export interface GracefulRestartOptions {
  /** Seconds that peers shall wait for us (0..4095). */
  readonly restartTime: number;
  /** Seconds to keep a returned peer's stale paths while waiting for its End-of-RIB. */
  readonly staleTime: number;
  /** Seconds after our own start to wait for End-of-RIB from peers that have the capability; nobody else is waited for. */
  readonly deferralTime: number;
  /** True when this process came after one that left routes in the kernel: Restart and Forwarding State bits are set. */
  readonly restarted: boolean;
}

export interface EngineConfig {
  readonly asn: Asn;
  readonly routerId: Ipv4;
  /** RFC 4456; default the router id. */
  readonly clusterId?: Ipv4;
  readonly listen: readonly { readonly address: IpAddress; readonly port: number }[];
  readonly decision: DecisionOptions;
  readonly gracefulRestart?: GracefulRestartOptions;
  readonly peers: readonly EnginePeer[];
  readonly dynamicRanges: readonly EngineDynamicRange[];
  readonly networks: readonly EngineNetwork[];
  /** What the policy names of peers stand for. Default none. */
  readonly policies?: PolicySet;
  /**
   * Our addresses for NEXT_HOP, where a session cannot tell: the IPv6 one for IPv6 routes over an IPv4 session and the
   * other way round. Default: what stands on the link of the session's own address.
   */
  readonly nextHopAddresses?: { readonly v4?: IpAddress; readonly v6?: IpAddress };
}

/** What `apply` did, for one log line and for tests. */
export interface ApplyReport {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Session parameters changed: set up anew. */
  readonly reset: readonly string[];
  /** Only routing changed: routes were evaluated again, the session stayed. */
  readonly updated: readonly string[];
  readonly networksAdded: number;
  readonly networksRemoved: number;
}

/** What an operator wants to know, as it happens; the shell turns it into log lines. */
export type EngineEvent =
  | { readonly kind: 'stateChanged'; readonly peer: string; readonly state: FsmState }
  | {
      readonly kind: 'peerUp';
      readonly peer: string;
      readonly address: string;
      readonly asn: number;
      readonly holdTime: number;
      readonly capabilities: readonly string[];
    }
  | { readonly kind: 'peerDown'; readonly peer: string; readonly reason: DownReason; readonly staleKept: boolean }
  | { readonly kind: 'attemptFailed'; readonly peer: string; readonly text: string }
  | { readonly kind: 'endOfRib'; readonly peer: string; readonly family: FamilyIndex }
  | { readonly kind: 'staleSwept'; readonly peer: string; readonly paths: number }
  | {
      readonly kind: 'malformedUpdate';
      readonly peer: string;
      readonly problems: readonly string[];
      readonly verdict: 'discarded attributes' | 'treated as withdraw';
    }
  | {
      readonly kind: 'prefixLimit';
      readonly peer: string;
      readonly family: FamilyIndex;
      readonly count: number;
      readonly limit: MaxPrefixes;
      readonly isExceeded: boolean;
    }
  | { readonly kind: 'dynamicPeerRefused'; readonly address: string; readonly group: string; readonly limit: number }
  | { readonly kind: 'connectionRefused'; readonly address: string; readonly text: string }
  | { readonly kind: 'listening'; readonly address: string }
  | { readonly kind: 'listenFailed'; readonly address: string; readonly text: string }
  /** All peers with graceful restart have sent End-of-RIB, or the deferral time is over: stale kernel routes may go. */
  | { readonly kind: 'converged'; readonly waitedSeconds: number; readonly missing: readonly string[] };

/** Whether and how far a next hop can be reached; told by whoever knows the kernel's routes. */
export interface NextHopState {
  readonly address: IpAddress;
  readonly reachable: boolean;
  /** IGP metric of RFC 4271 section 9.1.2.2 (e); 0 for a connected one. */
  readonly metric: number;
}

export interface EngineListeners {
  /** Best paths for the kernel; absent: none are prepared, which saves their memory. */
  changes?(batch: RibChanges): void;
  event(event: EngineEvent): void;
  /** Next hops that routes began or ceased to use. Called only when tracking is on. */
  nextHops(added: readonly IpAddress[], removed: readonly IpAddress[]): void;
}

export interface EngineOptions {
  /** False (a pure route reflector): every next hop counts as reachable at metric 0. */
  readonly trackNextHops: boolean;
  /** Prefixes by family that the tables shall have room and memory for from the start. Default: they grow with the routes. */
  readonly expectedRoutes?: PerFamily<number>;
  readonly listeners: EngineListeners;
}

/** The running engine. Peers are named as in the configuration; dynamic ones `group@address`. */
export interface Engine extends EngineView {
  /** Brings the engine to this configuration; only peers whose session parameters changed are reset. */
  apply(config: EngineConfig): ApplyReport;
  setNextHops(states: readonly NextHopState[]): void;
  /**
   * Says to all peers that this router is about to go (RFC 8326), or takes it back: routes get the community
   * GRACEFUL_SHUTDOWN, towards iBGP peers also LOCAL_PREF 0. Traffic goes other ways while the routes still work.
   */
  drain(on: boolean): void;
  /**
   * Ends all sessions: with Cease/Administrative Shutdown, or (`gracefulRestart`) without a word, so that peers keep
   * our routes. Resolves when the last octets are on their way.
   */
  stop(kind: 'shutdown' | 'gracefulRestart', message?: string): Promise<void>;
}
