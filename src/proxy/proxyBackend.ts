/** What a backend of the service proxy offers: it keeps one kernel subsystem equal to the desired state. */

import type { FrontendKey, ProxyDelta, ProxySettings, ServicePortKey } from './proxyTypes.js';

export type ProxyEvent =
  /** The kernel serves these, as far as it is asked to: adopted, or acknowledged. */
  | { readonly kind: 'programmed'; readonly frontends: readonly FrontendKey[] }
  /** The kernel serves these no more. */
  | { readonly kind: 'removed'; readonly frontends: readonly FrontendKey[] }
  /** Refused; tried again with back-off. The kernel still has what it had before. */
  | { readonly kind: 'failed'; readonly failures: ReadonlyMap<FrontendKey, string> }
  /** Accepted after a refusal, or not wanted any more. */
  | { readonly kind: 'recovered'; readonly frontends: readonly FrontendKey[] }
  /** The first reading: how many frontends of a former life the kernel had. */
  | { readonly kind: 'adopted'; readonly count: number }
  /** Somebody else changed what is ours; it is put right. */
  | { readonly kind: 'drift'; readonly what: readonly string[] }
  /** One transaction, or one row of them for what was wanted at once. Seconds; from the first wish in it to the answer. */
  | { readonly kind: 'committed'; readonly seconds: number; readonly frontends: number; readonly full: boolean }
  /** Stale UDP flows that were deleted. */
  | { readonly kind: 'conntrack'; readonly seconds: number; readonly deleted: number }
  /** Reading or writing failed as a whole; tried again. */
  | { readonly kind: 'error'; readonly text: string };

/** Packets and octets that clients sent and got; undefined where the kernel does not count. */
export interface TrafficCounters {
  readonly connections: bigint;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint | undefined;
  readonly bytesIn: bigint;
  readonly bytesOut: bigint | undefined;
}

/** One backend of a frontend, as the kernel has it. */
export interface KernelBackend {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** Connections that the kernel says it has open to it (IPVS). */
  readonly activeConnections: number | undefined;
}

/** A frontend as the kernel has it at this moment, read for a person. */
export interface KernelFrontend {
  readonly key: FrontendKey;
  readonly backends: readonly KernelBackend[];
  /** `forward`, `reject`, `drop`: what becomes of traffic from outside. */
  readonly verdict: 'forward' | 'reject' | 'drop';
  readonly counters: TrafficCounters | undefined;
}

export interface ProxyBackend {
  readonly kind: 'nftables' | 'ipvs';
  /** Rules that do not depend on services. In memory only, as `apply`; writing follows by itself. */
  configure(settings: ProxySettings): void;
  /** Wants these. Told before the first `begin` it is what there is. */
  apply(delta: ProxyDelta): void;
  /** The sources are complete. Before this nothing is written, and nothing of a former life is removed. */
  begin(): void;
  /** Reads from the kernel, for a person. @param keys of which frontends; those the kernel does not have are left out */
  read(keys: readonly FrontendKey[]): Promise<readonly KernelFrontend[]>;
  /** Counters of service ports, for metrics; empty where the kernel does not count. */
  counters(): Promise<ReadonlyMap<ServicePortKey, TrafficCounters>>;
  /** Resolves when all that can be written is written. */
  idle(): Promise<void>;
  /** Lets the commit under way end. What is in the kernel stays. */
  stop(): Promise<void>;
}

/** Opens a backend. @param onEvent told of everything that a person, a metric or the ordering may want to know */
export type OpenProxyBackend = (onEvent: (event: ProxyEvent) => void) => Promise<ProxyBackend>;
