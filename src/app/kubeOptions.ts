/** From the agent's checked configuration to the options of its parts, as plain data. Pure. */

import { Asn } from '../bgp/asn.js';
import type { LargeCommunity } from '../bgp/attributes.js';
import { parseCommunity, parseLargeCommunity } from '../bgp/wire/communityText.js';
import { parseAddress, parsePrefix, type IpAddress, type IpPrefix } from '../core/ip.js';
import type { Result } from '../core/result.js';
import type {
  Aggregate,
  ExternalDefaults,
  ExternalPeer,
  ExtraNetwork,
  NetworkAttributes,
  RoutingOptions,
} from '../routing/routingOptions.js';
import type { Kubernetes } from './config/kubernetesSchema.js';
import type { AgentConfig } from './kubeConfig.js';
import { overlayOptions } from './overlayConfig.js';
import { DEFAULT_PLUMBING, NO_PLUMBING, type NodePlumbingOptions } from './plumbing/plumbingOptions.js';

const DEFAULT_PORT = 179;

/**
 * What the configuration says of routing inside the cluster and to the routers around it. Keys of external peers have been
 * read by then (kubeConfigFile.ts).
 */
export function routingOptions({ router, kubernetes }: AgentConfig): RoutingOptions {
  const { role, ipv4, ipv6, mesh, fullMesh, bgpPort, overrideNextHop, reflectToExternal, advertise, onCordon } =
    kubernetes;
  return {
    role,
    edge: { addresses: kubernetes.edge.addresses.map(addressOf), subnets: kubernetes.edge.subnets.map(prefixOf) },
    ipv4,
    ipv6,
    mesh,
    fullMesh,
    clusterAsn: Asn(kubernetes.meshAsn ?? router.asn),
    bgpPort,
    externalPeers: kubernetes.externalPeers.map(externalPeer),
    externalDefaults: externalDefaults(kubernetes),
    overrideNextHop,
    reflectToExternal,
    advertise,
    services: serviceOptions(kubernetes),
    import: {
      ...kubernetes.import,
      reject: kubernetes.import.reject.map(prefixOf),
      allowFromExternal: kubernetes.import.allowFromExternal.map(prefixOf),
    },
    networks: kubernetes.networks.map(extraNetwork),
    aggregates: kubernetes.aggregates.map(aggregate),
    onCordon,
  };
}

/** What the configuration says of the node's own plumbing. @param cniFile where the configuration names none */
export function plumbingOptions({ fib, kubernetes }: AgentConfig, cniFile: string | undefined): NodePlumbingOptions {
  const { cni, egress, overlay, ipv4, ipv6, sourceDestCheck } = kubernetes;
  // Pods' packets pass through the node: without forwarding the routes are there and nothing arrives.
  const sysctls = fib.install;
  // A host outside the cluster has no pods.
  if (kubernetes.role === 'edge') return { ...NO_PLUMBING, overlay: overlayOptions(overlay), sysctls, ipv4, ipv6 };
  return {
    ...DEFAULT_PLUMBING,
    sysctls,
    bridge: { enabled: cni.enabled, name: cni.bridge },
    cni: { enabled: cni.enabled, file: cni.file ?? cniFile ?? DEFAULT_PLUMBING.cni.file },
    egress: { enabled: egress.enabled, excluded: egress.exclude.map(prefixOf) },
    mtu: cni.mtu ?? (cni.autoMtu ? 'auto' : 'keep'),
    overlay: overlayOptions(overlay),
    bridgeNetfilter: cni.bridgeNetfilter,
    forward: cni.forward,
    ipv4,
    ipv6,
    sourceDestCheckHook: sourceDestCheck.disable ? sourceDestCheck.hook : undefined,
  };
}

function externalPeer(peer: Kubernetes['externalPeers'][number]): ExternalPeer {
  const { address, asn, localAddress, password, multihop, port, holdTime, bfd } = peer;
  if (password !== undefined && !('value' in password))
    throw new Error(`the key of external peer ${address} has not been read`);
  return {
    address: addressOf(address),
    asn: Asn(asn),
    ...(localAddress === undefined ? {} : { local: addressOf(localAddress) }),
    ...(password === undefined ? {} : { password: password.value }),
    ...(multihop === undefined ? {} : { multihopTtl: multihop }),
    ...(port === undefined ? {} : { port }),
    ...(holdTime === undefined ? {} : { holdTime }),
    ...(bfd === undefined ? {} : { bfd }),
  };
}

function externalDefaults({ externalPeer: { port, holdTime, multihop }, bfd }: Kubernetes): ExternalDefaults {
  return {
    port: port ?? DEFAULT_PORT,
    ...(holdTime === undefined ? {} : { holdTime }),
    ...(multihop === undefined ? {} : { multihopTtl: multihop }),
    ...(bfd === undefined ? {} : { bfd }),
  };
}

function serviceOptions({ services: all, loadBalancer }: Kubernetes): RoutingOptions['services'] {
  const { loadBalancerClasses, ...services } = all;
  // What we give out ourselves may be announced, wherever it is written.
  const pools = loadBalancer.pools.flatMap(({ ranges }) => ranges);
  return {
    ...services,
    clusterIpRanges: services.clusterIpRanges.map(prefixOf),
    externalIpRanges: services.externalIpRanges.map(prefixOf),
    loadBalancerIpRanges: [...services.loadBalancerIpRanges, ...pools].map(prefixOf),
    ...(loadBalancerClasses === undefined ? {} : { loadBalancerClasses }),
  };
}

function extraNetwork(network: Kubernetes['networks'][number]): ExtraNetwork {
  if (typeof network === 'string') return { prefix: prefixOf(network), toNodes: true };
  return { prefix: prefixOf(network.prefix), toNodes: network.toNodes, ...attributesOf(network) };
}

function aggregate(network: Kubernetes['aggregates'][number]): Aggregate {
  if (typeof network === 'string') return { prefix: prefixOf(network), summaryOnly: true };
  return { prefix: prefixOf(network.prefix), summaryOnly: network.summaryOnly, ...attributesOf(network) };
}

interface AttributeTexts {
  readonly med?: number | undefined;
  readonly localPref?: number | undefined;
  readonly communities?: readonly string[] | undefined;
  readonly largeCommunities?: readonly string[] | undefined;
}

function attributesOf({ med, localPref, communities, largeCommunities }: AttributeTexts): NetworkAttributes {
  return {
    ...(med === undefined ? {} : { med }),
    ...(localPref === undefined ? {} : { localPref }),
    ...(communities === undefined ? {} : { communities: communities.map(text => checked(parseCommunity(text))) }),
    ...(largeCommunities === undefined ? {} : { largeCommunities: largeCommunities.map(largeCommunityOf) }),
  };
}

function largeCommunityOf(text: string): LargeCommunity {
  return checked(parseLargeCommunity(text));
}

function addressOf(text: string): IpAddress {
  return checked(parseAddress(text));
}

function prefixOf(text: string): IpPrefix {
  return checked(parsePrefix(text));
}

/** The schema has looked at every text with the same parser. */
function checked<T>(result: Result<T, string>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}
