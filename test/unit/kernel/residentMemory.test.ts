import { expect, test } from '@jest/globals';
import koffi from 'koffi';
import { libc } from '../../../src/kernel/libc.js';
import { makeResident } from '../../../src/kernel/residentMemory.js';

const PAGE = 4096;
const MADV_DONTNEED = 4;
const madvise = libc.func('int madvise(void *addr, size_t length, int advice)');
const mincore = libc.func('int mincore(void *addr, size_t length, _Out_ uint8_t *pages)');

/** The pages that lie whole in the octets. */
function wholePages(octets: Uint8Array): Uint8Array {
  const start = Number(-koffi.address(octets) & BigInt(PAGE - 1));
  return octets.subarray(start, start + Math.floor((octets.length - start) / PAGE) * PAGE);
}

/** How many of the pages have memory. */
function residentPages(pages: Uint8Array): number {
  const seen = new Uint8Array(pages.length / PAGE);
  expect(mincore(pages, pages.length, seen)).toBe(0);
  return seen.filter(page => page & 1).length;
}

test('all pages get memory, and only those', () => {
  const octets = wholePages(new Uint8Array(64 << 20));
  expect(madvise(octets, octets.length, MADV_DONTNEED)).toBe(0);
  expect(residentPages(octets)).toBe(0);
  makeResident(octets.subarray(1000, 48 << 20));
  const pages = wholePages(octets.subarray(1000, 48 << 20));
  expect(residentPages(pages)).toBe(pages.length / PAGE);
  expect(residentPages(wholePages(octets.subarray(52 << 20)))).toBe(0);
});

test('what stands there stays', () => {
  const octets = Uint8Array.from({ length: 1 << 20 }, (_, i) => i * 7);
  makeResident(octets);
  expect(octets.findIndex((octet, i) => octet !== ((i * 7) & 255))).toBe(-1);
});

test.each([0, 1, 100, PAGE, PAGE + 1])('%i octets, which may have no page of their own, are no problem', length => {
  expect(() => makeResident(new Uint8Array(length))).not.toThrow();
});
