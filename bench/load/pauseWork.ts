/**
 * Counts what has arrived when nothing arrives: a little at a time, and not at all while the speaker is sending. Tells
 * the CPU of reading, which competes with the speaker, from that of counting, which does not.
 */

import type { ArrivalLog } from './arrivalLog.js';
import { monotonicMs } from './benchSession.js';

/** Silence, in milliseconds, after which the speaker counts as done (or stalled). */
const PAUSE_MS = 30;
/** Octets to count before looking at the sockets again. */
const SLICE = 512 * 1024;

export class PauseWork {
  private lastArrival = 0;
  private scheduled = false;
  private startedWith = process.cpuUsage();
  private countingMicroseconds = 0;

  /** @param logs those to work off, asked for each time */
  constructor(private readonly logs: () => readonly ArrivalLog[]) {}

  /** Octets came at `now` (monotonic milliseconds). */
  arrival(now: number): void {
    this.lastArrival = now;
    if (this.scheduled) return;
    this.scheduled = true;
    setTimeout(this.turn, PAUSE_MS);
  }

  restartCpu(): void {
    this.startedWith = process.cpuUsage();
    this.countingMicroseconds = 0;
  }

  /** Milliseconds of CPU since `restartCpu` that were not spent on counting. */
  cpuWhileReading(): number {
    const used = process.cpuUsage(this.startedWith);
    return (used.user + used.system - this.countingMicroseconds) / 1000;
  }

  private readonly turn = (): void => {
    const left = this.lastArrival + PAUSE_MS - monotonicMs();
    if (left > 0) {
      setTimeout(this.turn, Math.ceil(left));
      return;
    }
    const before = process.cpuUsage();
    const log = this.logs().find(l => !l.isEmpty);
    log?.replay(SLICE);
    const used = process.cpuUsage(before);
    this.countingMicroseconds += used.user + used.system;
    if (log === undefined) this.scheduled = false;
    else setImmediate(this.turn);
  };
}
