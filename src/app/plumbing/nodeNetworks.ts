/** From Node objects to what plumbing needs of them, one node at a time. Pure. */

import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { IpAddress, IpPrefix } from '../../core/ip.js';
import type { Node } from '../../kube/objectTypes.js';
import { nodeFacts, type NodeFacts } from '../../routing/nodeFacts.js';
import { NO_PART, samePart, type EgressPart } from './egress.js';

/** This machine as far as its plumbing goes. */
export interface OwnPlumbing {
  readonly name: string;
  /** The first InternalIP of each family. */
  readonly addresses: readonly IpAddress[];
  readonly podCidrs: readonly IpPrefix[];
}

export interface NetworkChanges {
  /** The last that was known: pods outlive the node's object. */
  readonly own: OwnPlumbing | undefined;
  readonly ownChanged: boolean;
  /** By name of the node: what it contributes now to the egress table. Local networks are the own node's. */
  readonly parts: ReadonlyMap<string, EgressPart>;
}

export function createNodeNetworks(nodeName: string): (batch: ObjectBatch) => NetworkChanges {
  const facts = new Map<string, NodeFacts>();
  const known = new Map<string, EgressPart>();
  let own: OwnPlumbing | undefined;
  return batch => {
    const parts = new Map<string, EgressPart>();
    let ownChanged = false;
    for (const { change, object } of changesOf(batch, 'Node')) {
      const isOwn = object.name === nodeName;
      if (change === 'deleted' && isOwn) continue;
      const part = change === 'deleted' ? NO_PART : partOf(object, factsOf(facts, object), isOwn);
      if (samePart(part, known.get(object.name) ?? NO_PART)) continue;
      parts.set(object.name, part);
      if (change === 'deleted') forget(object.name);
      else known.set(object.name, part);
      ownChanged ||= isOwn;
    }
    const ownFacts = facts.get(nodeName);
    if (ownChanged && ownFacts !== undefined) own = ownOf(ownFacts);
    return { own, ownChanged, parts };
  };

  function forget(name: string): void {
    facts.delete(name);
    known.delete(name);
  }
}

function factsOf(facts: Map<string, NodeFacts>, node: Node): NodeFacts {
  const now = nodeFacts(node, facts.get(node.name));
  facts.set(node.name, now);
  return now;
}

function partOf({ internalIps }: Node, { podCidrs }: NodeFacts, isOwn: boolean): EgressPart {
  return { local: isOwn ? podCidrs : [], pods: podCidrs, nodes: internalIps, excluded: [] };
}

function ownOf({ name, v4, v6, podCidrs }: NodeFacts): OwnPlumbing {
  return { name, addresses: [v4, v6].filter(address => address !== undefined), podCidrs };
}
