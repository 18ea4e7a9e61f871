/**
 * The change log between the Loc-RIB and its readers: update groups, their lagging members, the kernel.
 *
 * Every change appends the prefix. A reader at its own cursor skips an entry that is not the prefix's last one: it will
 * meet the later one. So what changed ten times is read once, by slow and fast readers alike, without any state per
 * reader and prefix; and compaction keeps at most one entry for each prefix, so the slowest reader cannot make it grow.
 */

import { growU32, octetsOf, type MakeResident } from '../core/columns.js';
import type { PrefixId } from './prefixTable.js';

const FIRST_LENGTH = 1 << 14;

/** A place in the journal; the journal moves it when it compacts. */
export interface JournalReader {
  cursor: number;
}

export class Journal {
  entries: Uint32Array = new Uint32Array(FIRST_LENGTH);
  /** Entries in use; a reader whose cursor stands here has read everything. */
  length = 0;
  /** By prefix: index of its last entry, plus one. */
  private last: Uint32Array;
  private readonly readers = new Set<JournalReader>();

  constructor(prefixCapacity: number) {
    this.last = new Uint32Array(prefixCapacity);
  }

  /** Has memory for `count` prefixes, and for a burst of changes, from the start. */
  reserve(count: number, makeResident: MakeResident): void {
    makeResident(octetsOf(this.last, count + 1));
    makeResident(octetsOf(this.entries, this.entries.length));
  }

  /** A reader that has read all so far. */
  open(): JournalReader {
    const reader = { cursor: this.length };
    this.readers.add(reader);
    return reader;
  }

  close(reader: JournalReader): void {
    this.readers.delete(reader);
  }

  growPrefixes(capacity: number): void {
    if (capacity > this.last.length) this.last = growU32(this.last, capacity);
  }

  append(prefix: PrefixId): void {
    if (this.length === this.entries.length) this.makeRoom();
    this.entries[this.length++] = prefix;
    this.last[prefix] = this.length;
  }

  /** True when the entry at `index` is the last of its prefix; a reader passes over any other. */
  isLast(index: number): boolean {
    return this.last[this.entries[index]!] === index + 1;
  }

  /** True when every reader has read everything. */
  get drained(): boolean {
    for (const reader of this.readers) if (reader.cursor < this.length) return false;
    return true;
  }

  /** Forgets what every reader has read, when that is all of it. @returns whether the journal is now empty */
  trim(): boolean {
    if (this.length === 0) return true;
    if (!this.drained) return false;
    this.length = 0;
    for (const reader of this.readers) reader.cursor = 0;
    return true;
  }

  private makeRoom(): void {
    if (this.trim()) return;
    this.compact();
    if (this.length * 2 > this.entries.length) this.entries = growU32(this.entries, this.entries.length * 2);
  }

  /** Keeps the last entry of each prefix that some reader has still to read, in order. */
  private compact(): void {
    const waiting = [...this.readers].sort((a, b) => a.cursor - b.cursor);
    let reader = 0;
    let kept = 0;
    const from = waiting[0]?.cursor ?? this.length;
    for (let i = from; i < this.length; i++) {
      while (reader < waiting.length && waiting[reader]!.cursor <= i) waiting[reader++]!.cursor = kept;
      if (!this.isLast(i)) continue;
      const prefix = this.entries[i]!;
      this.entries[kept++] = prefix;
      this.last[prefix] = kept;
    }
    while (reader < waiting.length) waiting[reader++]!.cursor = kept;
    this.length = kept;
  }
}
