/**
 * A table as the octets of a BGP session (RFC 4271, RFC 4760), encoded before any clock starts: UPDATEs that announce
 * every prefix, UPDATEs that withdraw every prefix, and where messages may be cut apart for writing.
 */

import type { PrefixTable } from './prefixTable.js';
import { ATTRIBUTE_ROOM, NEXT_HOPS } from './attributes.js';

const HEADER = 19;
const LARGEST = 4096;
/** Octets handed to the socket at once; keepalives go in between. */
const SLICE = 256 * 1024;

/** Writes the attributes (without MP_REACH_NLRI and, for IPv6, NEXT_HOP) of a set. @returns the offset after them */
export type AttributeWriter = (octets: Buffer, at: number, set: number, nextHop4: number | undefined) => number;

/** Which prefixes share attributes: positions starts[s] .. starts[s+1] of `order` belong to set s. */
export interface Grouping {
  readonly order: Uint32Array;
  readonly starts: Uint32Array;
}

export interface Feed {
  readonly octets: Buffer;
  readonly messages: number;
  /** Offsets of message boundaries, ascending, from 0 to the end: write from one to the next. */
  readonly cuts: readonly number[];
}

/** First next hop of a feed; the others follow. They are addresses of the test network, so that they resolve. */
export interface FeedNextHops {
  readonly base4: number;
  /** First 15 octets of the IPv6 next hops. */
  readonly base6: Uint8Array;
}

/** One UPDATE (or more, when it does not fit) for each attribute set, and at the end End-of-RIB (RFC 4724). */
export function announceFeed(
  table: PrefixTable,
  grouping: Grouping,
  attributes: AttributeWriter,
  nextHops: FeedNextHops,
): Feed {
  const out = new FeedBuffer();
  const sets = grouping.starts.length - 1;
  for (let set = 0; set < sets; set++)
    if (table.family === 'ipv4-unicast') announce4(out, table, grouping, set, attributes, nextHops);
    else announce6(out, table, grouping, set, attributes, nextHops);
  endOfRib(out, table);
  return out.finish();
}

/** As few UPDATEs as can withdraw all. */
export function withdrawFeed(table: PrefixTable, order: Uint32Array): Feed {
  const out = new FeedBuffer();
  let at = 0;
  while (at < order.length) {
    const start = out.begin();
    const v6 = table.family === 'ipv6-unicast';
    // IPv6: no classic withdrawals, then MP_UNREACH_NLRI with a two-octet length.
    const nlri = v6 ? start + HEADER + 4 + 7 : start + HEADER + 2;
    let end = nlri;
    for (; at < order.length && end - start < LARGEST - 16; at++) end = table.write(order[at]!, out.octets, end);
    if (v6) {
      out.octets.writeUInt16BE(0, start + HEADER);
      out.octets.writeUInt16BE(end - start - HEADER - 4, start + HEADER + 2);
      out.octets.set([0x90, 15], start + HEADER + 4);
      out.octets.writeUInt16BE(end - nlri + 3, start + HEADER + 6);
      out.octets.set([0, 2, 1], start + HEADER + 8);
    } else {
      out.octets.writeUInt16BE(end - nlri, start + HEADER);
      end = out.octets.writeUInt16BE(0, end);
    }
    out.end(end);
  }
  return out.finish();
}

function announce4(
  out: FeedBuffer,
  table: PrefixTable,
  grouping: Grouping,
  set: number,
  attributes: AttributeWriter,
  nextHops: FeedNextHops,
): void {
  let position = grouping.starts[set]!;
  const last = grouping.starts[set + 1]!;
  while (position < last) {
    const start = out.begin();
    out.octets.writeUInt16BE(0, start + HEADER);
    const from = start + HEADER + 4;
    const nlri = attributes(out.octets, from, set, (nextHops.base4 + (set % NEXT_HOPS)) >>> 0);
    out.octets.writeUInt16BE(nlri - from, from - 2);
    let end = nlri;
    for (; position < last && end - start < LARGEST - 5; position++)
      end = table.write(grouping.order[position]!, out.octets, end);
    out.end(end);
  }
}

/** MP_REACH_NLRI first, as RFC 7606 section 5.1 asks. */
function announce6(
  out: FeedBuffer,
  table: PrefixTable,
  grouping: Grouping,
  set: number,
  attributes: AttributeWriter,
  nextHops: FeedNextHops,
): void {
  let position = grouping.starts[set]!;
  const last = grouping.starts[set + 1]!;
  while (position < last) {
    const start = out.begin();
    out.octets.writeUInt16BE(0, start + HEADER);
    const from = start + HEADER + 4;
    out.octets.set([0x90, 14, 0, 0, 0, 2, 1, 16], from);
    out.octets.set(nextHops.base6, from + 8);
    out.octets[from + 23] = 1 + (set % NEXT_HOPS);
    out.octets[from + 24] = 0;
    const nlri = from + 25;
    let end = nlri;
    for (; position < last && end - start < LARGEST - ATTRIBUTE_ROOM - 9; position++)
      end = table.write(grouping.order[position]!, out.octets, end);
    out.octets.writeUInt16BE(end - from - 4, from + 2);
    end = attributes(out.octets, end, set, undefined);
    out.octets.writeUInt16BE(end - from, from - 2);
    out.end(end);
  }
}

function endOfRib(out: FeedBuffer, table: PrefixTable): void {
  const start = out.begin();
  const body = table.family === 'ipv4-unicast' ? [0, 0, 0, 0] : [0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1];
  out.octets.set(body, start + HEADER);
  out.end(start + HEADER + body.length);
}

/** Grows as messages are written into it. */
class FeedBuffer {
  octets = Buffer.allocUnsafe(1 << 20);
  private length = 0;
  private messages = 0;
  private readonly cuts = [0];

  /** Makes room for one message. @returns where it starts */
  begin(): number {
    if (this.octets.length - this.length < 2 * LARGEST) {
      const larger = Buffer.allocUnsafe(this.octets.length * 2);
      this.octets.copy(larger, 0, 0, this.length);
      this.octets = larger;
    }
    return this.length;
  }

  /** The message from the last `begin` ends here: an UPDATE. */
  end(end: number): void {
    const size = end - this.length;
    if (size > LARGEST) throw new RangeError(`an UPDATE of ${size} octets`);
    this.octets.fill(0xff, this.length, this.length + 16);
    this.octets.writeUInt16BE(size, this.length + 16);
    this.octets[this.length + 18] = 2;
    this.length = end;
    this.messages++;
    if (end - this.cuts.at(-1)! >= SLICE) this.cuts.push(end);
  }

  finish(): Feed {
    if (this.cuts.at(-1) !== this.length) this.cuts.push(this.length);
    return { octets: this.octets.subarray(0, this.length), messages: this.messages, cuts: this.cuts };
  }
}
