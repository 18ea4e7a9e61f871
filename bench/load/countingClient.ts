/** One counting client: a session whose arrivals are logged, and the exact account made of the log afterwards. */

import type { PrefixTable } from '../workload/prefixTable.js';
import { ArrivalLog } from './arrivalLog.js';
import { establish, type BenchSession, type BenchSessionOptions } from './benchSession.js';
import { countUpdate } from './countUpdate.js';
import { HeldPrefixes } from './heldPrefixes.js';
import { MessageWalk } from './messageWalk.js';
import { describeNotification, MessageType } from './minimalBgp.js';

/** A full table arrives in fewer octets for each prefix than this. */
const LOG_PER_PREFIX = 40;

export interface ClientOwner {
  /** The marker that every prefix must have; 0: nothing may be held. */
  expected(): number;
  /** This client holds what is expected. */
  complete(): void;
  lost(reason: string): void;
}

export class CountingClient {
  readonly held: HeldPrefixes;
  readonly log: ArrivalLog;
  session: BenchSession | undefined;
  /** When the octets arrived that made it hold what is expected (monotonic milliseconds). */
  completeAt: number | undefined;

  constructor(table: PrefixTable, owner: ClientOwner) {
    this.held = new HeldPrefixes(table);
    const walk = new MessageWalk((type, octets, start, end) => {
      if (type === MessageType.update) countUpdate(this.held, octets, start, end);
      else if (type === MessageType.notification) owner.lost(describeNotification(octets, start, end));
    });
    this.log = new ArrivalLog(table.size * LOG_PER_PREFIX, (octets, at) => {
      walk.push(octets, octets.length);
      if (this.completeAt !== undefined || this.held.count(owner.expected()) !== table.size) return;
      this.completeAt = at;
      owner.complete();
    });
  }

  async connect(options: Omit<BenchSessionOptions, 'log'>, patienceMs: number): Promise<void> {
    this.session = await establish({ ...options, log: this.log }, patienceMs);
  }

  close(): void {
    this.session?.close();
  }
}
