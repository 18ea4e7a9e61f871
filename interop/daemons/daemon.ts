/** A BGP daemon as the scenarios see it, whichever it is: neutral configuration in, neutral values out. */

import type { Program, Topology } from '../../lab/topology/topology.js';

export interface NeighborSpec {
  readonly address: string;
  readonly asn: number;
  /** Wait for the other side to connect. */
  readonly passive?: boolean;
  readonly password?: string;
  /** Seconds. */
  readonly holdTime?: number;
  /** The neighbour is a client of this daemon's route reflector. */
  readonly client?: boolean;
  readonly gracefulRestart?: boolean;
  /** GTSM (RFC 5082), one hop. */
  readonly ttlSecurity?: boolean;
}

export interface NetworkSpec {
  readonly prefix: string;
  /** `65001:1` */
  readonly communities?: readonly string[];
  /** `65001:1:2` */
  readonly largeCommunities?: readonly string[];
  /** Route target, `65001:77`. */
  readonly routeTarget?: string;
}

export interface DaemonConfig {
  /** Host in the topology. */
  readonly host: string;
  readonly asn: number;
  readonly routerId: string;
  readonly address: string;
  /** For the next hop of IPv6 routes. */
  readonly address6: string;
  readonly neighbors: readonly NeighborSpec[];
  readonly networks: readonly NetworkSpec[];
}

/** A route the daemon has chosen. */
export interface DaemonRoute {
  readonly prefix: string;
  readonly asPath: string;
  readonly nextHop: string;
  readonly communities: readonly string[];
  readonly largeCommunities: readonly string[];
  readonly extendedCommunities: readonly string[];
  readonly originatorId: string | undefined;
  readonly clusterList: readonly string[];
}

/** What a daemon may lack; scenarios name what they need. */
export type Feature =
  | 'collision'
  | 'gracefulRestart'
  | 'originateCommunities'
  | 'originateRouteTarget'
  | 'routeReflection'
  | 'shutdownMessage'
  | 'showShutdownMessage'
  | 'ttlSecurity'
  | 'passive'
  | 'ipv6OverIpv4';

export interface RunningDaemon {
  readonly program: Program;
  established(neighbor: string): Promise<boolean>;
  routes(): Promise<DaemonRoute[]>;
  /** Brings the daemon to another configuration without a restart. */
  reconfigure(config: DaemonConfig): Promise<void>;
  /** Administrative shutdown of one session, with a message for the other side. */
  shutdown(neighbor: string, message: string): Promise<void>;
  /** Asks the neighbour for its routes again (RFC 2918). */
  refreshIn(neighbor: string): Promise<void>;
  /** Starts it again after it was killed. */
  restart(): void;
  /** Everything it printed or tells about the neighbour: for messages it was sent. */
  report(neighbor: string): Promise<string>;
}

export interface Daemon {
  readonly name: string;
  /** What it lacks, each with the reason. */
  readonly lacks: Readonly<Partial<Record<Feature, string>>>;
  start(topology: Topology, config: DaemonConfig): Promise<RunningDaemon>;
}
