/** From the policies of the checked configuration to their plain-data form: references resolved, defaults filled in. Pure. */

import { parseAsPath } from '../../bgp/asPathExpression.js';
import { FAMILIES, type Family } from '../../bgp/families.js';
import type {
  MaxPrefixes,
  NumberRange,
  PolicyChanges,
  PolicyMatch,
  PolicySet,
  PolicyTerm,
  PrefixRule,
} from '../../bgp/policyTypes.js';
import { parseCommunityPattern } from '../../bgp/wire/communityPattern.js';
import { closest } from '../../core/closest.js';
import { parseAddress, parsePrefix } from '../../core/ip.js';
import type { Result } from '../../core/result.js';
import type { Complain } from './configError.js';
import { checkedRule, parseAnyCommunity, parsePrefixRule, type AnyCommunity } from './policyText.js';
import type { ChangesConfig, MatchConfig, MaxPrefixesConfig, PolicySections, TermConfig } from './policySchema.js';

/** Where nothing is said, three quarters of the limit are worth a warning. */
const WARN_SHARE = 0.75;
const LIMIT_DEFAULTS = { action: 'restart', restartAfter: 300 } as const;

/** The set that is being made: what stands in a term itself is given a name of its own. */
interface Draft {
  readonly prefixLists: Record<string, readonly PrefixRule[]>;
  readonly asPaths: Record<string, PolicySet['asPaths'][string]>;
  readonly communitySets: Record<string, PolicySet['communitySets'][string]>;
  readonly complain: Complain;
}

/** @param complain told of mistakes beyond shape, with their paths */
export function toPolicySet(config: PolicySections, complain: Complain): PolicySet {
  const draft: Draft = {
    prefixLists: mapped(config.prefixLists, (rules, name) =>
      rules.flatMap((rule, i) => prefixRule(rule, `prefixLists.${name}[${i}]`, complain)),
    ),
    asPaths: mapped(config.asPaths, texts => listed(texts).map(text => valueOf(parseAsPath(text)))),
    communitySets: mapped(config.communitySets, texts => texts.map(text => valueOf(parseCommunityPattern(text)))),
    complain,
  };
  const policies = mapped(config.policies, ({ terms, otherwise }, name) => {
    complainOfNames(terms, `policies.${name}`, complain);
    return { terms: terms.map((term, i) => termOf(draft, term, i, name)), otherwise };
  });
  const { prefixLists, asPaths, communitySets } = draft;
  return { prefixLists, asPaths, communitySets, policies };
}

/** Policy names as a peer gives them, each of which must stand for something that makes sense in this direction. */
export function policyNames(
  names: string | readonly string[] | undefined,
  { policies }: PolicySections,
  direction: 'import' | 'export',
  path: string,
  complain: Complain,
): readonly string[] | undefined {
  if (names === undefined) return undefined;
  for (const name of listed(names)) {
    const policy = Object.hasOwn(policies, name) ? policies[name] : undefined;
    if (policy === undefined) complain(path, missing('policy', name, Object.keys(policies)));
    else if (direction === 'import' && policy.terms.some(term => term.set.nextHop === 'self'))
      complain(path, `policy ${name} sets nextHop to self, which is for export only`);
  }
  return listed(names);
}

export function maxPrefixesOf(
  config: MaxPrefixesConfig | undefined,
): { readonly [F in Family]?: MaxPrefixes } | undefined {
  if (config === undefined) return undefined;
  const complete = (limit: Partial<MaxPrefixes> & { readonly limit: number }): MaxPrefixes => ({
    ...LIMIT_DEFAULTS,
    warnAt: Math.ceil(limit.limit * WARN_SHARE),
    ...defined(limit),
  });
  if (typeof config === 'number') return forAll(complete({ limit: config }));
  if ('limit' in config) return forAll(complete(defined(config)));
  return Object.fromEntries(
    FAMILIES.flatMap(family => {
      const limit = config[family];
      return limit === undefined ? [] : [[family, complete(defined(limit))]];
    }),
  );
}

function forAll(limit: MaxPrefixes): { readonly [F in Family]: MaxPrefixes } {
  return { 'ipv4-unicast': limit, 'ipv6-unicast': limit };
}

function prefixRule(
  rule: PolicySections['prefixLists'][string][number],
  path: string,
  complain: Complain,
): PrefixRule[] {
  if (typeof rule === 'string') return [valueOf(parsePrefixRule(rule))];
  const checked = checkedRule(defined({ ...rule, prefix: valueOf(parsePrefix(rule.prefix)) }));
  if (checked.ok) return [checked.value];
  complain(path, checked.error);
  return [];
}

function complainOfNames(terms: readonly TermConfig[], path: string, complain: Complain): void {
  const seen = new Map<string, number>();
  for (const [i, { name }] of terms.entries()) {
    if (name === undefined) continue;
    const first = seen.get(name);
    if (first === undefined) seen.set(name, i);
    else complain(`${path}.terms[${i}].name`, `"${name}" is the name of terms[${first}] too`);
  }
}

function termOf(all: Draft, term: TermConfig, index: number, policy: string): PolicyTerm {
  const name = term.name ?? String(index + 1);
  const path = `policies.${policy}.terms[${index}]`;
  const draft: Draft = {
    ...all,
    complain: (at, reason) => all.complain(at, `${reason} (policy ${policy}, term ${name})`),
  };
  return {
    name: `term ${name}`,
    match: matchOf(draft, term.match, `${path}.match`),
    changes: changesOf(draft, term.set, `${path}.set`),
    verdict: term.then,
  };
}

