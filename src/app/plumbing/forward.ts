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
  /** iptables keeps it (its nft variant): it has rules of many, and another one is no surprise. */
  readonly isIptables: boolean;
}

export const FORWARD_COMMENT = 'peerage: pods of this node';

export function droppingChains(chains: readonly FoundChain[]): readonly DroppingChain[] {
  return chains
    .filter(({ hook, type, policy }) => hook === 'forward' && type === 'filter' && policy === 'drop')
    .filter(({ family }) => family === 'ip' || family === 'ip6' || family === 'inet')
    .map(({ family, table, name }) => {
      const isIptables = family !== 'inet' && table === 'filter' && name === 'FORWARD';
      return { family, table, name, isIptables };
    });
}

export interface ForwardOutcome {
  /** Chains in which rules of ours were put, as people name them. */
  readonly opened: readonly string[];
  /** Sentences. */
  readonly complaints: readonly string[];
}

/**
 * Finds firewalls that would drop pods' packets, and opens those that are iptables'.
 * @param mayOpen otherwise they are named as well
 * @returns rejects with NftError
 */
export async function openForward(nft: Nft, bridge: string, mayOpen: boolean): Promise<ForwardOutcome> {
  const opened: string[] = [];
  const complaints: string[] = [];
  for (const chain of droppingChains(await nft.chains())) {
    const name = `${chain.family} ${chain.table} ${chain.name}`;
    const found = await rulesIn(nft, chain);
    if (DIRECTIONS.every(direction => found.some(rule => acceptsAll(rule, direction, bridge)))) continue;
    if (!chain.isIptables || !mayOpen) {
      complaints.push(
        `chain ${name} drops packets by policy: pods are reached through it only as far as its own rules let them`,
      );
      continue;
    }
    const rules = DIRECTIONS.map(
      direction => `add rule ${name} ${direction} "${bridge}" counter accept comment "${FORWARD_COMMENT}"
`,
    );
    // What we put there before may name another bridge.
    await nft.run([...deletions(chain, found.filter(isOurs)), ...rules].join(''));
    opened.push(name);
  }
  return { opened, complaints };
}

/** Takes our rules out of iptables' chains, whatever their policy is now. @returns the chains they were in */
export async function closeForward(nft: Nft): Promise<readonly string[]> {
  const closed: string[] = [];
  for (const { family, table, name } of await nft.chains()) {
    if (table !== 'filter' || name !== 'FORWARD' || (family !== 'ip' && family !== 'ip6')) continue;
    const chain: DroppingChain = { family, table, name, isIptables: true };
    const ours = (await rulesIn(nft, chain)).filter(isOurs);
    if (ours.length === 0) continue;
    await nft.run(deletions(chain, ours).join(''));
    closed.push(`${family} ${table} ${name}`);
  }
  return closed;
}

/**
 * Rules are written as iptables-nft(8) writes `-i BRIDGE -m comment --comment … -j ACCEPT`, and it lists and deletes them as
 * such.
 */
const DIRECTIONS = ['iifname', 'oifname'] as const;

type FoundRule = FoundTable['rules'][number];

async function rulesIn(nft: Nft, { family, table, name }: DroppingChain): Promise<readonly FoundRule[]> {
  return (await nft.readChain(family, table, name))?.rules ?? [];
}

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

function deletions({ family, table, name }: DroppingChain, rules: readonly FoundRule[]): readonly string[] {
  return rules.map(({ handle }) => `delete rule ${family} ${table} ${name} handle ${handle}\n`);
}
