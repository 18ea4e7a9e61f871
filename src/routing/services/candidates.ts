/** One Service to the addresses of it that may be announced: a pure function of that object and the options. */

import { addressBits, formatPrefix, type IpPrefix } from '../../core/ip.js';
import type { IpText, Service } from '../../kube/objectTypes.js';
import { describe } from '../../kube/objects.js';
import { externalPolicy, isOurs, SKIP_BALANCER_IPS } from '../../kube/ownServices.js';
import type { Problem } from '../../kube/problems.js';
import { judgeAddress, type ServiceTag } from '../../kube/serviceRanges.js';
import { parseBool } from '../annotations.js';
import { isServed } from '../networks.js';
import type { AdvertiseOptions, NetworkAttributes, RoutingOptions } from '../routingOptions.js';
import { serviceAttributes } from './attributes.js';

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

const ADVERTISE = {
  clusterIp: 'kube-router.io/service.advertise.clusterip',
  externalIp: 'kube-router.io/service.advertise.externalip',
  loadBalancerIp: 'kube-router.io/service.advertise.loadbalancerip',
} as const;

const NOTHING = { candidates: [], attributes: {}, problems: [] } as const;

export function serviceFacts(service: Service, rules: ServiceRules): ServiceFacts {
  const { createdAt } = service;
  if (!isOurs(service, rules.services.proxyNames)) return { createdAt, ...NOTHING };
  const wanted = wantedTags(service, rules.advertise);
  const found = wanted.tags.flatMap(tag => addressesOf(service, tag, rules).map(ip => judge(service, tag, ip, rules)));
  const { attributes, complaints } = serviceAttributes(service.annotations);
  const texts = [...wanted.complaints, ...complaints, ...found.filter(item => typeof item === 'string')];
  const candidates = found.filter(item => typeof item !== 'string').filter(({ prefix }) => isServed(rules, prefix));
  const subject = describe(service);
  return { createdAt, candidates, attributes, problems: texts.map(text => ({ subject, text })) };
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
  const judged = judgeAddress(tag, ip, rules.services);
  if (!judged.ok) return `${judged.error}: it is not announced`;
  const prefix = { address: judged.value, length: addressBits(judged.value) };
  const policy = tag === 'clusterIp' ? service.internalTrafficPolicy : externalPolicy(service);
  return { prefix, key: formatPrefix(prefix), tag, local: policy === 'Local' };
}
