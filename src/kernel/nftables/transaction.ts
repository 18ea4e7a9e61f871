/** One transaction of nf_tables over netlink: all messages take effect at once, or none. Impure: a socket. */

import { systemClock } from '../../core/clock.js';
import { describeErrno } from '../netlink/channel.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_ACK, NLMSG_ERROR } from '../netlink/numbers.js';
import { errnoOf, extendedAckText, MessageCursor } from '../netlink/reader.js';
import { openNetlink, type NetlinkSocket } from '../netlink/socket.js';
import { NetlinkWriter } from '../netlink/writer.js';
import { createBriefSends } from './briefSends.js';
import { writeBatchEdge } from './messages.js';
import { NETLINK_NETFILTER } from './numbers.js';

/** Nothing of it was done. */
export class TransactionError extends Error {
  override readonly name = 'TransactionError';
}

export interface Transactions {
  /** Port id that stands in notifications of what these transactions changed. */
  readonly portId: number;
  /**
   * One after the other. While the kernel is at work on a long one, the next is composed; short ones are done within the call.
   * @param compose appends the messages, at once
   * @returns rejects with TransactionError when the kernel refused, and nothing was done
   */
  run(compose: (writer: NetlinkWriter) => void): Promise<void>;
  close(): void;
}

/** 250,000 elements are about 14 MB, and one transaction is one datagram. */
const SOCKET_BUFFER = 128 << 20;
/** Refusals are read one by one; each is short, since the kernel does not repeat the request (NETLINK_CAP_ACK). */
const RECEIVE_BUFFER = 64 << 10;
/** A writer that grew for a cold start is not kept. */
const LARGEST_KEPT = 1 << 20;

/** Of the process, like the lock it goes by: all tables of ours are behind one. */
const briefSends = createBriefSends(systemClock);

/** In the network namespace of the calling thread. @throws SyscallError */
export function openTransactions(): Transactions {
  return new OpenTransactions(openNetlink(NETLINK_NETFILTER, SOCKET_BUFFER));
}

class OpenTransactions implements Transactions {
  private readonly answers = new MessageCursor(new Uint8Array(RECEIVE_BUFFER));
  /** Not in use. */
  private spare: NetlinkWriter | undefined;
  private sequence = 0;
  /** Until the last one that was given is done. */
  private last: Promise<unknown> | undefined;

  constructor(private readonly socket: NetlinkSocket) {}

  get portId(): number {
    return this.socket.portId;
  }

  run(compose: (writer: NetlinkWriter) => void): Promise<void> {
    const writer = this.spare ?? new NetlinkWriter();
    this.spare = undefined;
    writer.reset();
    writeBatchEdge(writer, 'begin');
    compose(writer);
    if (writer.count === 1) {
      this.spare = writer;
      return Promise.resolve();
    }
    writeBatchEdge(writer, 'end');
    const run = this.last === undefined ? this.exchange(writer) : this.last.then(() => this.exchange(writer));
    const done = run.then(
      () => undefined,
      () => undefined,
    );
    this.last = done;
    void done.then(() => {
      if (this.last === done) this.last = undefined;
    });
    return run;
  }

  close(): void {
    this.socket.close();
  }

  private async exchange(writer: NetlinkWriter): Promise<void> {
    const { first, acknowledged } = this.number(writer);
    const octets = writer.finished();
    if (briefSends.allows(octets.length)) briefSends.here(() => this.socket.send(octets));
    else await briefSends.aside(() => this.socket.sendAside(octets));
    if (writer.octets.length <= LARGEST_KEPT) this.spare = writer;
    this.judge(first, acknowledged);
  }

  /** Sequence numbers for all, and a request to acknowledge the last message before the end of the batch. */
  private number(writer: NetlinkWriter): { readonly first: number; readonly acknowledged: number } {
    const octets = writer.finished();
    const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    const first = this.sequence;
    let previous = 0;
    let at = 0;
    for (let index = 0; index < writer.count; index++) {
      view.setUint32(at + 8, this.sequence, HOST_IS_LITTLE_ENDIAN);
      this.sequence = (this.sequence + 1) >>> 0;
      if (index === writer.count - 2) previous = at;
      at += view.getUint32(at, HOST_IS_LITTLE_ENDIAN);
    }
    const flags = view.getUint16(previous + 6, HOST_IS_LITTLE_ENDIAN);
    view.setUint16(previous + 6, flags | NLM_F_ACK, HOST_IS_LITTLE_ENDIAN);
    return { first, acknowledged: (first + writer.count - 2) >>> 0 };
  }

  /** nf_tables works inside send(), so all answers are in the receive queue by now. */
  private judge(first: number, acknowledged: number): void {
    let refusal: string | undefined;
    let done = false;
    for (;;) {
      const received = this.socket.receive(this.answers.octets);
      if (received === 'empty') break;
      if (received === 'overrun') continue;
      const messages = this.answers.over(received.octets);
      while (messages.next()) {
        const index = (messages.sequence - first) >>> 0;
        if (messages.type !== NLMSG_ERROR || index > 0x7fff_ffff) continue;
        const errno = errnoOf(messages);
        if (errno !== 0) refusal ??= `message ${index}: ${describeErrno(errno, extendedAckText(messages))}`;
        else if (messages.sequence === acknowledged) done = true;
      }
    }
    if (refusal !== undefined) throw new TransactionError(refusal);
    if (!done) throw new TransactionError('the kernel did not acknowledge the transaction');
  }
}
