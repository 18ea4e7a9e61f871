/**
 * Memory that is there before it is needed (madvise(2)). Impure.
 *
 * The kernel gives a process its pages when they are first touched, one at a time: a route reflector that takes in a full
 * table would spend as long on that as on the routes, and longest in a virtual machine, whose host does the same again.
 */

import koffi from 'koffi';
import { libc } from './libc.js';

const madvise = libc.func('int madvise(void *addr, size_t length, int advice)');

/** include/uapi/asm-generic/mman-common.h */
const MADV_HUGEPAGE = 14;
const MADV_POPULATE_WRITE = 23;

const PAGE = 4096;

/**
 * Has the kernel provide the pages of these octets now, in large pages where it can. Their contents stay what they are.
 * A kernel that does not know how (before 5.14) leaves it at touching them.
 */
export function makeResident(octets: Uint8Array): void {
  // V8 never moves the memory of a buffer as large as a page.
  const unaligned = Number(koffi.address(octets) % BigInt(PAGE));
  const start = unaligned === 0 ? 0 : PAGE - unaligned;
  const whole = (octets.length - start) & -PAGE;
  if (whole <= 0) return;
  const pages = octets.subarray(start, start + whole);
  // A wish: where the administrator has turned large pages off, small ones do.
  madvise(pages, pages.length, MADV_HUGEPAGE);
  if (madvise(pages, pages.length, MADV_POPULATE_WRITE) !== 0) touchPages(pages);
}

/** Writes to every page what stands there. */
function touchPages(pages: Uint8Array): void {
  for (let at = 0; at < pages.length; at += PAGE) pages[at] = pages[at]!;
}
