/** The policies of the configuration in force: compiled when they are used, and told apart by what they say. */

import { createHash } from 'node:crypto';
import { NO_POLICIES, type PolicySet, type PolicyTerm } from '../bgp/policyTypes.js';
import { createAttributeBlocks } from '../bgp/wire/attributeBlocks.js';
import { PolicyBook, type Chain, type PolicySubject } from '../rib/policy/chain.js';
import type { PolicyColumns } from '../rib/policy/evaluation.js';
import type { Rib } from '../rib/rib.js';

/** RFC 8212: what stands for a policy where there must be one and is none. */
const REFUSE_ALL: Chain = [
  {
    name: 'none is configured, and one is required (RFC 8212)',
    prefixes: undefined,
    holds: () => true,
    changes: undefined,
    verdict: 'reject',
  },
];

export interface PolicyChoice {
  /** Policies by name, one after another. */
  readonly names: readonly string[];
  /** Without any name, everything is refused. */
  readonly isRequired: boolean;
}

export class Policies {
  private set: PolicySet = NO_POLICIES;
  private book = new PolicyBook(NO_POLICIES);
  private readonly keys = new Map<string, string>();
  private readonly blocks = createAttributeBlocks();

  constructor(private readonly rib: Rib) {}

  /** @returns whether anything is said otherwise than before */
  use(set: PolicySet = NO_POLICIES): boolean {
    if (set === this.set || JSON.stringify(set) === JSON.stringify(this.set)) return false;
    this.set = set;
    this.book = new PolicyBook(set);
    this.keys.clear();
    return true;
  }

  /** Equal for choices that mean the same, now and under another configuration; '' when they mean nothing. */
  keyOf({ names, isRequired }: PolicyChoice): string {
    if (names.length === 0) return isRequired ? 'required' : '';
    const name = names.join('\n');
    const known = this.keys.get(name);
    if (known !== undefined) return known;
    const key = createHash('sha256')
      .update(JSON.stringify(contentOf(names, this.set)))
      .digest('base64');
    this.keys.set(name, key);
    return key;
  }

  /** @throws Error when a name stands for nothing: configurations are checked before they come here */
  chain({ names, isRequired }: PolicyChoice, subject: PolicySubject): Chain {
    return names.length === 0 && isRequired ? REFUSE_ALL : this.book.chain(names, subject);
  }

  columns(family: 0 | 1): PolicyColumns {
    const { attributes, nextHops, peers, families } = this.rib;
    return { attributes, nextHops, peers, prefixes: families[family].prefixes, blocks: this.blocks };
  }
}

/** The policies with everything they name. */
function contentOf(names: readonly string[], set: PolicySet): unknown {
  const policies = names.map(name => [name, set.policies[name]]);
  const terms = names.flatMap(name => set.policies[name]?.terms ?? []);
  const pick = (of: Readonly<Record<string, unknown>>, used: (term: PolicyTerm) => readonly string[]): unknown =>
    [...new Set(terms.flatMap(used))].sort().map(name => [name, of[name]]);
  return [
    policies,
    pick(set.prefixLists, ({ match }) => [...(match.prefixes ?? []), ...(match.nextHops ?? [])]),
    pick(set.asPaths, ({ match }) => match.asPaths ?? []),
    pick(set.communitySets, ({ match: { communities }, changes }) => [
      ...(communities?.any ?? []),
      ...(communities?.all ?? []),
      ...(communities?.none ?? []),
      ...(changes.removeCommunities ?? []),
    ]),
  ];
}
