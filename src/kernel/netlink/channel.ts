/** Requests to the kernel over netlink: batches with an answer for each message, and dumps read in slices of the event loop. */

import koffi from 'koffi';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { errnoName } from '../libc.js';
import { errnoOf, extendedAckText, MessageCursor } from './reader.js';
import {
  HOST_IS_LITTLE_ENDIAN,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
} from './numbers.js';
import { openNetlink, type NetlinkSocket } from './socket.js';
import type { NetlinkWriter } from './writer.js';

/** What became of each message of a batch. */
export interface BatchResult {
  /** By index of the message: 0 done, an errno, or {@link LOST} when the kernel's answer could not be received. */
  readonly errnos: Readonly<Int32Array>;
  /** The kernel's own words about messages it refused. */
  readonly texts: ReadonlyMap<number, string>;
  /** How many of `errnos` are not 0. */
  readonly failures: number;
}
export const LOST = -1;

/** `interrupted`: the table changed under the dump, so it may lack or repeat entries; ask again. */
export type DumpOutcome = 'complete' | 'interrupted';

export interface NetlinkChannel {
  /** Port id that stands in notifications of what this channel's batches changed. */
  readonly portId: number;
  /**
   * Sends all messages of the batch at once; the kernel carries them out in order and goes on after an error. The batch
   * must not be touched before the answer.
   * @returns the outcome of each message; rejects with SyscallError when nothing was sent
   */
  transact(batch: NetlinkWriter): Promise<BatchResult>;
  /**
   * Sends one dump request and shows every answer message to `visit`, a few milliseconds of the event loop at a time.
   * @returns rejects with NetlinkError when the kernel refuses the request
   */
  dump(request: NetlinkWriter, visit: (message: MessageCursor) => void): Promise<DumpOutcome>;
  close(): void;
}

/** The kernel refused a request as a whole. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  constructor(
    readonly errno: number,
    readonly kernelText: string | undefined,
    what: string,
  ) {
    super(`${what}: ${describeErrno(errno, kernelText)}`);
  }
}

/** `ENETUNREACH: Nexthop has invalid gateway`: errno by name, and the kernel's words if there are any. */
export function describeErrno(errno: number, kernelText: string | undefined): string {
  const name = errno === LOST ? 'answer lost' : errnoName(errno);
  return kernelText === undefined ? name : `${name}: ${kernelText}`;
}

/** Longest stretch of a dump without giving the event loop a turn, in milliseconds. */
const SLICE = 4;
/** How long a dump may stand still, in milliseconds. The kernel fills it in while we read, so it never should. */
const STALLED = 5000;
const SOCKET_BUFFER = 4 << 20;
/** The kernel's datagrams are at most 32 KiB for dumps and far smaller otherwise. */
const RECEIVE_BUFFER = 64 << 10;

/** Opens the two sockets of a channel (batches, dumps) in the network namespace of the calling thread. @throws SyscallError */
export function openRouteChannel(): NetlinkChannel {
  return openChannel(NETLINK_ROUTE);
}

/** The same for another protocol of netlink, such as NETLINK_GENERIC. @throws SyscallError */
export function openChannel(protocol: number): NetlinkChannel {
  const commands = openNetlink(protocol, SOCKET_BUFFER);
  try {
    return new SocketChannel(commands, openNetlink(protocol, SOCKET_BUFFER));
  } catch (error) {
    commands.close();
    throw error;
  }
}

/** A dump whose answers are read to the end, repeated a few times while the table changes under it. Small tables only. */
export async function dumpAll<T>(
  channel: NetlinkChannel,
  request: NetlinkWriter,
  decode: (message: MessageCursor) => T | undefined,
): Promise<readonly T[]> {
  for (let attempt = 1; ; attempt++) {
    const found: T[] = [];
    const outcome = await channel.dump(request, message => {
      const value = decode(message);
      if (value !== undefined) found.push(value);
    });
    // A table that never stands still is better known roughly than not at all: notifications bring the rest.
    if (outcome === 'complete' || attempt === 10) return found;
  }
}

class SocketChannel implements NetlinkChannel {
  private sequence = 0;
  private readonly answers = new MessageCursor(new Uint8Array(RECEIVE_BUFFER));
  private readonly dumped = new MessageCursor(new Uint8Array(RECEIVE_BUFFER));
  private lastBatch: Promise<unknown> = Promise.resolve();
  private lastDump: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(
    private readonly commands: NetlinkSocket,
    private readonly dumps: NetlinkSocket,
  ) {}

  get portId(): number {
    return this.commands.portId;
  }

