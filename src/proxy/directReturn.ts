/** Whether a service's pods can answer its clients directly: packets reach them as they came, at the service's own port. Pure. */

import type { EndpointSlice, ServicePort } from '../kube/objectTypes.js';
import { candidatesOf, type NodeView } from './endpointSelection.js';
import type { Family } from './proxyTypes.js';

const ANYWHERE: NodeView = { name: '', zone: undefined, addresses: new Set() };

/** @returns ports of the service's endpoints that are not its own, ascending; empty: all listen where packets will come */
export function otherPorts(
  port: ServicePort,
  families: readonly Family[],
  slices: readonly EndpointSlice[],
): readonly number[] {
  const { name, protocol } = port;
  const found = families.flatMap(family => candidatesOf({ family, name, protocol }, slices, ANYWHERE));
  const others = new Set(found.map(candidate => candidate.port).filter(number => number !== port.port));
  return [...others].sort((a, b) => a - b);
}

/** What is said of a port that asks for direct server return in vain. */
export function cannotReturnDirectly({ name, port }: ServicePort, others: readonly number[]): string {
  const place = name === '' ? `port ${port}` : `port ${name} (${port})`;
  return (
    `${place} is port ${others.join(', ')} of its endpoints, and direct server return leaves packets as they are: ` +
    'it is served without, and answers go through the node'
  );
}
