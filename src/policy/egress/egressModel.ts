/**
 * Namespaces with egress addresses, their pods, and the nodes that may hold them, to what this node has to do: elements of
 * its table, tunnels to holders, and addresses to announce. Incremental: a pod costs its namespace, a node that comes or
 * goes the namespaces that ask for addresses. All nodes know the same objects and so agree who holds what.
 */

import { isDeepStrictEqual } from 'node:util';
import type { IpAddress, IpPrefix } from '../../core/ip.js';
import { markText } from '../../kernel/nftElements.js';
import { elementKey, PRESENT } from '../../kernel/nftTable.js';
import { changesOf, type ObjectBatch } from '../../kube/objectBatch.js';
import type { IpText, Namespace, Node } from '../../kube/objectTypes.js';
import type { Problem } from '../../kube/problems.js';
import { podName, type PodName } from '../policyTypes.js';
import { ElementClaims } from './elementClaims.js';
import { EGRESS_NODE, egressClaim, holderOf, isLabelled, mayHold, type EgressClaim } from './egressClaims.js';
import { egressMark } from './egressTable.js';
import { lostNodes } from './lostNodes.js';
import { slotsOf } from './slots.js';

/** Another node that holds addresses for pods of this one. */
export interface EgressHolder {
  /** Of the mark and of the routing table that lead to it. */
  readonly slot: number;
  readonly v4: IpAddress | undefined;
  readonly v6: IpAddress | undefined;
}

export interface EgressChanges {
  /** By key of the table; undefined: to be taken out. */
  readonly elements: ReadonlyMap<string, string | undefined>;
  /** All of them, by name of the node. */
  readonly holders: ReadonlyMap<string, EgressHolder>;
  /** All that this node holds. */
  readonly held: ReadonlySet<IpText>;
  /** Addresses of all nodes that have the label, be they well or not. */
  readonly candidates: ReadonlyMap<string, readonly IpAddress[]>;
  /** Nodes that others of them have found gone. */
  readonly lost: ReadonlySet<string>;
  /** Those that hold addresses, or would if there were more. */
  readonly eligible: ReadonlySet<string>;
  readonly problems: readonly Problem[];
}

export interface EgressModel {
  apply(batch: ObjectBatch): EgressChanges;
  /** @param ranges where egress addresses are from; none: nobody has any */
  configure(ranges: readonly IpPrefix[]): EgressChanges;
  /** @param isShut this node holds nothing, whatever the cluster says: others may have what it held */
  fence(isShut: boolean): EgressChanges;
  /** All elements that there should be. */
  elements(): ReadonlyMap<string, string>;
  /** For people, in the order of namespaces. */
  shown(): readonly ShownEgress[];
}

/** One address that a namespace asks for. */
export interface ShownEgress {
  readonly namespace: string;
  /** Undefined: none that can be read. */
  readonly address: IpText | undefined;
  /** Who holds it. */
  readonly node: string | undefined;
  /** Pods of this node that may carry it. */
  readonly localPods: number;
  /** Why pods of the namespace do not carry it. */
  readonly problem: string | undefined;
}

interface EgressNode {
  readonly v4: IpAddress | undefined;
  readonly v6: IpAddress | undefined;
  readonly isLabelled: boolean;
  readonly isEligible: boolean;
}

interface EgressPod {
  readonly addresses: readonly IpText[];
  readonly isLocal: boolean;
}

export function createEgressModel(nodeName: string): EgressModel {
  return new Model(nodeName);
}

const LET_GO = 'this node is cut off from the cluster, and may have been replaced: it holds none until it hears again';
const NO_PODS: ReadonlyMap<PodName, EgressPod> = new Map();

class Model implements EgressModel {
  private ranges: readonly IpPrefix[] = [];
  private readonly namespaces = new Map<string, Namespace>();
  private readonly claims = new Map<string, EgressClaim>();
  private readonly pods = new Map<string, Map<PodName, EgressPod>>();
  private readonly nodes = new Map<string, EgressNode>();
  /** Nodes that are gone, by the Namespace that says so. */
  private readonly lostBy = new Map<string, readonly string[]>();
  private lost: ReadonlySet<string> = new Set();
  private candidates: ReadonlyMap<string, readonly IpAddress[]> = new Map();
  /** The namespace that has each address. */
  private users: ReadonlyMap<IpText, string> = new Map();
  /** The node that holds each address. */
  private owners: ReadonlyMap<IpText, string> = new Map();
  private slots: ReadonlyMap<string, number> = new Map();
  private isShut = false;
  private readonly table = new ElementClaims();

  constructor(private readonly nodeName: string) {}

  apply(batch: ObjectBatch): EgressChanges {
    const dirty = new Set([...this.takePods(batch), ...this.takeNamespaces(batch)]);
    if (this.takeNodes(batch) || changesOf(batch, 'Namespace').length > 0) this.assign(dirty);
    return this.settle(dirty);
  }

