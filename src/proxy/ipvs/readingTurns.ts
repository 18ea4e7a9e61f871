/**
 * Whose destinations are read this time: of many servers a part each time, in turn, so that no change waits for long until a
 * reading is over. Pure.
 */

import type { ServerId } from '../../kernel/ipvs/messages.js';
import { serverKey } from './virtualServers.js';

export interface ReadingTurns {
  /** Begins the next reading. @param servers how many there are @returns whether it is this one's turn */
  next(servers: number): (server: ServerId) => boolean;
  /** What is believed of this server may be wrong. @param server as {@link serverKey} has it */
  suspect(server: string): void;
  /** Nothing that is believed may be relied upon. */
  suspectAll(): void;
  /** The reading came to its end. */
  done(): void;
}

/** Servers of one reading: some tenths of a second of the kernel's time. */
const PART = 1000;

export function createReadingTurns(part = PART): ReadingTurns {
  const suspects = new Set<string>();
  let trustsNothing = true;
  let turn = 0;
  return {
    next: servers => {
      const turns = Math.max(1, Math.ceil(servers / part));
      turn = (turn + 1) % turns;
      return server => trustsNothing || numberOf(server) % turns === turn || suspects.has(serverKey(server));
    },
    suspect: server => void suspects.add(server),
    suspectAll: () => {
      trustsNothing = true;
    },
    done: () => {
      trustsNothing = false;
      suspects.clear();
    },
  };
}

/** The same for a server every time, and another for most of its neighbours. */
function numberOf({ address, port }: ServerId): number {
  const low = address.version === 4 ? address.value : address.words[3];
  return (low ^ port) >>> 0;
}
