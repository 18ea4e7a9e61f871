/**
 * Everything that flags and the configuration file say of routing, as plain data: who peers with whom, what is
 * announced to whom, and what is believed of whom. Node and Service annotations come on top of it.
 */

import { Asn } from '../bgp/asn.js';
import type { LargeCommunity } from '../bgp/attributes.js';
import { ipv4, type IpAddress, type IpPrefix } from '../core/ip.js';

/** RFC 5880 timers of a session that BFD shall watch over. Carried as data for whoever runs BFD. */
export interface BfdOptions {
  readonly port: number;
  readonly detectionMultiplier: number;
  /** Milliseconds. */
  readonly desiredMinTx: number;
  /** Milliseconds. */
  readonly requiredMinRx: number;
}

/** Values for external peers that say nothing of their own; those that are absent are left to the session's defaults. */
export interface ExternalDefaults {
  readonly port: number;
  /** Seconds; `--bgp-holdtime`. */
  readonly holdTime?: number;
  /** `--peer-router-multihop-ttl`: counts from 2 on. */
  readonly multihopTtl?: number;
  /** `--enable-bfd` and `--bfd-*`. */
  readonly bfd?: BfdOptions;
}

/** A router outside the cluster, from `--peer-router-*`, the configuration file or a node's annotations. */
export interface ExternalPeer {
  readonly address: IpAddress;
  readonly asn: Asn;
  readonly port?: number;
  readonly local?: IpAddress;
  /** TCP-MD5 key (RFC 2385). Never logged or shown. */
  readonly password?: string;
  readonly holdTime?: number;
  readonly multihopTtl?: number;
  readonly bfd?: BfdOptions;
}

/** Attributes that an announced network may carry. */
export interface NetworkAttributes {
  readonly med?: number;
  readonly localPref?: number;
  /** RFC 1997 values. */
  readonly communities?: readonly number[];
  /** RFC 8092 values. */
  readonly largeCommunities?: readonly LargeCommunity[];
}

/** A network that is announced besides pods and services. */
export interface ExtraNetwork extends NetworkAttributes {
  readonly prefix: IpPrefix;
  /** Nodes: the mesh too. External peers are always told. */
  readonly toNodes: boolean;
}

/** One prefix in place of the many service addresses inside it, announced while at least one of those is. */
export interface Aggregate extends NetworkAttributes {
  readonly prefix: IpPrefix;
  /** The addresses inside it are not announced themselves, but for those of traffic policy Local, which hang on the node. */
  readonly summaryOnly: boolean;
}

/** What a session with a node of the cluster or an external router may tell us. */
export interface ImportRules {
  /** Refused, with everything more specific; the node's annotation customimportreject is added. */
  readonly reject: readonly IpPrefix[];
  /** External peers may tell only this and what is more specific; empty: anything that is not refused. */
  readonly allowFromExternal: readonly IpPrefix[];
  /** Take 0.0.0.0/0 and ::/0. */
  readonly defaultRoute: boolean;
  /** Take routes to addresses of services. */
  readonly serviceAddresses: boolean;
}

export interface AdvertiseOptions {
  /** To external peers; other nodes are always told. */
  readonly podCidr: boolean;
  /** Where the Service's annotation says nothing. */
  readonly clusterIp: boolean;
  readonly externalIp: boolean;
  readonly loadBalancerIp: boolean;
  /** Tell service addresses to other nodes too. */
  readonly toNodes: boolean;
}

export interface ServiceOptions {
  /** `--service-cluster-ip-range`, `--service-external-ip-range`, `--loadbalancer-ip-range`. */
  readonly clusterIpRanges: readonly IpPrefix[];
  readonly externalIpRanges: readonly IpPrefix[];
  readonly loadBalancerIpRanges: readonly IpPrefix[];
  /** `--strict-external-ip-validation`: external and balancer addresses outside their ranges are not announced. */
  readonly strictValidation: boolean;
  /** Announce addresses of services with traffic policy Cluster although no endpoint of theirs serves. */
  readonly announceIdle: boolean;
  /** Balancer addresses of these classes only; undefined: of every class, and of services without one. */
  readonly loadBalancerClasses?: readonly string[];
  /** Values of the label service.kubernetes.io/service-proxy-name that mean us. */
  readonly proxyNames: readonly string[];
}

/** What becomes of this node's announcements while its Node object is cordoned (spec.unschedulable). */
export type CordonAction = 'none' | 'gracefulShutdown' | 'withdrawServices';

export interface RoutingOptions {
  /**
   * `node`: a node of the cluster with a Node object. `edge`: a host outside; it peers with nodes and announces nothing
   * but its own subnets.
   */
  readonly role: 'node' | 'edge';
  readonly edge: EdgeOptions;
  /** `--enable-ipv4`, `--enable-ipv6`: families that are announced and taken. */
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** `--enable-ibgp`: sessions between nodes. */
  readonly mesh: boolean;
  /** `--nodes-full-mesh`: all nodes are of `clusterAsn`. False: a node's AS is in its annotation, and equal ones peer. */
  readonly fullMesh: boolean;
  /** `--cluster-asn`. */
  readonly clusterAsn: Asn;
  /** `--bgp-port`: what nodes listen on and connect to. */
  readonly bgpPort: number;
  /** `--peer-router-*`: external peers of every node. Those of the node's annotations come on top. */
  readonly externalPeers: readonly ExternalPeer[];
  readonly externalDefaults: ExternalDefaults;
  /** `--override-nexthop`: our own address as next hop towards every external peer, also one of our own AS. */
  readonly overrideNextHop: boolean;
  /** Route reflectors tell external peers what they have from nodes too, as kube-router's do. */
  readonly reflectToExternal: boolean;
  readonly advertise: AdvertiseOptions;
  readonly services: ServiceOptions;
  readonly import: ImportRules;
  readonly networks: readonly ExtraNetwork[];
  readonly aggregates: readonly Aggregate[];
  readonly onCordon: CordonAction;
}

/** A host outside the cluster that runs the agent. */
export interface EdgeOptions {
  /** Addresses to speak BGP from; there is no Node object to take them from. */
  readonly addresses: readonly IpAddress[];
  /** Networks behind this host. */
  readonly subnets: readonly IpPrefix[];
}

/** First of the two-octet private AS numbers (RFC 6996), as in kube-router. */
const DEFAULT_ASN = 64512;
const DEFAULT_PORT = 179;

/** What holds where nothing is said: kube-router's defaults, but both families, and idle services are withdrawn. */
export const DEFAULT_ROUTING: RoutingOptions = {
  role: 'node',
  edge: { addresses: [], subnets: [] },
  ipv4: true,
  ipv6: true,
  mesh: true,
  fullMesh: true,
  clusterAsn: Asn(DEFAULT_ASN),
  bgpPort: DEFAULT_PORT,
  externalPeers: [],
  externalDefaults: { port: DEFAULT_PORT },
  overrideNextHop: false,
  reflectToExternal: false,
  advertise: { podCidr: true, clusterIp: false, externalIp: false, loadBalancerIp: false, toNodes: false },
  services: {
    // 10.96.0.0/12, what kubeadm gives a cluster and kube-router takes for granted.
    clusterIpRanges: [{ address: ipv4(0x0a60_0000), length: 12 }],
    externalIpRanges: [],
    loadBalancerIpRanges: [],
    strictValidation: true,
    announceIdle: false,
    proxyNames: ['kube-router', 'peerage'],
  },
  import: { reject: [], allowFromExternal: [], defaultRoute: false, serviceAddresses: false },
  networks: [],
  aggregates: [],
  onCordon: 'none',
};
