/**
 * Flows that the kernel tracks, of any protocol: listed, and a bit of their marks set or cleared one by one over netlink
 * (linux/netfilter/nfnetlink_conntrack.h). A rule that drops what has the bit cuts the flow for good: if it were deleted
 * instead, the next packet of either direction would begin another one, perhaps in a direction that is allowed.
 */

import {
  AF_NUMBERS,
  CT_GET,
  CT_NEW,
  CTA_FILTER,
  CTA_FILTER_ORIG_FLAGS,
  CTA_FILTER_REPLY_FLAGS,
  CTA_IP_V4_SRC,
  CTA_IP_V6_SRC,
  CTA_MARK,
  CTA_MARK_MASK,
  CTA_TUPLE_IP,
  CTA_TUPLE_MASTER,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  CTA_ZONE,
  decodeTuple,
  FILTER_SOURCE,
  NFGENMSG,
  octetsOf,
  tupleCursors,
  type FlowTuple,
  type TupleCursors,
} from './conntrackTuple.js';
import { describeErrno, LOST, type NetlinkChannel } from './netlink/channel.js';
import { NLA_F_NESTED, NLM_F_DUMP, NLM_F_REQUEST } from './netlink/numbers.js';
import type { MessageCursor } from './netlink/reader.js';
import { NetlinkWriter } from './netlink/writer.js';

/**
 * A flow by its two directions. What both ends see of each other, if they are pods, is `original.source` (as it was before
 * masquerading) and `reply.source` with `reply.sourcePort` (as it is after a service's address was replaced).
 */
export interface TrackedFlow {
  readonly original: FlowTuple;
  readonly reply: FlowTuple;
  /** Unsigned. */
  readonly mark: number;
  /** It belongs to another, as the data connection of FTP to its control connection. */
  readonly isRelated: boolean;
  /** Of connection tracking; 0 unless somebody uses them. */
  readonly zone: number;
  /** The original tuple as the kernel told it, to name the flow with. */
  readonly tuple: string;
}

/** Addresses as octets in latin1 text; `everything` when there are too many to be named. */
export type FlowEnds = ReadonlySet<string> | 'everything';

/** Up to so many ends the kernel is asked for each of them, twice: it walks its table but copies nothing that is not wanted. */
const FILTERED_ENDS = 4;

/**
 * Shows every flow of a family that has one of the ends to `visit`, a few milliseconds of the event loop at a time. While
 * flows come and go, some may be shown twice or not. IPv4 flows are those of 4 octets; ends of the other family are passed
 * over.
 * @returns rejects with NetlinkError or Error when the kernel refuses, or cannot tell of all of them
 */
export async function listFlows(
  channel: NetlinkChannel,
  family: 4 | 6,
  ends: FlowEnds,
  visit: (flow: TrackedFlow) => void,
): Promise<void> {
  const octets = family === 4 ? 4 : 16;
  const wanted = ends === 'everything' ? undefined : new Set([...ends].filter(end => end.length === octets));
  if (wanted?.size === 0) return;
  const cursors = tupleCursors();
  const show = (message: MessageCursor): void => {
    const flow = decodeFlow(message, cursors, wanted);
    if (flow !== undefined) visit(flow);
  };
  if (wanted === undefined || wanted.size > FILTERED_ENDS) {
    await dumpWhole(channel, () => writeDump(family), show);
    return;
  }
  for (const end of wanted)
    for (const tuple of [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY])
      await dumpWhole(channel, () => writeDump(family, tuple, end), show);
}

/** Times that a listing is begun anew when the kernel had no room for some of it. */
const ATTEMPTS = 3;

/** @throws Error when some flows were not shown */
async function dumpWhole(
  channel: NetlinkChannel,
  request: () => NetlinkWriter,
  visit: (message: MessageCursor) => void,
): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++)
    if ((await channel.dump(request(), visit)) === 'complete') return;
  throw new Error('tracked flows could not be listed in one piece');
}

