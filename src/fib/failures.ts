/** Routes the kernel refused, each with its own next try: 250 ms, doubling to 30 s. */

import type { Clock, TimerHandle } from '../core/clock.js';

export interface Failure {
  readonly errno: number;
  /** Errno by name, and the kernel's own words. */
  readonly text: string;
  readonly attempts: number;
  /** On the clock. */
  readonly retryAt: number;
}

const FIRST_RETRY = 250;
const LONGEST_RETRY = 30_000;
/** Retries that fall due this close together go in one batch, in milliseconds. */
const TOGETHER = 20;

export class Failures {
  private readonly byId = new Map<number, Failure>();
  private timer: TimerHandle | undefined;
  private timerAt = Infinity;

  /** @param retry told the ids that are due; they stay failures until `clear` */
  constructor(
    private readonly clock: Clock,
    private readonly retry: (ids: readonly number[]) => void,
  ) {}

  get size(): number {
    return this.byId.size;
  }

  get(id: number): Failure | undefined {
    return this.byId.get(id);
  }

  ids(): Iterable<number> {
    return this.byId.keys();
  }

  /** @returns true when this is news: the first failure, or another error than last time */
  record(id: number, errno: number, text: string): boolean {
    const before = this.byId.get(id);
    const attempts = (before?.attempts ?? 0) + 1;
    const retryAt = this.clock.now() + Math.min(FIRST_RETRY * 2 ** (attempts - 1), LONGEST_RETRY);
    this.byId.set(id, { errno, text, attempts, retryAt });
    this.arm(retryAt);
    return before?.text !== text;
  }

  /** @returns whether it had failed before */
  clear(id: number): boolean {
    return this.byId.size > 0 && this.byId.delete(id);
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.byId.clear();
  }

  private arm(at: number): void {
    if (this.timer !== undefined && this.timerAt <= at) return;
    this.timer?.cancel();
    this.timerAt = at;
    this.timer = this.clock.setTimeout(() => this.due(), Math.max(0, at - this.clock.now()));
  }

  private due(): void {
    this.timer = undefined;
    const horizon = this.clock.now() + TOGETHER;
    const ids: number[] = [];
    let next = Infinity;
    for (const [id, { retryAt }] of this.byId) {
      if (retryAt <= horizon) ids.push(id);
      else next = Math.min(next, retryAt);
    }
    if (next < Infinity) this.arm(next);
    if (ids.length > 0) this.retry(ids);
  }
}
