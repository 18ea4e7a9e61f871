/** Writes the queued differences of a family into the kernel, a batch at a time, and believes what it acknowledges. */

import { NetlinkWriter } from '../kernel/netlink/writer.js';
import { describeErrno, LOST, type BatchResult, type NetlinkChannel } from '../kernel/netlink/channel.js';
import { beginRoute, type RouteCommand } from '../kernel/routes.js';
import { RTA_DST, RTA_PRIORITY, RTN_UNICAST } from '../kernel/rtnetlink.js';
import type { FamilyTable } from './familyTable.js';
import type { Failures } from './failures.js';
import { NO_ROUTE, ODD_ROUTE, type NextHopTable } from './nextHopTable.js';
import type { Ownership } from './ownership.js';

const ENOENT = 2;
const ESRCH = 3;
export const EEXIST = 17;

/** Messages a batch: enough that the cost of a batch itself does not count, and few enough to answer soon. */
const BATCH = 1000;
/** Octets a batch: multipath routes are far longer than others. */
const BATCH_OCTETS = 100_000;

/** What a batch brought that somebody wants to know. */
export interface BatchReport {
  /** Refused for the first time, or for another reason than before. */
  readonly failed: readonly number[];
  /** Accepted after it had been refused. */
  readonly recovered: readonly number[];
  /** EEXIST, for the first time: a route stands there already, and a reading of the kernel will say whose it is. */
  readonly conflicts: readonly number[];
  /** Routes that came into the kernel, and that left it. */
  readonly added: number;
  readonly removed: number;
}

export class Programmer {
  private readonly writer = new NetlinkWriter(BATCH_OCTETS * 2);
  private readonly ids: number[] = [];
  /** Kernel sets sent, by index of the message. */
  private readonly sent: number[] = [];

  constructor(
    private readonly table: FamilyTable,
    private readonly kernelSets: NextHopTable,
    private readonly owner: Ownership,
    private readonly channel: NetlinkChannel,
    private readonly failures: Failures,
    /** Whether routes that nobody has asked for yet may be deleted. */
    private readonly maySweep: () => boolean,
  ) {}

  /** Sends one batch. @returns undefined when there was nothing to do; rejects when the kernel took nothing of it */
  async step(): Promise<BatchReport | undefined> {
    this.compose();
    if (this.ids.length === 0) return undefined;
    let result: BatchResult;
    try {
      result = await this.channel.transact(this.writer);
    } catch (error) {
      this.giveBack();
      throw error;
    }
    return this.settle(result);
  }

  private compose(): void {
    this.writer.reset();
    this.ids.length = 0;
    this.sent.length = 0;
    while (this.writer.count < BATCH && this.writer.length < BATCH_OCTETS) {
      const id = this.table.take();
      if (id < 0) return;
      const wanted = this.table.wantedOf(id);
      const applied = this.table.appliedOf(id);
      if (wanted === applied || (wanted === NO_ROUTE && this.table.isAdopted(id) && !this.maySweep())) {
        this.table.answered(id);
        this.table.forgetIfEmpty(id);
        continue;
      }
      // One that may or may not be there is replaced first: that leaves no gap if it is, and fails cleanly if it is not.
      this.write(id, wanted === NO_ROUTE ? 'delete' : applied === NO_ROUTE ? 'create' : 'replace', wanted);
      this.kernelSets.hold(wanted);
      this.ids.push(id);
      this.sent.push(wanted);
    }
  }

  private write(id: number, command: RouteCommand, kernelSet: number): void {
    const { writer, owner, table, kernelSets } = this;
    const { addresses, lengths, wordsPerAddress } = table.index;
    const flags = kernelSet === NO_ROUTE ? 0 : kernelSets.flags(kernelSet);
    beginRoute(writer, command, table.addressFamily, lengths[id]!, owner.table, owner.protocol, RTN_UNICAST, flags);
    writer.attributeHead(RTA_DST, wordsPerAddress * 4);
    for (let i = 0; i < wordsPerAddress; i++) writer.addressWord(addresses[id * wordsPerAddress + i]!);
    writer.attributeU32(RTA_PRIORITY, owner.metric);
    if (kernelSet !== NO_ROUTE) writer.raw(kernelSets.block(kernelSet, table.addressFamily));
    writer.end();
  }

  private settle(result: BatchResult): BatchReport {
    const report = {
      failed: [] as number[],
      recovered: [] as number[],
      conflicts: [] as number[],
      added: 0,
      removed: 0,
    };
    for (let i = 0; i < this.ids.length; i++) {
      const id = this.ids[i]!;
      const errno = result.errnos[i]!;
      this.table.answered(id);
      if (errno === 0) this.accepted(id, this.sent[i]!, report);
      else this.refused(id, this.sent[i]!, errno, result.texts.get(i), report);
      this.kernelSets.release(this.sent[i]!);
    }
    return report;
  }

  private accepted(
    id: number,
    kernelSet: number,
    report: { readonly recovered: number[]; added: number; removed: number },
  ): void {
    if (kernelSet === NO_ROUTE) report.removed++;
    else if (this.table.appliedOf(id) === NO_ROUTE) report.added++;
    this.table.accepted(id, kernelSet);
    if (this.failures.clear(id)) report.recovered.push(id);
    this.table.touch(id);
  }

  private refused(
    id: number,
    kernelSet: number,
    errno: number,
    text: string | undefined,
    report: { failed: number[]; recovered: number[]; conflicts: number[] },
  ): void {
    const absent = errno === ENOENT || errno === ESRCH;
    if (absent && (kernelSet === NO_ROUTE || this.table.appliedOf(id) !== NO_ROUTE)) {
      // Gone without a word. A delete has its wish; a replace becomes a create.
      this.table.setApplied(id, NO_ROUTE);
      if (kernelSet === NO_ROUTE && this.failures.clear(id)) report.recovered.push(id);
      this.table.touch(id);
      return;
    }
    if (errno === LOST && kernelSet !== NO_ROUTE) this.table.setApplied(id, ODD_ROUTE);
    const isNews = this.failures.record(id, errno, describeErrno(errno, text));
    if (isNews) (errno === EEXIST ? report.conflicts : report.failed).push(id);
  }

  private giveBack(): void {
    this.ids.forEach((id, i) => {
      this.table.answered(id);
      this.kernelSets.release(this.sent[i]!);
      this.table.touch(id);
    });
  }
}
