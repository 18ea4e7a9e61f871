/**
 * What the kernel shall do for services, as plain data that both backends (nftables, IPVS) share: frontends, the
 * backends behind them, and what changed of both. Keyed, so that one endpoint's change is one entry.
 */

import type { Brand } from '../core/brand.js';
import type { IpPrefix } from '../core/ip.js';
import type { IpText, Protocol } from '../kube/objectTypes.js';

export type Family = 4 | 6;

/** One address and port that services are reached at: `4|10.96.0.1|TCP|80`, `6|nodeport|UDP|30053`. */
export type FrontendKey = Brand<string, 'FrontendKey'>;

/** @param address canonical text; undefined: a node port, on every address that node ports are served at */
export function frontendKey(
  family: Family,
  address: IpText | undefined,
  protocol: Protocol,
  port: number,
): FrontendKey {
  return `${family}|${address ?? 'nodeport'}|${protocol}|${port}` as FrontendKey;
}

/**
 * One port of one service in one family: `4|demo/web|http|TCP`. All its frontends share its backends, and one record of
 * session affinity.
 */
export type ServicePortKey = Brand<string, 'ServicePortKey'>;

/** @param service `namespace/name` @param portName empty for the only port of a service */
export function servicePortKey(family: Family, service: string, portName: string, protocol: Protocol): ServicePortKey {
  return `${family}|${service}|${portName}|${protocol}` as ServicePortKey;
}

export type FrontendKind = 'clusterIp' | 'externalIp' | 'loadBalancer' | 'nodePort';

/**
 * The schedulers of IPVS. nftables knows random choice, and nothing of connections: there, everything but `sh`-like
 * affinity is balanced at random by weight.
 */
export const SCHEDULERS = ['rr', 'wrr', 'lc', 'wlc', 'sh', 'dh', 'mh', 'sed', 'nq'] as const;
export type Scheduler = (typeof SCHEDULERS)[number];

export interface Scheduling {
  readonly scheduler: Scheduler;
  /** flag-1 of the scheduler (sh, mh): fall back to another backend when the chosen one cannot take more. */
  readonly fallback: boolean;
  /** flag-2 (sh, mh): the source port counts too. */
  readonly port: boolean;
  /** flag-3: no scheduler gives it a meaning; handed on as it is. */
  readonly flag3: boolean;
}

export interface Frontend {
  readonly key: FrontendKey;
  readonly kind: FrontendKind;
  readonly family: Family;
  /** Undefined: a node port (see {@link ProxySettings.nodePortAddresses}). */
  readonly address: IpText | undefined;
  readonly protocol: Protocol;
  readonly port: number;
  /** `namespace/name`, for people. */
  readonly service: string;
  readonly servicePort: ServicePortKey;
  /** Which of the service port's lists traffic goes to. */
  readonly policy: 'cluster' | 'local';
  /**
   * With policy `local`: traffic of this cluster's pods goes to the `cluster` list all the same, and so does this host's
   * own, masqueraded. Only traffic from outside keeps to local endpoints.
   */
  readonly shortCircuit: boolean;
  /**
   * Whether the node's address becomes the source. `offCluster`: unless the source is a pod of this cluster, or nobody's
   * where no pod detector is known. Besides, hairpin traffic (a pod to itself) is always masqueraded.
   */
  readonly masquerade: 'always' | 'offCluster' | 'never';
  /** New connections from elsewhere are dropped. Undefined: anybody may. Of this frontend's family only. */
  readonly sourceRanges: readonly IpPrefix[] | undefined;
  /** Seconds of session affinity by source address, counted from the last use. */
  readonly affinity: number | undefined;
  readonly scheduling: Scheduling;
  /** Direct server return through a tunnel (IPVS only): the backend gets the packet as it came and answers by itself. */
  readonly dsr: boolean;
}

export interface Backend {
  readonly address: IpText;
  readonly port: number;
  /** 0: no new connections. 1 unless the service says otherwise. */
  readonly weight: number;
  /** On this node. */
  readonly isLocal: boolean;
  /** Terminating ones are in a list only because there are no ready ones. */
  readonly state: 'ready' | 'terminating';
}

