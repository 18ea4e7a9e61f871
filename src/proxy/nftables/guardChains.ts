/** Chains that the proxy's table and the firewall beside IPVS have in common, and the words that rules are written in. */

import type { Expression } from '../../kernel/nftables/expressions.js';
import type { ChainShape } from '../../kernel/nftables/messages.js';
import type { Family, ProxySettings } from '../proxyTypes.js';
import * as rule from './ruleParts.js';

/** Priorities of hooks: those of kube-proxy, so that other tables find both alike. */
export const NAT = -100;
export const BEFORE_NAT = -110;
export const AFTER_NAT = -90;
export const SOURCE_NAT = 100;

export const to = (kind: 'goto' | 'jump', chain: string): Expression => ({ kind: 'verdict', verdict: { kind, chain } });
export const plain = (kind: 'drop' | 'return' | 'accept'): Expression => ({ kind: 'verdict', verdict: { kind } });
export const lookup = (set: string, from: number): Expression => ({ kind: 'lookup', set, from });
export const vmap = (set: string, from: number): Expression => ({ kind: 'vmap', set, from });

export function hook(
  name: string,
  type: 'nat' | 'filter',
  at: NonNullable<ChainShape['hook']>['at'],
  priority: number,
  rules: ChainShape['rules'],
): ChainShape {
  return { name, hook: { type, at, priority }, rules };
}

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
