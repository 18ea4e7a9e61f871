/** Blocks of addresses, each less what it leaves out, as ranges that neither overlap nor touch. Addresses are octets as latin1 text. */

import type { IpPrefix } from '../../core/ip.js';
import { rangeOctets } from '../../kernel/nftables/elements.js';

export interface AddressRange {
  readonly first: string;
  readonly last: string;
}

export interface Block {
  readonly cidr: IpPrefix;
  /** Within `cidr`, or beside it, where they mean nothing. */
  readonly except: readonly IpPrefix[];
}

/** @param blocks of one family @returns ascending; what one block leaves out another may have */
export function rangesOf(blocks: readonly Block[]): readonly AddressRange[] {
  const pieces = blocks.flatMap(({ cidr, except }) =>
    except
      .map(rangeOf)
      .reduce<readonly AddressRange[]>((left, hole) => left.flatMap(piece => without(piece, hole)), [rangeOf(cidr)]),
  );
  return merged(pieces);
}

function rangeOf(prefix: IpPrefix): AddressRange {
  const [first, last] = rangeOctets(prefix);
  return { first, last };
}

function without({ first, last }: AddressRange, hole: AddressRange): readonly AddressRange[] {
  if (hole.last < first || hole.first > last) return [{ first, last }];
  const below = hole.first > first ? [{ first, last: stepped(hole.first, -1) }] : [];
  const above = hole.last < last ? [{ first: stepped(hole.last, 1), last }] : [];
  return [...below, ...above];
}

/** Of one length, texts of octets are in the order of the numbers that they are. */
function merged(pieces: readonly AddressRange[]): readonly AddressRange[] {
  const sorted = [...pieces].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const ranges: AddressRange[] = [];
  for (const piece of sorted) {
    const before = ranges.at(-1);
    if (before === undefined || (piece.first > before.last && piece.first !== next(before.last))) ranges.push(piece);
    else if (piece.last > before.last) ranges[ranges.length - 1] = { first: before.first, last: piece.last };
  }
  return ranges;
}

/** @returns undefined after the last address there is */
export function next(octets: string): string | undefined {
  return isLast(octets) ? undefined : stepped(octets, 1);
}

export function isFirst(octets: string): boolean {
  return /^\0+$/.test(octets);
}

export function isLast(octets: string): boolean {
  return /^\xff+$/.test(octets);
}

/** The number that the octets are, and one more or less, which must be in as many octets. */
function stepped(octets: string, step: 1 | -1): string {
  const bytes = Buffer.from(octets, 'latin1');
  for (let i = bytes.length - 1; i >= 0; i--) {
    const sum = bytes[i]! + step;
    bytes[i] = sum & 255;
    if (sum >= 0 && sum <= 255) break;
  }
  return bytes.toString('latin1');
}
