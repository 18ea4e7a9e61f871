/** UDP flows that the kernel tracks, listed and deleted one by one over netlink (linux/netfilter/nfnetlink_conntrack.h). */

import {
  AF_NUMBERS,
  CT_DELETE,
  CT_GET,
  CTA_FILTER,
  CTA_FILTER_ORIG_FLAGS,
  CTA_FILTER_REPLY_FLAGS,
  CTA_ID,
  CTA_PROTO_NUM,
  CTA_STATUS,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_REPLY,
  decodeTuple,
  FILTER_PROTOCOL,
  NFGENMSG,
  octetsOf,
  tupleCursors,
  type FlowTuple,
  type TupleCursors,
} from './conntrackTuple.js';
import { describeErrno, type NetlinkChannel } from './netlink/channel.js';
import { NLA_F_NESTED, NLM_F_DUMP, NLM_F_REQUEST } from './netlink/numbers.js';
import type { MessageCursor } from './netlink/reader.js';
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

const IPPROTO_UDP = 17;
const IPS_DST_NAT = 0x20;

/**
 * All UDP flows of a family; the kernel leaves the others out. While flows come and go, some may be told twice or not.
 * @returns rejects with Error when the kernel refuses, or part of its answer was lost
 */
export async function listUdpFlows(channel: NetlinkChannel, family: 4 | 6): Promise<readonly UdpFlow[]> {
  const request = new NetlinkWriter(256);
  request.begin(CT_GET, NLM_F_REQUEST | NLM_F_DUMP);
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
  const cursors = tupleCursors();
  const outcome = await channel.dump(request, message => {
    const flow = decodeFlow(message, cursors);
    if (flow !== undefined) flows.set(flow.id, flow);
  });
  if (outcome === 'interrupted') throw new Error('part of the list of UDP flows was lost');
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
  writer.begin(CT_DELETE, NLM_F_REQUEST);
  writer.u8x4(AF_NUMBERS[family], 0, 0, 0);
  writer.attributeOctets(CTA_TUPLE_ORIG | NLA_F_NESTED, Buffer.from(tuple, 'latin1'));
  writer.attributeHead(CTA_ID, 4);
  writer.addressWord(id);
  writer.end();
}

function decodeFlow(message: MessageCursor, cursors: TupleCursors): UdpFlow | undefined {
  let original: FlowTuple | undefined;
  let reply: FlowTuple | undefined;
  let [tuple, status, id] = ['', 0, 0];
  const attribute = cursors.list.over(message.view, message.start + NFGENMSG, message.end);
  while (attribute.next()) {
    if (attribute.type === CTA_TUPLE_ORIG) {
      tuple = octetsOf(message, attribute);
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
