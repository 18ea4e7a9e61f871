/** Writing of cold messages: smart-buffer, in network order, with chaining. */

import { SmartBuffer } from 'smart-buffer';

/** Appends fields. Numbers out of range throw a RangeError: the caller's mistake. */
export class OctetWriter {
  readonly #buffer = new SmartBuffer();

  get length(): number {
    return this.#buffer.length;
  }

  u8(value: number): this {
    this.#buffer.writeUInt8(value);
    return this;
  }

  u16(value: number): this {
    this.#buffer.writeUInt16BE(value);
    return this;
  }

  u32(value: number): this {
    this.#buffer.writeUInt32BE(value);
    return this;
  }

  u64(value: bigint): this {
    this.#buffer.writeBigUInt64BE(value);
    return this;
  }

  octets(value: Uint8Array): this {
    this.#buffer.writeBuffer(Buffer.from(value.buffer, value.byteOffset, value.length));
    return this;
  }

  /** Calls `write` for each item, with this writer. */
  each<T>(items: readonly T[], write: (writer: OctetWriter, item: T) => unknown): this {
    for (const item of items) write(this, item);
    return this;
  }

  /** A copy of all that was written. */
  done(): Uint8Array {
    return Uint8Array.from(this.#buffer.toBuffer());
  }
}
