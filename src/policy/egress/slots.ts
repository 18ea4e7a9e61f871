/** Small numbers for nodes, the same after a restart as long as the same nodes are there. Pure. */

import { createHash } from 'node:crypto';
import { MOST_SLOTS } from './egressTable.js';

/** @returns by name, 1 to MOST_SLOTS, no two alike; who finds none free is left out */
export function slotsOf(names: ReadonlySet<string>): ReadonlyMap<string, number> {
  const taken = new Set<number>();
  const slots = new Map<string, number>();
  for (const name of [...names].sort()) {
    if (taken.size === MOST_SLOTS) break;
    let slot = createHash('sha256').update(name).digest().readUInt32BE(0) % MOST_SLOTS;
    while (taken.has(slot)) slot = (slot + 1) % MOST_SLOTS;
    taken.add(slot);
    slots.set(name, slot + 1);
  }
  return slots;
}
