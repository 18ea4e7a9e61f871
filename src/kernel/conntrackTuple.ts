/** Numbers and tuples of the kernel's connection tracking over netlink (linux/netfilter/nfnetlink_conntrack.h). */

import { formatIpv4, formatIpv6 } from '../core/ip.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';

const SUBSYSTEM = 1 << 8;
export const CT_NEW = SUBSYSTEM;
export const CT_GET = SUBSYSTEM | 1;
export const CT_DELETE = SUBSYSTEM | 2;

export const CTA_TUPLE_ORIG = 1;
export const CTA_TUPLE_REPLY = 2;
export const CTA_STATUS = 3;
export const CTA_MARK = 8;
export const CTA_ID = 12;
export const CTA_TUPLE_MASTER = 14;
export const CTA_ZONE = 18;
export const CTA_MARK_MASK = 21;
export const CTA_FILTER = 25;
export const CTA_TUPLE_IP = 1;
export const CTA_TUPLE_PROTO = 2;
export const CTA_IP_V4_SRC = 1;
export const CTA_IP_V6_SRC = 3;
export const CTA_PROTO_NUM = 1;
export const CTA_FILTER_ORIG_FLAGS = 1;
export const CTA_FILTER_REPLY_FLAGS = 2;
/** CTA_FILTER_F_* of the kernel's nf_internals.h, which are part of the interface. */
export const FILTER_SOURCE = 1 << 0;
export const FILTER_PROTOCOL = 1 << 3;
export const AF_NUMBERS = { 4: 2, 6: 10 } as const;
export const NFGENMSG = 4;

const [CTA_IP_V4_DST, CTA_IP_V6_DST] = [2, 4];
const [CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT] = [2, 3];

/** One direction of a flow. Addresses are octets, as latin1 text; ports are 0 for protocols that have none. */
export interface FlowTuple {
  readonly source: string;
  readonly destination: string;
  /** As in the IP header. */
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Cursors that are used again for every message. */
export interface TupleCursors {
  readonly list: AttributeCursor;
  readonly inner: AttributeCursor;
  readonly field: AttributeCursor;
}

export function tupleCursors(): TupleCursors {
  return { list: new AttributeCursor(), inner: new AttributeCursor(), field: new AttributeCursor() };
}

export function decodeTuple(message: MessageCursor, tuple: AttributeCursor, { inner, field }: TupleCursors): FlowTuple {
  let [source, destination] = ['', ''];
  let [protocol, sourcePort, destinationPort] = [0, 0, 0];
  inner.over(message.view, tuple.start, tuple.end);
  while (inner.next()) {
    field.over(message.view, inner.start, inner.end);
    const isAddress = inner.type === CTA_TUPLE_IP;
    while (field.next()) {
      if (isAddress && (field.type === CTA_IP_V4_SRC || field.type === CTA_IP_V6_SRC))
        source = octetsOf(message, field);
      else if (isAddress && (field.type === CTA_IP_V4_DST || field.type === CTA_IP_V6_DST))
        destination = octetsOf(message, field);
      else if (isAddress || inner.type !== CTA_TUPLE_PROTO) continue;
      else if (field.type === CTA_PROTO_NUM) protocol = field.u8();
      else if (field.type === CTA_PROTO_SRC_PORT) sourcePort = field.port();
      else if (field.type === CTA_PROTO_DST_PORT) destinationPort = field.port();
    }
  }
  return { source, destination, protocol, sourcePort, destinationPort };
}

/** The attribute's payload as latin1 text. */
export function octetsOf(message: MessageCursor, { start, end }: AttributeCursor): string {
  return Buffer.from(message.octets.buffer, message.octets.byteOffset + start, end - start).toString('latin1');
}

/** RFC 5952 text of 4 or 16 octets, as latin1 text. */
export function addressText(octets: string): string {
  const view = new DataView(Uint8Array.from(octets, octet => octet.charCodeAt(0)).buffer);
  if (octets.length === 4) return formatIpv4(view.getUint32(0));
  return formatIpv6([view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)]);
}
