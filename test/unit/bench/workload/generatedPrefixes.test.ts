import { describe, expect, test } from '@jest/globals';
import { generatedPrefixes4, generatedPrefixes6, lengthRanges } from '../../../../bench/workload/generatedPrefixes.js';
import type { PrefixTable } from '../../../../bench/workload/prefixTable.js';

/** NLRI octets of a prefix, as hexadecimal. */
function nlri(table: PrefixTable, index: number): string {
  const octets = Buffer.alloc(17);
  return octets.subarray(0, table.write(index, octets, 0)).toString('hex');
}

/** Reads an NLRI back as the counting clients do. */
function indexOf(table: PrefixTable, hex: string): number {
  const octets = Buffer.alloc(9);
  octets.write(hex, 'hex');
  return table.indexOf(octets[0]!, octets.readUInt32BE(1), octets.readUInt32BE(5));
}

describe.each([
  ['IPv4', generatedPrefixes4, 0x80, 0xbf],
  ['IPv6', generatedPrefixes6, 0x20, 0x3f],
] as const)('generated %s prefixes', (_family, make, lowestOctet, highestOctet) => {
  const table = make(60_000);

  test('are all different, and each is found again by its octets', () => {
    const seen = new Set<string>();
    for (let index = 0; index < table.size; index++) {
      const hex = nlri(table, index);
      seen.add(hex);
      if (indexOf(table, hex) !== index) throw new Error(`prefix ${index} (${hex}) is found as ${indexOf(table, hex)}`);
    }
    expect(seen.size).toBe(table.size);
  });

  test('have no host bits and lie in their part of the address space', () => {
    for (let index = 0; index < table.size; index += 7) {
      const octets = Buffer.from(nlri(table, index), 'hex');
      const spare = (8 - (octets[0]! % 8)) % 8;
      expect(octets.at(-1)! & ((1 << spare) - 1)).toBe(0);
      expect(octets[1]).toBeGreaterThanOrEqual(lowestOctet);
      expect(octets[1]).toBeLessThanOrEqual(highestOctet);
    }
  });

  test('are announced once each, in an order that is always the same and mixes lengths', () => {
    const order = table.announceOrder();
    expect(order).toHaveLength(table.size);
    expect(new Set(order).size).toBe(table.size);
    expect(make(60_000).announceOrder()).toEqual(order);
    const lengths = new Set([...order.subarray(0, 2000)].map(i => parseInt(nlri(table, i).slice(0, 2), 16)));
    expect(lengths.size).toBeGreaterThan(4);
  });

  test('of the same index are the same in every process', () => {
    expect(nlri(make(60_000), 12_345)).toBe(nlri(table, 12_345));
  });

  test('other prefixes are strangers', () => {
    expect(table.indexOf(24, 0x0a000000, 0)).toBe(-1);
    expect(table.indexOf(0, 0, 0)).toBe(-1);
    expect(table.indexOf(5, 0x80000000, 0)).toBe(-1);
  });
});

describe('prefix lengths', () => {
  test.each([1, 10, 999, 100_000, 1_000_000])('of an IPv4 table of %d add up exactly', size => {
    const ranges = lengthRanges('ipv4-unicast', size);
    expect(ranges.reduce((sum, r) => sum + r.count, 0)).toBe(size);
    expect(lengthRanges('ipv6-unicast', size).reduce((sum, r) => sum + r.count, 0)).toBe(size);
  });

  test('of a full table are those of the Internet: mostly /24, a tenth each of /23 and /22', () => {
    const share = new Map(lengthRanges('ipv4-unicast', 1_000_000).map(r => [r.length, r.count / 1_000_000]));
    expect(share.get(24)).toBeCloseTo(0.62, 1);
    expect(share.get(23)).toBeCloseTo(0.1, 1);
    expect(share.get(22)).toBeCloseTo(0.11, 1);
    expect(share.get(8)).toBeGreaterThan(0);
    expect([...share.keys()].every(length => length >= 8 && length <= 24)).toBe(true);
  });

  test('a table larger than its address space is refused', () => {
    expect(() => lengthRanges('ipv4-unicast', 8_000_000)).toThrow(/larger/);
  });
});