  configure(ranges: readonly IpPrefix[]): EgressChanges {
    this.ranges = ranges;
    const dirty = new Set([...this.namespaces.keys(), ...this.pods.keys()]);
    for (const namespace of this.namespaces.values()) this.claim(namespace);
    this.assign(dirty);
    return this.settle(dirty);
  }

  fence(isShut: boolean): EgressChanges {
    this.isShut = isShut;
    return this.settle(new Set(this.claims.keys()));
  }

  elements(): ReadonlyMap<string, string> {
    return this.table.all();
  }

  shown(): readonly ShownEgress[] {
    return [...this.claims.keys()].sort().flatMap(namespace => this.shownOf(namespace));
  }

  private shownOf(namespace: string): readonly ShownEgress[] {
    const { addresses, complaints = [] } = this.claims.get(namespace) ?? {};
    const asked = [...(addresses?.[4] ?? []), ...(addresses?.[6] ?? [])];
    const problems = this.problemsOf(namespace).map(({ text }) => text);
    return (asked.length === 0 ? [undefined] : asked).map(address => {
      const isOwn = address !== undefined && complaints.length === 0 && this.users.get(address) === namespace;
      const owner = isOwn ? this.owners.get(address) : undefined;
      const isLetGo = owner === this.nodeName && this.isShut;
      const node = isLetGo ? undefined : owner;
      const problem = isLetGo ? LET_GO : node === undefined ? problems.join('; ') || undefined : undefined;
      return { namespace, address, node, localPods: this.localPods(namespace, address), problem };
    });
  }

  private localPods(namespace: string, address: IpText | undefined): number {
    if (address === undefined) return 0;
    const isOfFamily = (other: IpText): boolean => versionOf(other) === versionOf(address);
    const pods = [...(this.pods.get(namespace) ?? NO_PODS).values()];
    return pods.filter(({ isLocal, addresses }) => isLocal && addresses.some(isOfFamily)).length;
  }

  private takePods(batch: ObjectBatch): readonly string[] {
    return changesOf(batch, 'Pod').flatMap(({ change, object }) => {
      const { namespace, name, hostNetwork, phase, ips, nodeName } = object;
      const key = podName(namespace, name);
      const ofNamespace = this.pods.get(namespace) ?? new Map<PodName, EgressPod>();
      const isGone = change === 'deleted' || hostNetwork || phase === 'Succeeded' || phase === 'Failed';
      const pod = isGone || ips.length === 0 ? undefined : { addresses: ips, isLocal: nodeName === this.nodeName };
      if (isDeepStrictEqual(pod, ofNamespace.get(key))) return [];
      if (pod === undefined) ofNamespace.delete(key);
      else ofNamespace.set(key, pod);
      if (ofNamespace.size === 0) this.pods.delete(namespace);
      else this.pods.set(namespace, ofNamespace);
      return [namespace];
    });
  }

  private takeNamespaces(batch: ObjectBatch): readonly string[] {
    return changesOf(batch, 'Namespace').map(({ change, object }) => {
      if (change === 'deleted') {
        this.namespaces.delete(object.name);
        this.claims.delete(object.name);
        this.lostBy.delete(object.name);
      } else {
        this.namespaces.set(object.name, object);
        this.claim(object);
        this.takeLost(object);
      }
      return object.name;
    });
  }

  private takeLost(namespace: Namespace): void {
    const lost = lostNodes(namespace);
    if (lost.length === 0) this.lostBy.delete(namespace.name);
    else this.lostBy.set(namespace.name, lost);
  }

  private claim(namespace: Namespace): void {
    const claim = this.ranges.length === 0 ? undefined : egressClaim(namespace, this.ranges);
    if (claim === undefined) this.claims.delete(namespace.name);
    else this.claims.set(namespace.name, claim);
  }

  /** @returns whether any of them matters in another way than before */
  private takeNodes(batch: ObjectBatch): boolean {
    let isOther = false;
    for (const { change, object } of changesOf(batch, 'Node')) {
      const node = change === 'deleted' ? undefined : nodeOf(object);
      if (isDeepStrictEqual(node, this.nodes.get(object.name))) continue;
      isOther = true;
      if (node === undefined) this.nodes.delete(object.name);
      else this.nodes.set(object.name, node);
    }
    return isOther;
  }

  /** Who has which address, and who holds it. @param dirty namespaces for which that is another now are added */
  private assign(dirty: Set<string>): void {
    this.lost = new Set([...this.lostBy.values()].flat());
    this.candidates = new Map(
      [...this.nodes].flatMap(([name, { isLabelled, v4, v6 }]) =>
        isLabelled ? [[name, [v4, v6].filter(address => address !== undefined)]] : [],
      ),
    );
    const users = new Map<IpText, string>();
    for (const name of [...this.claims.keys()].sort())
      for (const address of addressesOf(this.claims.get(name))) if (!users.has(address)) users.set(address, name);
    const owners = new Map<IpText, string>();
    for (const address of users.keys()) {
      const owner = holderOf(this.eligible(address), address);
      if (owner !== undefined) owners.set(address, owner);
    }
    const slots = slotsOf(new Set([...owners.values()].filter(name => name !== this.nodeName)));
    if (!isDeepStrictEqual([users, owners, slots], [this.users, this.owners, this.slots]))
      for (const name of this.claims.keys()) dirty.add(name);
    [this.users, this.owners, this.slots] = [users, owners, slots];
  }

