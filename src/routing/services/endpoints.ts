/**
 * What announcing needs to know of EndpointSlices: for each service and family, whether any endpoint serves, and whether
 * one on this node is ready. A slice becomes a few bits, because a cluster has very many endpoints.
 */

import type { Endpoint, EndpointSlice, IpText } from '../../kube/objectTypes.js';
import { HEADLESS } from '../../kube/ownServices.js';

/** Of one family. */
export interface Presence {
  /** An endpoint takes traffic: it is ready, or still serves while it ends. */
  readonly serving: boolean;
  /** An endpoint on this node is ready. One that is ending is not: balancers shall turn away from it. */
  readonly localReady: boolean;
}

/** A slice's share in one service. */
export interface SliceFacts {
  /** `namespace/name`. */
  readonly service: string;
  readonly version: 4 | 6;
  readonly serving: boolean;
  readonly localReady: boolean;
  /** Ready endpoints that do not say where they are: they are here when the address is this node's. */
  readonly unplaced: readonly IpText[];
}

/** @returns undefined for slices that concern no address */
export function sliceFacts(slice: EndpointSlice, nodeName: string): SliceFacts | undefined {
  const { service, addressType, namespace, labels, endpoints } = slice;
  if (service === undefined || addressType === 'FQDN' || labels[HEADLESS] !== undefined) return undefined;
  const ready = endpoints.filter(isReady);
  return {
    service: `${namespace}/${service}`,
    version: addressType === 'IPv4' ? 4 : 6,
    serving: ready.length > 0 || endpoints.some(endpoint => endpoint.serving),
    localReady: ready.some(endpoint => endpoint.nodeName === nodeName),
    unplaced: ready.filter(endpoint => endpoint.nodeName === undefined).flatMap(endpoint => endpoint.addresses),
  };
}

/** A service that publishes endpoints that are not ready has them marked ready although they end. */
function isReady({ ready, terminating, serving }: Endpoint): boolean {
  return ready && !(terminating && !serving);
}

/** The endpoints of one service, over all its slices. */
export function presenceOf(slices: Iterable<SliceFacts>, version: 4 | 6, ownAddresses: ReadonlySet<string>): Presence {
  const ofFamily = [...slices].filter(slice => slice.version === version);
  return {
    serving: ofFamily.some(slice => slice.serving),
    localReady: ofFamily.some(slice => slice.localReady || slice.unplaced.some(ip => ownAddresses.has(ip))),
  };
}
