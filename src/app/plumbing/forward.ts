/**
 * Firewalls of others that drop what they do not know. A verdict of accept ends one base chain, never the others of the
 * same hook: no table of ours can let a packet through that theirs drops. iptables' FORWARD with policy DROP (Docker sets
 * it) is the common case, and is opened for pods with rules at its end: whoever has rules of his own there, such as for
 * network policies, judges first. A firewall that an administrator wrote is only named.
 */

import { isDeepStrictEqual } from 'node:util';
import type { FoundChain, FoundTable, Nft } from '../../kernel/nft.js';

/** A chain through which pods' packets must go, and which drops by policy. */
export interface DroppingChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
}

export const FORWARD_COMMENT = 'peerage: pods of this node';

/** iptables-nft(8) keeps them: they have rules of many, and another one is no surprise. */
const IPTABLES: readonly DroppingChain[] = ['ip', 'ip6'].map(family => ({ family, table: 'filter', name: 'FORWARD' }));

/** Chains other than iptables'. */
export function foreignChains(chains: readonly FoundChain[]): readonly DroppingChain[] {
  return chains
    .filter(drops)
    .filter(({ family }) => family === 'ip' || family === 'ip6' || family === 'inet')
    .filter(({ family, table, name }) => family === 'inet' || table !== 'filter' || name !== 'FORWARD')
    .map(({ family, table, name }) => ({ family, table, name }));
}

function drops({ hook, type, policy }: FoundChain): boolean {
  return hook === 'forward' && type === 'filter' && policy === 'drop';
}

export interface ForwardOutcome {
  /** Chains in which rules of ours were put, as people name them. */
  readonly opened: readonly string[];
  /** Sentences. */
  readonly complaints: readonly string[];
}

/**
 * Opens iptables' chains where they drop pods' packets.
 * @param mayOpen otherwise they are named
 * @returns rejects with NftError
 */
export async function openForward(nft: Nft, bridge: string, mayOpen: boolean): Promise<ForwardOutcome> {
  const opened: string[] = [];
  const complaints: string[] = [];
  for (const chain of IPTABLES) {
    const found = await nft.readChain(chain.family, chain.table, chain.name);
    if (found?.chains.some(drops) !== true) continue;
    if (DIRECTIONS.every(direction => found.rules.some(rule => acceptsAll(rule, direction, bridge)))) continue;
    const name = nameOf(chain);
    if (!mayOpen) {
      complaints.push(`chain ${name} ${WARNING}`);
      continue;
    }
    const accept = (direction: string): string =>
      `${direction} "${bridge}" counter accept comment "${FORWARD_COMMENT}"`;
    const additions = DIRECTIONS.map(direction => `add rule ${name} ${accept(direction)}\n`);
    // What we put there before may name another bridge.
    await nft.run([...deletions(chain, found.rules.filter(isOurs)), ...additions].join(''));
    opened.push(name);
  }
  return { opened, complaints };
}

export const WARNING = 'drops packets by policy: pods are reached through it only as far as its own rules let them';

/**
 * Looks through all chains for firewalls that an administrator wrote, and that say nothing of the bridge.
 * @returns sentences; rejects with NftError
 */
export async function foreignFirewalls(nft: Nft, bridge: string): Promise<readonly string[]> {
  const complaints: string[] = [];
  for (const chain of foreignChains(await nft.chains())) {
    const rules = (await nft.readChain(chain.family, chain.table, chain.name))?.rules ?? [];
    const isKnown = rules.some(({ expr }) => JSON.stringify(expr).includes(JSON.stringify(bridge)));
    if (!isKnown) complaints.push(`chain ${nameOf(chain)} ${WARNING}`);
  }
  return complaints;
}

/** Takes our rules out of iptables' chains, whatever their policy is now. @returns the chains they were in */
export async function closeForward(nft: Nft): Promise<readonly string[]> {
  const closed: string[] = [];
  for (const chain of IPTABLES) {
    const found = await nft.readChain(chain.family, chain.table, chain.name);
    const ours = found?.rules.filter(isOurs) ?? [];
    if (ours.length === 0) continue;
    await nft.run(deletions(chain, ours).join(''));
    closed.push(nameOf(chain));
  }
  return closed;
}

function nameOf({ family, table, name }: DroppingChain): string {
  return `${family} ${table} ${name}`;
}

/**
 * Rules are written as iptables-nft(8) writes `-i BRIDGE -m comment --comment … -j ACCEPT`, and it lists and deletes them as
 * such.
 */
const DIRECTIONS = ['iifname', 'oifname'] as const;

type FoundRule = FoundTable['rules'][number];

function isOurs({ comment }: FoundRule): boolean {
  return comment === FORWARD_COMMENT;
}

/** Also a rule of somebody else, and one of ours after iptables-restore(8), which keeps comments where nft(8) cannot read them. */
function acceptsAll({ expr }: FoundRule, direction: (typeof DIRECTIONS)[number], bridge: string): boolean {
  const significant = expr.filter(part => !isRemark(part));
  const match = { match: { op: '==', left: { meta: { key: direction } }, right: bridge } };
  return isDeepStrictEqual(significant, [match, { accept: null }]);
}

function isRemark(part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return false;
  return 'counter' in part || ('xt' in part && isDeepStrictEqual(part.xt, { type: 'match', name: 'comment' }));
}

function deletions(chain: DroppingChain, rules: readonly FoundRule[]): readonly string[] {
  return rules.map(({ handle }) => `delete rule ${nameOf(chain)} handle ${handle}\n`);
}
