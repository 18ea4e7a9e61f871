/** Which service a service port's counters are of, as people and dashboards know it. Pure. */

import type { Proxy } from '../../proxy/proxy.js';
import type { TrafficCounters } from '../../proxy/proxyBackend.js';
import type { ServicePortKey } from '../../proxy/proxyTypes.js';
import type { CountedService, CountedServices } from './trafficMetrics.js';

/**
 * Counters of services that are gone meanwhile are left out, and so are services that nobody has used on this node: of
 * ten thousand that is nearly all, and their zeros would take a scrape more than a second.
 */
export function placedCounters(
  counters: ReadonlyMap<ServicePortKey, TrafficCounters>,
  { frontends }: Pick<Proxy, 'frontends'>,
): CountedServices {
  const services = new Map<ServicePortKey, CountedService>();
  if (counters.size === 0) return services;
  // Every service port has one cluster IP.
  for (const { kind, address, servicePort, service, protocol, port } of frontends.values()) {
    const counted = kind === 'clusterIp' ? counters.get(servicePort) : undefined;
    if (counted === undefined || address === undefined || isUnused(counted)) continue;
    const [namespace = '', name = ''] = service.split('/');
    services.set(servicePort, { place: { namespace, name, address, protocol, port }, counters: counted });
  }
  return services;
}

function isUnused({ connections, packetsIn }: TrafficCounters): boolean {
  return connections === 0n && packetsIn === 0n;
}
