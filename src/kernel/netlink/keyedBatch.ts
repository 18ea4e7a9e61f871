/** Messages on their way to the kernel, each with the key of what it is for, so that a refusal finds its way back. */

import { describeErrno, type NetlinkChannel } from './channel.js';
import { NetlinkWriter } from './writer.js';

/** Messages that are sent at once. */
const FULL = 500;

export interface KeyedBatch<K> {
  /** @param key undefined: its failure is of no consequence  @param accepted errnos that are as good as success */
  add(key: K | undefined, write: (writer: NetlinkWriter) => void, accepted?: ReadonlySet<number>): void;
  refuse(key: K, reason: string): void;
  sendIfFull(): Promise<void>;
  send(): Promise<void>;
}

/** @param failures where the first refusal of each key is noted, in words */
export function newKeyedBatch<K>(channel: NetlinkChannel, failures: Map<K, string>): KeyedBatch<K> {
  return new Batch(channel, failures);
}

class Batch<K> implements KeyedBatch<K> {
  private readonly writer = new NetlinkWriter(64 << 10);
  private readonly keys: (K | undefined)[] = [];
  private readonly accepted: (ReadonlySet<number> | undefined)[] = [];

  constructor(
    private readonly channel: NetlinkChannel,
    private readonly failures: Map<K, string>,
  ) {}

  add(key: K | undefined, write: (writer: NetlinkWriter) => void, accepted?: ReadonlySet<number>): void {
    write(this.writer);
    this.keys.push(key);
    this.accepted.push(accepted);
  }

  refuse(key: K, reason: string): void {
    this.failures.set(key, reason);
  }

  async sendIfFull(): Promise<void> {
    if (this.keys.length >= FULL) await this.send();
  }

  async send(): Promise<void> {
    if (this.keys.length === 0) return;
    const { errnos, texts } = await this.channel.transact(this.writer);
    this.keys.forEach((key, i) => {
      const errno = errnos[i]!;
      if (key === undefined || errno === 0 || this.accepted[i]?.has(errno) === true) return;
      // What follows a failed message for the same thing only fails because of it.
      if (!this.failures.has(key)) this.failures.set(key, describeErrno(errno, texts.get(i)));
    });
    this.writer.reset();
    this.keys.length = 0;
    this.accepted.length = 0;
  }
}
