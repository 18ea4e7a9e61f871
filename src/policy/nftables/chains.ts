/**
 * Chains that policies come to. A pod's policies in one direction are its profile; a profile jumps to lists of rules, which
 * deny by going to the chain of the decision, where packets are counted, told of and dropped. Chains are named by what is in
 * them, and have no more to do with pods than that these lead to profiles. Pure.
 */

import type { Expression } from '../../kernel/nftables/expressions.js';
import { hostU32 } from '../../kernel/nftables/expressions.js';
import * as part from '../../kernel/nftables/ruleParts.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import type { DenialCause, DenialLogSettings } from '../policyFirewall.js';
import type { Direction, Policy, Rule, Tier } from '../policyTypes.js';
import { conditionsOf, pairsOf, type Condition, type Conditions } from './conditions.js';
import { digestOctets, digestOf, digestOfAll } from './contentNames.js';
import type { ContentSet } from './contentSets.js';

/** Why packets are dropped, and how that is known in the kernel: by sixteen hexadecimal digits. */
export interface Decision {
  readonly digest: string;
  readonly direction: Direction;
  readonly cause: DenialCause;
}

export interface PolicyChain {
  readonly name: string;
  readonly rules: readonly part.Rule[];
  /** What it jumps or goes to. */
  readonly chains: readonly PolicyChain[];
  readonly sets: readonly ContentSet[];
  /** Names of the sets that its rules look up and that follow the model. */
  readonly followed: readonly string[];
  /** Of a chain that denies. */
  readonly decision?: Decision;
}

/** Counts of denied packets: address of the pod, or of nobody . digest of the decision. */
export const DENIALS = 'denials';

export interface ChainCompiler {
  /** @returns undefined when nothing governs: everything is allowed */
  profile(governing: readonly Policy[], direction: Direction): PolicyChain | undefined;
}

/** Policies, and profiles, that are compiled and not forgotten: a node sees more of them in its life than it has at a time. */
const REMEMBERED = 2000;

/** Compiles a policy once, if there are not too many others meanwhile. */
export function createChainCompiler(family: Family, log: DenialLogSettings | undefined): ChainCompiler {
  const known: Readonly<Record<Direction, Map<Policy, RuleList>>> = { ingress: new Map(), egress: new Map() };
  const profiles = new Map<string, PolicyChain>();
  const listOf = (policy: Policy, direction: Direction): RuleList =>
    remembered(known[direction], policy, () => rulesOf(policy, direction, family, log));
  return {
    profile: (governing, direction) => {
      if (governing.length === 0) return undefined;
      // Policies are told apart by what they say too: one that changes keeps its name.
      const said = governing.map(policy => [policy.tier, policy.key, listOf(policy, direction).digest]);
      return remembered(profiles, JSON.stringify([direction, said]), () => profileOf(governing, direction));
    },
  };

  function profileOf(governing: readonly Policy[], direction: Direction): PolicyChain {
    const ofTier = (tier: Tier): readonly Policy[] => governing.filter(policy => policy.tier === tier);
    const lists = (tier: Tier): readonly RuleList[] => ofTier(tier).map(policy => listOf(policy, direction));
    const admin = jumpTo(joined(lists('admin')));
    const namespaced = ofTier('namespace');
    const rest =
      namespaced.length === 0
        ? jumpTo(joined(lists('baseline')))
        : [...anyOf(lists('namespace')), isolation(namespaced, direction, family, log)];
    return chainOf(PROFILE_PREFIXES[direction], [...admin, ...ownNode(rest, direction), ...rest]);
  }
}

function remembered<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  const value = known.get(key) ?? make();
  // The one asked for last is last.
  known.delete(key);
  known.set(key, value);
  const [oldest] = known.size > REMEMBERED ? known.keys() : [];
  if (oldest !== undefined) known.delete(oldest);
  return value;
}

/** Names of profiles' chains begin so. */
export const PROFILE_PREFIXES: Readonly<Record<Direction, string>> = { egress: 'sends', ingress: 'receives' };

