/** Traffic control: queueing disciplines as values (linux/pkt_sched.h, linux/rtnetlink.h), as far as bandwidth needs them. */

import { HOST_IS_LITTLE_ENDIAN, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import type { NetlinkWriter } from './netlink/writer.js';

export const RTM_NEWQDISC = 36;
export const RTM_DELQDISC = 37;
export const RTM_GETQDISC = 38;

/** Parents: what leaves through the link, and what comes in (the latter for `ingress` and `clsact` alike). */
export const TC_H_ROOT = 0xffff_ffff;
export const TC_H_INGRESS = 0xffff_fff1;
/** The one handle that an ingress or clsact qdisc has. */
export const INGRESS_HANDLE = 0xffff_0000;

/** Octets of `struct tcmsg`. */
export const TCMSG = 20;
export const TCA_KIND = 1;
export const TCA_OPTIONS = 2;
const TCA_STATS2 = 7;
const TCA_STATS_BASIC = 1;
const TCA_STATS_QUEUE = 3;
const TCA_TBF_PARMS = 1;
const TCA_TBF_RATE64 = 4;
const TCA_TBF_BURST = 6;
const TC_LINKLAYER_ETHERNET = 1;
/** Nanoseconds of what the kernel calls a tick (PSCHED_SHIFT). */
const TICK = 64;

/** A token bucket with a queue of its own (tc-tbf(8)). */
export interface TokenBucket {
  /** Octets a second, counted as the link layer has them. */
  readonly rate: number;
  /** Octets that may go at once. */
  readonly burst: number;
  /** Octets that wait at most. */
  readonly queue: number;
}

/** What went through since the qdisc was made. */
export interface QdiscCounters {
  readonly octets: number;
  readonly packets: number;
  readonly dropped: number;
  /** Octets that wait now. */
  readonly waiting: number;
}

export interface Qdisc {
  readonly ifindex: number;
  /** 0: one that the kernel put there by itself. */
  readonly handle: number;
  readonly parent: number;
  readonly kind: string;
  /** Parameters of a `tbf`. The kernel keeps the burst as a time: of large ones it is known to a part in thousands only. */
  readonly bucket: TokenBucket | undefined;
  readonly counters: QdiscCounters;
}

/** A request for the qdiscs of all links. */
export function writeQdiscDump(writer: NetlinkWriter): void {
  beginTc(writer, RTM_GETQDISC, NLM_F_REQUEST | NLM_F_DUMP, 0, 0, 0, 0);
  writer.end();
}

/**
 * A token bucket for what leaves through the link. `create` takes the place of what the kernel put there by itself, and is
 * refused (EEXIST) where somebody put something; `change` keeps what waits, and is refused where there is another handle.
 * @param handle 16 bits and sixteen zeros
 */
export function writeTokenBucket(
  writer: NetlinkWriter,
  command: 'create' | 'change',
  ifindex: number,
  handle: number,
  { rate, burst, queue }: TokenBucket,
): void {
  const flags = command === 'create' ? NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL : NLM_F_REQUEST;
  beginTc(writer, RTM_NEWQDISC, flags, ifindex, handle, TC_H_ROOT, 0);
  writer.attributeText(TCA_KIND, 'tbf');
  const options = writer.beginNested(TCA_OPTIONS, true);
  const parameters = new DataView(new ArrayBuffer(36));
  parameters.setUint8(1, TC_LINKLAYER_ETHERNET);
  parameters.setUint32(8, Math.min(rate, 0xffff_ffff), HOST_IS_LITTLE_ENDIAN);
  parameters.setUint32(24, queue, HOST_IS_LITTLE_ENDIAN);
  writer.attributeOctets(TCA_TBF_PARMS, new Uint8Array(parameters.buffer));
  if (rate > 0xffff_ffff) writer.attributeOctets(TCA_TBF_RATE64, hostU64(rate));
  writer.attributeU32(TCA_TBF_BURST, burst);
  writer.endNested(options);
  writer.end();
}

/** Takes out what is at the link's root, if it has this handle (EINVAL: another one; ENOENT: none; ENODEV). */
export function writeRootDelete(writer: NetlinkWriter, ifindex: number, handle: number): void {
  beginTc(writer, RTM_DELQDISC, NLM_F_REQUEST, ifindex, handle, TC_H_ROOT, 0);
  writer.end();
}

/** Where filters for what comes in hang; refused (EEXIST) where there is one, or a clsact. */
export function writeNewIngress(writer: NetlinkWriter, ifindex: number): void {
  beginTc(writer, RTM_NEWQDISC, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, ifindex, INGRESS_HANDLE, TC_H_INGRESS, 0);
  writer.attributeText(TCA_KIND, 'ingress');
  writer.end();
}

/** With all filters that hang there. */
export function writeIngressDelete(writer: NetlinkWriter, ifindex: number): void {
  beginTc(writer, RTM_DELQDISC, NLM_F_REQUEST, ifindex, INGRESS_HANDLE, TC_H_INGRESS, 0);
  writer.end();
}

/** Starts a message with `struct tcmsg`. */
export function beginTc(
  writer: NetlinkWriter,
  type: number,
  flags: number,
  ifindex: number,
  handle: number,
  parent: number,
  info: number,
): void {
  writer.begin(type, flags);
  for (const word of [0, ifindex, handle, parent, info]) writer.u32(word);
}

/** @returns undefined when the message is no qdisc or is cut short */
export function decodeQdisc(message: MessageCursor): Qdisc | undefined {
  const { view, start, end } = message;
  if (message.type !== RTM_NEWQDISC || end - start < TCMSG) return undefined;
  let kind = '';
  let options: readonly [number, number] | undefined;
  let counters: QdiscCounters = { octets: 0, packets: 0, dropped: 0, waiting: 0 };
  const attributes = new AttributeCursor().over(view, start + TCMSG, end);
  while (attributes.next()) {
    if (attributes.type === TCA_KIND) kind = attributes.text();
    else if (attributes.type === TCA_OPTIONS) options = [attributes.start, attributes.end];
    else if (attributes.type === TCA_STATS2) counters = readCounters(view, attributes.start, attributes.end);
  }
  if (attributes.malformed) return undefined;
  return {
    ifindex: view.getInt32(start + 4, HOST_IS_LITTLE_ENDIAN),
    handle: view.getUint32(start + 8, HOST_IS_LITTLE_ENDIAN),
    parent: view.getUint32(start + 12, HOST_IS_LITTLE_ENDIAN),
    kind,
    bucket: kind === 'tbf' && options !== undefined ? readBucket(view, ...options) : undefined,
    counters,
  };
}

function readBucket(view: DataView, start: number, end: number): TokenBucket | undefined {
  let bucket: { rate: number; ticks: number; queue: number } | undefined;
  let rate64: number | undefined;
  const options = new AttributeCursor().over(view, start, end);
  while (options.next()) {
    if (options.type === TCA_TBF_PARMS && options.size >= 36)
      bucket = {
        rate: view.getUint32(options.start + 8, HOST_IS_LITTLE_ENDIAN),
        queue: view.getUint32(options.start + 24, HOST_IS_LITTLE_ENDIAN),
        ticks: view.getUint32(options.start + 28, HOST_IS_LITTLE_ENDIAN),
      };
    else if (options.type === TCA_TBF_RATE64 && options.size >= 8)
      rate64 = Number(view.getBigUint64(options.start, HOST_IS_LITTLE_ENDIAN));
  }
  if (bucket === undefined || options.malformed) return undefined;
  const rate = rate64 ?? bucket.rate;
  return { rate, burst: Math.round((bucket.ticks * TICK * rate) / 1e9), queue: bucket.queue };
}

function readCounters(view: DataView, start: number, end: number): QdiscCounters {
  let [octets, packets, dropped, waiting] = [0, 0, 0, 0];
  const stats = new AttributeCursor().over(view, start, end);
  while (stats.next()) {
    if (stats.type === TCA_STATS_BASIC && stats.size >= 12) {
      octets = Number(view.getBigUint64(stats.start, HOST_IS_LITTLE_ENDIAN));
      packets = view.getUint32(stats.start + 8, HOST_IS_LITTLE_ENDIAN);
    } else if (stats.type === TCA_STATS_QUEUE && stats.size >= 12) {
      waiting = view.getUint32(stats.start + 4, HOST_IS_LITTLE_ENDIAN);
      dropped = view.getUint32(stats.start + 8, HOST_IS_LITTLE_ENDIAN);
    }
  }
  return { octets, packets, dropped, waiting };
}

/** Whether the kernel would say of both the same: it rounds the burst. */
export function sameBucket(a: TokenBucket, b: TokenBucket): boolean {
  // A tick's worth of octets, and what the kernel's own division loses.
  const slack = 2 + (Math.max(a.rate, b.rate) * TICK) / 1e9 + Math.max(a.burst, b.burst) / 10_000;
  return a.rate === b.rate && a.queue === b.queue && Math.abs(a.burst - b.burst) <= slack;
}

function hostU64(value: number): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
}
