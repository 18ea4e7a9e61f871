/** UDP flows that the kernel tracks, listed and deleted one by one over netlink (linux/netfilter/nfnetlink_conntrack.h). */

import { describeErrno, type NetlinkChannel } from './netlink/channel.js';
import { NLA_F_NESTED, NLM_F_DUMP, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import { NetlinkWriter } from './netlink/writer.js';

/** Addresses and ports are octets, as latin1 text; ports are in network order. */
export interface UdpFlow {
  /** What the client sent to. */
  readonly destination: string;
  readonly port: number;
  /** Who answers: the backend, when the destination was translated. */
  readonly replySource: string;
  readonly replyPort: number;
  readonly isTranslated: boolean;
  /** Names the flow to the kernel: the original tuple, and the number that tells it from a later one of the same tuple. */
  readonly tuple: string;
  readonly id: number;
}

const SUBSYSTEM = 1 << 8;
const [GET, DELETE] = [SUBSYSTEM | 1, SUBSYSTEM | 2];
const [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_ID, CTA_FILTER] = [1, 2, 3, 12, 25];
const [CTA_TUPLE_IP, CTA_TUPLE_PROTO] = [1, 2];
const [CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST] = [1, 2, 3, 4];
const [CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT] = [1, 2, 3];
const [CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS] = [1, 2];
/** CTA_FILTER_F_CTA_PROTO_NUM of the kernel's nf_internals.h, which is part of the interface. */
const FILTER_PROTOCOL = 1 << 3;
const IPPROTO_UDP = 17;
const IPS_DST_NAT = 0x20;
const AF_NUMBERS = { 4: 2, 6: 10 } as const;
const NFGENMSG = 4;

/** All UDP flows of a family; the kernel leaves the others out. While flows come and go, some may be told twice or not. */
export async function listUdpFlows(channel: NetlinkChannel, family: 4 | 6): Promise<readonly UdpFlow[]> {
  const request = new NetlinkWriter(256);
  request.begin(GET, NLM_F_REQUEST | NLM_F_DUMP);
  request.u8x4(AF_NUMBERS[family], 0, 0, 0);
  const tuple = request.beginNested(CTA_TUPLE_ORIG, true);
  const protocol = request.beginNested(CTA_TUPLE_PROTO, true);
  request.attributeOctets(CTA_PROTO_NUM, Uint8Array.of(IPPROTO_UDP));
  request.endNested(protocol);
  request.endNested(tuple);
  const filter = request.beginNested(CTA_FILTER, true);
  request.attributeU32(CTA_FILTER_ORIG_FLAGS, FILTER_PROTOCOL);
  request.attributeU32(CTA_FILTER_REPLY_FLAGS, 0);
  request.endNested(filter);
  request.end();
  const flows = new Map<number, UdpFlow>();
  const cursors = { list: new AttributeCursor(), inner: new AttributeCursor(), field: new AttributeCursor() };
  await channel.dump(request, message => {
    const flow = decodeFlow(message, cursors);
    if (flow !== undefined) flows.set(flow.id, flow);
  });
  return [...flows.values()];
}

/** Flows are deleted so many at once: each is a message of about a hundred octets. */
const BATCH = 1000;

/**
 * Deletes flows, so that their next packet is looked at anew. One that is gone by then is no error.
 * @returns how many were there; rejects with Error when the kernel refuses
 */
export async function deleteUdpFlows(
  channel: NetlinkChannel,
  family: 4 | 6,
  flows: readonly UdpFlow[],
): Promise<number> {
  let deleted = 0;
  for (let at = 0; at < flows.length; at += BATCH) {
    const part = flows.slice(at, at + BATCH);
    const writer = new NetlinkWriter();
    for (const flow of part) writeDelete(writer, family, flow);
    const { errnos, texts } = await channel.transact(writer);
    errnos.forEach((errno, i) => {
      if (errno === 0) deleted += 1;
      else if (errno !== ENOENT) throw new Error(`deleting a UDP flow: ${describeErrno(errno, texts.get(i))}`);
    });
  }
  return deleted;
}
const ENOENT = 2;

function writeDelete(writer: NetlinkWriter, family: 4 | 6, { tuple, id }: UdpFlow): void {
  writer.begin(DELETE, NLM_F_REQUEST);
  writer.u8x4(AF_NUMBERS[family], 0, 0, 0);
  writer.attributeOctets(CTA_TUPLE_ORIG | NLA_F_NESTED, Buffer.from(tuple, 'latin1'));
  writer.attributeHead(CTA_ID, 4);
  writer.addressWord(id);
  writer.end();
}

interface Cursors {
  readonly list: AttributeCursor;
  readonly inner: AttributeCursor;
  readonly field: AttributeCursor;
}

interface Tuple {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

function decodeFlow(message: MessageCursor, cursors: Cursors): UdpFlow | undefined {
  let original: Tuple | undefined;
  let reply: Tuple | undefined;
  let [tuple, status, id] = ['', 0, 0];
  const attribute = cursors.list.over(message.view, message.start + NFGENMSG, message.end);
  while (attribute.next()) {
    if (attribute.type === CTA_TUPLE_ORIG) {
      tuple = octets(message, attribute);
      original = decodeTuple(message, attribute, cursors);
    } else if (attribute.type === CTA_TUPLE_REPLY) reply = decodeTuple(message, attribute, cursors);
    else if (attribute.type === CTA_STATUS) status = attribute.addressWord(0);
    else if (attribute.type === CTA_ID) id = attribute.addressWord(0);
  }
  if (original?.protocol !== IPPROTO_UDP || reply === undefined) return undefined;
  return {
    destination: original.destination,
    port: original.destinationPort,
    replySource: reply.source,
    replyPort: reply.sourcePort,
    isTranslated: (status & IPS_DST_NAT) !== 0,
    tuple,
    id,
  };
}

function decodeTuple(message: MessageCursor, tuple: AttributeCursor, { inner, field }: Cursors): Tuple {
  let [source, destination] = ['', ''];
  let [protocol, sourcePort, destinationPort] = [0, 0, 0];
  inner.over(message.view, tuple.start, tuple.end);
  while (inner.next()) {
    field.over(message.view, inner.start, inner.end);
    const isAddress = inner.type === CTA_TUPLE_IP;
    while (field.next()) {
      if (isAddress && (field.type === CTA_IP_V4_SRC || field.type === CTA_IP_V6_SRC)) source = octets(message, field);
      else if (isAddress && (field.type === CTA_IP_V4_DST || field.type === CTA_IP_V6_DST))
        destination = octets(message, field);
      else if (isAddress) continue;
      else if (field.type === CTA_PROTO_NUM) protocol = field.u8();
      else if (field.type === CTA_PROTO_SRC_PORT) sourcePort = field.port();
      else if (field.type === CTA_PROTO_DST_PORT) destinationPort = field.port();
    }
  }
  return { source, destination, protocol, sourcePort, destinationPort };
}

function octets(message: MessageCursor, { start, end }: AttributeCursor): string {
  return Buffer.from(message.octets.buffer, message.octets.byteOffset + start, end - start).toString('latin1');
}
