/** Composes netlink messages one after the other in a single growing buffer, ready for one send. */

import { ATTRIBUTE_HEADER, HOST_IS_LITTLE_ENDIAN, NLA_F_NESTED } from './numbers.js';

/**
 * A batch of netlink messages. Integers are written in host order; addresses go in as 32-bit words, most significant
 * first, and come out in network order. Every append leaves the end aligned to 4 octets.
 */
export class NetlinkWriter {
  /** Whole messages finished so far. */
  count = 0;
  /** Octets written so far. */
  length = 0;
  octets: Uint8Array;
  private view: DataView;
  private words: Uint32Array;
  private messageAt = 0;

  constructor(capacity = 4096) {
    this.octets = new Uint8Array(capacity);
    this.view = new DataView(this.octets.buffer);
    this.words = new Uint32Array(this.octets.buffer);
  }

  /** Forgets all messages and keeps the memory. */
  reset(): void {
    this.length = 0;
    this.count = 0;
  }

  /** Starts a message. Sequence number and port stay 0: the channel that sends it fills them in. */
  begin(type: number, flags: number): void {
    this.messageAt = this.length;
    this.u32(0);
    this.u32(HOST_IS_LITTLE_ENDIAN ? type | (flags << 16) : (type << 16) | flags);
    this.u32(0);
    this.u32(0);
  }

  /** Ends the message that `begin` started. */
  end(): void {
    this.view.setUint32(this.messageAt, this.length - this.messageAt, HOST_IS_LITTLE_ENDIAN);
    this.count += 1;
  }

  /** Four octets in host order. */
  u32(value: number): void {
    if (this.length + 4 > this.octets.length) this.grow(4);
    this.words[this.length >>> 2] = value;
    this.length += 4;
  }

  /** Four octets as they stand on the wire: the way protocol structures with octet fields are laid out. */
  u8x4(a: number, b: number, c: number, d: number): void {
    if (this.length + 4 > this.octets.length) this.grow(4);
    const at = this.length;
    this.octets[at] = a;
    this.octets[at + 1] = b;
    this.octets[at + 2] = c;
    this.octets[at + 3] = d;
    this.length = at + 4;
  }

  /** One word of an address, in network order. */
  addressWord(word: number): void {
    this.u8x4(word >>> 24, word >>> 16, word >>> 8, word);
  }

  /** Words made elsewhere for this very place, copied as they are. */
  raw(words: Uint32Array): void {
    const size = words.length * 4;
    if (this.length + size > this.octets.length) this.grow(size);
    const at = this.length >>> 2;
    for (let i = 0; i < words.length; i++) this.words[at + i] = words[i]!;
    this.length += size;
  }

  /** Head of an attribute whose payload of `size` octets (a multiple of 4) the caller appends next. */
  attributeHead(type: number, size: number): void {
    const length = size + ATTRIBUTE_HEADER;
    this.u32(HOST_IS_LITTLE_ENDIAN ? length | (type << 16) : (length << 16) | type);
  }

  attributeU32(type: number, value: number): void {
    this.attributeHead(type, 4);
    this.u32(value);
  }

  /** Any octets, padded to 4. */
  attributeOctets(type: number, value: Uint8Array): void {
    this.attributeHead(type, value.length);
    const padded = (value.length + 3) & ~3;
    if (this.length + padded > this.octets.length) this.grow(padded);
    this.octets.fill(0, this.length, this.length + padded);
    this.octets.set(value, this.length);
    this.length += padded;
  }

  /** Octets that a string holds as latin1, padded to 4: without an object for each of many thousands. */
  attributeLatin1(type: number, octets: string): void {
    this.attributeHead(type, octets.length);
    const padded = (octets.length + 3) & ~3;
    if (this.length + padded > this.octets.length) this.grow(padded);
    const at = this.length;
    for (let i = 0; i < octets.length; i++) this.octets[at + i] = octets.charCodeAt(i);
    for (let i = octets.length; i < padded; i++) this.octets[at + i] = 0;
    this.length += padded;
  }

  /** A string with its closing zero. */
  attributeText(type: number, text: string): void {
    if (isAscii(text)) this.attributeLatin1(type, `${text}\0`);
    else this.attributeOctets(type, new TextEncoder().encode(`${text}\0`));
  }

  /** Starts an attribute that holds others; give the answer to `endNested`. `flagged` sets NLA_F_NESTED, which RTA_MULTIPATH must not have. */
  beginNested(type: number, flagged: boolean): number {
    const at = this.length;
    this.attributeHead(flagged ? type | NLA_F_NESTED : type, 0);
    return at;
  }

  /** Closes what began at `at`: its 16-bit length, which nested attributes and `struct rtnexthop` hold, reaches up to here. */
  endNested(at: number): void {
    this.view.setUint16(at, this.length - at, HOST_IS_LITTLE_ENDIAN);
  }

  /** All messages so far, as a view of the writer's memory. */
  finished(): Uint8Array {
    return this.octets.subarray(0, this.length);
  }

  private grow(more: number): void {
    let capacity = this.octets.length * 2;
    while (capacity < this.length + more) capacity *= 2;
    const grown = new Uint8Array(capacity);
    grown.set(this.octets);
    this.octets = grown;
    this.view = new DataView(grown.buffer);
    this.words = new Uint32Array(grown.buffer);
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
