/** Nodes to what the overlay needs to know of them, incrementally: heartbeats and conditions change nothing. */

import { isDeepStrictEqual } from 'node:util';
import type { OverlayNode, OverlayOwnNode } from '../fib/overlay/overlayTypes.js';
import type { NodeChanges } from '../fib/overlay/overlayPlan.js';
import type { Node } from '../kube/objectTypes.js';
import { changesOf, type ObjectBatch } from '../kube/objectBatch.js';
import { describe } from '../kube/objects.js';
import type { Problem, ProblemReport } from '../kube/problems.js';
import { nodeFacts } from '../routing/nodeFacts.js';

/** Most octets of a packet on the node's link to the network, where it is not what other nodes' links take. */
export const MTU_ANNOTATION = 'peerage.io/mtu';

export interface OverlayUpdate {
  /** Undefined: nothing new of this machine. */
  readonly own: OverlayOwnNode | undefined;
  readonly nodes: NodeChanges;
  readonly problems: ProblemReport;
}

/** Owns the state of the derivation. An answer of undefined: no node changed in a way that matters. */
export function createOverlayNodes(nodeName: string): (batch: ObjectBatch) => OverlayUpdate | undefined {
  const known = new Map<string, Known>();
  return batch => {
    const set = new Map<string, OverlayNode>();
    const removed = new Set<string>();
    const problems = new Map<string, readonly Problem[]>();
    for (const { change, object } of changesOf(batch, 'Node')) {
      const before = known.get(object.name);
      const after = change === 'deleted' ? undefined : read(object, nodeName);
      if (isDeepStrictEqual(before, after)) continue;
      problems.set(`overlay ${object.name}`, after?.problems ?? []);
      if (after === undefined) {
        known.delete(object.name);
        removed.add(object.name);
      } else {
        known.set(object.name, after);
        set.set(object.name, after.node);
      }
    }
    if (set.size + removed.size === 0) return undefined;
    return { own: set.has(nodeName) ? known.get(nodeName)?.node : undefined, nodes: { set, removed }, problems };
  };
}

interface Known {
  readonly node: OverlayOwnNode;
  readonly problems: readonly Problem[];
}

function read(object: Node, nodeName: string): Known {
  const { name, v4, v6, podCidrs } = nodeFacts(object);
  const { value: mtu, problems } = mtuOf(object);
  // Of other nodes' pods, BGP tells.
  return { node: { name, v4, v6, podCidrs: name === nodeName ? podCidrs : [], mtu }, problems };
}

const [MIN_MTU, MAX_MTU] = [1280, 65535];

function mtuOf(node: Node): { readonly value: number | undefined; readonly problems: readonly Problem[] } {
  const text = node.annotations[MTU_ANNOTATION];
  if (text === undefined) return { value: undefined, problems: [] };
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= MIN_MTU && value <= MAX_MTU) return { value, problems: [] };
  const complaint = `annotation ${MTU_ANNOTATION}: "${text}" is no number from ${MIN_MTU} to ${MAX_MTU}; it is left out`;
  return { value: undefined, problems: [{ subject: describe(node), text: complaint }] };
}
