/** Reading of cold messages: smart-buffer, wrapped so that a read past the end is one kind of error. */

import { SmartBuffer } from 'smart-buffer';

/** A field is shorter than its content needs. Thrown by {@link OctetReader}, caught where a table is entered. */
export class ShortField extends Error {
  override readonly name = 'ShortField';
}

/** A field is long enough but says something its RFC forbids. */
export class Malformation extends Error {
  override readonly name = 'Malformation';
}

/** Reads unsigned numbers in network order from a window of octets; never outside of it. */
export class OctetReader {
  readonly #buffer: SmartBuffer;

  private constructor(buffer: SmartBuffer) {
    this.#buffer = buffer;
  }

  /** A view of octets[start .. end): shares memory, so it is good only as long as the octets are. */
  static over(octets: Uint8Array, start = 0, end: number = octets.length): OctetReader {
    return new OctetReader(SmartBuffer.fromBuffer(Buffer.from(octets.buffer, octets.byteOffset + start, end - start)));
  }

  /** Octets not read yet. */
  get remaining(): number {
    return this.#buffer.remaining();
  }

  u8(): number {
    this.#need(1);
    return this.#buffer.readUInt8();
  }

  u16(): number {
    this.#need(2);
    return this.#buffer.readUInt16BE();
  }

  u32(): number {
    this.#need(4);
    return this.#buffer.readUInt32BE();
  }

  u64(): bigint {
    this.#need(8);
    return this.#buffer.readBigUInt64BE();
  }

  /** A copy of the next `length` octets. */
  octets(length: number): Uint8Array {
    this.#need(length);
    return Uint8Array.from(this.#buffer.readBuffer(length));
  }

  /** A copy of all that is left. */
  rest(): Uint8Array {
    return this.octets(this.remaining);
  }

  /** The next `length` octets as UTF-8; what is no UTF-8 is replaced. */
  text(length: number): string {
    return new TextDecoder().decode(this.octets(length));
  }

  /** A reader of the next `length` octets, which this one skips. */
  part(length: number): OctetReader {
    return OctetReader.over(this.octets(length));
  }

  /** Reads with `read` until nothing is left. */
  all<T>(read: (reader: OctetReader) => T): T[] {
    const items: T[] = [];
    while (this.remaining > 0) items.push(read(this));
    return items;
  }

  /** smart-buffer answers a short `readBuffer` with what is left; here every short read is an error. */
  #need(length: number): void {
    if (this.remaining < length) throw new ShortField(`needs ${length} octets, has ${this.remaining}`);
  }
}
