/** Which addresses a Service may have: whoever may write one must not draw any address of the network to himself. */

import { parseAddress, prefixContains, type IpAddress, type IpPrefix } from '../core/ip.js';
import { err, ok, type Result } from '../core/result.js';
import { isUnicast } from '../core/unicast.js';
import type { IpText } from './objectTypes.js';

export type ServiceTag = 'clusterIp' | 'externalIp' | 'loadBalancerIp';

export interface ServiceRanges {
  readonly clusterIpRanges: readonly IpPrefix[];
  readonly externalIpRanges: readonly IpPrefix[];
  readonly loadBalancerIpRanges: readonly IpPrefix[];
  /** External and balancer addresses outside their ranges do not count. */
  readonly strictValidation: boolean;
}

const LABELS: Readonly<Record<ServiceTag, string>> = {
  clusterIp: 'cluster IP',
  externalIp: 'external IP',
  loadBalancerIp: 'load balancer IP',
};

/** @returns the address, or what is wrong with it as a sentence: `external IP 192.0.2.1 is in none of ...` */
export function judgeAddress(tag: ServiceTag, ip: IpText, ranges: ServiceRanges): Result<IpAddress, string> {
  const address = parsed(ip);
  const fault = isUnicast(address) ? outOfRange(tag, address, ranges) : 'is not an address of one host';
  return fault === undefined ? ok(address) : err(`${LABELS[tag]} ${ip} ${fault}`);
}

/** GHSA-phqm-jgc3-qf8g. */
function outOfRange(tag: ServiceTag, address: IpAddress, ranges: ServiceRanges): string | undefined {
  if (tag === 'clusterIp' || !ranges.strictValidation) return undefined;
  const isIn = (prefixes: readonly IpPrefix[]): boolean => prefixes.some(prefix => prefixContains(prefix, address));
  if (tag === 'loadBalancerIp')
    return isIn(ranges.loadBalancerIpRanges) ? undefined : 'is in none of the load balancer ranges';
  if (isIn(ranges.clusterIpRanges)) return 'is in a range of cluster IPs';
  return isIn(ranges.externalIpRanges) ? undefined : 'is in none of the external IP ranges';
}

function parsed(ip: IpText): IpAddress {
  const result = parseAddress(ip);
  if (!result.ok) throw new Error(`not an address although checked: ${result.error}`);
  return result.value;
}
