/** Tells of denied connections by the names of pods and policies: some of them in the log, the recent ones when asked. Impure. */

import type { Logger } from 'pino';
import { isDeepStrictEqual } from 'node:util';
import type { DenialView } from '../../api/policyView.js';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { LoggedPackets, LogListener } from '../../kernel/nflogListener.js';
import type { ProblemReport } from '../../kube/problems.js';
import type { DenialLogSettings } from '../../policy/policyFirewall.js';
import { createDeniedConnections, type DeniedConnections, type DeniedOptions } from './deniedConnections.js';

export interface DenialLogOptions extends DeniedOptions {
  /** Joins a group of logged packets. @throws Error when that is not possible now */
  readonly listen: (group: number, take: (logged: LoggedPackets) => void) => LogListener;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly report: (found: ProblemReport) => void;
}

export interface DenialLog {
  /** @param log undefined: nothing is listened to */
  configure(log: DenialLogSettings | undefined): void;
  /** The last seen first. */
  recent(): readonly DenialView[];
  stop(): void;
}

/** Lines at once, and then for each second: a flood of denials must not become a flood of lines. */
const [LINES_AT_ONCE, LINES_PER_SECOND] = [20, 5];
/** Milliseconds until a group that another program listens to is tried again, and between two complaints of one kind. */
const TRY_AGAIN = 30_000;

export function createDenialLog(options: DenialLogOptions): DenialLog {
  return new Log(options);
}

class Log implements DenialLog {
  private readonly denied: DeniedConnections;
  private settings: DenialLogSettings | undefined;
  private listener: LogListener | undefined;
  private retry: TimerHandle | undefined;
  private lines = LINES_AT_ONCE;
  private linesAt: number;
  private unlogged = 0;
  private complainedAt = -Infinity;

  constructor(private readonly options: DenialLogOptions) {
    this.denied = createDeniedConnections(options);
    this.linesAt = options.clock.now();
  }

  configure(log: DenialLogSettings | undefined): void {
    if (isDeepStrictEqual(log, this.settings)) return;
    const isSameGroup = this.listener !== undefined && log?.group === this.settings?.group;
    this.settings = log;
    if (isSameGroup) return;
    this.close();
    this.complain([]);
    this.open();
  }

  recent(): readonly DenialView[] {
    return this.denied.recent();
  }

  stop(): void {
    this.settings = undefined;
    this.close();
  }

  private open(): void {
    const { settings, options } = this;
    this.retry = undefined;
    if (settings === undefined) return;
    try {
      this.listener = options.listen(settings.group, logged => this.take(logged));
      this.complain([]);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.complain([{ subject: 'firewall', text: `denied connections are not told: ${text}` }]);
      this.retry = options.clock.setTimeout(() => this.open(), TRY_AGAIN);
    }
  }

  private close(): void {
    if (this.retry !== undefined) this.options.clock.clearTimeout(this.retry);
    this.retry = undefined;
    this.listener?.close();
    this.listener = undefined;
  }

  private complain(problems: readonly { readonly subject: string; readonly text: string }[]): void {
    this.options.report(new Map([['denial log', problems]]));
  }

  private take({ packets, hasOverrun }: LoggedPackets): void {
    if (hasOverrun) this.noteOverrun();
    for (const view of this.denied.take(packets, this.options.now())) this.tell(view);
  }

  private tell(view: DenialView): void {
    if (!this.mayTell()) {
      this.unlogged += 1;
      return;
    }
    const { unlogged } = this;
    this.unlogged = 0;
    const { from, fromAddress, to, toAddress, port, direction, reason } = view;
    const more = unlogged === 0 ? {} : { unlogged };
    this.options.logger.info({ from, fromAddress, to, toAddress, port, direction, reason, ...more }, 'denied');
  }

  /** A bucket of lines that fills with time. */
  private mayTell(): boolean {
    const now = this.options.clock.now();
    this.lines = Math.min(LINES_AT_ONCE, this.lines + ((now - this.linesAt) / 1000) * LINES_PER_SECOND);
    this.linesAt = now;
    if (this.lines < 1) return false;
    this.lines -= 1;
    return true;
  }

  private noteOverrun(): void {
    const now = this.options.clock.now();
    if (now - this.complainedAt < TRY_AGAIN) return;
    this.complainedAt = now;
    this.options.logger.warn('denied packets came faster than they were read: some are not told');
  }
}
