/**
 * Who of the nodes that may hold egress addresses is silent: each writes a sign of life under its name into one Lease, and
 * reads those of the others in the answer. Times are our own: no clock of two machines is compared. Pure.
 */

import { nodeDigest } from '../../policy/egress/lostNodes.js';

/** Milliseconds between two signs of life. */
export const BEAT = 1000;
/** Milliseconds without one after which a node is asked whether it is there. */
export const SILENCE = 4000;

export function beatKey(node: string): string {
  return `peerage.io/egress-beat.${nodeDigest(node)}`;
}

export interface Heard {
  /** When it was last read; undefined: never. */
  readonly readAt: number | undefined;
  /** By node: the sign, and since when it has been that one. */
  readonly signs: ReadonlyMap<string, { readonly sign: string; readonly since: number }>;
}

export const NOTHING_HEARD: Heard = { readAt: undefined, signs: new Map() };

/**
 * Takes in what the Lease says now. After a time in which we could not read it, everybody has as long again.
 * @param others nodes to be watched; one that never gave a sign is not: it may be of an older version
 */
export function hear(
  before: Heard,
  annotations: Readonly<Record<string, unknown>>,
  others: Iterable<string>,
  now: number,
): Heard {
  const isGap = before.readAt === undefined || now - before.readAt > SILENCE / 2;
  const signs = new Map<string, { readonly sign: string; readonly since: number }>();
  for (const node of others) {
    const sign = annotations[beatKey(node)];
    if (typeof sign !== 'string') continue;
    const known = before.signs.get(node);
    signs.set(node, isGap || known?.sign !== sign ? { sign, since: now } : known);
  }
  return { readAt: now, signs };
}

/** @returns nodes that have given no sign for too long */
export function silentNodes({ signs }: Heard, now: number): readonly string[] {
  return [...signs].flatMap(([node, { since }]) => (now - since >= SILENCE ? [node] : []));
}
