/** Something that is looked at again and again: soon after a change, and now and then. One pass at a time. */

import type { Clock, TimerHandle } from './clock.js';

export interface PassesOptions {
  readonly clock: Clock;
  /** Milliseconds that a change waits that came while a pass was under way, so that a burst makes one more. */
  readonly gather: number;
  /** One pass; never rejects. @returns milliseconds until the next if nothing happens before */
  run(): Promise<number>;
}

export interface Passes {
  /** A pass shall begin within so many milliseconds. Before the first call there is none. */
  wake(delay: number): void;
  /** @returns resolves when no pass is under way or asked for; what waits does not wait any longer */
  idle(): Promise<void>;
  /** Lets the pass under way end; there is none after it. */
  stop(): Promise<void>;
}

export function createPasses(options: PassesOptions): Passes {
  return new Loop(options);
}

class Loop implements Passes {
  private timer: TimerHandle | undefined;
  private timerAt = Infinity;
  private running: Promise<void> | undefined;
  /** Asked for and not begun. */
  private isDue = false;
  private stopped = false;

  constructor(private readonly options: PassesOptions) {}

  wake(delay: number): void {
    if (this.stopped) return;
    this.isDue = true;
    if (this.running === undefined) this.arm(delay);
  }

  async idle(): Promise<void> {
    while (this.running !== undefined || this.isDue) await (this.running ?? this.pass());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.isDue = false;
    this.disarm();
    await this.running;
  }

  /** A change that comes later puts nothing off. */
  private arm(delay: number): void {
    const at = this.options.clock.now() + delay;
    if (this.timerAt <= at) return;
    this.disarm();
    this.timerAt = at;
    this.timer = this.options.clock.setTimeout(() => void this.pass(), delay);
  }

  private disarm(): void {
    this.timer?.cancel();
    this.timerAt = Infinity;
  }

  private pass(): Promise<void> {
    this.disarm();
    this.isDue = false;
    this.running ??= this.options.run().then(next => {
      this.running = undefined;
      if (!this.stopped) this.arm(this.isDue ? this.options.gather : next);
    });
    return this.running;
  }
}
