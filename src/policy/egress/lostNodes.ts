/**
 * Nodes that may hold egress addresses and are gone, as those that look after each other have written it down: annotations
 * of the Namespace that agents live in, one for each node. Whoever decides who holds what reads them. Pure.
 */

import { createHash } from 'node:crypto';
import type { Namespace } from '../../kube/objectTypes.js';

const LOST = 'peerage.io/egress-lost.';

/** Names of nodes may be longer than keys of annotations. */
export function nodeDigest(node: string): string {
  return createHash('sha256').update(node).digest('hex').slice(0, 16);
}

/** Key of the annotation whose value is the name of the node that is gone. */
export function lostKey(node: string): string {
  return `${LOST}${nodeDigest(node)}`;
}

/** @returns nodes that the Namespace says are gone; an annotation that does not name the node of its key says nothing */
export function lostNodes({ annotations }: Pick<Namespace, 'annotations'>): readonly string[] {
  return Object.entries(annotations).flatMap(([key, node]) => (key === lostKey(node) ? [node] : []));
}
