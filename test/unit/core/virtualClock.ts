/** A clock that stands still until a test moves it. */

import type { Clock, TimerHandle } from '../../../src/core/clock.js';

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  #entries: Entry[] = [];

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, milliseconds: number): TimerHandle {
    const entry: Entry = { at: this.#now + Math.max(0, milliseconds), order: this.#order++, callback };
    this.#entries.push(entry);
    return { cancel: () => (this.#entries = this.#entries.filter(e => e !== entry)) };
  }

  clearTimeout(handle: TimerHandle): void {
    handle.cancel();
  }

  /** Calls waiting to be made. */
  get pending(): number {
    return this.#entries.length;
  }

  /** Lets time pass, calling whatever falls due in order of time, then of asking. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (let next = this.#earliest(); next !== undefined && next.at <= end; next = this.#earliest()) {
      const due = next;
      this.#entries = this.#entries.filter(e => e !== due);
      this.#now = Math.max(this.#now, due.at);
      due.callback();
    }
    this.#now = end;
  }

  /** Time passes while nothing runs: what fell due is late. */
  block(milliseconds: number): void {
    this.#now += milliseconds;
  }

  #earliest(): Entry | undefined {
    return this.#entries.reduce<Entry | undefined>(
      (best, e) => (best === undefined || e.at < best.at || (e.at === best.at && e.order < best.order) ? e : best),
      undefined,
    );
  }
}
