/** Reads of a table only what somebody asks for, and then what he asks for because of that: a frontend of a hundred thousand. */

import { setImmediate } from 'node:timers/promises';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { readElement } from '../../kernel/nftables/dump.js';
import { elementText, keyOctets, setOf, type ElementKey } from '../../kernel/nftables/elements.js';
import type { TableName } from '../../kernel/nftables/messages.js';

/** Elements and their values, as far as they are asked for. */
export type ElementLookup = Pick<ReadonlyMap<ElementKey, string>, 'get' | 'has'>;

/** Elements that are asked for without giving the event loop a turn. */
const PER_TURN = 64;

/**
 * Asks again and again, each time with more of what was asked for, until nothing is missing.
 * @param read pure: what it asks for depends on nothing but what it was told
 * @param ask value of one element; undefined: there is none
 */
export async function readLookedUp<T>(
  read: (present: ElementLookup) => T,
  ask: (key: ElementKey) => Promise<string | undefined>,
): Promise<T> {
  const known = new Map<ElementKey, string | undefined>();
  for (;;) {
    const missing = new Set<ElementKey>();
    const get = (key: ElementKey): string | undefined => {
      if (!known.has(key)) missing.add(key);
      return known.get(key);
    };
    const found = read({ get, has: key => get(key) !== undefined });
    if (missing.size === 0) return found;
    for (const key of missing) {
      known.set(key, await ask(key));
      if (known.size % PER_TURN === 0) await setImmediate();
    }
  }
}

/** What the kernel has of one element. Impure: netlink. */
export async function askKernel(
  channel: NetlinkChannel,
  table: TableName,
  key: ElementKey,
): Promise<string | undefined> {
  const found = await readElement(channel, table, setOf(key), keyOctets(key));
  return found === undefined ? undefined : elementText(found.value);
}
