/** What the proxy's derivation is told besides objects. */

import type { IpPrefix } from '../core/ip.js';
import type { ServiceRanges } from '../kube/serviceRanges.js';
import type { Scheduling } from './proxyTypes.js';

export interface ProxyRules extends ServiceRanges {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Values of the label service.kubernetes.io/service-proxy-name that mean us. */
  readonly proxyNames: readonly string[];
  /** Where the Service says nothing. */
  readonly scheduling: Scheduling;
}

export const ROUND_ROBIN: Scheduling = { scheduler: 'rr', fallback: false, port: false, flag3: false };

const NO_RANGES: readonly IpPrefix[] = [];

/** What holds where nothing is said. */
export const DEFAULT_PROXY_RULES: ProxyRules = {
  ipv4: true,
  ipv6: true,
  proxyNames: ['kube-router', 'peerage'],
  scheduling: ROUND_ROBIN,
  clusterIpRanges: NO_RANGES,
  externalIpRanges: NO_RANGES,
  loadBalancerIpRanges: NO_RANGES,
  strictValidation: true,
};
