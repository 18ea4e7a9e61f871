/**
 * Deltas of the policy model to what one family's table shall have: pods lead to profiles, profiles to rules, rules to sets.
 * Chains and sets of unchanging content are counted by who refers to them; sets of groups follow the model. Pure.
 */

import {
  addressOfText,
  elementKey,
  PROTOCOL_NUMBERS,
  portOctets,
  type ElementKey,
} from '../../kernel/nftables/elements.js';
import type { SetShape } from '../../kernel/nftables/messages.js';
import type { UserType } from '../../kernel/nftables/numbers.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import type { DenialLogSettings } from '../policyFirewall.js';
import type { LocalPod, PodName, PolicyDelta, PortElement, SetDelta } from '../policyTypes.js';
import {
  createChainCompiler,
  PROFILE_PREFIXES,
  type ChainCompiler,
  type Decision,
  type PolicyChain,
} from './chains.js';
import { groupSetName, namedPortSetName } from './conditions.js';
import { digestOctets } from './contentNames.js';
import type { ContentSet } from './contentSets.js';
import { OPEN, podValue, PROFILE_SETS, SETS } from './layout.js';

/** What the reconciler calls the chains and sets themselves, beside elements: one key for each, by name. */
export const CHAINS = '@chains';
export const NAMED_SETS = '@sets';

export type WantedElements = Map<ElementKey, string | undefined>;

/** What is to be in the kernel before a pod leads to it. */
export interface Needs {
  /** Chains, and the elements that lead to profiles. */
  readonly keys: ReadonlySet<ElementKey>;
  /** Names of sets: all of their elements are needed. */
  readonly sets: ReadonlySet<string>;
}

export interface PolicyPlan {
  /** @returns what shall be another; undefined: nothing */
  apply(delta: PolicyDelta): WantedElements;
  /** Denials are logged otherwise: everything is compiled again. */
  setLog(log: DenialLogSettings | undefined): WantedElements;
  chain(name: string): PolicyChain | undefined;
  set(name: string): SetShape | undefined;
  /** Addresses of the pod in this family, as octets. */
  addressesOf(pod: PodName): readonly string[];
  /** Who has an address: who got it last, since a pod's object may outlive the pod. Octets. */
  podAt(address: string): PodName | undefined;
  needs(pod: PodName): Needs;
  readonly pods: ReadonlySet<PodName>;
  decision(digest: string): Decision | undefined;
}

interface Placed {
  readonly local: LocalPod;
  readonly addresses: readonly string[];
  readonly egress: PolicyChain | undefined;
  readonly ingress: PolicyChain | undefined;
}

interface Counted<T> {
  readonly value: T;
  count: number;
}

export function createPolicyPlan(family: Family): PolicyPlan {
  return new Plan(family);
}

class Plan implements PolicyPlan {
  private readonly placed = new Map<PodName, Placed>();
  /** Of addresses, in the order in which they came to have them. */
  private readonly holders = new Map<string, Set<PodName>>();
  private readonly chains = new Map<string, Counted<PolicyChain>>();
  private readonly contentSets = new Map<string, Counted<ContentSet>>();
  /** Sets that follow the model, with their elements: in the kernel as long as a chain of this family looks them up. */
  private readonly contents = new Map<string, { readonly shape: SetShape; readonly elements: Set<string> }>();
  /** How many chains look up each of them. */
  private readonly followers = new Map<string, number>();
  private compiler: ChainCompiler;
  private changes: WantedElements = new Map();

  constructor(private readonly family: Family) {
    this.compiler = createChainCompiler(family, undefined);
  }

  get pods(): ReadonlySet<PodName> {
    return new Set(this.placed.keys());
  }

  apply(delta: PolicyDelta): WantedElements {
    const address = this.addressType;
    this.takeSets(delta.groups, groupSetName, [address], text => this.addressOctets(text));
    const endpoint = [address, 'inet_proto', 'inet_service'] as const;
    this.takeSets(delta.portSets, namedPortSetName, endpoint, text => this.portElementOctets(text));
    const touched = new Set<string>();
    for (const [key, local] of delta.pods.set) this.place(key, local, touched);
    for (const key of delta.pods.removed) this.place(key, undefined, touched);
    for (const octets of touched) this.settleAddress(octets);
    return this.taken();
  }

  setLog(log: DenialLogSettings | undefined): WantedElements {
    this.compiler = createChainCompiler(this.family, log);
    const touched = new Set<string>();
    const placed = [...this.placed];
    // All go before any comes: a chain that is there keeps the rules that it has.
    for (const [key] of placed) this.place(key, undefined, touched);
    for (const [key, { local }] of placed) this.place(key, local, touched);
    for (const octets of touched) this.settleAddress(octets);
    return this.taken();
  }

