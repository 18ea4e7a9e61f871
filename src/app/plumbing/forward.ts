/**
 * Firewalls of others that drop what they do not know. A verdict of accept ends one base chain, never the others of the
 * same hook: no table of ours can let a packet through that theirs drops. iptables' FORWARD with policy DROP (Docker sets
 * it) is the common case, and is opened for pods with rules at its end: whoever has rules of his own there, such as for
 * network policies, judges first. A firewall that an administrator wrote is only named.
 */

import type { FoundChain, Nft } from '../../kernel/nft.js';

/** A chain through which pods' packets must go, and which drops by policy. */
export interface DroppingChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** iptables keeps it (its nft variant): it has rules of many, and another one is no surprise. */
  readonly isIptables: boolean;
}

const COMMENT = 'peerage: pods of this node';

/** @param own name of the family's table that is ours */
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
    const rules = rulesFor(bridge);
    const present = await ourRules(nft, chain);
    if (present.length === rules.length) continue;
    if (!chain.isIptables || !mayOpen) {
      complaints.push(
        `chain ${name} drops packets by policy: pods are reached through it only as far as its own rules let them`,
      );
      continue;
    }
    await nft.run([...deletions(chain, present), ...rules.map(rule => `add rule ${name} ${rule}\n`)].join(''));
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
    const present = await ourRules(nft, chain);
    if (present.length === 0) continue;
    await nft.run(deletions(chain, present).join(''));
    closed.push(`${family} ${table} ${name}`);
  }
  return closed;
}

/** As iptables-nft writes `-i BRIDGE -m comment --comment … -j ACCEPT`, so that it lists them as such. */
function rulesFor(bridge: string): readonly string[] {
  return [
    `iifname "${bridge}" counter accept comment "${COMMENT}"`,
    `oifname "${bridge}" counter accept comment "${COMMENT}"`,
  ];
}

async function ourRules(nft: Nft, { family, table, name }: DroppingChain): Promise<readonly number[]> {
  const found = await nft.readChain(family, table, name);
  return found?.rules.filter(({ comment }) => comment === COMMENT).map(({ handle }) => handle) ?? [];
}

function deletions({ family, table, name }: DroppingChain, handles: readonly number[]): readonly string[] {
  return handles.map(handle => `delete rule ${family} ${table} ${name} handle ${handle}\n`);
}
