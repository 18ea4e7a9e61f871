/** Walks received netlink messages and their attributes in place; what is cut short sets a flag and never throws. */

import {
  ATTRIBUTE_HEADER,
  HOST_IS_LITTLE_ENDIAN,
  MESSAGE_HEADER,
  NLA_TYPE_MASK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSGERR_ATTR_MSG,
} from './numbers.js';

/** The messages of one datagram, one after the other. Fields describe the message that `next` found. */
export class MessageCursor {
  type = 0;
  flags = 0;
  sequence = 0;
  /** The socket whose request caused this message; 0 when the kernel itself did. */
  portId = 0;
  /** The payload is `octets[start..end)`. */
  start = 0;
  end = 0;
  /** A message was cut short; nothing after it is read. */
  malformed = false;
  readonly view: DataView;
  private at = 0;
  private limit = 0;

  constructor(readonly octets: Uint8Array) {
    this.view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  }

  /** Starts over with the first `length` octets of the buffer. */
  over(length: number): this {
    this.at = 0;
    this.limit = length;
    this.malformed = false;
    return this;
  }

  /** @returns false at the end, or when the rest is malformed */
  next(): boolean {
    if (this.at >= this.limit || this.malformed) return false;
    const at = this.at;
    const length = at + MESSAGE_HEADER <= this.limit ? this.view.getUint32(at, HOST_IS_LITTLE_ENDIAN) : 0;
    if (length < MESSAGE_HEADER || at + length > this.limit) {
      this.malformed = true;
      return false;
    }
    this.type = this.view.getUint16(at + 4, HOST_IS_LITTLE_ENDIAN);
    this.flags = this.view.getUint16(at + 6, HOST_IS_LITTLE_ENDIAN);
    this.sequence = this.view.getUint32(at + 8, HOST_IS_LITTLE_ENDIAN);
    this.portId = this.view.getUint32(at + 12, HOST_IS_LITTLE_ENDIAN);
    this.start = at + MESSAGE_HEADER;
    this.end = at + length;
    this.at = at + ((length + 3) & ~3);
    return true;
  }
}

/** The attributes in a stretch of octets. `type`, `start` and `end` describe the one that `next` found. */
export class AttributeCursor {
  type = 0;
  start = 0;
  end = 0;
  /** An attribute was cut short, or shorter than what was asked of it. Stays set until `over`. */
  malformed = false;
  private view: DataView = new DataView(new ArrayBuffer(0));
  private at = 0;
  private limit = 0;

  over(view: DataView, start: number, end: number): this {
    this.view = view;
    this.at = start;
    this.limit = end;
    this.malformed = start > end;
    return this;
  }

  next(): boolean {
    if (this.at >= this.limit || this.malformed) return false;
    const at = this.at;
    const length = at + ATTRIBUTE_HEADER <= this.limit ? this.view.getUint16(at, HOST_IS_LITTLE_ENDIAN) : 0;
    if (length < ATTRIBUTE_HEADER || at + length > this.limit) {
      this.malformed = true;
      return false;
    }
    this.type = this.view.getUint16(at + 2, HOST_IS_LITTLE_ENDIAN) & NLA_TYPE_MASK;
    this.start = at + ATTRIBUTE_HEADER;
    this.end = at + length;
    this.at = at + ((length + 3) & ~3);
    return true;
  }

  u8(): number {
    return this.has(1) ? this.view.getUint8(this.start) : 0;
  }

  /** In network order, as ports are. */
  port(): number {
    return this.has(2) ? this.view.getUint16(this.start, false) : 0;
  }

  u32(): number {
    return this.has(4) ? this.view.getUint32(this.start, HOST_IS_LITTLE_ENDIAN) : 0;
  }

  /** In network order, as nf_tables has its numbers. */
  u64(): bigint {
    return this.has(8) ? this.view.getBigUint64(this.start, false) : 0n;
  }

  /** One word of an address, `offset` octets into the attribute, from network order. */
  addressWord(offset: number): number {
    return this.has(offset + 4) ? this.view.getUint32(this.start + offset, false) : 0;
  }

  /** Text up to the first zero octet. */
  text(): string {
    const octets = new Uint8Array(this.view.buffer, this.view.byteOffset + this.start, this.end - this.start);
    const zero = octets.indexOf(0);
    return new TextDecoder().decode(zero < 0 ? octets : octets.subarray(0, zero));
  }

  get size(): number {
    return this.end - this.start;
  }

  private has(size: number): boolean {
    if (this.start + size > this.end) this.malformed = true;
    return !this.malformed;
  }
}

/** Errno of an NLMSG_ERROR message: 0 for an acknowledgement, otherwise positive. */
export function errnoOf(message: MessageCursor): number {
  return message.start + 4 <= message.end ? 0 - message.view.getInt32(message.start, HOST_IS_LITTLE_ENDIAN) : 0;
}

/** The kernel's own words in an NLMSG_ERROR message (NETLINK_EXT_ACK), if it had any. */
export function extendedAckText(message: MessageCursor): string | undefined {
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return undefined;
  const header = message.start + 4;
  if (header + MESSAGE_HEADER > message.end) return undefined;
  // The failed request's header always follows the errno; its payload only if the answer was not capped.
  const request = message.view.getUint32(header, HOST_IS_LITTLE_ENDIAN);
  const size = (message.flags & NLM_F_CAPPED) !== 0 ? MESSAGE_HEADER : (request + 3) & ~3;
  const attributes = new AttributeCursor().over(message.view, header + size, message.end);
  while (attributes.next()) if (attributes.type === NLMSGERR_ATTR_MSG) return attributes.text();
  return undefined;
}
