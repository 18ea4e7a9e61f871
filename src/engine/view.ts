/** What the engine shows of itself: plain JSON shapes, for the control API and the command line. */

import type { Family } from '../bgp/families.js';

export interface PeerSummary {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly remoteAsn: number | null;
  readonly localAsn: number;
  readonly kind: 'ebgp' | 'ibgp' | null;
  readonly state: 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established' | 'Disabled';
  /** ISO 8601, or null when not established. */
  readonly since: string | null;
  readonly received: Readonly<Record<Family, number>>;
  readonly advertised: Readonly<Record<Family, number>>;
  readonly dynamic: boolean;
  readonly lastError: { readonly at: string; readonly text: string } | null;
}

export interface PeerDetail extends PeerSummary {
  readonly localAddress: string | null;
  readonly localPort: number | null;
  readonly remotePort: number | null;
  readonly remoteId: string | null;
  readonly localId: string;
  readonly hostname: string | null;
  readonly holdTime: number | null;
  readonly keepaliveTime: number | null;
  readonly configuredHoldTime: number;
  readonly families: readonly Family[];
  /** Names of the capabilities in use on both sides, such as `4-octet-as`, `graceful-restart`. */
  readonly capabilities: readonly string[];
  readonly authentication: 'none' | 'tcp-md5';
  readonly hops: string;
  readonly passive: boolean;
  readonly routeReflectorClient: boolean;
  readonly nextHopSelf: boolean;
  readonly gracefulRestart: {
    readonly restartTime: number | null;
    readonly peerRestartTime: number | null;
    readonly stalePaths: number;
    /** Seconds until stale paths are removed; null when none are kept. */
    readonly staleFor: number | null;
  };
  readonly messages: {
    readonly received: Readonly<Record<string, number>>;
    readonly sent: Readonly<Record<string, number>>;
  };
  readonly octets: { readonly received: number; readonly sent: number };
  readonly timesEstablished: number;
  readonly updateGroup: number | null;
  /** Names of the policies that its routes, and ours to it, pass. */
  readonly policies: { readonly import: readonly string[]; readonly export: readonly string[] };
  /** Most prefixes it may tell us; null: as many as it likes. */
  readonly maxPrefixes: Readonly<Record<Family, number | null>>;
  /** Octets waiting for this peer's socket. */
  readonly sendQueue: number;
}

export interface RouteView {
  readonly prefix: string;
  readonly family: Family;
  readonly nextHop: string;
  /** Name of the peer it came from; `local` for networks of our own. */
  readonly from: string;
  readonly best: boolean;
  /** Part of the multipath set that goes to the kernel. */
  readonly multipath: boolean;
  readonly stale: boolean;
  /** Why it is not best, or not told: the elimination that removed it, or why it takes no part at all; otherwise null. */
  readonly reason: string | null;
  readonly origin: 'igp' | 'egp' | 'incomplete';
  /** As routers print it: sequences plain, sets in braces, confederation segments in parentheses or brackets. */
  readonly asPath: string;
  readonly localPref: number | null;
  readonly med: number | null;
  readonly communities: readonly string[];
  readonly extendedCommunities: readonly string[];
  readonly largeCommunities: readonly string[];
  readonly originatorId: string | null;
  readonly clusterList: readonly string[];
  /** Any other attribute, as `code:hex`, and named ones such as AGGREGATOR as text. */
  readonly other: Readonly<Record<string, string>>;
  readonly pathId: number | null;
}

export interface RouterSummary {
  readonly asn: number;
  readonly routerId: string;
  readonly clusterId: string | null;
  readonly uptimeSeconds: number;
  readonly version: string;
  readonly listen: readonly string[];
  readonly prefixes: Readonly<Record<Family, number>>;
  readonly paths: Readonly<Record<Family, number>>;
  readonly attributes: number;
  readonly problems: readonly string[];
}

export interface RouteQuery {
  readonly family?: Family;
  /** Only this prefix, or with `longer` also what it covers; a bare address: the routes that match it, longest first. */
  readonly prefix?: string;
  readonly longer?: boolean;
  /** Of what a peer is told: also the best routes that it is not told, with the reason. */
  readonly untold?: boolean;
}

/** Answered by the running engine. Iterables are lazy: a table may hold a million routes. */
export interface EngineView {
  summary(): RouterSummary;
  peers(): readonly PeerSummary[];
  peer(name: string): PeerDetail | undefined;
  routes(query: RouteQuery): Iterable<RouteView>;
  /** @returns undefined when there is no such peer */
  adjIn(peer: string, query: RouteQuery): Iterable<RouteView> | undefined;
  adjOut(peer: string, query: RouteQuery): Iterable<RouteView> | undefined;
  /** Each answers false when there is no such peer. */
  disablePeer(name: string, message: string | undefined): boolean;
  enablePeer(name: string): boolean;
  resetPeer(name: string, message: string | undefined): boolean;
  /** Asks the peer for its routes again (ROUTE-REFRESH), or sends ours again. */
  refreshPeer(name: string, direction: 'in' | 'out'): boolean;
}
