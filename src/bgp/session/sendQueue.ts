/** Messages on their way to a socket: no copies, a bound on what waits, and keepalives that do not queue behind a table. */

import type { SharedBuffer } from '../../core/sharedBuffer.js';

/** Octets waiting beyond which the owner is asked to pause, and below which it may go on. */
const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 256 * 1024;
/** Octets given to the socket in one go. */
const WRITE_SIZE = 256 * 1024;

/** Sends the chunks and calls `flushed` once the kernel has taken them. */
export type Write = (chunks: readonly Uint8Array[], flushed: () => void) => void;

interface Entry {
  readonly octets: Uint8Array;
  readonly buffer: SharedBuffer | undefined;
}

export class SendQueue {
  readonly #write: Write;
  readonly #drained: () => void;
  readonly #progress: () => void;
  #queue: Entry[] = [];
  #waiting = 0;
  #writing = false;
  #full = false;
  #whenEmpty: (() => void) | undefined;

  /** @param progress called when the kernel has taken something   @param drained called when `push` may resume after it answered false */
  constructor(write: Write, progress: () => void, drained: () => void) {
    this.#write = write;
    this.#progress = progress;
    this.#drained = drained;
  }

  /** Octets that the kernel has not taken yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Queues whole messages, which may not change until they are sent.
   * @param buffer what they are part of, if others may write it again: it has one reader more until they are sent
   * @returns false when enough is waiting
   */
  push(octets: Uint8Array, buffer?: SharedBuffer): boolean {
    if (buffer !== undefined) buffer.readers++;
    this.#queue.push({ octets, buffer });
    this.#begin(octets);
    return !this.#full;
  }

  /** The same, before everything that has not been given to the socket: for a KEEPALIVE, whose place is free. */
  pushFirst(octets: Uint8Array): void {
    this.#queue.unshift({ octets, buffer: undefined });
    this.#begin(octets);
  }

  /** Drops what was not given to the socket; the stream stays in whole messages. */
  discard(): void {
    this.#waiting -= sizeOf(this.#queue);
    release(this.#queue);
    this.#queue = [];
  }

  /** Calls back once, as soon as everything is with the kernel. */
  whenEmpty(callback: () => void): void {
    if (this.#waiting === 0) callback();
    else this.#whenEmpty = callback;
  }

  #begin(octets: Uint8Array): void {
    this.#waiting += octets.length;
    if (this.#waiting > HIGH_WATER) this.#full = true;
    this.#flush();
  }

  #flush(): void {
    if (this.#writing || this.#queue.length === 0) return;
    const entries = this.#nextEntries();
    this.#writing = true;
    this.#write(
      entries.map(entry => entry.octets),
      () => this.#flushed(entries),
    );
  }

  #nextEntries(): Entry[] {
    let size = 0;
    let count = 0;
    while (count < this.#queue.length && size < WRITE_SIZE) size += this.#queue[count++]!.octets.length;
    return this.#queue.splice(0, count);
  }

  #flushed(entries: readonly Entry[]): void {
    this.#writing = false;
    this.#waiting -= sizeOf(entries);
    release(entries);
    this.#progress();
    this.#flush();
    if (this.#full && this.#waiting < LOW_WATER) {
      this.#full = false;
      this.#drained();
    }
    if (this.#waiting === 0 && this.#whenEmpty !== undefined) {
      const callback = this.#whenEmpty;
      this.#whenEmpty = undefined;
      callback();
    }
  }
}

function sizeOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { octets }) => sum + octets.length, 0);
}

function release(entries: readonly Entry[]): void {
  for (const { buffer } of entries) if (buffer !== undefined) buffer.readers--;
}
