/**
 * A chain of policies run over the RIB's columns. What a policy does to a route is worked out once for all prefixes that
 * share its attributes: the outcome is a leaf, or, where terms ask for prefixes, a tree of prefix tests that grows as it
 * is walked. A prefix then costs the tests on its way, and nothing where no term asks for one.
 */

import type { AttributeBlocks, EditableKind } from '../../bgp/attributeBlocks.js';
import type { AttributeOf, PathAttribute } from '../../bgp/attributes.js';
import { PeerKind, type PeerKindValue } from '../../bgp/peerKind.js';
import { NETWORK_TAGS, type RouteSource } from '../../bgp/policyTypes.js';
import type { AttributeStore, AttrId } from '../attributeStore.js';
import { SELF_NEXT_HOP, type NextHopId, type NextHops } from '../nextHops.js';
import type { PeerId, PeerTable } from '../peerTable.js';
import type { PrefixTable } from '../prefixTable.js';
import type { Chain, Step } from './chain.js';
import { changed, type Route } from './route.js';

/** What {@link Evaluation.apply} answers for a route that is not accepted. */
export const REJECTED = 0 as AttrId;

/** Most attribute sets held on to by the memory of one evaluation. */
const MAX_HELD = 1 << 15;
/** Room in a key for source and tag: sixteen and three bits. */
const KEY_UNIT = 1 << 19;

export interface PolicyColumns {
  readonly attributes: AttributeStore;
  readonly nextHops: NextHops;
  readonly peers: PeerTable;
  readonly prefixes: PrefixTable;
  readonly blocks: AttributeBlocks;
}

interface Leaf {
  readonly kind: 'leaf';
  /** With a reference, or {@link REJECTED}. */
  readonly attr: AttrId;
  /** What rejected it. */
  readonly by: string | undefined;
}

/** A step whose other conditions hold, and that asks for prefixes. */
interface Fork {
  readonly kind: 'fork';
  readonly step: number;
  readonly route: Route;
  inside: Tree | undefined;
  outside: Tree | undefined;
}

type Tree = Leaf | Fork;

export class Evaluation {
  private readonly memory = new Map<number, Tree>();
  /** Attribute sets that the memory refers to; each has a reference, so that its id stands for nothing else. */
  private readonly held: AttrId[] = [];
  private lastKey = -1;
  private lastTree: Tree | undefined;
  /** Original of the trees that grow now: what is not edited leaves with this id. */
  private original = REJECTED;

  /** @param finish what is done to every accepted route besides; it is told the attributes the route came with */
  constructor(
    private readonly chain: Chain,
    private readonly columns: PolicyColumns,
    private readonly finish: (route: Route, original: AttrId) => Route = route => route,
  ) {}

  /**
   * What a route leaves with.
   * @param tag index into NETWORK_TAGS for networks of our own
   * @returns an id that is valid until the next {@link clear}, or {@link REJECTED}
   */
  apply(prefix: number, attr: AttrId, source: PeerId, tag: number): AttrId {
    return this.leaf(prefix, attr, source, tag).attr;
  }

  /** Policy and term that reject a route; undefined when it is accepted. */
  rejectedBy(prefix: number, attr: AttrId, source: PeerId, tag: number): string | undefined {
    return this.leaf(prefix, attr, source, tag).by;
  }

  /** Gives up all references. Between this and the next call attribute and peer ids may change their meaning. */
  clear(): void {
    this.lastKey = -1;
    this.lastTree = undefined;
    if (this.held.length === 0) return;
    this.memory.clear();
    for (const attr of this.held) this.columns.attributes.release(attr);
    this.held.length = 0;
  }

  private leaf(prefix: number, attr: AttrId, source: PeerId, tag: number): Leaf {
    let tree = this.treeOf(attr, source, tag);
    if (tree.kind === 'leaf') return tree;
    const { words, stride, lengths } = this.columns.prefixes;
    while (tree.kind === 'fork') {
      const step: Step = this.chain[tree.step]!;
      const isInside: boolean = step.prefixes?.(words, prefix * stride, lengths[prefix]!) !== false;
      this.original = attr;
      if (isInside) tree = tree.inside ??= this.taken(tree.step, tree.route);
      else tree = tree.outside ??= this.grow(tree.step + 1, tree.route);
    }
    return tree;
  }

