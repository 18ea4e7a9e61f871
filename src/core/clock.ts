/** Time as a dependency, so that whatever waits can be tested without waiting. */

/** A pending call of {@link Clock.setTimeout}; opaque to everybody but the clock that made it. */
export interface TimerHandle {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds from an arbitrary origin. Monotonic: setting the wall clock does not move it. */
  now(): number;
  /** Calls `callback` once, not before `milliseconds` have passed. 0: in this turn of the event loop, after sockets were read. */
  setTimeout(callback: () => void, milliseconds: number): TimerHandle;
  /** Forgets a pending call. A handle that has fired or was cleared is ignored. */
  clearTimeout(handle: TimerHandle): void;
}

/** Longest delay Node's timers take, in milliseconds; a longer one would fire at once. */
const LONGEST_TIMEOUT = 0x7fff_ffff;

/** The clock of the running process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, milliseconds) => {
    // Only setImmediate promises that sockets are polled first: a timer of 0 may fire in the same phase.
    if (milliseconds <= 0) {
      const immediate = setImmediate(callback);
      return { cancel: () => clearImmediate(immediate) };
    }
    const timeout = setTimeout(callback, Math.min(milliseconds, LONGEST_TIMEOUT));
    return { cancel: () => clearTimeout(timeout) };
  },
  clearTimeout: handle => handle.cancel(),
};
