/**
 * Keeps something outside (a kernel subsystem, a file) equal to what is wanted: reads what is there, writes differences
 * only, one commit at a time, believes what was acknowledged, tries again what was refused, and reads again now and then.
 */

import type { Clock, TimerHandle } from './clock.js';
import { createDeltaTable, type Delta, type Present, type WantedChanges } from './deltaTable.js';

/** The only impure part of a plane. */
export interface Target<K, V> {
  /** Everything there that is ours, recognised without memory. */
  read(): Promise<ReadonlyMap<K, V>>;
  /**
   * Writes a delta: first what is referred to, then what refers, then what is to go, the other way round.
   * @returns the keys that failed, with the reason; rejects only when nothing can be said of any of them
   */
  commit(delta: Delta<K, V>): Promise<ReadonlyMap<K, string>>;
}

export type ReconcilerEvent<K> =
  /** The first reading: so many things of ours were there already. */
  | { readonly kind: 'adopted'; readonly count: number }
  /** Everything that was asked for is there; told after each commit that changed something, and, empty, when an error is over. */
  | { readonly kind: 'written'; readonly set: readonly K[]; readonly removed: readonly K[] }
  /** Refused for the first time, or for another reason than before. Tried again with back-off. */
  | { readonly kind: 'failed'; readonly failures: ReadonlyMap<K, string> }
  /** Accepted after it had been refused, or not wanted any more. */
  | { readonly kind: 'recovered'; readonly keys: readonly K[] }
  /** Somebody else changed what is ours; it is put right. */
  | { readonly kind: 'drift'; readonly keys: readonly K[] }
  /** Reading or writing failed as a whole; tried again. */
  | { readonly kind: 'error'; readonly text: string };

export interface ReconcilerOptions<K, V> {
  readonly target: Target<K, V>;
  readonly clock: Clock;
  /** Whether writing the one over the other would change nothing. */
  readonly equal: (a: V, b: V) => boolean;
  /** Milliseconds between two readings when nothing suspicious happens. */
  readonly readBackInterval: number;
  onEvent(event: ReconcilerEvent<K>): void;
}

export interface Reconciler<K, V> {
  /** Wants these changes; a value of undefined takes the key out. In memory only: writing follows by itself. */
  apply(changes: WantedChanges<K, V>): void;
  /** Wants exactly these. */
  replaceAll(values: ReadonlyMap<K, V>): void;
  /** The sources are complete. Before this is said, nothing is written and nothing of a former life is removed. */
  begin(): void;
  /** Somebody touched what is ours: read soon. Many requests make one reading. */
  readSoon(): void;
  /**
   * What was read before now is no ground to write on: a difference is not made before everything has been read once more,
   * even if a commit is under way. For whoever changes what a reading means, or what writing one key does to others.
   */
  readFirst(): void;
  /** Wanted, and acknowledged or found to be there. */
  isSettled(key: K): boolean;
  /** Nothing differs from what is wanted, as far as is known: every wanted key is settled. */
  readonly isAllSettled: boolean;
  readonly failures: ReadonlyMap<K, string>;
  /** What is believed to be there. */
  readonly present: Present<K, V>;
  /** @returns resolves when all that can be written is written: what is left was refused */
  idle(): Promise<void>;
  /** Lets the commit under way end. What is there stays. */
  stop(): Promise<void>;
}

/** Lets the rest of a burst of notifications arrive before everything is read again, in milliseconds. */
const GATHER = 200;
const FIRST_RETRY = 250;
const LONGEST_RETRY = 30_000;

export function createReconciler<K, V>(options: ReconcilerOptions<K, V>): Reconciler<K, V> {
  return new Loop(options);
}

interface Refusal {
  readonly text: string;
  readonly attempts: number;
  readonly retryAt: number;
}

class Loop<K, V> implements Reconciler<K, V> {
  private readonly table;
  private readonly refusals = new Map<K, Refusal>();
  /** Refused before the last wish. */
  private readonly forgiven = new Set<K>();
  private begun = false;
  private stopped = false;
  private mustRead = true;
  /** Nothing is to be written before that reading. */
  private isOutdated = false;
  private hasRead = false;
  private running = false;
  /** Failures of the target as a whole, in a row. */
  private breakdowns = 0;
  private timer: TimerHandle | undefined;
  private timerAt = Infinity;
  private readBack: TimerHandle | undefined;
  private waiting: (() => void)[] = [];

  constructor(private readonly options: ReconcilerOptions<K, V>) {
    this.table = createDeltaTable<K, V>(options.equal);
  }

  get failures(): ReadonlyMap<K, string> {
    return new Map([...this.refusals].map(([key, { text }]) => [key, text]));
  }

  get present(): Present<K, V> {
    return this.table.present;
  }

  apply(changes: WantedChanges<K, V>): void {
    this.table.want(this.refusals.size === 0 ? changes : this.forgive(changes));
    this.wake(0);
  }

  /** A new wish deserves a new try. */
  private forgive(changes: WantedChanges<K, V>): WantedChanges<K, V> {
    const given = [...changes];
    for (const [key] of given) if (this.refusals.delete(key)) this.forgiven.add(key);
    return given;
  }

  replaceAll(values: ReadonlyMap<K, V>): void {
    for (const key of this.refusals.keys()) this.forgiven.add(key);
    this.refusals.clear();
    this.table.wantAll(values);
    this.wake(0);
  }

  begin(): void {
    if (this.begun) return;
    this.begun = true;
    this.wake(0);
    this.armReadBack();
  }

  readSoon(): void {
    this.mustRead = true;
    this.wake(GATHER);
  }

  readFirst(): void {
    this.isOutdated = true;
    this.mustRead = true;
    this.wake(0);
  }

