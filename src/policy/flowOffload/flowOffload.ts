/**
 * Keeps the short way of established connections (`offloadTable.ts`) in the kernel, and ends it when rules are to see packets
 * again: the table is then written whole, in one transaction. With its flowtable go the connections in it, which take the
 * ordinary way with their next packet and are put into the new one if nothing forbids it. Links that come and go are written as
 * the difference (`offloadChange.ts`): the kernel itself ends the short way by a link that goes. Impure: netlink.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { writeFlowtable, type FlowtableShape } from '../../kernel/nftables/flowtables.js';
import * as message from '../../kernel/nftables/messages.js';
import type { Transactions } from '../../kernel/nftables/transaction.js';
import type { HostLink } from '../../kernel/podLinks.js';
import { offloadChange, writeOffloadChange } from './offloadChange.js';
import { offloadLinks } from './offloadLinks.js';
import { OFFLOAD_TABLE, offloadShape, type OffloadSettings, type OffloadShape } from './offloadTable.js';

export type FlowOffloadEvent =
  /** One transaction: connections between so many links take the short way, all of them anew. */
  | { readonly kind: 'written'; readonly links: number }
  /** One transaction: they are so many by now. Connections between those that stay were not touched. */
  | { readonly kind: 'adapted'; readonly links: number }
  /** There is no short way: nobody asks for it any more, or there is no link for it. */
  | { readonly kind: 'removed' }
  /** Connections take the ordinary way, or ones that are cut may go on: tried again with back-off. */
  | { readonly kind: 'error'; readonly text: string };

export interface FlowOffloadOptions {
  /** Its owner closes it. */
  readonly transactions: Pick<Transactions, 'run'>;
  /** All links of the node. */
  readonly links: () => Promise<readonly HostLink[]>;
  /** Those that the kernel has in the table. */
  readonly flowtables: () => Promise<readonly FlowtableShape[]>;
  /** Takes away the table, where there is one. @returns whether there was */
  readonly remove: () => Promise<boolean>;
  readonly clock: Clock;
  readonly onEvent: (event: FlowOffloadEvent) => void;
}

export interface FlowOffload {
  /** @param settings undefined: there shall be no short way, nor that of a former life */
  configure(settings: OffloadSettings | undefined): void;
  /** Links may have come or gone: looked at a moment later. */
  linksChanged(): void;
  /** Connections were cut: all connections take the ordinary way once more. */
  renew(): void;
  /** Somebody changed the table: it is written again a moment later. */
  tableChanged(): void;
  /** Resolves when nothing is under way or due, but for what waits after a failure. */
  idle(): Promise<void>;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}

/** Milliseconds: pods come with several changes of links each; and after failures. */
const GATHER = 200;
const [FIRST_PAUSE, LONGEST_PAUSE] = [1000, 60_000];

export function createFlowOffload(options: FlowOffloadOptions): FlowOffload {
  return new Offload(options);
}

class Offload implements FlowOffload {
  /** Undefined: nothing is known of what shall be. */
  private wanted: { readonly settings: OffloadSettings | undefined } | undefined;
  /** What is in the kernel. `unknown`: of a former life or changed, and to be written whatever it is. */
  private written: OffloadShape | undefined | 'unknown' = 'unknown';
  private isDue = false;
  private failures = 0;
  private timer: TimerHandle | undefined;
  private running: Promise<void> | undefined;
  private hasEnded = false;

  constructor(private readonly options: FlowOffloadOptions) {}

  configure(settings: OffloadSettings | undefined): void {
    if (this.wanted !== undefined && isDeepStrictEqual(this.wanted.settings, settings)) return;
    this.wanted = { settings };
    this.wake();
  }

  linksChanged(): void {
    if (this.wanted?.settings === undefined || this.hasEnded) return;
    this.timer ??= this.options.clock.setTimeout(() => this.wake(), GATHER);
  }

  renew(): void {
    if (this.wanted?.settings === undefined) return;
    this.written = 'unknown';
    this.wake();
  }

  tableChanged(): void {
    this.written = 'unknown';
    this.linksChanged();
  }

  async idle(): Promise<void> {
    await this.running;
  }

  async stop(): Promise<void> {
    this.hasEnded = true;
    this.isDue = false;
    this.timer?.cancel();
    await this.running;
  }

  private wake(): void {
    if (this.wanted === undefined || this.hasEnded) return;
    this.timer?.cancel();
    this.timer = undefined;
    this.isDue = true;
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    while (this.isDue) {
      this.isDue = false;
      try {
        await this.settle();
        this.failures = 0;
      } catch (error) {
        this.takeFailure(error instanceof Error ? error.message : String(error));
      }
    }
    this.running = undefined;
  }

  private takeFailure(text: string): void {
    this.written = 'unknown';
    this.failures += 1;
    if (this.failures === 1) {
      // A link may have gone since it was read.
      this.isDue = !this.hasEnded;
      return;
    }
    const pause = Math.min(FIRST_PAUSE * 2 ** (this.failures - 2), LONGEST_PAUSE);
    if (!this.hasEnded) this.timer ??= this.options.clock.setTimeout(() => this.wake(), pause);
    this.options.onEvent({ kind: 'error', text });
  }

  private async settle(): Promise<void> {
    const settings = this.wanted?.settings;
    const shape = settings && offloadShape(settings, offloadLinks(await this.options.links()));
    const before = this.written;
    if (before !== 'unknown' && isDeepStrictEqual(shape, before)) return;
    // What is asked for while the kernel is at work is to be done after it.
    this.written = shape;
    if (shape === undefined) {
      await this.options.remove();
      this.options.onEvent({ kind: 'removed' });
      return;
    }
    const links = shape.flowtable.devices.length;
    if (before === 'unknown' || before === undefined) {
      await this.options.transactions.run(writer => writeOffload(writer, shape));
      this.options.onEvent({ kind: 'written', links });
    } else if (await this.adapt(before, shape)) this.options.onEvent({ kind: 'adapted', links });
    else {
      // Whole, and with the links that there are by now.
      this.written = 'unknown';
      this.isDue = !this.hasEnded;
    }
  }

  /** @returns whether the kernel has it by then. Old kernels acknowledge it and do nothing; a link may have gone meanwhile. */
  private async adapt(before: OffloadShape, shape: OffloadShape): Promise<boolean> {
    const [found] = await this.options.flowtables();
    const change = found && offloadChange(before, found.devices, shape);
    if (change === undefined) return false;
    try {
      await this.options.transactions.run(writer => writeOffloadChange(writer, change));
    } catch {
      return false;
    }
    const [made] = await this.options.flowtables();
    const has = new Set(made?.devices);
    return has.size === shape.flowtable.devices.length && shape.flowtable.devices.every(device => has.has(device));
  }
}

/** The whole table, in place of one that there may be. */
export function writeOffload(writer: NetlinkWriter, { sets, elements, flowtable, chain }: OffloadShape): void {
  const table = OFFLOAD_TABLE;
  // Adding before deleting makes deleting work whether it is there or not.
  for (const command of ['add', 'delete', 'add'] as const) message.writeTable(writer, command, table);
  sets.forEach((set, i) => message.writeSet(writer, table, set, i + 1));
  for (const [set, keys] of elements)
    message.writeElements(
      writer,
      'add',
      table,
      set,
      keys.map(key => ({ key, value: undefined })),
    );
  writeFlowtable(writer, 'add', table, flowtable);
  message.writeChain(writer, table, chain);
  for (const rule of chain.rules) message.writeRule(writer, table, chain.name, rule, 'peerage');
}