  private eligible(address: IpText): readonly string[] {
    const family = address.includes(':') ? 'v6' : 'v4';
    return [...this.nodes].flatMap(([name, node]) =>
      node.isEligible && !this.lost.has(name) && node[family] !== undefined ? [name] : [],
    );
  }

  private settle(dirty: ReadonlySet<string>): EgressChanges {
    for (const name of dirty) this.table.set(name, this.elementsOf(name));
    const held = new Set(
      [...this.owners].flatMap(([address, owner]) => (owner === this.nodeName && !this.isShut ? [address] : [])),
    );
    this.table.set('', new Map([...held].map(address => [elementKey(`held${versionOf(address)}`, address), PRESENT])));
    const holders = new Map(
      [...this.slots].map(([name, slot]) => {
        const node = this.nodes.get(name);
        return [name, { slot, v4: node?.v4, v6: node?.v6 }] as const;
      }),
    );
    const { candidates, lost } = this;
    const eligible = new Set(
      [...this.nodes].flatMap(([name, { isEligible }]) => (isEligible && !lost.has(name) ? [name] : [])),
    );
    return { elements: this.table.settle(), holders, held, candidates, lost, eligible, problems: this.problems() };
  }

  private elementsOf(name: string): ReadonlyMap<string, string> {
    const claim = this.claims.get(name);
    const elements = new Map<string, string>();
    for (const [key, { addresses, isLocal }] of this.pods.get(name) ?? NO_PODS)
      for (const address of addresses) {
        const version = versionOf(address);
        if (isLocal) elements.set(elementKey(`known${version}`, address), PRESENT);
        const way = claim === undefined ? undefined : this.wayOf(name, claim, key, version);
        if (way?.kind === 'snat') elements.set(elementKey(`snat${version}`, address), way.address);
        else if (way?.kind === 'via' && isLocal) elements.set(elementKey(`via${version}`, address), way.mark);
        else if (way?.kind === 'dead' && isLocal) elements.set(elementKey(`dead${version}`, address), PRESENT);
      }
    return elements;
  }

  /** @returns undefined: the claim says nothing of this family */
  private wayOf(namespace: string, claim: EgressClaim, pod: PodName, version: 4 | 6): Way | undefined {
    if (claim.complaints.length > 0) return { kind: 'dead' };
    const asked = claim.addresses[version];
    if (asked.length === 0) return undefined;
    const own = asked.filter(address => this.users.get(address) === namespace);
    // A pod stays with its address for as long as the namespace has it.
    const address = holderOf(own, pod);
    const owner = this.owners.get(address as IpText);
    if (address === undefined || owner === undefined) return { kind: 'dead' };
    if (owner === this.nodeName) return this.isShut ? { kind: 'dead' } : { kind: 'snat', address };
    const slot = this.slots.get(owner);
    return slot === undefined ? { kind: 'dead' } : { kind: 'via', mark: markText(egressMark(slot)) };
  }

  private problems(): readonly Problem[] {
    return [...this.claims.keys()].flatMap(name => this.problemsOf(name));
  }

  private problemsOf(name: string): readonly Problem[] {
    const claim = this.claims.get(name);
    if (claim === undefined) return [];
    const subject = `Namespace ${name}`;
    const lost = ': its pods reach nothing outside the cluster';
    const taken = addressesOf(claim).flatMap(address => {
      const user = this.users.get(address);
      return user === name ? [] : [`egress address ${address} is that of namespace ${user ?? ''} already`];
    });
    const isOrphan = addressesOf(claim).some(address => !this.owners.has(address));
    const orphans = isOrphan ? [`no node that is ready has the label ${EGRESS_NODE}${lost}`] : [];
    return [
      ...claim.complaints.map(text => ({ subject, text: `${text}${lost}`, reason: 'InvalidAnnotation' })),
      ...taken.map(text => ({ subject, text, reason: 'AddressConflict' })),
      ...orphans.map(text => ({ subject, text, reason: 'NoEgressNode' })),
    ];
  }
}

type Way =
  | { readonly kind: 'dead' }
  | { readonly kind: 'snat'; readonly address: string }
  | { readonly kind: 'via'; readonly mark: string };

function addressesOf(claim: EgressClaim | undefined): readonly IpText[] {
  return claim === undefined || claim.complaints.length > 0 ? [] : [...claim.addresses[4], ...claim.addresses[6]];
}

function versionOf(address: IpText): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

function nodeOf(node: Node): EgressNode {
  return {
    v4: node.internalIps.find(({ version }) => version === 4),
    v6: node.internalIps.find(({ version }) => version === 6),
    isLabelled: isLabelled(node),
    isEligible: mayHold(node),
  };
}