  isSettled(key: K): boolean {
    return this.hasRead && this.table.isSettled(key);
  }

  get isAllSettled(): boolean {
    return this.hasRead && this.table.pending === 0;
  }

  idle(): Promise<void> {
    if (!this.running && this.timerAt > this.options.clock.now()) return Promise.resolve();
    return new Promise(resolve => this.waiting.push(resolve));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.readBack?.cancel();
    this.timer?.cancel();
    this.timerAt = Infinity;
    if (this.running) await new Promise<void>(resolve => this.waiting.push(resolve));
    else this.release();
  }

  private wake(delay: number): void {
    if (this.stopped || !this.begun || this.running) return;
    const at = this.options.clock.now() + delay;
    if (this.timerAt <= at) return;
    this.timer?.cancel();
    this.timerAt = at;
    this.timer = this.options.clock.setTimeout(() => void this.turn(), delay);
  }

  private async turn(): Promise<void> {
    this.timer = undefined;
    this.timerAt = Infinity;
    this.running = true;
    try {
      // What was refused may be so because something else is there than believed.
      if (this.mustRead || this.refusals.size > 0) await this.read();
      while (!this.stopped && (await this.step()));
      this.tellForgiven();
      this.tellMended();
    } catch (error) {
      this.breakdowns += 1;
      // Of what was sent, nothing is known.
      this.mustRead = true;
      this.options.onEvent({ kind: 'error', text: error instanceof Error ? error.message : String(error) });
    }
    this.running = false;
    this.schedule();
    this.release();
  }

  private async step(): Promise<boolean> {
    // It may become so again during a reading.
    while (this.isOutdated && !this.stopped) await this.read();
    return !this.stopped && this.commit();
  }

  private async read(): Promise<void> {
    this.mustRead = false;
    this.isOutdated = false;
    const values = await this.options.target.read();
    const isFirst = !this.hasRead;
    this.hasRead = true;
    const others = this.table.found(values);
    if (isFirst) this.options.onEvent({ kind: 'adopted', count: values.size });
    else if (others.length > 0) this.options.onEvent({ kind: 'drift', keys: others });
    if (this.refusals.size > 0) this.forgiveFound();
  }

  /** What is as it shall be by now, whoever did it, is never written again, and so would stay refused for ever. */
  private forgiveFound(): void {
    const { set, removed } = this.table.delta();
    for (const key of [...this.refusals.keys()])
      if (!set.has(key) && !removed.has(key) && this.refusals.delete(key)) this.forgiven.add(key);
  }

  /** @returns whether it made progress, so that there may be more to do */
  private async commit(): Promise<boolean> {
    const now = this.options.clock.now();
    const waits = (key: K): boolean => (this.refusals.get(key)?.retryAt ?? 0) > now;
    const delta = this.table.delta(this.refusals.size === 0 ? undefined : waits);
    if (delta.set.size + delta.removed.size === 0) return false;
    const failed = await this.options.target.commit(delta);
    this.table.applied(delta, failed);
    const done = (keys: Iterable<K>): readonly K[] =>
      failed.size === 0 ? [...keys] : [...keys].filter(key => !failed.has(key));
    const [set, removed] = [done(delta.set.keys()), done(delta.removed.keys())];
    this.settle([set, removed], failed);
    if (set.length + removed.length > 0) {
      this.breakdowns = 0;
      this.options.onEvent({ kind: 'written', set, removed });
    }
    return true;
  }

  /** An error may be over without anything left to write. */
  private tellMended(): void {
    if (this.breakdowns === 0) return;
    this.breakdowns = 0;
    this.options.onEvent({ kind: 'written', set: [], removed: [] });
  }

  private settle(done: readonly (readonly K[])[], failed: ReadonlyMap<K, string>): void {
    const recovered = this.refusals.size === 0 ? [] : done.flat().filter(key => this.refusals.delete(key));
    const news = new Map<K, string>();
    for (const [key, text] of failed) {
      const before = this.refusals.get(key);
      const attempts = (before?.attempts ?? 0) + 1;
      this.refusals.set(key, { text, attempts, retryAt: this.options.clock.now() + backOff(attempts) });
      if (before?.text !== text) news.set(key, text);
    }
    if (recovered.length > 0) this.options.onEvent({ kind: 'recovered', keys: recovered });
    if (news.size > 0) this.options.onEvent({ kind: 'failed', failures: news });
  }

  /** What is not wanted any more, or was taken at the first try, is no failure any more. */
  private tellForgiven(): void {
    const keys = [...this.forgiven].filter(key => !this.refusals.has(key));
    this.forgiven.clear();
    if (keys.length > 0) this.options.onEvent({ kind: 'recovered', keys });
  }

  /** Wakes for what is left: a reading, or the next try of what was refused. */
  private schedule(): void {
    if (this.breakdowns > 0) {
      this.wake(backOff(this.breakdowns));
      return;
    }
    if (this.mustRead) this.wake(GATHER);
    let next = Infinity;
    for (const { retryAt } of this.refusals.values()) next = Math.min(next, retryAt);
    if (next < Infinity) this.wake(Math.max(0, next - this.options.clock.now()));
    // What was asked for while the last commit came to its end.
    const { set, removed } = this.table.delta(key => this.refusals.has(key));
    if (set.size + removed.size > 0) this.wake(0);
  }

  private armReadBack(): void {
    this.readBack = this.options.clock.setTimeout(() => {
      this.mustRead = true;
      this.wake(0);
      this.armReadBack();
    }, this.options.readBackInterval);
  }

  private release(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function backOff(attempts: number): number {
  return Math.min(FIRST_RETRY * 2 ** (attempts - 1), LONGEST_RETRY);
}
