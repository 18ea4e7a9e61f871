/** What a Namespace says of the addresses that its pods have outside the cluster, and which node holds one. Pure. */

import { createHash } from 'node:crypto';
import {
  formatAddress,
  formatPrefix,
  parseAddress,
  prefixContains,
  type IpAddress,
  type IpPrefix,
} from '../../core/ip.js';
import type { IpText, Namespace, Node } from '../../kube/objectTypes.js';

/** Comma list of addresses. */
export const EGRESS_ADDRESSES = 'peerage.io/egress.addresses';
/** Label of nodes that may hold some; its value means nothing, but `false`. */
export const EGRESS_NODE = 'peerage.io/egress-node';

export function isLabelled({ labels }: Pick<Node, 'labels'>): boolean {
  const label = labels[EGRESS_NODE];
  return label !== undefined && label !== 'false';
}

/** Whether it holds addresses unless others have found it gone. */
export function mayHold(node: Pick<Node, 'labels' | 'leaving' | 'ready'>): boolean {
  return isLabelled(node) && !node.leaving && node.ready !== false;
}

export interface EgressClaim {
  readonly addresses: Readonly<Record<4 | 6, readonly IpText[]>>;
  /** Sentences. With any of them nothing of the claim counts: its pods reach nothing outside. */
  readonly complaints: readonly string[];
}

/** @returns undefined when the namespace asks for none */
export function egressClaim({ annotations }: Namespace, ranges: readonly IpPrefix[]): EgressClaim | undefined {
  const text = annotations[EGRESS_ADDRESSES];
  if (text === undefined || text.trim() === '') return undefined;
  const found: Record<4 | 6, IpText[]> = { 4: [], 6: [] };
  const complaints: string[] = [];
  for (const item of text.split(',').map(part => part.trim())) {
    const parsed = parseAddress(item);
    if (!parsed.ok) complaints.push(`annotation ${EGRESS_ADDRESSES}: ${parsed.error}`);
    else if (!isIn(ranges, parsed.value))
      complaints.push(`annotation ${EGRESS_ADDRESSES}: ${item} is in none of ${ranges.map(formatPrefix).join(', ')}`);
    else found[parsed.value.version].push(formatAddress(parsed.value) as IpText);
  }
  return { addresses: found, complaints };
}

function isIn(ranges: readonly IpPrefix[], address: IpAddress): boolean {
  return ranges.some(range => range.address.version === address.version && prefixContains(range, address));
}

/**
 * Who of some holds a thing (rendezvous hashing): all that know the same candidates say the same, and a candidate that comes
 * or goes moves nothing but what it gets or had.
 */
export function holderOf(candidates: Iterable<string>, thing: string): string | undefined {
  let [best, bestScore]: [string | undefined, string] = [undefined, ''];
  for (const candidate of candidates) {
    const score = createHash('sha256').update(`${candidate}\0${thing}`).digest('hex');
    if (best === undefined || score > bestScore) [best, bestScore] = [candidate, score];
  }
  return best;
}
