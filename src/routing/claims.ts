/** Who of all nodes claims which addresses and pod networks, indexed so that one node's change finds its rivals without a walk over all. */

import { maskAddress, prefixContains, type IpAddress, type IpPrefix } from '../core/ip.js';
import { comesFirst, type NodeFacts } from './nodeFacts.js';

export interface Claims {
  add(facts: NodeFacts): void;
  remove(facts: NodeFacts): void;
  /** Names of other nodes that claim an address or a part of a network that this one claims too. */
  rivalsOf(facts: NodeFacts): ReadonlySet<string>;
  /** The earlier node that has this address; undefined when it is the node's own. */
  ownerOfAddress(facts: NodeFacts, address: IpAddress): NodeFacts | undefined;
  /** The earlier node whose pod network overlaps this one, and that network. */
  ownerOfPrefix(
    facts: NodeFacts,
    prefix: IpPrefix,
  ): { readonly node: NodeFacts; readonly prefix: IpPrefix } | undefined;
}

interface PrefixClaim {
  readonly node: NodeFacts;
  readonly prefix: IpPrefix;
}

/** Family and length, as `4/24`: nearly always there is one length for each family. */
type Shape = string;

export function createClaims(): Claims {
  const byAddress = new Map<string, Map<string, NodeFacts>>();
  const byShape = new Map<Shape, Map<string, Map<string, PrefixClaim>>>();

  const overlapping = function* (prefix: IpPrefix): Iterable<PrefixClaim> {
    for (const [shape, networks] of byShape) {
      const [version, length] = shape.split('/').map(Number);
      if (version !== prefix.address.version || length === undefined) continue;
      if (length <= prefix.length) {
        const cover = prefixKey({ address: maskAddress(prefix.address, length), length });
        yield* networks.get(cover)?.values() ?? [];
      } else {
        for (const claims of networks.values()) {
          for (const claim of claims.values()) if (prefixContains(prefix, claim.prefix.address)) yield claim;
        }
      }
    }
  };
  const claimants = (address: IpAddress): Iterable<NodeFacts> => byAddress.get(addressKey(address))?.values() ?? [];

  return {
    add: facts => {
      for (const address of addressesOf(facts)) into(byAddress, addressKey(address)).set(facts.name, facts);
      for (const prefix of facts.podCidrs) {
        into(into(byShape, shapeOf(prefix)), prefixKey(prefix)).set(facts.name, { node: facts, prefix });
      }
    },
    remove: facts => {
      for (const address of addressesOf(facts)) outOf(byAddress, addressKey(address), facts.name);
      for (const prefix of facts.podCidrs) {
        const networks = byShape.get(shapeOf(prefix));
        if (networks === undefined) continue;
        outOf(networks, prefixKey(prefix), facts.name);
        if (networks.size === 0) byShape.delete(shapeOf(prefix));
      }
    },
    rivalsOf: facts => {
      const nodes = [
        ...addressesOf(facts).flatMap(address => [...claimants(address)]),
        ...facts.podCidrs.flatMap(prefix => [...overlapping(prefix)].map(claim => claim.node)),
      ];
      return new Set(nodes.map(node => node.name).filter(name => name !== facts.name));
    },
    ownerOfAddress: (facts, address) => first([...claimants(address)].filter(other => comesFirst(other, facts))),
    ownerOfPrefix: (facts, prefix) => {
      const claims = [...overlapping(prefix)].filter(claim => comesFirst(claim.node, facts));
      const node = first(claims.map(claim => claim.node));
      const theirs = claims.filter(claim => claim.node === node).map(claim => claim.prefix);
      // In the node's own order, so that the answer does not hang on the index's.
      const rival = node?.podCidrs.find(cidr => theirs.includes(cidr));
      return node === undefined || rival === undefined ? undefined : { node, prefix: rival };
    },
  };
}

export function addressesOf(facts: NodeFacts): readonly IpAddress[] {
  return [facts.v4, facts.v6].filter(address => address !== undefined);
}

function first(nodes: readonly NodeFacts[]): NodeFacts | undefined {
  return nodes.reduce<NodeFacts | undefined>((best, node) => (best && comesFirst(best, node) ? best : node), undefined);
}

/** Cheaper than the text for people, of which thousands of nodes would need many. */
function addressKey(address: IpAddress): string {
  return address.version === 4 ? String(address.value) : address.words.join(' ');
}

function prefixKey(prefix: IpPrefix): string {
  return `${addressKey(prefix.address)}/${prefix.length}`;
}

function shapeOf(prefix: IpPrefix): Shape {
  return `${prefix.address.version}/${prefix.length}`;
}

function into<V>(outer: Map<string, Map<string, V>>, key: string): Map<string, V> {
  const inner = outer.get(key) ?? new Map<string, V>();
  outer.set(key, inner);
  return inner;
}

function outOf<V>(outer: Map<string, Map<string, V>>, key: string, name: string): void {
  const inner = outer.get(key);
  inner?.delete(name);
  if (inner?.size === 0) outer.delete(key);
}
