/** Neighbour (ARP and ND) entries as values (linux/neighbour.h). */

import type { IpAddress } from '../core/ip.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_DUMP, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import type { NetlinkWriter } from './netlink/writer.js';
import { readAddress } from './readAddress.js';
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
      lladdr = hexWithColons(message.octets.subarray(attributes.start, attributes.end));
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

function hexWithColons(octets: Uint8Array): string {
  return [...octets].map(octet => octet.toString(16).padStart(2, '0')).join(':');
}