function matchOf(draft: Draft, match: MatchConfig, path: string): PolicyMatch {
  const lists = (names: string | readonly string[] | undefined, key: string): readonly string[] | undefined =>
    names === undefined
      ? undefined
      : resolve(names, draft.prefixLists, parsePrefixRule, 'prefix list', `${path}.${key}`, draft.complain);
  const sets = (names: string | readonly string[] | undefined, key: string): readonly string[] | undefined =>
    names === undefined ? undefined : communitySets(draft, names, `${path}.${key}`);
  const { communities } = match;
  const isPlain = typeof communities === 'string' || Array.isArray(communities);
  return defined({
    families: listedIf(match.family),
    prefixes: lists(match.prefixes, 'prefixes'),
    asPaths:
      match.asPath === undefined
        ? undefined
        : resolve(match.asPath, draft.asPaths, parseAsPath, 'AS path', `${path}.asPath`, draft.complain),
    communities:
      communities === undefined
        ? undefined
        : isPlain
          ? defined({ any: sets(communities, 'communities') })
          : defined({
              any: sets(communities.any, 'communities.any'),
              all: sets(communities.all, 'communities.all'),
              none: sets(communities.none, 'communities.none'),
            }),
    nextHops: lists(match.nextHop, 'nextHop'),
    origins: listedIf(match.origin),
    med: rangeOf(match.med),
    localPref: rangeOf(match.localPref),
    asPathLength: rangeOf(match.asPathLength),
    sources: listedIf(match.source),
    peers: listedIf(match.peer),
    tags: listedIf(match.tag),
  });
}

function changesOf(draft: Draft, set: ChangesConfig, path: string): PolicyChanges {
  const { localPref, med, addMed, prepend, removeCommunities, nextHop } = set;
  const added = kindsOf(set.addCommunities);
  return defined({
    localPref,
    med: med === 'none' ? null : med,
    addMed,
    prepend:
      typeof prepend === 'number'
        ? { count: prepend }
        : prepend && { count: prepend.count, ...defined({ asn: prepend.asn }) },
    removeCommunities:
      removeCommunities === undefined
        ? undefined
        : communitySets(draft, removeCommunities, `${path}.removeCommunities`),
    ...replacements(draft, set.communities, `${path}.communities`),
    addCommunities: nonEmpty(added.standard),
    addLargeCommunities: nonEmpty(added.large),
    addExtendedCommunities: nonEmpty(added.extended),
    nextHop:
      nextHop === undefined || nextHop === 'self' || nextHop === 'peer' ? nextHop : valueOf(parseAddress(nextHop)),
  });
}

function replacements(
  { complain }: Draft,
  texts: readonly string[] | undefined,
  path: string,
): Pick<PolicyChanges, 'setCommunities' | 'setLargeCommunities'> {
  if (texts === undefined) return {};
  const { standard, large, extended } = kindsOf(texts);
  if (extended.length > 0) complain(path, 'extended communities can be added and removed, but not put in place of all');
  return texts.length === 0
    ? { setCommunities: [], setLargeCommunities: [] }
    : defined({ setCommunities: nonEmpty(standard), setLargeCommunities: nonEmpty(large) });
}

function communitySets(draft: Draft, names: string | readonly string[], path: string): readonly string[] {
  return resolve(names, draft.communitySets, parseCommunityPattern, 'community set', path, draft.complain);
}

/** Names of what is meant: a name that is defined, or the thing itself, which gets its text as its name. */
function resolve<T>(
  texts: string | readonly string[],
  defined: Record<string, readonly T[]>,
  parse: (text: string) => Result<T, string>,
  what: string,
  path: string,
  complain: Complain,
): readonly string[] {
  for (const text of listed(texts)) {
    if (Object.hasOwn(defined, text)) continue;
    const parsed = parse(text);
    if (parsed.ok) defined[text] = [parsed.value];
    else complain(path, isName(text) ? missing(what, text, Object.keys(defined)) : parsed.error);
  }
  return listed(texts);
}

function isName(text: string): boolean {
  return /^[A-Za-z][\w-]*$/.test(text);
}

function missing(what: string, name: string, known: readonly string[]): string {
  const near = closest(name, known);
  return `there is no ${what} "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}`;
}

type OfKind<K extends AnyCommunity['kind']> = Extract<AnyCommunity, { readonly kind: K }>['community'];

function kindsOf(texts: readonly string[] = []): {
  readonly standard: readonly OfKind<'standard'>[];
  readonly large: readonly OfKind<'large'>[];
  readonly extended: readonly OfKind<'extended'>[];
} {
  const all = texts.map(text => valueOf(parseAnyCommunity(text)));
  return {
    standard: all.flatMap(one => (one.kind === 'standard' ? [one.community] : [])),
    large: all.flatMap(one => (one.kind === 'large' ? [one.community] : [])),
    extended: all.flatMap(one => (one.kind === 'extended' ? [one.community] : [])),
  };
}

function rangeOf(range: MatchConfig['med']): NumberRange | undefined {
  return typeof range === 'number' ? { min: range, max: range } : range && defined(range);
}

function listed<T>(values: T | readonly T[]): readonly T[] {
  return Array.isArray(values) ? values : [values as T];
}

function listedIf<T>(values: T | readonly T[] | undefined): readonly T[] | undefined {
  return values === undefined ? undefined : listed(values);
}

function nonEmpty<T>(values: readonly T[]): readonly T[] | undefined {
  return values.length === 0 ? undefined : values;
}

function mapped<A, B>(record: Readonly<Record<string, A>>, value: (of: A, name: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, of]) => [name, value(of, name)]));
}

/** Without the keys that are undefined. */
function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/** The schema has checked it: anything else is a bug. */
function valueOf<T>(result: Result<T, string>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}
