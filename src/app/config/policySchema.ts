/** The policy language in the YAML configuration: shapes and forms. What names stand for is checked in policies.ts. */

import { z } from 'zod';
import { parseAsPath } from '../../bgp/asPathExpression.js';
import { ORIGINS } from '../../bgp/attributes.js';
import { FAMILIES } from '../../bgp/families.js';
import { NETWORK_TAGS, ROUTE_SOURCES } from '../../bgp/policyTypes.js';
import { parseCommunityPattern } from '../../bgp/wire/communityPattern.js';
import { parseAnyCommunity, parsePrefixRule } from './policyText.js';
import { address, prefix, text } from './textSchema.js';

const number = z.number().int().min(0).max(0xffff_ffff);

/** Begins with a letter, so that nothing that may stand in its place looks like one. */
const name = z
  .string()
  .regex(/^[A-Za-z][\w-]{0,63}$/, { message: 'a name begins with a letter and has up to 64 letters, digits and - _' });

function oneOrMore<T extends z.ZodType>(of: T): z.ZodUnion<[T, z.ZodArray<T>]> {
  return z.union([of, z.array(of).min(1)]);
}

/** The name of something defined elsewhere, or the thing itself. */
const reference = z.string().min(1);

export const PrefixRuleConfig = z.union([
  text(parsePrefixRule).describe('PREFIX, PREFIX le 24, PREFIX ge 16 le 24, or deny PREFIX …'),
  z.strictObject({
    prefix,
    ge: z.number().int().min(0).max(128).optional().describe('Shortest length. Default: that of the prefix.'),
    le: z
      .number()
      .int()
      .min(0)
      .max(128)
      .optional()
      .describe('Longest length. Default: that of the prefix, or with ge the longest there is.'),
    action: z.enum(['permit', 'deny']).default('permit'),
  }),
]);

const range = z.union([
  number,
  z
    .strictObject({ min: number.optional(), max: number.optional() })
    .refine(({ min = 0, max = Infinity }) => min <= max, { message: 'min is greater than max' }),
]);

export const MatchConfig = z.strictObject({
  family: oneOrMore(z.enum(FAMILIES)).optional(),
  prefixes: oneOrMore(reference)
    .optional()
    .describe('Prefix lists, or prefixes such as 10.0.0.0/8 le 24; one must match.'),
  asPath: oneOrMore(reference)
    .optional()
    .describe('AS paths by name, or expressions such as ^65010 .*; one must match.'),
  communities: z
    .union([
      oneOrMore(reference),
      z.strictObject({
        any: oneOrMore(reference).optional(),
        all: oneOrMore(reference).optional(),
        none: oneOrMore(reference).optional(),
      }),
    ])
    .optional()
    .describe('Community sets by name, or patterns such as 65000:*; one must match, or what any, all and none say.'),
  nextHop: oneOrMore(reference).optional().describe('Prefix lists, or prefixes, that the next hop is looked up in.'),
  origin: oneOrMore(z.enum(ORIGINS)).optional(),
  med: range.optional().describe('A number, or min and max. A route without MED has 0.'),
  localPref: range.optional().describe('A number, or min and max. A route without LOCAL_PREF has 100.'),
  asPathLength: range.optional().describe('A number, or min and max. A set counts once.'),
  source: oneOrMore(z.enum(ROUTE_SOURCES)).optional().describe('Where the route comes from.'),
  peer: oneOrMore(z.string().min(1)).optional().describe('Names of the peers the route comes from.'),
  tag: oneOrMore(z.enum(NETWORK_TAGS)).optional().describe('Networks of our own of this kind.'),
});

const communities = z.array(text(parseAnyCommunity));

