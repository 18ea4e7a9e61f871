/** Between which links of the node connections may take the short way. Pure. */

import { MOST_DEVICES } from '../../kernel/nftables/flowtables.js';
import type { HostLink } from '../../kernel/podLinks.js';

export interface OffloadLink {
  readonly name: string;
  readonly index: number;
}

export interface OffloadLinks {
  /** Packets come in and go out by these as they are routed. */
  readonly routed: readonly OffloadLink[];
  /** The same; but between two ports of one bridge nothing is routed. */
  readonly bridges: readonly OffloadLink[];
}

/**
 * Kinds of links that carry packets as they are. Others put something around them (tunnels, perhaps by what the route says),
 * hand them to another link, or to nobody.
 */
const ROUTED = new Set(['', 'veth', 'vlan', 'bond']);

/** Hardware and bridges first: where a node has more links than a flowtable takes, some pods go without. */
export function offloadLinks(links: readonly HostLink[]): OffloadLinks {
  // What belongs to a bridge, a bond or a VRF comes in by that.
  const free = links.filter(({ name, master }) => master === null && name !== 'lo');
  const rank = ({ kind }: HostLink): number => (kind === 'veth' ? 1 : 0);
  const taken = free
    .filter(({ kind }) => kind === 'bridge' || ROUTED.has(kind))
    .sort((a, b) => rank(a) - rank(b) || a.index - b.index)
    .slice(0, MOST_DEVICES);
  const pick = (isBridge: boolean): readonly OffloadLink[] =>
    taken.filter(({ kind }) => (kind === 'bridge') === isBridge).map(({ name, index }) => ({ name, index }));
  return { routed: pick(false), bridges: pick(true) };
}