/** @param source whose source in the direction of `tuple` the kernel shall filter by */
function writeDump(family: 4 | 6, tuple?: number, source = ''): NetlinkWriter {
  const request = new NetlinkWriter(256);
  request.begin(CT_GET, NLM_F_REQUEST | NLM_F_DUMP);
  request.u8x4(AF_NUMBERS[family], 0, 0, 0);
  if (tuple !== undefined) {
    const whole = request.beginNested(tuple, true);
    const addresses = request.beginNested(CTA_TUPLE_IP, true);
    request.attributeOctets(family === 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, Buffer.from(source, 'latin1'));
    request.endNested(addresses);
    request.endNested(whole);
    const filter = request.beginNested(CTA_FILTER, true);
    request.attributeU32(CTA_FILTER_ORIG_FLAGS, tuple === CTA_TUPLE_ORIG ? FILTER_SOURCE : 0);
    request.attributeU32(CTA_FILTER_REPLY_FLAGS, tuple === CTA_TUPLE_REPLY ? FILTER_SOURCE : 0);
    request.endNested(filter);
  }
  request.end();
  return request;
}

/** @param wanted ends of which a flow has to have one; undefined: any flow */
export function decodeFlow(
  message: MessageCursor,
  cursors: TupleCursors,
  wanted?: ReadonlySet<string>,
): TrackedFlow | undefined {
  let original: FlowTuple | undefined;
  let reply: FlowTuple | undefined;
  let [tuple, mark, zone] = ['', 0, 0];
  let isRelated = false;
  const attribute = cursors.list.over(message.view, message.start + NFGENMSG, message.end);
  while (attribute.next()) {
    if (attribute.type === CTA_TUPLE_ORIG) {
      tuple = octetsOf(message, attribute);
      original = decodeTuple(message, attribute, cursors);
    } else if (attribute.type === CTA_TUPLE_REPLY) {
      reply = decodeTuple(message, attribute, cursors);
      if (wanted !== undefined && !wanted.has(reply.source) && !wanted.has(original?.source ?? '')) return undefined;
    } else if (attribute.type === CTA_MARK) mark = attribute.addressWord(0);
    else if (attribute.type === CTA_TUPLE_MASTER) isRelated = true;
    else if (attribute.type === CTA_ZONE) zone = attribute.port();
  }
  if (attribute.malformed || original === undefined || reply === undefined) return undefined;
  return { original, reply, mark, isRelated, zone, tuple };
}

/** Flows are changed so many at once: each is a message of about a hundred octets. */
const BATCH = 1000;
const ENOENT = 2;

/**
 * Sets or clears one bit of the marks of flows; the others stay as the kernel has them by then. A flow that is gone is no
 * error.
 * @param bit its number, 0 to 31
 * @returns how many were there; rejects with Error when the kernel refuses
 */
export async function markFlows(
  channel: NetlinkChannel,
  family: 4 | 6,
  flows: readonly TrackedFlow[],
  bit: number,
  value: boolean,
): Promise<number> {
  let marked = 0;
  for (let at = 0; at < flows.length; at += BATCH) {
    const writer = new NetlinkWriter();
    for (const flow of flows.slice(at, at + BATCH)) writeMark(writer, family, flow, bit, value);
    const { errnos, texts } = await channel.transact(writer);
    errnos.forEach((errno, i) => {
      if (errno === 0) marked += 1;
      // Answers are lost for want of memory; marking once more does no harm, and the next look finds what is left.
      else if (errno !== ENOENT && errno !== LOST)
        throw new Error(`marking a tracked flow: ${describeErrno(errno, texts.get(i))}`);
    });
  }
  return marked;
}

/** Without NLM_F_CREATE the kernel changes the flow that it finds by tuple, and makes none. */
export function writeMark(
  writer: NetlinkWriter,
  family: 4 | 6,
  { tuple, zone }: Pick<TrackedFlow, 'tuple' | 'zone'>,
  bit: number,
  value: boolean,
): void {
  const mask = (1 << bit) >>> 0;
  writer.begin(CT_NEW, NLM_F_REQUEST);
  writer.u8x4(AF_NUMBERS[family], 0, 0, 0);
  writer.attributeOctets(CTA_TUPLE_ORIG | NLA_F_NESTED, Buffer.from(tuple, 'latin1'));
  if (zone !== 0) writer.attributeOctets(CTA_ZONE, Uint8Array.of(zone >>> 8, zone));
  writer.attributeHead(CTA_MARK, 4);
  writer.addressWord(value ? mask : 0);
  writer.attributeHead(CTA_MARK_MASK, 4);
  writer.addressWord(mask);
  writer.end();
}
