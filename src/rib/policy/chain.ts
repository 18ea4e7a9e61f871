/** A peer's list of policies compiled to one list of steps: what is fixed for the peer is worked out once. */

import type {
  NumberRange,
  Policy,
  PolicyChanges,
  PolicyMatch,
  PolicySet,
  PolicyTerm,
  PolicyVerdict,
} from '../../bgp/policyTypes.js';
import { FAMILIES, type FamilyIndex } from '../../bgp/families.js';
import type { IpAddress } from '../../core/ip.js';
import { compileAsPath, type AsPathTest } from './asPathMatcher.js';
import { compileCommunitySet, type CommunityTest } from './communityMatcher.js';
import { compilePrefixList, type PrefixTest } from './prefixMatcher.js';
import { attributeOf, originOf, type Changes, type Route } from './route.js';

/** What a policy's words such as "own AS" and "peer" mean. */
export interface PolicySubject {
  readonly direction: 'import' | 'export';
  readonly family: FamilyIndex;
  readonly ownAsn: number;
  readonly peerAsn: number;
  readonly peerAddress: IpAddress;
}

export interface Step {
  /** Policy and term, for people. */
  readonly name: string;
  /** Undefined: any prefix will do. */
  readonly prefixes: PrefixTest | undefined;
  /** Everything the term asks besides the prefix. */
  readonly holds: (route: Route) => boolean;
  readonly changes: Changes | undefined;
  readonly verdict: PolicyVerdict;
}

/** What is in force for a route that passed every step: it is accepted. */
export type Chain = readonly Step[];

type Condition = (route: Route) => boolean;

/** Compiles what stands in a set once, however many peers use it. */
export class PolicyBook {
  private readonly lists = new Map<string, PrefixTest>();
  private readonly paths = new Map<string, readonly AsPathTest[]>();
  private readonly communities = new Map<string, CommunityTest>();

  constructor(private readonly set: PolicySet) {}

  /** @throws Error when a name stands for nothing: configurations are checked before they come here */
  chain(names: readonly string[], subject: PolicySubject): Chain {
    return names.flatMap(name => this.stepsOf(name, found(this.set.policies, name, 'policy'), subject));
  }

  private stepsOf(name: string, { terms, otherwise }: Policy, subject: PolicySubject): Step[] {
    const steps = terms
      .filter(({ match }) => match.families?.includes(FAMILIES[subject.family]) !== false)
      .map(term => this.step(name, term, subject));
    if (otherwise === 'next') return steps;
    const end: Step = {
      name: `${name} (otherwise)`,
      prefixes: undefined,
      holds: () => true,
      changes: undefined,
      verdict: otherwise,
    };
    return [...steps, end];
  }

  private step(policy: string, { name, match, changes, verdict }: PolicyTerm, subject: PolicySubject): Step {
    const conditions = this.conditions(match);
    return {
      name: `${policy} ${name}`,
      prefixes: this.prefixTest(match.prefixes, subject.family),
      holds: conditions.length === 0 ? () => true : route => conditions.every(condition => condition(route)),
      changes: this.changes(changes, subject),
      verdict,
    };
  }

  private prefixTest(names: readonly string[] | undefined, family: FamilyIndex): PrefixTest | undefined {
    if (names === undefined) return undefined;
    const tests = names.map(name => this.list(name, family));
    if (tests.length === 1) return tests[0];
    return (words, at, length) => tests.some(test => test(words, at, length));
  }

  private conditions(match: PolicyMatch): Condition[] {
    const { sources, peers, tags, origins } = match;
    const wanted: readonly (Condition | undefined)[] = [
      sources && (route => sources.includes(route.source)),
      peers && (route => route.source !== 'own' && peers.includes(route.peer())),
      tags && (route => route.tag !== undefined && tags.includes(route.tag)),
      origins && (route => origins.includes(originOf(route))),
      inRange(match.med, route => route.med),
      inRange(match.localPref, route => route.localPref),
      inRange(match.asPathLength, route => route.asPathLength),
      match.nextHops && this.nextHopCondition(match.nextHops),
      match.asPaths && this.asPathCondition(match.asPaths),
      match.communities && this.communityCondition(match.communities),
    ];
    return wanted.filter(condition => condition !== undefined);
  }