/** Part of a chain: rules, with what they refer to. */
interface Piece extends Omit<PolicyChain, 'name' | 'decision'> {
  /** The rules as JSON, by which they are named and compared. */
  readonly texts: readonly string[];
}

const NOTHING = { chains: [], sets: [], followed: [] } as const;

function pieceOf(rules: readonly part.Rule[], refersTo: Partial<Omit<Piece, 'rules' | 'texts'>> = {}): Piece {
  return { ...NOTHING, ...refersTo, rules, texts: rules.map(rule => JSON.stringify(rule)) };
}

function chainOf(prefix: string, pieces: readonly Piece[]): PolicyChain {
  const { texts, ...chain } = merged(pieces);
  return { name: `${prefix}-${digestOfAll(texts)}`, ...chain };
}

function merged(pieces: readonly Piece[]): Piece {
  return {
    rules: pieces.flatMap(piece => piece.rules),
    texts: pieces.flatMap(piece => piece.texts),
    chains: pieces.flatMap(piece => piece.chains),
    sets: pieces.flatMap(piece => piece.sets),
    followed: pieces.flatMap(piece => piece.followed),
  };
}

interface RuleList extends Piece {
  readonly digest: string;
}

/** A pod and its own node reach each other unless the Admin tier says otherwise. */
function ownNode(rest: readonly Piece[], direction: Direction): readonly Piece[] {
  if (rest.length === 0) return [];
  const isOwn = part.isLocal(direction === 'ingress' ? 'saddr' : 'daddr');
  return [pieceOf([[...isOwn, part.plain('accept')]])];
}

/** @returns nothing for a list without rules */
function jumpTo(list: RuleList): readonly Piece[] {
  if (list.rules.length === 0) return [];
  const { rules, chains, sets, followed, digest } = list;
  const chain: PolicyChain = { name: `rules-${digest}`, rules, chains, sets, followed };
  return [pieceOf([[part.to('jump', chain.name)]], { chains: [chain] })];
}

function joined(lists: readonly RuleList[]): RuleList {
  const [only, ...others] = lists;
  if (only !== undefined && others.length === 0) return only;
  return { ...merged(lists), digest: digestOf(lists.map(list => list.digest)) };
}

/**
 * What NetworkPolicies say: any of their rules suffices. Short lists stand in the profile itself, each once: the kernel walks
 * all that can be reached whenever a rule is added, and a jump costs it more than a few rules do.
 */
function anyOf(lists: readonly RuleList[]): readonly Piece[] {
  const different = [...new Map(lists.map(list => [list.digest, list])).values()];
  const [short, long] = [different.filter(isShort), different.filter(list => !isShort(list))];
  const { rules, texts, ...others } = merged(short);
  const once = new Map(texts.map((text, i) => [text, rules[i]!]));
  return [{ ...others, rules: [...once.values()], texts: [...once.keys()] }, ...long.flatMap(jumpTo)];
}

/** Rules that are written for each profile that has them; longer lists are written once, for all of them. */
const SHORT = 8;

function isShort({ rules }: RuleList): boolean {
  return rules.length <= SHORT;
}

function isolation(
  policies: readonly Policy[],
  direction: Direction,
  family: Family,
  log: DenialLogSettings | undefined,
): Piece {
  const cause: DenialCause = { kind: 'isolated', policies: policies.map(({ key }) => key) };
  const denied = denialChain({ digest: digestOf([direction, cause]), direction, cause }, family, log);
  return pieceOf([[part.to('goto', denied.name)]], { chains: [denied] });
}

function rulesOf(policy: Policy, direction: Direction, family: Family, log: DenialLogSettings | undefined): RuleList {
  const pieces = (policy[direction] ?? []).map(rule => {
    const denied = rule.action === 'deny' ? denialOf(policy, rule, direction, family, log) : undefined;
    const verdict = denied === undefined ? VERDICTS[rule.action] : part.to('goto', denied.name);
    return ruled(rule, conditionsOf(rule, direction, family), verdict, denied === undefined ? [] : [denied]);
  });
  const list = merged(pieces);
  return { ...list, digest: digestOfAll(list.texts) };
}