  chain(name: string): PolicyChain | undefined {
    return this.chains.get(name)?.value;
  }

  set(name: string): SetShape | undefined {
    return this.contentSets.get(name)?.value.shape ?? this.contents.get(name)?.shape;
  }

  addressesOf(pod: PodName): readonly string[] {
    return this.placed.get(pod)?.addresses ?? [];
  }

  podAt(address: string): PodName | undefined {
    return [...(this.holders.get(address) ?? [])].at(-1);
  }

  needs(pod: PodName): Needs {
    const needs = { keys: new Set<ElementKey>(), sets: new Set<string>() };
    const placed = this.placed.get(pod);
    for (const profile of [placed?.egress, placed?.ingress]) {
      if (profile === undefined) continue;
      const element = profileElement(profile);
      if (element !== undefined) needs.keys.add(element);
      needChain(profile, needs.keys, needs.sets);
    }
    return needs;
  }

  decision(digest: string): Decision | undefined {
    return this.chains.get(`denied-${digest}`)?.value.decision;
  }

  private get addressType(): UserType {
    return this.family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  }

  private taken(): WantedElements {
    const changes = this.changes;
    this.changes = new Map();
    return changes;
  }

  private takeSets<K extends string, E extends string>(
    { changed, removed }: SetDelta<K, E>,
    nameOf: (key: K) => string,
    key: readonly UserType[],
    octetsOf: (element: E) => string | undefined,
  ): void {
    for (const gone of removed) this.dropSet(nameOf(gone));
    for (const [name, change] of changed) {
      const { shape, elements } = this.openSet({ name: nameOf(name), key });
      for (const element of change.removed) {
        const octets = octetsOf(element);
        if (octets !== undefined && elements.delete(octets)) this.wantFollowed(shape.name, octets, undefined);
      }
      for (const element of change.added) {
        const octets = octetsOf(element);
        if (octets === undefined) continue;
        elements.add(octets);
        this.wantFollowed(shape.name, octets, '');
      }
    }
  }

  private openSet(shape: SetShape): { readonly shape: SetShape; readonly elements: Set<string> } {
    const known = this.contents.get(shape.name);
    if (known !== undefined) return known;
    const fresh = { shape, elements: new Set<string>() };
    this.contents.set(shape.name, fresh);
    if (this.followers.has(shape.name)) this.want(elementKey(NAMED_SETS, shape.name), '');
    return fresh;
  }

  private dropSet(name: string): void {
    const known = this.contents.get(name);
    if (known === undefined) return;
    if (this.followers.has(name)) this.wantSet(name, undefined);
    this.contents.delete(name);
  }

  private wantFollowed(set: string, octets: string, value: '' | undefined): void {
    if (this.followers.has(set)) this.want(elementKey(set, octets), value);
  }

  /** A set that follows the model, with all that is in it now. */
  private wantSet(name: string, value: '' | undefined): void {
    const known = this.contents.get(name);
    if (known === undefined) return;
    this.want(elementKey(NAMED_SETS, name), value);
    for (const octets of known.elements) this.want(elementKey(name, octets), value);
  }

  private follow(name: string): void {
    const count = this.followers.get(name) ?? 0;
    this.followers.set(name, count + 1);
    if (count === 0) this.wantSet(name, '');
  }

  private unfollow(name: string): void {
    const count = (this.followers.get(name) ?? 0) - 1;
    if (count > 0) {
      this.followers.set(name, count);
      return;
    }
    this.followers.delete(name);
    this.wantSet(name, undefined);
  }

  /** @returns undefined for an address of the other family */
  private addressOctets(text: string): string | undefined {
    return text.includes(':') === (this.family === 6) ? addressOfText(text) : undefined;
  }

  private portElementOctets(element: PortElement): string | undefined {
    const [address = '', protocol = '', port = ''] = element.split(' ');
    const octets = this.addressOctets(address);
    const number = PROTOCOLS.get(protocol);
    if (octets === undefined || number === undefined) return undefined;
    return `${octets}${String.fromCharCode(number, 0, 0, 0)}${portOctets(Number(port))}`;
  }

  private place(key: PodName, local: LocalPod | undefined, touched: Set<string>): void {
    const before = this.placed.get(key);
    // What is referred to comes before what was, so that nothing that both have goes and comes again.
    const after = local === undefined ? undefined : this.placedAs(local);
    for (const profile of [after?.egress, after?.ingress]) if (profile !== undefined) this.refer(profile);
    for (const profile of [before?.egress, before?.ingress]) if (profile !== undefined) this.forget(profile);
    const [had, has] = [before?.addresses ?? [], after?.addresses ?? []];
    for (const octets of had) if (!has.includes(octets)) this.hold(octets, key, false);
    for (const octets of has) if (!had.includes(octets)) this.hold(octets, key, true);
    for (const octets of [...had, ...has]) touched.add(octets);
    if (after === undefined) this.placed.delete(key);
    else this.placed.set(key, after);
  }

