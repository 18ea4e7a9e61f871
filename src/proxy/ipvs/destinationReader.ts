/**
 * Destinations of many servers: from the kernel's one list where most are asked for, or server by server. Impure: through what
 * it is given.
 */

import { setImmediate } from 'node:timers/promises';
import type { Ipvs } from '../../kernel/ipvs/ipvs.js';
import type { ListedDestination } from '../../kernel/ipvs/listing.js';
import type { ServerId } from '../../kernel/ipvs/messages.js';
import { serverKey } from './virtualServers.js';

/** So many times as long as one server's part of the list takes it to be asked for alone: measured 5 to 7 times. */
const ALONE = 4;
/** Servers that are looked at without giving the event loop a turn. */
const SERVERS_PER_TURN = 32;

/**
 * @param total servers that there are
 * @param take is told of each server that is asked for, in order
 */
export async function readDestinations<T extends ServerId>(
  ipvs: Pick<Ipvs, 'listing' | 'destinations'>,
  { asked, total }: { readonly asked: readonly T[]; readonly total: number },
  take: (server: T, destinations: readonly ListedDestination[]) => void,
): Promise<void> {
  const listed = asked.length > 0 && asked.length * ALONE >= total ? await ipvs.listing() : undefined;
  const byPlace = new Map((listed ?? []).map(server => [serverKey(server), server.destinations]));
  for (const [i, server] of asked.entries()) {
    // Whoever made or deleted another one meanwhile may have pushed this one off the list.
    take(server, byPlace.get(serverKey(server)) ?? (await ipvs.destinations(server)));
    if (i % SERVERS_PER_TURN === SERVERS_PER_TURN - 1) await setImmediate();
  }
}
