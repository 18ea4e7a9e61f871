/** The machine's timers on a clock. Arming again is nearly free, as the hold timer is armed for every message. RFC 4271 section 10. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import { JITTERED, type Timer } from './fsmTypes.js';

interface Pending {
  /** When the clock will call; never later than the deadline. */
  handle: TimerHandle;
  due: number;
  deadline: number;
}

export interface Timers {
  arm(timer: Timer, seconds: number): void;
  cancel(timers: readonly Timer[]): void;
  cancelAll(): void;
}

/**
 * @param random 0 <= x < 1, for jitter
 * @param expired called after a timer's time, and for the hold timer only after one more chance to read: when it fires
 *   late because our own loop was busy, the peer's messages may be waiting in the socket
 */
export function createTimers(clock: Clock, random: () => number, expired: (timer: Timer) => void): Timers {
  const pending = new Map<Timer, Pending>();

  const schedule = (timer: Timer, deadline: number): void => {
    const wait = Math.max(1, deadline - clock.now());
    pending.set(timer, { handle: clock.setTimeout(() => fired(timer), wait), due: clock.now() + wait, deadline });
  };
  const fired = (timer: Timer): void => {
    const entry = pending.get(timer);
    if (entry === undefined) return;
    if (entry.deadline > clock.now()) schedule(timer, entry.deadline);
    else if (timer === 'hold') entry.handle = clock.setTimeout(() => expire(timer), 0);
    else expire(timer);
  };
  const expire = (timer: Timer): void => {
    const entry = pending.get(timer);
    if (entry === undefined) return;
    if (entry.deadline > clock.now()) {
      schedule(timer, entry.deadline);
    } else {
      pending.delete(timer);
      expired(timer);
    }
  };
  const cancelOne = (timer: Timer): void => {
    const entry = pending.get(timer);
    if (entry === undefined) return;
    clock.clearTimeout(entry.handle);
    pending.delete(timer);
  };

  return {
    arm: (timer, seconds) => {
      const jitter = JITTERED.has(timer) ? 0.75 + 0.25 * random() : 1;
      const deadline = clock.now() + seconds * 1000 * jitter;
      const entry = pending.get(timer);
      // A clock call that comes too early finds the new deadline: no need to cancel it.
      if (entry !== undefined && entry.due <= deadline) entry.deadline = deadline;
      else {
        cancelOne(timer);
        schedule(timer, deadline);
      }
    },
    cancel: timers => timers.forEach(cancelOne),
    cancelAll: () => [...pending.keys()].forEach(cancelOne),
  };
}
