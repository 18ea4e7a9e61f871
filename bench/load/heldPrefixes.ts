/**
 * What a counting client holds, exactly: for every prefix of the table the marker of the route it has (0: none), and how
 * many prefixes have each marker. Duplicates and repeated withdrawals change nothing.
 */

import type { PrefixTable } from '../workload/prefixTable.js';

export class HeldPrefixes {
  private readonly markers: Uint8Array;
  /** Prefixes by marker; counts[0] are those not held. */
  private readonly counts = new Uint32Array(16);
  /** NLRI that are not in the table: the speaker's own, or an error of the speaker. */
  strangers = 0;

  constructor(private readonly table: PrefixTable) {
    this.markers = new Uint8Array(table.size);
    this.counts[0] = table.size;
  }

  /** How many prefixes have this marker. */
  count(marker: number): number {
    return this.counts[marker]!;
  }

  /** Sets every prefix in octets[start .. end) to `marker`. Lengths up to 32 bits for IPv4, up to 64 for IPv6. */
  apply(octets: Uint8Array, start: number, end: number, marker: number): void {
    const { table, markers, counts } = this;
    let at = start;
    while (at < end) {
      const length = octets[at]!;
      const size = (length + 7) >>> 3;
      const index = table.indexOf(length, word(octets, at + 1, size), size > 4 ? word(octets, at + 5, size - 4) : 0);
      at += 1 + size;
      if (index < 0) {
        this.strangers++;
        continue;
      }
      const old = markers[index]!;
      if (old === marker) continue;
      markers[index] = marker;
      counts[old]! -= 1;
      counts[marker]! += 1;
    }
  }
}

/** The first `size` (at most 4) octets as the top of an unsigned 32-bit word. */
function word(octets: Uint8Array, at: number, size: number): number {
  switch (size) {
    case 0:
      return 0;
    case 1:
      return (octets[at]! << 24) >>> 0;
    case 2:
      return ((octets[at]! << 24) | (octets[at + 1]! << 16)) >>> 0;
    case 3:
      return ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8)) >>> 0;
    default:
      return ((octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!) >>> 0;
  }
}
