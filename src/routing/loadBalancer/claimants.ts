/** What a Service wants of load-balancer addresses: a pure function of that object. */

import { parseAddress, type IpAddress } from '../../core/ip.js';
import type { IpText, Service } from '../../kube/objectTypes.js';
import { inForce, listItems, readList } from '../annotations.js';
import { mayUse, type LoadBalancerOptions, type Pool } from './pools.js';

/** Comma list: at most one address of each family. Goes before spec.loadBalancerIP, which has room for one. */
export const ADDRESSES = 'peerage.io/loadbalancer.ips';
/** Services with the same key may have one address, if their ports differ. */
export const SHARING = 'peerage.io/loadbalancer.sharing-key';
/** Only this pool. */
export const POOL = 'peerage.io/loadbalancer.pool';

export interface Claimant {
  /** `namespace/name`. */
  readonly name: string;
  readonly createdAt: string;
  /** One address of each. */
  readonly versions: readonly (4 | 6)[];
  /** Of the Service's status now. */
  readonly held: readonly IpAddress[];
  readonly requested: readonly IpAddress[];
  readonly pools: readonly Pool[];
  readonly sharingKey: string | undefined;
  /** `TCP/80`. */
  readonly ports: readonly string[];
  /** Traffic policy Local: the address hangs on nodes that have its endpoints, and cannot be shared. */
  readonly isLocal: boolean;
  readonly complaints: readonly string[];
}

/** @returns undefined: the service is none of ours, and its status is left alone */
export function claimantOf(service: Service, options: LoadBalancerOptions): Claimant | undefined {
  const { type, loadBalancerClass, annotations } = service;
  // Without any pool nobody wants addresses of us: what services hold is not ours to take away.
  if (type !== 'LoadBalancer' || options.pools.length === 0) return undefined;
  const isOurs = loadBalancerClass === undefined ? options.defaultClass : options.classes.includes(loadBalancerClass);
  if (!isOurs) return undefined;
  const requested = requestedBy(service);
  return {
    name: `${service.namespace}/${service.name}`,
    createdAt: service.createdAt ?? '',
    versions: [...new Set(service.clusterIps.map(ip => addressOf(ip).version))],
    held: service.loadBalancerIngress.map(({ ip }) => addressOf(ip)),
    requested: requested.value,
    pools: poolsFor(service, options.pools),
    sharingKey: annotations[SHARING],
    ports: service.ports.map(({ protocol, port }) => `${protocol}/${port}`),
    isLocal: service.externalTrafficPolicy === 'Local',
    complaints: requested.complaints,
  };
}

function requestedBy({ annotations, loadBalancerIp }: Service): {
  readonly value: readonly IpAddress[];
  readonly complaints: readonly string[];
} {
  if (annotations[ADDRESSES] === undefined)
    return { value: loadBalancerIp === undefined ? [] : [addressOf(loadBalancerIp)], complaints: [] };
  return inForce(ADDRESSES, readList(listItems(annotations[ADDRESSES]), parseAddress), []);
}

function poolsFor(service: Service, pools: readonly Pool[]): readonly Pool[] {
  const name = service.annotations[POOL];
  return pools.filter(pool => mayUse(pool, service) && (name === undefined || pool.name === name));
}

function addressOf(ip: IpText): IpAddress {
  const parsed = parseAddress(ip);
  if (!parsed.ok) throw new Error(`not an address although checked: ${parsed.error}`);
  return parsed.value;
}
