/**
 * Tells the cluster what is wrong with its objects, as Events: few at a time, each once as long as it is there, and
 * never in the way of anything. Impure: it asks the API server.
 */

import type { Clock, TimerHandle } from '../../core/clock.js';
import { ApiError } from '../../kube/client/apiConnection.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import type { ProblemReport } from '../../kube/problems.js';
import { eventOf, type Complaint, type Regarded } from './eventObject.js';
import { reporterRank } from './reporters.js';

export interface ObjectEventsOptions {
  readonly writer: Pick<ApiWriter, 'ask'>;
  readonly node: string;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number;
  /** 0 <= x < 1. */
  readonly random?: () => number;
  /** Names of all nodes at this moment. */
  readonly nodes: () => Iterable<string>;
  /** Undefined: it is not on this one to tell of it. @param subject of a problem */
  readonly regarded: (subject: string) => Regarded | undefined;
  /** Undefined: there is no such object (any more). @throws ApiError */
  readonly uidOf: (object: Regarded) => string | undefined | Promise<string | undefined>;
  /** Which part of us tells: `peerage.io/service-proxy`. */
  readonly controller: string;
  /** What it tells of, for people: `services`. */
  readonly what: string;
  /** What hinders the telling. */
  readonly report: (found: ProblemReport) => void;
}

export interface ObjectEvents {
  /**
   * Takes the owners' complaints in place of what they said before; what has no reason is left out.
   * @param isLocal only this node knows
   */
  take(found: ProblemReport, isLocal: boolean): void;
  stop(): void;
}

/** Milliseconds that something must have been wrong: an address that moves belongs to two services for a moment. */
const SETTLE = 3000;
/** Between two reporters: the second is spared if the first has done it. */
const TURN = 60_000;
/** After which it is told again, if it is still so. API servers keep Events for an hour; one that is there stays as it is. */
const REPEAT = 1_800_000;
/** Between two requests. */
const PACE = 200;
const FIRST_PAUSE = 5000;
const LONGEST_PAUSE = 600_000;
/** What more there is can be seen by `peerage show problems`. */
const MOST = 1000;

const NOT_FOUND = 404;
const CONFLICT = 409;
const INVALID = 422;

interface Entry {
  readonly complaint: Complaint;
  readonly since: number;
  dueAt: number;
}

export function createObjectEvents(options: ObjectEventsOptions): ObjectEvents {
  return new Teller(options);
}

class Teller implements ObjectEvents {
  private readonly byOwner = new Map<string, ReadonlyMap<string, Entry>>();
  private count = 0;
  private failures = 0;
  private busy = false;
  /** No request before then. */
  private notBefore = 0;
  private stopped = false;
  private timer: TimerHandle | undefined;
  private timerAt = Infinity;

  constructor(private readonly options: ObjectEventsOptions) {}

  take(found: ProblemReport, isLocal: boolean): void {
    for (const [owner, problems] of found) {
      const before = this.byOwner.get(owner);
      if (before === undefined && problems.length === 0) continue;
      this.count -= before?.size ?? 0;
      const entries = new Map<string, Entry>();
      for (const { subject, text, reason } of problems) {
        const object = reason === undefined ? undefined : this.options.regarded(subject);
        if (reason === undefined || object === undefined) continue;
        const complaint = { object, reason, text, isLocal };
        const key = `${subject} ${text}`;
        const known = before?.get(key);
        if (known !== undefined || this.count + entries.size < MOST) entries.set(key, known ?? this.entryOf(complaint));
      }
      this.count += entries.size;
      if (entries.size === 0) this.byOwner.delete(owner);
      else this.byOwner.set(owner, entries);
    }
    this.schedule();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private get owner(): string {
    return `events ${this.options.what}`;
  }

  private entryOf(complaint: Complaint): Entry {
    const { clock, random = Math.random } = this.options;
    const since = clock.now();
    return { complaint, since, dueAt: since + SETTLE * (1 + random()) };
  }

  /** Wakes when the next one is due. */
  private schedule(): void {
    if (this.busy || this.stopped) return;
    const { clock } = this.options;
    const at = Math.max(this.next()?.dueAt ?? Infinity, this.notBefore, clock.now());
    if (at === this.timerAt) return;
    this.timer?.cancel();
    this.timerAt = at;
    if (at === Infinity) return;
    this.timer = clock.setTimeout(() => void this.work(), at - clock.now());
  }

  private next(): Entry | undefined {
    let next: Entry | undefined;
    for (const entries of this.byOwner.values())
      for (const entry of entries.values()) if (next === undefined || entry.dueAt < next.dueAt) next = entry;
    return next;
  }

  private async work(): Promise<void> {
    this.timerAt = Infinity;
    const entry = this.next();
    if (entry === undefined) return;
    this.busy = true;
    if (this.isOnUs(entry)) this.notBefore = (await this.tell(entry)) + this.options.clock.now();
    this.busy = false;
    this.schedule();
  }

  /** Puts off what is for others, or not yet for us. */
  private isOnUs(entry: Entry): boolean {
    const { nodes, node, clock, random = Math.random } = this.options;
    const { complaint, since } = entry;
    if (complaint.isLocal) return true;
    const rank = reporterRank(nodes(), node, `${subjectOf(complaint.object)} ${complaint.text}`);
    if (rank === undefined) {
      entry.dueAt = clock.now() + REPEAT * (1 + random() / 10);
      return false;
    }
    const turn = since + rank * TURN;
    if (turn <= clock.now()) return true;
    entry.dueAt = turn;
    return false;
  }

  /** @returns milliseconds until the next request */
  private async tell(entry: Entry): Promise<number> {
    const { writer, node, controller, clock, wallClock = Date.now, random = Math.random, uidOf } = this.options;
    entry.dueAt = clock.now() + REPEAT * (1 + random() / 10);
    try {
      const uid = await uidOf(entry.complaint.object);
      if (uid === undefined) return 0;
      const { path, body } = eventOf(entry.complaint, { node, controller, uid, at: wallClock() });
      await writer.ask('POST', path, body);
    } catch (error) {
      if (!isDone(error)) return this.failed(entry, error);
    }
    if (this.failures > 0) this.options.report(new Map([[this.owner, []]]));
    this.failures = 0;
    return PACE;
  }

  private failed(entry: Entry, error: unknown): number {
    const { clock, report, random = Math.random } = this.options;
    const { status, message } = error instanceof ApiError ? error : { status: undefined, message: String(error) };
    const pause = Math.min(FIRST_PAUSE * 2 ** this.failures++, LONGEST_PAUSE) * (1 + random() / 2);
    // What the server does not take now it will not take later.
    if (status !== INVALID) entry.dueAt = clock.now() + pause;
    const text = `what is wrong with ${this.options.what} cannot be told as Events: ${message}; it is tried again`;
    report(new Map([[this.owner, [{ subject: 'Kubernetes Events', text }]]]));
    return pause;
  }
}

/** It was told already, or there is no namespace any more to tell it in. */
function isDone(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.status === CONFLICT || error.status === NOT_FOUND || error.message.includes('being terminated');
}

/** One text for each object; spread over nodes by it. */
function subjectOf({ kind, namespace, name }: Regarded): string {
  return `${kind} ${namespace ?? ''}/${name}`;
}
