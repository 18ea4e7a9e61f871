/** What the control API shows of the service proxy. */

/** One frontend in a line. */
export interface FrontendView {
  /** `namespace/name`. */
  readonly service: string;
  readonly kind: 'clusterIp' | 'externalIp' | 'loadBalancer' | 'nodePort';
  readonly family: 4 | 6;
  /** Null for a node port: every address that node ports are served at. */
  readonly address: string | null;
  readonly protocol: string;
  readonly port: number;
  readonly policy: 'cluster' | 'local';
  /** Backends it has, and how many of them are on this node. */
  readonly backends: number;
  readonly localBackends: number;
  /** What becomes of new traffic from outside. */
  readonly verdict: 'forward' | 'reject' | 'drop';
  /** `pending`: on its way to the kernel; `failed`: the kernel refused it and it is retried. */
  readonly state: 'programmed' | 'pending' | 'failed';
  readonly error: string | null;
}

export interface EndpointView {
  /** Name of the service's port; empty for the only one. */
  readonly portName: string;
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  readonly node: string | null;
  readonly isLocal: boolean;
  readonly inCluster: boolean;
  readonly inLocal: boolean;
  readonly reason: string;
}

export interface FrontendDetail extends FrontendView {
  readonly masquerade: string;
  readonly shortCircuit: boolean;
  readonly affinitySeconds: number | null;
  readonly sourceRanges: readonly string[] | null;
  readonly scheduler: string;
  readonly dsr: boolean;
  /** Where the kernel shall send new connections from outside. Weight 0: none. */
  readonly wanted: readonly { readonly address: string; readonly port: number; readonly weight: number }[];
  /** As the kernel has it at this moment; null: it has not. */
  readonly kernel: {
    readonly verdict: string;
    readonly backends: readonly {
      readonly address: string;
      readonly port: number;
      readonly weight: number;
      readonly activeConnections: number | null;
    }[];
    /** Null where the kernel does not count. */
    readonly counters: CountersView | null;
  } | null;
}

/** Decimal: may be more than a double holds. Packets and octets of clients (in) and to them (out; null: not counted). */
export interface CountersView {
  readonly connections: string;
  readonly packetsIn: string;
  readonly bytesIn: string;
  readonly packetsOut: string | null;
  readonly bytesOut: string | null;
}

export interface ServiceDetail {
  readonly service: string;
  readonly type: string;
  /** The kernel's part that serves it: nftables or ipvs. */
  readonly backend: string;
  /** What is wrong with it, in sentences. */
  readonly problems: readonly string[];
  readonly frontends: readonly FrontendDetail[];
  readonly endpoints: readonly EndpointView[];
  /** Port of the health check node port, and what it counts. */
  readonly healthCheck: { readonly port: number; readonly localEndpoints: number } | null;
}

export interface ServicesView {
  /** The backend in force: nftables or ipvs. */
  readonly backend: string;
  frontends(): Iterable<FrontendView>;
  /** @returns undefined for a service that is none, or none of ours */
  service(name: string): Promise<ServiceDetail | undefined>;
}