  private placedAs(local: LocalPod): Placed {
    const { pod, governing } = local;
    const addresses = pod.addresses.flatMap(text => this.addressOctets(text) ?? []);
    // Nothing leads to what governs a pod without an address.
    if (addresses.length === 0) return { local, addresses, egress: undefined, ingress: undefined };
    return {
      local,
      addresses,
      egress: this.compiler.profile(governing.egress, 'egress'),
      ingress: this.compiler.profile(governing.ingress, 'ingress'),
    };
  }

  private hold(octets: string, key: PodName, isHeld: boolean): void {
    const holders = this.holders.get(octets) ?? new Set();
    if (isHeld) holders.add(key);
    else holders.delete(key);
    if (holders.size === 0) this.holders.delete(octets);
    else this.holders.set(octets, holders);
  }

  private settleAddress(octets: string): void {
    const holder = this.podAt(octets);
    const placed = holder === undefined ? undefined : this.placed.get(holder);
    const loop = elementKey(SETS.loops, `${octets}${octets}`);
    const pod = elementKey(SETS.pods, octets);
    if (placed === undefined) {
      this.want(loop, undefined);
      this.want(pod, undefined);
      return;
    }
    this.want(loop, '');
    this.want(pod, podValue(profileOctets(placed.egress), profileOctets(placed.ingress)));
  }

  private refer(chain: PolicyChain): void {
    const known = this.chains.get(chain.name);
    if (known !== undefined) {
      known.count += 1;
      return;
    }
    this.chains.set(chain.name, { value: chain, count: 1 });
    this.want(elementKey(CHAINS, chain.name), '');
    const profile = profileElement(chain);
    if (profile !== undefined) this.want(profile, `goto ${chain.name}`);
    for (const next of chain.chains) this.refer(next);
    for (const set of chain.sets) this.referSet(set);
    for (const set of chain.followed) this.follow(set);
  }

  private forget({ name }: PolicyChain): void {
    const known = this.chains.get(name);
    if (known === undefined || --known.count > 0) return;
    this.chains.delete(name);
    this.want(elementKey(CHAINS, name), undefined);
    const profile = profileElement(known.value);
    if (profile !== undefined) this.want(profile, undefined);
    for (const next of known.value.chains) this.forget(next);
    for (const set of known.value.sets) this.forgetSet(set);
    for (const set of known.value.followed) this.unfollow(set);
  }

  private referSet(set: ContentSet): void {
    const known = this.contentSets.get(set.shape.name);
    if (known !== undefined) {
      known.count += 1;
      return;
    }
    this.contentSets.set(set.shape.name, { value: set, count: 1 });
    for (const key of keysOf(set)) this.want(key, '');
  }

  private forgetSet({ shape: { name } }: ContentSet): void {
    const known = this.contentSets.get(name);
    if (known === undefined || --known.count > 0) return;
    this.contentSets.delete(name);
    for (const key of keysOf(known.value)) this.want(key, undefined);
  }

  private want(key: ElementKey, value: string | undefined): void {
    this.changes.set(key, value);
  }
}

const PROTOCOLS: ReadonlyMap<string, number> = new Map(Object.entries(PROTOCOL_NUMBERS));

function keysOf({ shape, elements }: ContentSet): readonly ElementKey[] {
  return [elementKey(NAMED_SETS, shape.name), ...elements.map(element => elementKey(shape.name, element))];
}

function needChain(chain: PolicyChain, keys: Set<ElementKey>, sets: Set<string>): void {
  const key = elementKey(CHAINS, chain.name);
  if (keys.has(key)) return;
  keys.add(key);
  for (const rule of chain.rules) for (const part of rule) if (part.kind === 'lookup') sets.add(part.set);
  for (const next of chain.chains) needChain(next, keys, sets);
}

function profileOctets(profile: PolicyChain | undefined): string {
  return profile === undefined ? OPEN : digestOctets(profile.name.slice(profile.name.indexOf('-') + 1));
}

/** What leads to the chain, if it is a profile's. */
function profileElement(chain: PolicyChain): ElementKey | undefined {
  for (const direction of ['egress', 'ingress'] as const)
    if (chain.name.startsWith(`${PROFILE_PREFIXES[direction]}-`))
      return elementKey(PROFILE_SETS[direction], profileOctets(chain));
  return undefined;
}