  private treeOf(attr: AttrId, source: PeerId, tag: number): Tree {
    const key = attr * KEY_UNIT + source * 8 + tag;
    if (key === this.lastKey && this.lastTree !== undefined) return this.lastTree;
    if (this.held.length > MAX_HELD) this.clear();
    let tree = this.memory.get(key);
    if (tree === undefined) {
      this.hold(attr);
      this.original = attr;
      tree = this.grow(0, this.routeOf(attr, source, tag));
      this.memory.set(key, tree);
    }
    this.lastKey = key;
    this.lastTree = tree;
    return tree;
  }

  /** What becomes of a route from a step on. */
  private grow(from: number, route: Route): Tree {
    for (let i = from; i < this.chain.length; i++) {
      const step = this.chain[i]!;
      if (!step.holds(route)) continue;
      if (step.prefixes === undefined) return this.taken(i, route);
      return { kind: 'fork', step: i, route, inside: undefined, outside: undefined };
    }
    return this.accepted(route);
  }

  /** What becomes of a route that a step matches. */
  private taken(index: number, before: Route): Tree {
    const { changes, verdict, name } = this.chain[index]!;
    if (verdict === 'reject') return { kind: 'leaf', attr: REJECTED, by: name };
    const route = changes === undefined ? before : changed(before, changes);
    return verdict === 'accept' ? this.accepted(route) : this.grow(index + 1, route);
  }

  private accepted(before: Route): Leaf {
    const route = this.finish(before, this.original);
    const { original } = this;
    if (!route.isNextHopSaid && Object.keys(route.replaced).length === 0)
      return { kind: 'leaf', attr: original, by: undefined };
    const { attributes, blocks } = this.columns;
    const record = blocks.rewrite(
      attributes.blockArray(original),
      attributes.blockStart(original),
      attributes.blockLength(original),
      route.replaced,
    );
    if (record === undefined) return { kind: 'leaf', attr: REJECTED, by: 'the attributes fit no message any more' };
    const attr = attributes.intern(record, this.nextHopId(route));
    this.held.push(attr);
    return { kind: 'leaf', attr, by: undefined };
  }

  private nextHopId({ nextHop, isNextHopSaid }: Route): NextHopId {
    const { attributes, nextHops } = this.columns;
    if (!isNextHopSaid) return attributes.nextHop[this.original]! as NextHopId;
    if (nextHop === 'self') return SELF_NEXT_HOP;
    return nextHop.version === 4 ? nextHops.idOf4(nextHop.value) : nextHops.idOf6(nextHop, undefined);
  }

  private find<K extends EditableKind>(kind: K, attr: AttrId): AttributeOf<K> | undefined {
    const { attributes, blocks } = this.columns;
    return blocks.find(kind, attributes.blockArray(attr), attributes.blockStart(attr), attributes.blockLength(attr));
  }

  private hold(attr: AttrId): void {
    this.columns.attributes.retain(attr);
    this.held.push(attr);
  }

  private routeOf(attr: AttrId, source: PeerId, tag: number): Route {
    const { attributes, nextHops, peers } = this.columns;
    const kind = peers.kindOf(source);
    const nextHop = attributes.nextHop[attr]! as NextHopId;
    const values = new Map<EditableKind, PathAttribute | undefined>();
    return {
      source: SOURCES[kind],
      peer: () => peers.get(source).name,
      tag: kind === PeerKind.local ? NETWORK_TAGS[tag] : undefined,
      origin: attributes.origin[attr]!,
      localPref: attributes.localPref[attr]!,
      med: attributes.med[attr]!,
      asPathLength: attributes.asPathLength[attr]!,
      nextHop: nextHop === SELF_NEXT_HOP ? 'self' : nextHops.address(nextHop),
      original: kind => {
        if (!values.has(kind)) values.set(kind, this.find(kind, attr));
        const value = values.get(kind);
        return isOf(kind, value) ? value : undefined;
      },
      replaced: {},
      isMedSaid: false,
      isNextHopSaid: false,
    };
  }
}

const SOURCES: Readonly<Record<PeerKindValue, RouteSource>> = {
  [PeerKind.local]: 'own',
  [PeerKind.ibgp]: 'ibgp',
  [PeerKind.ebgp]: 'ebgp',
};

function isOf<K extends EditableKind>(kind: K, attribute: PathAttribute | undefined): attribute is AttributeOf<K> {
  return attribute?.kind === kind;
}