export const ChangesConfig = z.strictObject({
  localPref: number.optional(),
  med: z
    .union([number, z.literal('none')])
    .optional()
    .describe('A number, or none to remove it.'),
  addMed: z.number().int().min(-0xffff_ffff).max(0xffff_ffff).optional().describe('Added to MED; may be negative.'),
  prepend: z
    .union([
      z.number().int().min(1).max(32),
      z.strictObject({ asn: number.min(1).optional(), count: z.number().int().min(1).max(32) }),
    ])
    .optional()
    .describe('How often to prepend our own AS (on import: that of the peer), or asn and count.'),
  removeCommunities: oneOrMore(reference).optional().describe('Community sets by name, or patterns such as 65000:*.'),
  communities: communities
    .optional()
    .describe('In place of all standard communities, and of all large ones where one stands here; [] removes both.'),
  addCommunities: communities.optional().describe('Standard, large and extended ones: 65000:1, 65000:1:2, rt:65000:1.'),
  nextHop: z.union([z.enum(['self', 'peer']), address]).optional(),
});

export const TermConfig = z.strictObject({
  name: z.string().min(1).max(64).optional().describe('Shown where a route is rejected. Default: its number.'),
  match: MatchConfig.default({}).describe('All that is said here must hold. Default: every route.'),
  set: ChangesConfig.default({}),
  then: z.enum(['accept', 'reject', 'next']).describe('next: apply set and go on with the following term.'),
});

export const PolicyConfig = z.strictObject({
  terms: z.array(TermConfig).default([]),
  otherwise: z
    .enum(['accept', 'reject', 'next'])
    .default('next')
    .describe('What becomes of a route no term decided; next: the following policy, after the last one accept.'),
});

/** Top-level sections. */
export const policyShape = {
  prefixLists: z
    .record(name, z.array(PrefixRuleConfig))
    .default({})
    .describe('Prefix lists by name. The first rule that matches decides.'),
  asPaths: z
    .record(name, oneOrMore(text(parseAsPath)))
    .default({})
    .describe('AS path expressions by name: regular expressions whose letters are AS numbers. One must match.'),
  communitySets: z
    .record(name, z.array(text(parseCommunityPattern)))
    .default({})
    .describe('Sets of community patterns by name.'),
  policies: z.record(name, PolicyConfig).default({}).describe('Import and export policies by name.'),
} as const;

const prefixLimit = z.strictObject({
  limit: z.number().int().min(1).max(0xffff_ffff),
  warnAt: z
    .number()
    .int()
    .min(1)
    .max(0xffff_ffff)
    .optional()
    .describe('Warn from so many on. Default: three quarters.'),
  action: z
    .enum(['restart', 'idle', 'warn'])
    .default('restart')
    .describe('End the session and begin again later, or stay down until enabled, or only warn.'),
  restartAfter: z.number().min(1).max(86_400).default(300).describe('Seconds.'),
});

export const MaxPrefixesConfig = z.union([
  z.number().int().min(1).max(0xffff_ffff),
  prefixLimit,
  z.strictObject({ 'ipv4-unicast': prefixLimit.optional(), 'ipv6-unicast': prefixLimit.optional() }),
]);

/** What can be said of a peer, or of a group. */
export const policyPeerOptions = {
  import: oneOrMore(name).describe('Policies that routes from the peer pass, one after another.'),
  export: oneOrMore(name).describe('Policies that routes to the peer pass, one after another.'),
  requirePolicy: z
    .boolean()
    .describe(
      'RFC 8212: an eBGP peer without import policy is not heard, one without export policy not told. Default false.',
    ),
  honorGracefulShutdown: z
    .boolean()
    .describe('RFC 8326: routes of an eBGP peer with GRACEFUL_SHUTDOWN get LOCAL_PREF 0. Default true.'),
  maxPrefixes: MaxPrefixesConfig.describe(
    'Most prefixes the peer may tell: a number for each family, or more precisely.',
  ),
} as const;

export type PolicySections = z.infer<z.ZodObject<typeof policyShape>>;
export type MatchConfig = z.infer<typeof MatchConfig>;
export type ChangesConfig = z.infer<typeof ChangesConfig>;
export type TermConfig = z.infer<typeof TermConfig>;
export type MaxPrefixesConfig = z.infer<typeof MaxPrefixesConfig>;