  transact(batch: NetlinkWriter): Promise<BatchResult> {
    // One batch at a time, so that answers need no sorting.
    const run = this.lastBatch.then(() => this.exchange(batch));
    this.lastBatch = run.catch(() => undefined);
    return run;
  }

  dump(request: NetlinkWriter, visit: (message: MessageCursor) => void): Promise<DumpOutcome> {
    // A socket carries one dump at a time (EBUSY otherwise).
    const run = this.lastDump.then(() => this.runDump(request, visit));
    this.lastDump = run.catch(() => undefined);
    return run;
  }

  close(): void {
    this.closed = true;
    this.commands.close();
    this.dumps.close();
  }

  /** rtnetlink works inside send(), so all answers are in the receive queue when it returns. */
  private async exchange(batch: NetlinkWriter): Promise<BatchResult> {
    const count = batch.count;
    const first = this.number(batch);
    await this.commands.sendAside(batch.finished());
    const errnos = new Int32Array(count);
    const texts = new Map<number, string>();
    let failures = 0;
    let acknowledged = false;
    let overrun = false;
    for (;;) {
      const received = this.commands.receive(this.answers.octets);
      if (received === 'empty') break;
      if (received === 'overrun') {
        overrun = true;
        continue;
      }
      const messages = this.answers.over(received.octets);
      while (messages.next()) {
        const index = (messages.sequence - first) >>> 0;
        if (messages.type !== NLMSG_ERROR || index >= count) continue;
        if (index === count - 1) acknowledged = true;
        const errno = errnoOf(messages);
        if (errno === 0) continue;
        errnos[index] = errno;
        failures += 1;
        const text = extendedAckText(messages);
        if (text !== undefined) texts.set(index, text);
      }
      if (acknowledged && !overrun) break;
    }
    if (overrun || !acknowledged) failures = markLost(errnos);
    return { errnos, texts, failures };
  }

  /** Gives every message its sequence number, and asks for an acknowledgement of the last one: errors come unasked. */
  private number(batch: NetlinkWriter): number {
    const octets = batch.finished();
    const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    const first = (this.sequence + 1) >>> 0;
    for (let at = 0; at < octets.length;) {
      const length = view.getUint32(at, HOST_IS_LITTLE_ENDIAN);
      this.sequence = (this.sequence + 1) >>> 0;
      view.setUint32(at + 8, this.sequence, HOST_IS_LITTLE_ENDIAN);
      if (at + length >= octets.length) {
        const flags = view.getUint16(at + 6, HOST_IS_LITTLE_ENDIAN);
        view.setUint16(at + 6, flags | NLM_F_ACK, HOST_IS_LITTLE_ENDIAN);
      }
      at += length;
    }
    return first;
  }

  private async runDump(request: NetlinkWriter, visit: (message: MessageCursor) => void): Promise<DumpOutcome> {
    const sequence = this.number(request);
    this.dumps.send(request.finished());
    let interrupted = false;
    let sliceEnd = performance.now() + SLICE;
    let stalledSince: number | undefined;
    while (!this.closed) {
      const received = this.dumps.receive(this.dumped.octets);
      if (received === 'overrun') interrupted = true;
      else if (received === 'empty') {
        stalledSince ??= performance.now();
        if (performance.now() - stalledSince > STALLED)
          throw new NetlinkError(koffi.os.errno['ETIMEDOUT']!, undefined, 'dump');
        await setTimeout(1);
      } else {
        stalledSince = undefined;
        const messages = this.dumped.over(received.octets);
        while (messages.next()) {
          if (messages.sequence !== sequence) continue;
          if ((messages.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
          if (messages.type === NLMSG_DONE || messages.type === NLMSG_ERROR) return finish(messages, interrupted);
          if (messages.type !== NLMSG_NOOP) visit(messages);
        }
        if (messages.malformed) interrupted = true;
      }
      if (performance.now() > sliceEnd) {
        await setImmediate();
        sliceEnd = performance.now() + SLICE;
      }
    }
    return 'interrupted';
  }
}

/** NLMSG_DONE and NLMSG_ERROR both begin with an errno. */
function finish(message: MessageCursor, interrupted: boolean): DumpOutcome {
  const errno = errnoOf(message);
  if (errno !== 0) throw new NetlinkError(errno, extendedAckText(message), 'dump request');
  return interrupted ? 'interrupted' : 'complete';
}

/** Without all answers in hand, a message that has no error of its own may have failed too. */
function markLost(errnos: Int32Array): number {
  for (let i = 0; i < errnos.length; i++) if (errnos[i] === 0) errnos[i] = LOST;
  return errnos.length;
}
