/** From the agent's checked configuration, and what this node is, to what the proxy is told. Pure. */

import { addressBits, formatAddress, parsePrefix, type IpPrefix } from '../../core/ip.js';
import { createPrefixCover } from '../../core/prefixCover.js';
import type { IpText, Node } from '../../kube/objectTypes.js';
import { ROUND_ROBIN, type ProxyRules } from '../../proxy/proxyRules.js';
import type { PodDetector, ProxySettings } from '../../proxy/proxyTypes.js';
import { nodeFacts } from '../../routing/nodeFacts.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';

export function proxyRules({ ipv4, ipv6, services, proxy }: Kubernetes): ProxyRules {
  return {
    ipv4,
    ipv6,
    proxyNames: services.proxyNames,
    scheduling: { ...ROUND_ROBIN, scheduler: proxy.ipvs.scheduler },
    clusterIpRanges: services.clusterIpRanges.map(prefixOf),
    externalIpRanges: services.externalIpRanges.map(prefixOf),
    loadBalancerIpRanges: services.loadBalancerIpRanges.map(prefixOf),
    strictValidation: services.strictValidation,
  };
}

/**
 * @param own the Node object of this machine; undefined: not known yet, and nothing is served at its addresses
 * @param told networks of ServiceCIDR objects
 */
export function proxySettings(
  { ipv4, ipv6, services, proxy }: Kubernetes,
  own: Node | undefined,
  told: readonly IpPrefix[],
): ProxySettings {
  const { ipvs, dropUnallocated } = proxy;
  return {
    ipv4,
    ipv6,
    podDetector: podDetector(proxy.pods, own),
    nodePortAddresses: nodePortAddresses(proxy.nodePortAddresses, own),
    nodeAddresses: (own?.internalIps ?? []).map(address => formatAddress(address) as IpText),
    serviceCidrs: serviceCidrs(dropUnallocated, services.clusterIpRanges.map(prefixOf), told),
    masqueradeAll: proxy.masqueradeAll,
    masqueradeBit: proxy.masqueradeBit,
    countTraffic: proxy.countTraffic,
    ipvs: {
      tcpTimeout: ipvs.tcpTimeout,
      tcpFinTimeout: ipvs.tcpFinTimeout,
      udpTimeout: ipvs.udpTimeout,
      gracefulPeriod: ipvs.gracefulTermination ? ipvs.gracefulPeriod : 0,
      excludedCidrs: ipvs.excludedCidrs.map(prefixOf),
      guardAddresses: ipvs.guardAddresses,
      strictArp: ipvs.strictArp,
      runtimeEndpoint: ipvs.runtimeEndpoint === '' ? undefined : ipvs.runtimeEndpoint,
    },
  };
}

function podDetector({ cidrs, link, linkPrefix }: Kubernetes['proxy']['pods'], own: Node | undefined): PodDetector {
  if (link !== undefined) return { kind: 'link', name: link };
  if (linkPrefix !== undefined) return { kind: 'linkPrefix', prefix: linkPrefix };
  const known = cidrs?.map(prefixOf) ?? (own === undefined ? [] : nodeFacts(own).podCidrs);
  return known.length === 0 ? { kind: 'none' } : { kind: 'cidrs', cidrs: known };
}

/** `primary` is the first address of each family, as kube-proxy and kube-router have it. */
function nodePortAddresses(
  places: Kubernetes['proxy']['nodePortAddresses'],
  own: Node | undefined,
): ProxySettings['nodePortAddresses'] {
  if (places.includes('all')) return 'all';
  return places.flatMap(place => {
    if (place !== 'primary') return [prefixOf(place)];
    const { v4, v6 } = own === undefined ? { v4: undefined, v6: undefined } : nodeFacts(own);
    return [v4, v6].flatMap(address => (address === undefined ? [] : [{ address, length: addressBits(address) }]));
  });
}

/**
 * What the cluster itself says is taken at its word, as kube-proxy does. The configured ranges have a default that may be
 * another cluster's: they count only if somebody asks for it.
 */
function serviceCidrs(
  dropUnallocated: boolean | undefined,
  configured: readonly IpPrefix[],
  told: readonly IpPrefix[],
): readonly IpPrefix[] {
  if (dropUnallocated === false) return [];
  const cover = createPrefixCover();
  for (const prefix of dropUnallocated === true ? [...configured, ...told] : told) cover.add(prefix);
  // Sorted: the order in which objects come must not make another table.
  return [...cover.outermost()].sort().map(prefixOf);
}

/** The schema has looked at every text with the same parser. */
function prefixOf(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
