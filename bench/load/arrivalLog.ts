/**
 * What arrived and when, kept in a ring so that it can be counted later, in pauses: while the clock runs a receiver does
 * nothing but read, and takes as little as possible of the processor from the speaker under test.
 */

/** Octets offered to one read. */
export const READ_SIZE = 256 * 1024;

interface Segment {
  readonly start: number;
  readonly length: number;
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
}

export type SegmentVisitor = (octets: Uint8Array, at: number) => void;

export class ArrivalLog {
  private readonly octets: Buffer;
  private pending: Segment[] = [];
  /** Index of the oldest pending segment. */
  private oldest = 0;
  private writeAt = 0;

  /**
   * @param capacity octets, at least two reads
   * @param visit gets the segments in order, either from `replay` or at once when the ring is full
   */
  constructor(
    capacity: number,
    private readonly visit: SegmentVisitor,
  ) {
    // Touched now, so that no page fault comes while the clock runs.
    this.octets = Buffer.alloc(Math.max(capacity, 2 * READ_SIZE), 1);
  }

  get isEmpty(): boolean {
    return this.oldest === this.pending.length;
  }

  /** Where the next read shall put its octets. */
  space(): Buffer {
    if (!this.hasRoom()) {
      while (this.replay(Infinity));
      this.hasRoom();
    }
    return this.octets.subarray(this.writeAt, this.writeAt + READ_SIZE);
  }

  /** `length` octets are now in the last `space`. */
  arrived(length: number, at: number): void {
    this.pending.push({ start: this.writeAt, length, at });
    this.writeAt += length;
  }

  /** Visits pending segments, about `limit` octets of them. @returns true when more are left */
  replay(limit: number): boolean {
    for (let left = limit; left > 0 && !this.isEmpty;) {
      const segment = this.pending[this.oldest++]!;
      left -= segment.length;
      this.visit(this.octets.subarray(segment.start, segment.start + segment.length), segment.at);
    }
    if (!this.isEmpty) return true;
    this.pending = [];
    this.oldest = 0;
    return false;
  }

  /** Moves to the front of the ring when its end is reached. @returns false when unread octets are in the way */
  private hasRoom(): boolean {
    const unread = this.pending[this.oldest]?.start;
    if (unread !== undefined && unread >= this.writeAt) return this.writeAt + READ_SIZE <= unread;
    if (this.writeAt + READ_SIZE <= this.octets.length) return true;
    if (unread !== undefined && unread < READ_SIZE) return false;
    this.writeAt = 0;
    return true;
  }
}
