/**
 * The Kubernetes objects this program uses, cut down to the fields it uses. Whatever a cluster holds besides never
 * enters memory. Parsed and checked in objects.ts; plain immutable data everywhere else.
 */

import type { Brand } from '../core/brand.js';
import type { IpAddress, IpPrefix } from '../core/ip.js';

/** An IP address in canonical text: checked once, kept as text because there may be hundreds of thousands of them. */
export type IpText = Brand<string, 'IpText'>;

/** What every kind has. */
export interface ObjectMeta {
  /** Empty for kinds that have no namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** RFC 3339; undefined in hand-written manifests. */
  readonly createdAt: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Only those of kube-router.io/, peerage.io/ and pod.network.openshift.io/, and the two by which pods ask for bandwidth. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Node extends ObjectMeta {
  readonly kind: 'Node';
  /** spec.podCIDRs, or spec.podCIDR where only that is given. */
  readonly podCidrs: readonly IpPrefix[];
  /** status.addresses of type InternalIP, in their order. */
  readonly internalIps: readonly IpAddress[];
  /** Cordoned: spec.unschedulable. */
  readonly unschedulable: boolean;
  /** It is being deleted, or the cluster autoscaler is about to: traffic from outside should go elsewhere. */
  readonly leaving: boolean;
  /** Its condition Ready; undefined where nobody says, as in hand-written manifests. */
  readonly ready?: boolean;
}

export interface Namespace extends ObjectMeta {
  readonly kind: 'Namespace';
}

export type Protocol = 'TCP' | 'UDP' | 'SCTP';
/** Where traffic may go: to any endpoint of the cluster, or only to those on the node it arrives at. */
export type TrafficPolicy = 'Cluster' | 'Local';

export interface ServicePort {
  /** Empty for the only port of a service. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** 0 where none was allocated. */
  readonly nodePort: number;
}

export interface LoadBalancerIngress {
  readonly ip: IpText;
  /** Proxy: the balancer delivers to the node with another destination, so that the address is no business of ours (KEP-1860). */
  readonly ipMode: 'VIP' | 'Proxy';
}

export interface Service extends ObjectMeta {
  readonly kind: 'Service';
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  /** Empty for headless services. */
  readonly clusterIps: readonly IpText[];
  readonly externalIps: readonly IpText[];
  readonly loadBalancerIngress: readonly LoadBalancerIngress[];
  /** spec.loadBalancerIP: an address that was asked for. */
  readonly loadBalancerIp: IpText | undefined;
  readonly loadBalancerClass: string | undefined;
  readonly loadBalancerSourceRanges: readonly IpPrefix[];
  readonly ports: readonly ServicePort[];
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly externalTrafficPolicy: TrafficPolicy;
  /** Seconds that one client stays with one endpoint; undefined: no affinity. */
  readonly clientIpAffinity: number | undefined;
  /** 0 where none was allocated. */
  readonly healthCheckNodePort: number;
}

export interface Endpoint {
  readonly addresses: readonly IpText[];
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly nodeName: string | undefined;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/** A port of an endpoint or a pod. */
export interface NamedPort {
  /** Empty for the only port of a service. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

export interface EndpointSlice extends ObjectMeta {
  readonly kind: 'EndpointSlice';
  /** Name of the service it belongs to, from the label kubernetes.io/service-name; undefined: of none. */
  readonly service: string | undefined;
  /** A slice of host names has no addresses that could be used: its endpoints are left out. */
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly endpoints: readonly Endpoint[];
  /** Ports without a number are left out. */
  readonly ports: readonly NamedPort[];
  /** When the pod or service changed that this state follows from, in milliseconds since 1970; undefined: nobody said. */
  readonly triggeredAt: number | undefined;
}

export interface Pod extends ObjectMeta {
  readonly kind: 'Pod';
  readonly nodeName: string | undefined;
  readonly hostNetwork: boolean;
  readonly ips: readonly IpText[];
  readonly phase: string;
  /** Ports that have a name: what a policy's named port refers to. */
  readonly namedPorts: readonly NamedPort[];
}

export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

/** Everything listed must hold; with nothing listed it selects all. */
export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly LabelRequirement[];
}

export type PolicyPeer =
  | { readonly kind: 'ipBlock'; readonly cidr: IpPrefix; readonly except: readonly IpPrefix[] }
  | {
      readonly kind: 'selector';
      /** Undefined: every pod of the namespaces. */
      readonly pods: LabelSelector | undefined;
      /** Undefined: the policy's own namespace. */
      readonly namespaces: LabelSelector | undefined;
    };

export interface PolicyPort {
  readonly protocol: Protocol;
  /** A number, the name of a pod's port, or undefined for every port. */
  readonly port: number | string | undefined;
  /** Last port of a range that begins at `port`. */
  readonly endPort: number | undefined;
}

/** Peers and ports must both match. Undefined or empty peers: everybody; likewise ports. */
export interface PolicyRule {
  readonly peers: readonly PolicyPeer[];
  readonly ports: readonly PolicyPort[];
}

export interface NetworkPolicy extends ObjectMeta {
  readonly kind: 'NetworkPolicy';
  readonly podSelector: LabelSelector;
  /** Undefined: the policy says nothing about this direction; no rules: nothing is allowed. */
  readonly ingress: readonly PolicyRule[] | undefined;
  readonly egress: readonly PolicyRule[] | undefined;
}

export type ClusterPolicyPeer =
  | { readonly kind: 'pods'; readonly namespaces: LabelSelector; readonly pods: LabelSelector }
  | { readonly kind: 'nodes'; readonly nodes: LabelSelector }
  | { readonly kind: 'networks'; readonly networks: readonly IpPrefix[] }
  /** Something of a later version, or that cannot be judged here (domainNames): what the object calls it. */
  | { readonly kind: 'unknown'; readonly field: string };

export type ClusterPolicyProtocol =
  | { readonly kind: 'ports'; readonly protocol: Protocol; readonly first: number; readonly last: number }
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'unknown'; readonly field: string };

/** Peers and protocols must both match. */
export interface ClusterPolicyRule {
  /** Empty where it has none. */
  readonly name: string;
  readonly action: 'Accept' | 'Deny' | 'Pass';
  readonly peers: readonly ClusterPolicyPeer[];
  /** Undefined: all. */
  readonly protocols: readonly ClusterPolicyProtocol[] | undefined;
}

/** policy.networking.k8s.io/v1alpha2: a custom resource, which few clusters have. */
export interface ClusterNetworkPolicy extends ObjectMeta {
  readonly kind: 'ClusterNetworkPolicy';
  readonly tier: 'Admin' | 'Baseline';
  /** 0 to 1000; lower goes first. */
  readonly priority: number;
  readonly subject: { readonly namespaces: LabelSelector; readonly pods: LabelSelector };
  /** In order. None: the policy says nothing about this direction. */
  readonly ingress: readonly ClusterPolicyRule[];
  readonly egress: readonly ClusterPolicyRule[];
}

/** Networks that cluster IPs are taken from; there may be several objects (KEP-1880). */
export interface ServiceCidr extends ObjectMeta {
  readonly kind: 'ServiceCIDR';
  readonly cidrs: readonly IpPrefix[];
}

export type KubeObject =
  Node | Namespace | Service | EndpointSlice | Pod | NetworkPolicy | ClusterNetworkPolicy | ServiceCidr;
export type Kind = KubeObject['kind'];
export type ObjectOf<K extends Kind> = Extract<KubeObject, { readonly kind: K }>;