  private nextHopCondition(names: readonly string[]): Condition {
    // With RFC 8950 an IPv4 route may have an IPv6 next hop.
    const tests = { 4: names.map(name => this.list(name, 0)), 6: names.map(name => this.list(name, 1)) };
    return ({ nextHop }) => {
      if (nextHop === 'self') return false;
      const words = Uint32Array.from(nextHop.version === 4 ? [nextHop.value] : nextHop.words);
      return tests[nextHop.version].some(test => test(words, 0, words.length * 32));
    };
  }

  private asPathCondition(names: readonly string[]): Condition {
    const tests = names.flatMap(name =>
      cached(this.paths, name, () => found(this.set.asPaths, name, 'AS path').map(compileAsPath)),
    );
    return route => {
      const segments = attributeOf(route, 'asPath')?.segments ?? [];
      return tests.some(test => test(segments));
    };
  }

  private communityCondition({ any, all, none }: NonNullable<PolicyMatch['communities']>): Condition {
    const anyOf = any?.map(name => this.communitySet(name));
    const allOf = all?.map(name => this.communitySet(name)) ?? [];
    const noneOf = none?.map(name => this.communitySet(name)) ?? [];
    return route => {
      const has = (test: CommunityTest): boolean => hasCommunity(route, test);
      return anyOf?.some(has) !== false && allOf.every(has) && !noneOf.some(has);
    };
  }

  private changes(changes: PolicyChanges, subject: PolicySubject): Changes | undefined {
    const { localPref, med, addMed, prepend, nextHop } = changes;
    const asn = prepend?.asn ?? (subject.direction === 'export' ? subject.ownAsn : subject.peerAsn);
    const compiled: Changes = {
      ...defined({ localPref, med, addMed }),
      ...(prepend === undefined || prepend.count === 0 ? {} : { prepend: new Array<number>(prepend.count).fill(asn) }),
      ...this.communityChanges(changes),
      ...(nextHop === undefined ? {} : { nextHop: nextHop === 'peer' ? subject.peerAddress : nextHop }),
    };
    return Object.keys(compiled).length === 0 ? undefined : compiled;
  }

  private communityChanges(changes: PolicyChanges): Changes {
    return defined({
      remove: changes.removeCommunities?.map(name => this.communitySet(name)),
      set: changes.setCommunities,
      setLarge: changes.setLargeCommunities,
      add: changes.addCommunities,
      addLarge: changes.addLargeCommunities,
      addExtended: changes.addExtendedCommunities?.map(([high, low]) => (BigInt(high) << 32n) | BigInt(low)),
    });
  }

  private list(name: string, family: FamilyIndex): PrefixTest {
    return cached(this.lists, `${family} ${name}`, () =>
      compilePrefixList(found(this.set.prefixLists, name, 'prefix list'), family),
    );
  }

  private communitySet(name: string): CommunityTest {
    return cached(this.communities, name, () =>
      compileCommunitySet(found(this.set.communitySets, name, 'community set')),
    );
  }
}

function inRange(range: NumberRange | undefined, value: (route: Route) => number): Condition | undefined {
  if (range === undefined) return undefined;
  const { min = 0, max = Infinity } = range;
  return route => value(route) >= min && value(route) <= max;
}

function hasCommunity(route: Route, test: CommunityTest): boolean {
  return (
    attributeOf(route, 'communities')?.communities.some(community => test.standard(community)) === true ||
    attributeOf(route, 'largeCommunities')?.communities.some(community => test.large(community)) === true ||
    attributeOf(route, 'extendedCommunities')?.communities.some(community => test.extended(community)) === true
  );
}

function found<T>(named: Readonly<Record<string, T>>, name: string, what: string): T {
  const value = Object.hasOwn(named, name) ? named[name] : undefined;
  if (value === undefined) throw new Error(`there is no ${what} "${name}"`);
  return value;
}

function cached<T>(cache: Map<string, T>, key: string, make: () => T): T {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = make();
  cache.set(key, made);
  return made;
}

/** Without the keys that are undefined. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
