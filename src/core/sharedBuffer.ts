/** Octets that are written once and read by several, in buffers that are written again when nobody reads them any more. */

import type { MakeResident } from './columns.js';

/** Octets in a buffer: several batches of a full table. */
const SIZE = 1 << 18;
/** Buffers remembered; more may be in use, and are then left to the garbage collector. */
const REMEMBERED = 8;
/** Of those, how many the members of one group keep busy. */
const USUALLY_BUSY = 4;

/** A buffer with a count of its readers. Whoever keeps octets of it counts himself in, and out when done. */
export class SharedBuffer {
  readers = 0;
  constructor(readonly octets: Uint8Array) {}
}

/** Hands out buffers that nobody reads. */
export class BufferPool {
  private readonly buffers: SharedBuffer[] = [];
  private next = 0;

  /** Makes the buffers now that will be in use, with their memory. */
  reserve(makeResident: MakeResident): void {
    while (this.buffers.length < USUALLY_BUSY) this.buffers.push(new SharedBuffer(new Uint8Array(SIZE)));
    this.next = this.buffers.length % REMEMBERED;
    for (const { octets } of this.buffers) makeResident(octets);
  }

  /** @param atLeast octets of room needed */
  take(atLeast = SIZE): SharedBuffer {
    const free = this.buffers.find(buffer => buffer.readers === 0 && buffer.octets.length >= atLeast);
    if (free !== undefined) return free;
    const made = new SharedBuffer(new Uint8Array(Math.max(SIZE, atLeast)));
    // The one that makes room may still be read; its readers keep it alive.
    this.buffers[this.next] = made;
    this.next = (this.next + 1) % REMEMBERED;
    return made;
  }
}
