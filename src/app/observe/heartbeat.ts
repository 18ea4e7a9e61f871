/** Asks a part for a sign of life from time to time, and knows how long ago the last one came. */

import type { Clock } from '../../core/clock.js';

/** Milliseconds between an answer and the next question. */
const INTERVAL = 5000;

export interface Heartbeat {
  /** Milliseconds since the last answer. */
  silence(): number;
  stop(): void;
}

/** @param ask settles when the part answers, with whatever: an error is a sign of life too */
export function startHeartbeat(clock: Clock, ask: () => Promise<unknown>): Heartbeat {
  let heard = clock.now();
  let stopped = false;
  const answered = (): void => {
    heard = clock.now();
    if (!stopped) timer = clock.setTimeout(beat, INTERVAL);
  };
  const beat = (): void => void ask().then(answered, answered);
  let timer = clock.setTimeout(beat, 0);
  return {
    silence: () => clock.now() - heard,
    stop: () => {
      stopped = true;
      timer.cancel();
    },
  };
}
