/** What the load generator knows of a table's prefixes: each has an index, found again from the octets a speaker sends. */

import type { Family } from '../../src/bgp/families.js';

export interface PrefixTable {
  readonly family: Family;
  readonly size: number;
  /** Indices in the order they are announced; neighbours are announced together, as one network's prefixes are. */
  announceOrder(): Uint32Array;
  /** Octets of the NLRI (length octet and address octets) written at `at`. @returns the offset after them */
  write(index: number, octets: Uint8Array, at: number): number;
  /**
   * The index of a prefix as it stands in an NLRI field.
   * @param length bits  @param high first 32 bits of the address, unsigned  @param low bits 32..63 (0 for IPv4)
   * @returns -1 when the table has no such prefix
   */
  indexOf(length: number, high: number, low: number): number;
}
