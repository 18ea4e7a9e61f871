/**
 * Which transactions are sent on the calling thread: short ones, which the kernel is done with in a millisecond, while nothing
 * says that it is busy. Handing one to another thread costs two wake-ups, several milliseconds of every fiftieth change where
 * processors go to sleep in between.
 *
 * The kernel has one lock for all who write nf_tables in a network namespace (nft_net's commit_mutex), so a short transaction
 * waits behind a long one of anybody's: behind ours none is sent so, and having waited for somebody else's, no more are for a
 * while.
 */

import type { Clock } from '../../core/clock.js';

/** Octets: some hundred elements or rules. */
const SHORT = 32 << 10;
/** Milliseconds after which the lock was held by somebody. */
const LONG = 20;
/** Milliseconds for which the thread is then kept out of it. */
const PAUSE = 60_000;

export interface BriefSends {
  /** Whether so many octets may be sent on this thread. */
  allows(octets: number): boolean;
  /** Sends on this thread, and remembers how long that took. */
  here(send: () => void): void;
  /** Sends on another thread. */
  aside(send: () => Promise<void>): Promise<void>;
}

export function createBriefSends(clock: Pick<Clock, 'now'>): BriefSends {
  let asides = 0;
  let notBefore = -Infinity;
  return {
    allows: octets => octets <= SHORT && asides === 0 && clock.now() >= notBefore,
    here: send => {
      const begun = clock.now();
      try {
        send();
      } finally {
        const ended = clock.now();
        if (ended - begun > LONG) notBefore = ended + PAUSE;
      }
    },
    aside: async send => {
      asides++;
      try {
        await send();
      } finally {
        asides--;
      }
    },
  };
}
