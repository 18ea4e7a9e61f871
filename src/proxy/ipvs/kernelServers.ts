/** Virtual servers as the kernel has them, put in words of services again. Pure. */

import { formatAddress } from '../../core/ip.js';
import type { Counters, FoundDestination, FoundServer } from '../../kernel/ipvs/messages.js';
import type { KernelBackend, KernelFrontend, TrafficCounters } from '../proxyBackend.js';
import { verdictOf, type BackendLists, type Frontend, type ServicePortKey } from '../proxyTypes.js';
import { destinationKey, serverKey } from './virtualServers.js';

/**
 * @param servers those of the frontend that the kernel has: one, or for a node port one for each address
 * @param destinations of each of them
 * @returns undefined when the kernel has none, and should
 */
export function ipvsFrontend(
  frontend: Frontend,
  lists: BackendLists | undefined,
  servers: readonly FoundServer[],
  destinations: readonly (readonly FoundDestination[])[],
): KernelFrontend | undefined {
  const verdict = verdictOf(frontend, lists);
  if (servers.length === 0) return undefined;
  const backends = new Map<string, KernelBackend>();
  for (const one of destinations.flat()) {
    const key = destinationKey(one);
    backends.set(key, {
      address: formatAddress(one.address),
      port: one.port,
      weight: one.weight,
      activeConnections: (backends.get(key)?.activeConnections ?? 0) + one.active,
    });
  }
  const counters = servers.map(server => server.counters).reduce(sum);
  return { key: frontend.key, backends: [...backends.values()], verdict, counters };
}

/** @param portOf of a virtual server by {@link serverKey}; undefined: none of ours */
export function countersByPort(
  servers: readonly FoundServer[],
  portOf: (server: string) => ServicePortKey | undefined,
): ReadonlyMap<ServicePortKey, TrafficCounters> {
  const found = new Map<ServicePortKey, Counters>();
  for (const server of servers) {
    const port = portOf(serverKey(server));
    if (port === undefined) continue;
    const before = found.get(port);
    found.set(port, before === undefined ? server.counters : sum(before, server.counters));
  }
  return found;
}

function sum(a: Counters, b: Counters): Counters {
  return {
    connections: a.connections + b.connections,
    packetsIn: a.packetsIn + b.packetsIn,
    packetsOut: a.packetsOut + b.packetsOut,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
  };
}
