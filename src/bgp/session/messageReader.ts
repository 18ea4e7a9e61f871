/** Cuts the chunks a socket delivers into messages, in place, carrying only the broken end of a chunk over to the next. */

import type { NotificationError } from '../notification.js';
import { Frame, nextFrame } from '../wire/frame.js';
import { MAX_MESSAGE } from '../wire/iana.js';

/** Takes one message: its body is octets[start .. end), lent for the call. */
export type MessageHandler = (type: number, octets: Uint8Array, start: number, end: number) => void;

export class MessageReader {
  /** Largest message accepted: rises to 65535 when RFC 8654 is negotiated. */
  maxMessage: number = MAX_MESSAGE;
  readonly #deliver: MessageHandler;
  readonly #frame = new Frame();
  /** The beginning of a message whose end has not come: #carry[0 .. #carried). */
  #carry = new Uint8Array();
  #carried = 0;
  #stopped = false;

  constructor(deliver: MessageHandler) {
    this.#deliver = deliver;
  }

  /** No message is delivered any more, not even of the chunk at hand. */
  stop(): void {
    this.#stopped = true;
  }

  /** Delivers the messages that this chunk completes. @returns the NOTIFICATION owed for a bad header */
  read(chunk: Uint8Array): NotificationError | undefined {
    const from = this.#carried > 0 ? this.#complete(chunk) : 0;
    return typeof from === 'number' ? this.#readWhole(chunk, from) : from;
  }

  /** Delivers the messages that lie whole in the chunk, and keeps what is left. */
  #readWhole(chunk: Uint8Array, from: number): NotificationError | undefined {
    const frame = this.#frame;
    let at = from;
    while (at < chunk.length && !this.#stopped) {
      const result = nextFrame(chunk, at, chunk.length, this.maxMessage, frame);
      if (result === 'incomplete') {
        this.#keep(chunk, at, chunk.length);
        return undefined;
      }
      if (result !== 'message') return result;
      at = frame.bodyEnd;
      this.#deliver(frame.type, chunk, frame.bodyStart, frame.bodyEnd);
    }
    return undefined;
  }

  /** Brings the carried message to its end. @returns the offset in the chunk where the next one begins */
  #complete(chunk: Uint8Array): number | NotificationError {
    const frame = this.#frame;
    let at = 0;
    while (!this.#stopped) {
      const take = Math.min(frame.needed - this.#carried, chunk.length - at);
      this.#keep(chunk, at, at + take);
      at += take;
      const result = nextFrame(this.#carry, 0, this.#carried, this.maxMessage, frame);
      if (result === 'message') {
        this.#carried = 0;
        this.#deliver(frame.type, this.#carry, frame.bodyStart, frame.bodyEnd);
        return at;
      }
      if (result !== 'incomplete') return result;
      if (at === chunk.length) return at;
    }
    return at;
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const total = this.#carried + end - start;
    const room = Math.max(total, this.#frame.needed);
    if (this.#carry.length < room) {
      const grown = new Uint8Array(room <= MAX_MESSAGE ? MAX_MESSAGE : this.maxMessage);
      grown.set(this.#carry.subarray(0, this.#carried));
      this.#carry = grown;
    }
    this.#carry.set(chunk.subarray(start, end), this.#carried);
    this.#carried = total;
  }
}