/** Peers with ports that are written as single rules. */
const MOST_PAIRS = 64;

/**
 * A rule of very many peers and ports has them in two lists, one of which leads to the other: each with each, one object could
 * fill the memory of every node that has a pod of it. What passes has to leave the list that it stands in, and only who rules
 * the cluster writes that.
 */
function ruled({ action }: Rule, conditions: Conditions, verdict: Expression, chains: readonly PolicyChain[]): Piece {
  const { peers, ports } = conditions;
  if (action === 'pass' || peers.length * ports.length <= MOST_PAIRS)
    return withVerdict(pairsOf(conditions), verdict, chains);
  const onPorts = withVerdict(ports, verdict, chains);
  const chain = chainOf('rules', [onPorts]);
  return withVerdict(peers, part.to('jump', chain.name), [chain]);
}

/** @param chains that the verdict leads to */
function withVerdict(conditions: readonly Condition[], verdict: Expression, chains: readonly PolicyChain[]): Piece {
  return pieceOf(
    conditions.map(({ expressions }) => [...expressions, verdict]),
    {
      sets: conditions.flatMap(({ sets }) => sets),
      followed: conditions.flatMap(({ followed }) => followed),
      chains: conditions.length === 0 ? [] : chains,
    },
  );
}

/** pass: this tier has nothing more to say. */
const VERDICTS = { accept: part.plain('accept'), pass: part.plain('return'), deny: part.plain('drop') } as const;

function denialOf(
  policy: Policy,
  { index }: Rule,
  direction: Direction,
  family: Family,
  log: DenialLogSettings | undefined,
): PolicyChain {
  const cause: DenialCause = { kind: 'rule', policy: policy.key, rule: index };
  return denialChain({ digest: digestOf([direction, cause]), direction, cause }, family, log);
}

/** Rules of their own, since a full set of counts or a spent limit ends a rule, and what is denied is to be dropped then too. */
export function denialChain(decision: Decision, family: Family, log: DenialLogSettings | undefined): PolicyChain {
  const { digest, direction, cause } = decision;
  const address = part.addressSize(family);
  const load = direction === 'egress' ? part.loadSource : part.loadDestination;
  const count: part.Rule = [
    // Addresses that no pod has are as many as a sender likes: counted one by one, they would leave no room for pods.
    ...(cause.kind === 'unknown' ? part.zeros(0, address) : load(family, 0)),
    { kind: 'immediate', octets: [...Buffer.from(digestOctets(digest), 'latin1')], to: address },
    { kind: 'dynamic', operation: 'add', set: DENIALS, key: 0 },
  ];
  const tell = log === undefined ? [] : [logRule(digest, log)];
  return {
    name: `denied-${digest}`,
    rules: [count, ...tell, [part.plain('drop')]],
    chains: [],
    sets: [],
    followed: [],
    decision,
  };
}

/** What comes before the digest in the prefix of a logged packet. */
export const LOG_PREFIX = 'peerage-policy ';
/** Enough for the headers of IPv6 with options, and ports. */
const LOGGED_OCTETS = 128;

function logRule(digest: string, { group, perSecond, burst }: DenialLogSettings): readonly Expression[] {
  return [
    { kind: 'limit', perSecond, burst },
    { kind: 'log', group, prefix: `${LOG_PREFIX}${digest}`, octets: LOGGED_OCTETS },
  ];
}

/** Bit of a connection's mark. */
export function hasConnectionMark(bit: number): part.Rule {
  return [
    { kind: 'ct', key: 'mark', to: 0 },
    { kind: 'bitwise', from: 0, to: 0, mask: hostU32(2 ** bit), xor: hostU32(0) },
    { kind: 'compare', from: 0, equal: false, octets: hostU32(0) },
  ];
}
