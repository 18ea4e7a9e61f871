/** Chains that the proxy's table and the firewall beside IPVS have in common. */

import type { Expression } from '../../kernel/nftables/expressions.js';
import type { ChainShape } from '../../kernel/nftables/messages.js';
import type { Family, ProxySettings } from '../proxyTypes.js';
import { lookup, plain } from '../../kernel/nftables/ruleParts.js';
import * as rule from './ruleParts.js';

/** Priorities of hooks: those of kube-proxy, so that other tables find both alike. */
export const NAT = -100;
export const BEFORE_NAT = -110;
export const AFTER_NAT = -90;
export const SOURCE_NAT = 100;

/** @param restricted set of endpoints @param ranges set of `endpoint . source` */
export function sourceRangesChain(family: Family, restricted: string, ranges: string): ChainShape {
  return {
    name: 'source-ranges',
    rules: [
      [
        ...rule.loadEndpoint(family, 0),
        ...rule.loadSource(family, rule.endpointSize(family)),
        lookup(restricted, 0),
        { kind: 'lookup', set: ranges, from: 0, inverted: true },
        plain('drop'),
      ],
    ],
  };
}

export function refuseChain(family: Family): ChainShape {
  return {
    name: 'refuse',
    rules: [
      [...rule.isTcp, { kind: 'reject', with: 'tcpReset', family }],
      [{ kind: 'reject', with: 'portUnreachable', family }],
    ],
  };
}

/** Without a detector nobody's traffic is known to come from elsewhere. */
export function markOffCluster(
  family: Family,
  { masqueradeAll, podDetector }: Pick<ProxySettings, 'masqueradeAll' | 'podDetector'>,
  mark: readonly Expression[],
): ChainShape['rules'] {
  if (masqueradeAll) return [mark];
  if (podDetector.kind === 'none') return [];
  return [...rule.fromPods(family, podDetector, plain('return')), mark];
}
