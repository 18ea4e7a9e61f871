/** One Service to the addresses of it that may be announced: a pure function of that object and the options. */

import {
  addressBits,
  formatPrefix,
  parseAddress,
  prefixContains,
  type IpAddress,
  type IpPrefix,
} from '../../core/ip.js';
import type { IpText, Service } from '../../kube/objectTypes.js';
import { describe } from '../../kube/objects.js';
import type { Problem } from '../../kube/problems.js';
import { parseBool } from '../annotations.js';
import { isServed } from '../networks.js';
import type { AdvertiseOptions, NetworkAttributes, RoutingOptions } from '../routingOptions.js';
import { serviceAttributes } from './attributes.js';
import { isUnicast } from './unicast.js';

export type ServiceTag = 'clusterIp' | 'externalIp' | 'loadBalancerIp';

export interface Candidate {
  readonly prefix: IpPrefix;
  /** Text of `prefix`. */
  readonly key: string;
  readonly tag: ServiceTag;
  /** Only while an endpoint on this very node is ready (traffic policy Local). */
  readonly local: boolean;
}

export interface ServiceFacts {
  /** Who of several services with one address goes before: the older. */
  readonly createdAt: string | undefined;
  readonly candidates: readonly Candidate[];
  readonly attributes: NetworkAttributes;
  readonly problems: readonly Problem[];
}

export type ServiceRules = Pick<RoutingOptions, 'advertise' | 'services' | 'ipv4' | 'ipv6'>;

const PROXY_NAME = 'service.kubernetes.io/service-proxy-name';
export const HEADLESS = 'service.kubernetes.io/headless';
const ADVERTISE = {
  clusterIp: 'kube-router.io/service.advertise.clusterip',
  externalIp: 'kube-router.io/service.advertise.externalip',
  loadBalancerIp: 'kube-router.io/service.advertise.loadbalancerip',
} as const;
const LOCAL = 'kube-router.io/service.local';
const SKIP_BALANCER_IPS = 'kube-router.io/service.skiplbips';

const NOTHING = { candidates: [], attributes: {}, problems: [] } as const;

export function serviceFacts(service: Service, rules: ServiceRules): ServiceFacts {
  const { createdAt } = service;
  if (!isOurs(service, rules)) return { createdAt, ...NOTHING };
  const wanted = wantedTags(service, rules.advertise);
  const found = wanted.tags.flatMap(tag => addressesOf(service, tag, rules).map(ip => judge(service, tag, ip, rules)));
  const { attributes, complaints } = serviceAttributes(service.annotations);
  const texts = [...wanted.complaints, ...complaints, ...found.filter(item => typeof item === 'string')];
  const candidates = found.filter(item => typeof item !== 'string').filter(({ prefix }) => isServed(rules, prefix));
  const subject = describe(service);
  return { createdAt, candidates, attributes, problems: texts.map(text => ({ subject, text })) };
}

function isOurs({ type, clusterIps, labels }: Service, { services }: ServiceRules): boolean {
  const proxy = labels[PROXY_NAME];
  const isHeadless = clusterIps.length === 0 || labels[HEADLESS] !== undefined;
  return type !== 'ExternalName' && !isHeadless && (proxy === undefined || services.proxyNames.includes(proxy));
}

/** The flags, as the Service's annotations override them. */
function wantedTags(
  { annotations }: Service,
  flags: AdvertiseOptions,
): { readonly tags: readonly ServiceTag[]; readonly complaints: readonly string[] } {
  const tags: readonly ServiceTag[] = ['clusterIp', 'externalIp', 'loadBalancerIp'];
  const said = tags.map(tag => {
    const text = annotations[ADVERTISE[tag]];
    return { tag, said: text === undefined ? undefined : parseBool(text) };
  });
  return {
    tags: said.filter(({ tag, said: value }) => (value?.ok === true ? value.value : flags[tag])).map(({ tag }) => tag),
    complaints: said.flatMap(({ tag, said: value }) =>
      value?.ok === false ? [`annotation ${ADVERTISE[tag]}: ${value.error}; the general setting holds`] : [],
    ),
  };
}

function addressesOf(service: Service, tag: ServiceTag, { services }: ServiceRules): readonly IpText[] {
  if (tag === 'clusterIp') return service.clusterIps;
  if (tag === 'externalIp') return service.externalIps;
  if (service.type !== 'LoadBalancer' || service.annotations[SKIP_BALANCER_IPS] !== undefined) return [];
  const { loadBalancerClasses: classes } = services;
  if (classes?.includes(service.loadBalancerClass ?? '') === false) return [];
  return service.loadBalancerIngress.filter(({ ipMode }) => ipMode === 'VIP').map(({ ip }) => ip);
}

/** The candidate, or why there is none. */
function judge(service: Service, tag: ServiceTag, ip: IpText, rules: ServiceRules): Candidate | string {
  const address = parsed(ip);
  const fault = isUnicast(address) ? outOfRange(tag, address, rules.services) : 'is not an address of one host';
  if (fault !== undefined) return `${LABELS[tag]} ${ip} ${fault}: it is not announced`;
  const prefix = { address, length: addressBits(address) };
  const policy = tag === 'clusterIp' ? service.internalTrafficPolicy : externalPolicy(service);
  return { prefix, key: formatPrefix(prefix), tag, local: policy === 'Local' };
}

const LABELS: Readonly<Record<ServiceTag, string>> = {
  clusterIp: 'cluster IP',
  externalIp: 'external IP',
  loadBalancerIp: 'load balancer IP',
};

function externalPolicy({ externalTrafficPolicy, annotations }: Service): 'Cluster' | 'Local' {
  return annotations[LOCAL] === 'true' ? 'Local' : externalTrafficPolicy;
}

/** GHSA-phqm-jgc3-qf8g: whoever may write a Service must not draw any address of the network to himself. */
function outOfRange(tag: ServiceTag, address: IpAddress, rules: RoutingOptions['services']): string | undefined {
  if (tag === 'clusterIp' || !rules.strictValidation) return undefined;
  const isIn = (ranges: readonly IpPrefix[]): boolean => ranges.some(range => prefixContains(range, address));
  if (tag === 'loadBalancerIp')
    return isIn(rules.loadBalancerIpRanges) ? undefined : 'is in none of the load balancer ranges';
  if (isIn(rules.clusterIpRanges)) return 'is in a range of cluster IPs';
  return isIn(rules.externalIpRanges) ? undefined : 'is in none of the external IP ranges';
}

function parsed(ip: IpText): IpAddress {
  const result = parseAddress(ip);
  if (!result.ok) throw new Error(`not an address although checked: ${result.error}`);
  return result.value;
}