/** In the order of address and port, without duplicates. Lists that are equal are the same object. */
export interface BackendLists {
  readonly servicePort: ServicePortKey;
  /** For policy `cluster` and short circuits. */
  readonly cluster: readonly Backend[];
  /** For policy `local`. */
  readonly local: readonly Backend[];
  /** Every endpoint that serves, ready or terminating, whatever topology says: UDP flows to others are stale. */
  readonly serving: readonly Backend[];
}

/** What becomes of new traffic to a frontend from outside of short circuits. */
export type Verdict = 'forward' | 'reject' | 'drop';

/**
 * @param lists undefined: none are known, as without endpoints
 * @returns reject where nobody serves at all; drop where only this node has nobody
 */
export function verdictOf(frontend: Frontend, lists: BackendLists | undefined): Verdict {
  if (backendsOf(frontend, lists).length > 0) return 'forward';
  const servesElsewhere = lists !== undefined && lists.serving.length > 0;
  return servesElsewhere ? 'drop' : 'reject';
}

/** The list that traffic to this frontend goes to, short circuits aside. */
export function backendsOf(frontend: Frontend, lists: BackendLists | undefined): readonly Backend[] {
  return lists?.[frontend.policy] ?? [];
}

export interface KeyedChange<K, V> {
  readonly set: ReadonlyMap<K, V>;
  readonly removed: ReadonlySet<K>;
}

/**
 * An address that belongs to services: a cluster IP rejects what no frontend takes, IPVS holds all of them on its link.
 * `shared` cluster IPs do not exist; an external address of several services is one entry.
 */
export interface ServiceAddress {
  readonly address: IpText;
  readonly family: Family;
  readonly isClusterIp: boolean;
}

/** Everything that changed. A frontend's backend lists come with it or before it, and go with it or after it. */
export interface ProxyDelta {
  readonly frontends: KeyedChange<FrontendKey, Frontend>;
  readonly backends: KeyedChange<ServicePortKey, BackendLists>;
  readonly addresses: KeyedChange<IpText, ServiceAddress>;
}

export function isEmptyDelta({ frontends, backends, addresses }: ProxyDelta): boolean {
  return [frontends, backends, addresses].every(({ set, removed }) => set.size + removed.size === 0);
}

/** How a packet's source is told to be a pod of this cluster. */
export type PodDetector =
  | { readonly kind: 'none' }
  | { readonly kind: 'cidrs'; readonly cidrs: readonly IpPrefix[] }
  /** Arrived through this link. */
  | { readonly kind: 'link'; readonly name: string }
  /** Arrived through a link whose name begins so. */
  | { readonly kind: 'linkPrefix'; readonly prefix: string };

/** What all frontends have in common. A change of it is a change of rules, not of elements. */
export interface ProxySettings {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly podDetector: PodDetector;
  /** Local addresses in these prefixes serve node ports; loopback never does. `all`: every local address. */
  readonly nodePortAddresses: 'all' | readonly IpPrefix[];
  /** Addresses that this node is known by, the first of each family first. */
  readonly nodeAddresses: readonly IpText[];
  /** Traffic to addresses in these that no service has is dropped. */
  readonly serviceCidrs: readonly IpPrefix[];
  /** Every flow to a cluster IP is masqueraded. */
  readonly masqueradeAll: boolean;
  /** Bit of the packet mark that says: masquerade. 0 .. 31. */
  readonly masqueradeBit: number;
  /** nftables: count connections, packets and octets of services. IPVS always does. */
  readonly countTraffic: boolean;
  readonly ipvs: IpvsSettings;
}

/** What only IPVS knows. Seconds; 0 leaves the kernel's timeout alone. */
export interface IpvsSettings {
  readonly tcpTimeout: number;
  readonly tcpFinTimeout: number;
  readonly udpTimeout: number;
  /** Let connections to a TCP backend that went run out, for so many seconds at most; 0: it is taken out at once. */
  readonly gracefulPeriod: number;
  /** Virtual servers in these are nobody's to delete. */
  readonly excludedCidrs: readonly IpPrefix[];
  /** Refuse what no service offers at service addresses. False: whatever listens on the host answers there too. */
  readonly guardAddresses: boolean;
  /** arp_ignore and arp_announce, so that a link of the node never answers for service addresses. */
  readonly strictArp: boolean;
  /** Socket of the container runtime, for direct server return. */
  readonly runtimeEndpoint: string | undefined;
}
