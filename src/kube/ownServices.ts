/** Which Services are any business of ours, whoever reads them: the proxy, or whoever announces their addresses. */

import type { Service, TrafficPolicy } from './objectTypes.js';

const PROXY_NAME = 'service.kubernetes.io/service-proxy-name';
/** On Services and EndpointSlices: no address of them is anybody's to serve. */
export const HEADLESS = 'service.kubernetes.io/headless';
/** kube-router's annotation for traffic policy Local from outside. */
const LOCAL = 'kube-router.io/service.local';
/** kube-router's annotation against load-balancer IPs: neither served nor announced. */
export const SKIP_BALANCER_IPS = 'kube-router.io/service.skiplbips';

/** @param proxyNames values of the label service-proxy-name that mean us */
export function isOurs({ type, clusterIps, labels }: Service, proxyNames: readonly string[]): boolean {
  const proxy = labels[PROXY_NAME];
  const isHeadless = clusterIps.length === 0 || labels[HEADLESS] !== undefined;
  return type !== 'ExternalName' && !isHeadless && (proxy === undefined || proxyNames.includes(proxy));
}

export function externalPolicy({ externalTrafficPolicy, annotations }: Service): TrafficPolicy {
  return annotations[LOCAL] === 'true' ? 'Local' : externalTrafficPolicy;
}
