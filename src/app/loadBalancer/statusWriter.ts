/** Writes which addresses services have into their status, one service at a time, until each says what it shall. Impure. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import { ApiError } from '../../kube/client/apiConnection.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import type { ProblemReport } from '../../kube/problems.js';
import type { WantedStatus } from '../../routing/loadBalancer/loadBalancer.js';
import { statusVerdict } from './statusPatch.js';

export interface StatusWriterOptions {
  readonly writer: ApiWriter;
  /** Asked before every write. */
  readonly mayAct: () => boolean;
  readonly clock: Clock;
  readonly wallClock?: () => number;
  readonly report: (problems: ProblemReport) => void;
  /** Told of every status that was written. */
  readonly written: (status: WantedStatus) => void;
}

export interface StatusWriter {
  /** @param due every service whose status is another than it shall be, keyed by `namespace/name` */
  want(due: ReadonlyMap<string, WantedStatus>): void;
  stop(): void;
}

/** Requests under way at a time. */
const WIDTH = 8;
/** Milliseconds before the first retry; it doubles from then on. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** Milliseconds after which a service that is still due although it was written is looked at again. */
const RECHECK = 10_000;
/** Milliseconds that a watch may lag behind what a request sees. */
const LAG = 1000;
/** Milliseconds after which somebody else's address is looked at again, should nothing be heard of it. */
const RARELY = 3_600_000;
const CONFLICT = 409;
const NOT_FOUND = 404;

interface Entry {
  status: WantedStatus;
  phase: 'queued' | 'asking' | 'waiting';
  failures: number;
  timer: TimerHandle | undefined;
}

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  return new Writer(options);
}

class Writer implements StatusWriter {
  private readonly entries = new Map<string, Entry>();
  private readonly reported = new Set<string>();
  private busy = 0;

  constructor(private readonly options: StatusWriterOptions) {}

  want(due: ReadonlyMap<string, WantedStatus>): void {
    for (const [key, entry] of this.entries) if (!due.has(key)) this.forget(key, entry);
    for (const [key, status] of due) this.take(key, status);
    this.work();
  }

  stop(): void {
    for (const [key, entry] of this.entries) this.forget(key, entry);
  }

  /** What is under way is not disturbed; a wait ends when something else is wanted. */
  private take(key: string, status: WantedStatus): void {
    const entry = this.entries.get(key);
    if (entry === undefined) {
      this.entries.set(key, { status, phase: 'queued', failures: 0, timer: undefined });
      return;
    }
    const isNews = textOf(entry.status) !== textOf(status);
    entry.status = status;
    if (!isNews || entry.phase !== 'waiting') return;
    entry.timer?.cancel();
    Object.assign(entry, { phase: 'queued', failures: 0, timer: undefined });
  }

  private forget(key: string, entry: Entry): void {
    entry.timer?.cancel();
    this.entries.delete(key);
    this.report(key, undefined);
  }

  private work(): void {
    for (const [key, entry] of this.entries) {
      if (this.busy >= WIDTH) return;
      if (entry.phase !== 'queued') continue;
      entry.phase = 'asking';
      this.busy++;
      void this.attempt(key, entry).then(wait => {
        this.busy--;
        this.later(key, entry, wait);
        this.work();
      });
    }
  }

  private later(key: string, entry: Entry, wait: number): void {
    if (this.entries.get(key) !== entry) return;
    entry.phase = 'waiting';
    entry.timer = this.options.clock.setTimeout(() => {
      entry.phase = 'queued';
      this.work();
    }, wait);
  }

  /** @returns milliseconds until the service is looked at again, if it is still due then */
  private async attempt(key: string, entry: Entry): Promise<number> {
    const { status } = entry;
    try {
      const wait = await this.write(status);
      entry.failures = 0;
      this.report(key, undefined);
      return textOf(entry.status) === textOf(status) ? wait : 0;
    } catch (error) {
      return this.failed(key, entry, error);
    }
  }

  private async write(status: WantedStatus): Promise<number> {
    const { writer, mayAct, written, wallClock = Date.now } = this.options;
    const path = `/api/v1/namespaces/${status.namespace}/services/${status.name}`;
    if (!mayAct()) return LAG;
    const service = await writer.ask('GET', path);
    const verdict = statusVerdict(service, status, new Date(wallClock()).toISOString());
    if (verdict.kind === 'stale') return LAG;
    if (verdict.kind === 'done') return RECHECK;
    if (verdict.kind === 'theirs') return RARELY;
    // The answer may have taken its time.
    if (!mayAct()) return LAG;
    await writer.ask('PATCH', `${path}/status`, verdict.patch, {
      contentType: 'application/strategic-merge-patch+json',
    });
    written(status);
    return RECHECK;
  }

  private failed(key: string, entry: Entry, error: unknown): number {
    const { status, message } = error instanceof ApiError ? error : { status: undefined, message: String(error) };
    // It is gone, and the watch is about to say so.
    if (status === NOT_FOUND) return LAG;
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** entry.failures++);
    // Somebody else changed the service in between, which happens.
    if (status === CONFLICT) return wait;
    this.report(key, `its load-balancer address cannot be written: ${message}; it is tried again`);
    return wait;
  }

  private report(key: string, text: string | undefined): void {
    if (text === undefined && !this.reported.delete(key)) return;
    if (text !== undefined) this.reported.add(key);
    const problems = text === undefined ? [] : [{ subject: `Service ${key}`, text }];
    this.options.report(new Map([[`load balancer status ${key}`, problems]]));
  }
}

function textOf({ ips, before }: WantedStatus): string {
  return `${ips.join()} after ${before.join()}`;
}
