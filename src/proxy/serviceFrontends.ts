/** One Service to the frontends it asks for: a pure function of that object and the rules. */

import { addressBits } from '../core/ip.js';
import type { EndpointSlice, IpText, Protocol, Service, ServicePort } from '../kube/objectTypes.js';
import { describe } from '../kube/objects.js';
import { externalPolicy, isOurs, SKIP_BALANCER_IPS } from '../kube/ownServices.js';
import type { Problem } from '../kube/problems.js';
import { judgeAddress, type ServiceTag } from '../kube/serviceRanges.js';
import { cannotReturnDirectly, otherPorts } from './directReturn.js';
import type { ProxyRules } from './proxyRules.js';
import {
  frontendKey,
  servicePortKey,
  type Family,
  type Frontend,
  type FrontendKind,
  type ServicePortKey,
} from './proxyTypes.js';
import { balancingOf, type Balancing, type Weights } from './serviceAnnotations.js';

/** What endpoints are looked up by. */
export interface WantedPort {
  readonly key: ServicePortKey;
  readonly family: Family;
  readonly name: string;
  readonly protocol: Protocol;
}

export interface ServiceFacts {
  /** `namespace/name`. */
  readonly service: string;
  /** Who of several services with one frontend goes before: the older. */
  readonly createdAt: string | undefined;
  readonly frontends: readonly Frontend[];
  readonly ports: readonly WantedPort[];
  readonly weights: Weights | undefined;
  /** Direct server return is asked for: then frontends depend on endpoints, too. */
  readonly asksDirect: boolean;
  /** Where a balancer outside asks whether this node has endpoints. */
  readonly healthCheckPort: number | undefined;
  readonly problems: readonly Problem[];
}

/**
 * Facts of a service that is none of ours, or has no addresses, are undefined.
 * @param slices its own, which say at which ports its endpoints listen
 */
export function serviceFrontends(
  service: Service,
  rules: ProxyRules,
  slices: readonly EndpointSlice[],
): ServiceFacts | undefined {
  if (!isOurs(service, rules.proxyNames)) return undefined;
  const name = `${service.namespace}/${service.name}`;
  const balancing = balancingOf(service, rules.scheduling);
  const places = placesOf(service, rules);
  const families = ([4, 6] as const).filter(family => places.families.has(family));
  const subject = describe(service);
  const isExternal = places.places.some(({ kind }) => mayBeDirect(kind));
  const ports = service.ports.map(port => {
    const others = balancing.dsr && isExternal ? otherPorts(port, families, slices) : [];
    return { port, others, isDirect: balancing.dsr && others.length === 0 };
  });
  return {
    service: name,
    createdAt: service.createdAt,
    asksDirect: balancing.dsr,
    frontends: ports.flatMap(({ port, isDirect }) =>
      frontendsOf(service, port, places.places, families, { ...balancing, dsr: isDirect }),
    ),
    ports: families.flatMap(family =>
      service.ports.map(port => ({
        key: servicePortKey(family, name, port.name, port.protocol),
        family,
        name: port.name,
        protocol: port.protocol,
      })),
    ),
    weights: balancing.weights,
    healthCheckPort: healthCheckPort(service),
    problems: [
      ...balancing.complaints.map(text => ({ subject, text, reason: 'InvalidAnnotation' })),
      ...places.complaints.map(text => ({ subject, text, reason: 'AddressRefused' })),
      ...ports
        .filter(({ others }) => others.length > 0)
        .map(({ port, others }) => ({ subject, text: cannotReturnDirectly(port, others), reason: 'NoDirectReturn' })),
    ],
  };
}

interface Place {
  readonly kind: Exclude<FrontendKind, 'nodePort'>;
  readonly family: Family;
  readonly address: IpText;
}

const TAGS: readonly ServiceTag[] = ['clusterIp', 'loadBalancerIp', 'externalIp'];
const KINDS: Readonly<Record<ServiceTag, Place['kind']>> = {
  clusterIp: 'clusterIp',
  loadBalancerIp: 'loadBalancer',
  externalIp: 'externalIp',
};

