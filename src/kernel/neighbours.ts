/** Neighbour (ARP and ND) entries as values (linux/neighbour.h). */

import type { IpAddress } from '../core/ip.js';
import { lladdrOctets, lladdrText } from './lladdr.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import type { NetlinkWriter } from './netlink/writer.js';
import { readAddress } from './readAddress.js';
import { writeAddress } from './routes.js';
import * as rt from './rtnetlink.js';

export interface Neighbour {
  readonly ifindex: number;
  readonly address: IpAddress;
  /** Link-layer address in hex with colons; absent while it is not resolved. */
  readonly lladdr?: string;
  /** NUD_*: 0x01 incomplete, 0x02 reachable, 0x04 stale, 0x08 delay, 0x10 probe, 0x20 failed, 0x40 no ARP, 0x80 permanent. */
  readonly state: number;
}

/** @returns undefined when the message is no IPv4 or IPv6 neighbour or is cut short */
export function decodeNeighbour(message: MessageCursor): Neighbour | undefined {
  const { view, start, end } = message;
  if (end - start < rt.NDMSG) return undefined;
  const family = view.getUint8(start);
  let address: IpAddress | undefined;
  let lladdr: string | undefined;
  const attributes = new AttributeCursor().over(view, start + rt.NDMSG, end);
  while (attributes.next()) {
    if (attributes.type === rt.NDA_DST) address = readAddress(attributes, family);
    else if (attributes.type === rt.NDA_LLADDR)
      lladdr = lladdrText(message.octets.subarray(attributes.start, attributes.end));
  }
  if (attributes.malformed || address === undefined) return undefined;
  const ifindex = view.getInt32(start + 4, HOST_IS_LITTLE_ENDIAN);
  const state = view.getUint16(start + 8, HOST_IS_LITTLE_ENDIAN);
  return { ifindex, address, state, ...(lladdr === undefined ? {} : { lladdr }) };
}

/** A request for all neighbours of both families. */
export function writeNeighbourDump(writer: NetlinkWriter): void {
  writer.begin(rt.RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP);
  for (let i = 0; i < rt.NDMSG; i += 4) writer.u32(0);
  writer.end();
}

/** A neighbour that is told rather than asked for. */
export interface StaticNeighbour {
  readonly ifindex: number;
  readonly address: IpAddress;
  readonly lladdr: string;
}

/** Puts it in, in place of whatever is known of the address; or takes it out (ENOENT when there is none). */
export function writeNeighbour(writer: NetlinkWriter, command: 'set' | 'delete', neighbour: StaticNeighbour): void {
  const family = neighbour.address.version === 4 ? rt.AF_INET : rt.AF_INET6;
  beginEntry(writer, command, family, neighbour.ifindex, 0);
  writeAddress(writer, rt.NDA_DST, neighbour.address);
  if (command === 'set') writer.attributeOctets(rt.NDA_LLADDR, lladdrOctets(neighbour.lladdr));
  writer.end();
}

/** Where a VXLAN device sends frames for a link-layer address. */
export interface VxlanForwarding {
  readonly ifindex: number;
  readonly lladdr: string;
  /** Address of the other end. */
  readonly remote: IpAddress;
}

/** Puts it in, in place of another for the same link-layer address; or takes it out (ENOENT when there is none). */
export function writeVxlanForwarding(writer: NetlinkWriter, command: 'set' | 'delete', entry: VxlanForwarding): void {
  beginEntry(writer, command, rt.AF_BRIDGE, entry.ifindex, rt.NTF_SELF);
  writer.attributeOctets(rt.NDA_LLADDR, lladdrOctets(entry.lladdr));
  writeAddress(writer, rt.NDA_DST, entry.remote);
  writer.end();
}

/** A request for the forwarding entries of all bridges and VXLAN devices. */
export function writeForwardingDump(writer: NetlinkWriter): void {
  writer.begin(rt.RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP);
  writer.u8x4(rt.AF_BRIDGE, 0, 0, 0);
  for (let i = 4; i < rt.NDMSG; i += 4) writer.u32(0);
  writer.end();
}

/** @returns undefined when the message is no forwarding entry of a VXLAN device with one other end */
export function decodeVxlanForwarding(message: MessageCursor): VxlanForwarding | undefined {
  const { view, start, end } = message;
  if (end - start < rt.NDMSG || view.getUint8(start) !== rt.AF_BRIDGE) return undefined;
  let remote: IpAddress | undefined;
  let lladdr: string | undefined;
  const attributes = new AttributeCursor().over(view, start + rt.NDMSG, end);
  while (attributes.next()) {
    if (attributes.type === rt.NDA_DST)
      remote = readAddress(attributes, attributes.size === 4 ? rt.AF_INET : rt.AF_INET6);
    else if (attributes.type === rt.NDA_LLADDR)
      lladdr = lladdrText(message.octets.subarray(attributes.start, attributes.end));
  }
  if (attributes.malformed || remote === undefined || lladdr === undefined) return undefined;
  return { ifindex: view.getInt32(start + 4, HOST_IS_LITTLE_ENDIAN), lladdr, remote };
}

function beginEntry(
  writer: NetlinkWriter,
  command: 'set' | 'delete',
  family: number,
  ifindex: number,
  flags: number,
): void {
  const isSet = command === 'set';
  const how = isSet ? NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE : NLM_F_REQUEST;
  writer.begin(isSet ? rt.RTM_NEWNEIGH : rt.RTM_DELNEIGH, how);
  writer.u8x4(family, 0, 0, 0);
  writer.u32(ifindex);
  const state = isSet ? rt.NUD_PERMANENT : 0;
  writer.u32(HOST_IS_LITTLE_ENDIAN ? state | (flags << 16) : (state << 16) | (flags << 8));
}
