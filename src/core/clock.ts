/** Time as a dependency, so that whatever waits can be tested without waiting. */

/** Names a pending call of {@link Clock.setTimeout}; opaque to everybody but the clock that made it. */
export type TimerHandle = object | number;

export interface Clock {
  /** Milliseconds from an arbitrary origin. Monotonic: setting the wall clock does not move it. */
  now(): number;
  /** Calls `callback` once, not before `milliseconds` have passed. 0 is the next turn of the event loop, after a chance to read. */
  setTimeout(callback: () => void, milliseconds: number): TimerHandle;
  /** Forgets a pending call. A handle that has fired or was cleared is ignored. */
  clearTimeout(handle: TimerHandle): void;
}

/** Longest delay Node's timers take, in milliseconds; a longer one would fire at once. */
const LONGEST_TIMEOUT = 0x7fff_ffff;

/** The clock of the running process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, milliseconds) => setTimeout(callback, Math.min(milliseconds, LONGEST_TIMEOUT)),
  clearTimeout: handle => clearTimeout(handle as NodeJS.Timeout),
};