/** Addresses of families that the service has no cluster IP of are ignored, as kube-proxy does. */
function placesOf(
  service: Service,
  rules: ProxyRules,
): {
  readonly places: readonly Place[];
  readonly families: ReadonlySet<Family>;
  readonly complaints: readonly string[];
} {
  const served = new Set<Family>([...(rules.ipv4 ? [4 as const] : []), ...(rules.ipv6 ? [6 as const] : [])]);
  const families = new Set<Family>();
  const places = new Map<IpText, Place>();
  const complaints: string[] = [];
  for (const tag of TAGS)
    for (const address of addressesOf(service, tag)) {
      const judged = judgeAddress(tag, address, rules);
      if (!judged.ok) {
        complaints.push(`${judged.error}: it is not served`);
        continue;
      }
      const family = addressBits(judged.value) === 32 ? 4 : 6;
      if (tag === 'clusterIp' && served.has(family)) families.add(family);
      // One address in two roles: the first has the narrower rules.
      if (families.has(family) && !places.has(address)) places.set(address, { kind: KINDS[tag], family, address });
    }
  return { places: [...places.values()], families, complaints };
}

function addressesOf(service: Service, tag: ServiceTag): readonly IpText[] {
  if (tag === 'clusterIp') return service.clusterIps;
  if (tag === 'externalIp') return service.externalIps;
  if (service.type !== 'LoadBalancer' || service.annotations[SKIP_BALANCER_IPS] !== undefined) return [];
  return service.loadBalancerIngress.filter(({ ipMode }) => ipMode === 'VIP').map(({ ip }) => ip);
}

function frontendsOf(
  service: Service,
  port: ServicePort,
  places: readonly Place[],
  families: readonly Family[],
  balancing: Balancing,
): readonly Frontend[] {
  const at = (kind: FrontendKind, family: Family, address: IpText | undefined, number: number): Frontend => ({
    key: frontendKey(family, address, port.protocol, number),
    kind,
    family,
    address,
    protocol: port.protocol,
    port: number,
    service: `${service.namespace}/${service.name}`,
    servicePort: servicePortKey(family, `${service.namespace}/${service.name}`, port.name, port.protocol),
    ...trafficRules(service, kind),
    sourceRanges: kind === 'loadBalancer' ? sourceRangesOf(service, family) : undefined,
    affinity: service.clientIpAffinity,
    scheduling: balancing.scheduling,
    dsr: balancing.dsr && mayBeDirect(kind),
  });
  const hasNodePort = port.nodePort !== 0 && (service.type === 'NodePort' || service.type === 'LoadBalancer');
  return [
    ...places.map(({ kind, family, address }) => at(kind, family, address, port.port)),
    ...(hasNodePort ? families.map(family => at('nodePort', family, undefined, port.nodePort)) : []),
  ];
}

/** Others have no address of their own that a pod could answer from. */
function mayBeDirect(kind: FrontendKind): boolean {
  return kind === 'externalIp' || kind === 'loadBalancer';
}

function trafficRules(service: Service, kind: FrontendKind): Pick<Frontend, 'policy' | 'shortCircuit' | 'masquerade'> {
  if (kind === 'clusterIp')
    return {
      policy: service.internalTrafficPolicy === 'Local' ? 'local' : 'cluster',
      shortCircuit: false,
      masquerade: 'offCluster',
    };
  if (externalPolicy(service) === 'Local') return { policy: 'local', shortCircuit: true, masquerade: 'never' };
  return { policy: 'cluster', shortCircuit: false, masquerade: 'always' };
}

/** Ranges of the other family say nothing of this one; where none is left, everybody may come, as with kube-proxy. */
function sourceRangesOf({ loadBalancerSourceRanges: ranges }: Service, family: Family): Frontend['sourceRanges'] {
  const ofFamily = ranges.filter(({ address }) => address.version === family);
  return ofFamily.length === 0 ? undefined : ofFamily;
}

function healthCheckPort(service: Service): number | undefined {
  const isAsked = service.type === 'LoadBalancer' && externalPolicy(service) === 'Local';
  return isAsked && service.healthCheckNodePort !== 0 ? service.healthCheckNodePort : undefined;
}
