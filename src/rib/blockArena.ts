/**
 * Octet blocks at stable offsets: where interned path attributes live.
 *
 * Pages of 1 MiB; a block never straddles one. Freed blocks wait in a list of their size (rounded to 16 octets), since
 * attribute blocks come in few sizes and a freed one is soon replaced by one as long.
 */

import type { Brand } from '../core/brand.js';
import type { MakeResident } from '../core/columns.js';

/** Page number in the upper bits, offset inside the page in the lower twenty. */
export type BlockRef = Brand<number, 'BlockRef'>;

const PAGE_BITS = 20;
const PAGE = 1 << PAGE_BITS;
const GRAIN = 16;

export class BlockArena {
  private readonly pages: Uint8Array[] = [];
  private readonly wordPages: Uint32Array[] = [];
  private readonly free = new Map<number, number[]>();
  /** Pages in use: the last one has room from `top` on, those behind it are reserved. */
  private used = 0;
  private top = PAGE;

  /** Octets of pages held. */
  get octets(): number {
    return this.pages.length * PAGE;
  }

  /** Has pages, and their memory, for so many octets from the start. */
  reserve(octets: number, makeResident: MakeResident): void {
    while (this.octets < octets) makeResident(this.addPage());
  }

  /** @param length at most 1 MiB, which no BGP message reaches */
  allocate(length: number): BlockRef {
    const rounded = (length + GRAIN - 1) & -GRAIN;
    const waiting = this.free.get(rounded)?.pop();
    if (waiting !== undefined) return waiting as BlockRef;
    if (this.top + rounded > PAGE) {
      if (this.used === this.pages.length) this.addPage();
      this.used++;
      this.top = 0;
    }
    const ref = (this.used - 1) * PAGE + this.top;
    this.top += rounded;
    return ref as BlockRef;
  }

  private addPage(): Uint8Array {
    const page = new Uint8Array(PAGE);
    this.pages.push(page);
    this.wordPages.push(new Uint32Array(page.buffer));
    return page;
  }

  release(ref: BlockRef, length: number): void {
    const rounded = (length + GRAIN - 1) & -GRAIN;
    const list = this.free.get(rounded);
    if (list === undefined) this.free.set(rounded, [ref]);
    else list.push(ref);
  }

  /** The page a block is in; the block begins at {@link offsetOf}. */
  pageOf(ref: BlockRef): Uint8Array {
    return this.pages[ref >>> PAGE_BITS]!;
  }

  /** The same page, four octets at a time; blocks begin at a multiple of four. */
  wordPageOf(ref: BlockRef): Uint32Array {
    return this.wordPages[ref >>> PAGE_BITS]!;
  }

  offsetOf(ref: BlockRef): number {
    return ref & (PAGE - 1);
  }
}
