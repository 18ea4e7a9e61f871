/** Network interfaces as values (linux/if_link.h). */

import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_DUMP, NLM_F_REQUEST } from './netlink/numbers.js';
import type { NetlinkWriter } from './netlink/writer.js';
import * as rt from './rtnetlink.js';

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  /** IFF_*. */
  readonly flags: number;
  /** RFC 2863 IF-MIB operStatus as the kernel counts it: 0 unknown, 2 down, 3 lower layer down, 5 dormant, 6 up. */
  readonly operState: number;
  /** Index of the bridge or bond it belongs to. */
  readonly master: number | null;
}

/** Administratively up and with carrier: packets can leave through it. */
export function isUsable(link: Link): boolean {
  return (link.flags & rt.IFF_UP) !== 0 && (link.flags & rt.IFF_RUNNING) !== 0;
}

/** @returns undefined when the message is no link of the ordinary kind (bridge ports announce themselves twice) or is cut short */
export function decodeLink(message: MessageCursor): Link | undefined {
  const { view, start, end } = message;
  if (end - start < rt.IFINFOMSG || view.getUint8(start) !== rt.AF_UNSPEC) return undefined;
  const flags = view.getUint32(start + 8, HOST_IS_LITTLE_ENDIAN);
  const index = view.getInt32(start + 4, HOST_IS_LITTLE_ENDIAN);
  let [name, mtu, operState]: [string, number, number] = ['', 0, 0];
  let master: number | null = null;
  const attributes = new AttributeCursor().over(view, start + rt.IFINFOMSG, end);
  while (attributes.next()) {
    if (attributes.type === rt.IFLA_IFNAME) name = attributes.text();
    else if (attributes.type === rt.IFLA_MTU) mtu = attributes.u32();
    else if (attributes.type === rt.IFLA_OPERSTATE) operState = attributes.u8();
    else if (attributes.type === rt.IFLA_MASTER) master = attributes.u32();
  }
  return attributes.malformed ? undefined : { index, name, mtu, flags, operState, master };
}

/** A request for all links. */
export function writeLinkDump(writer: NetlinkWriter): void {
  writer.begin(rt.RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP);
  for (let i = 0; i < rt.IFINFOMSG; i += 4) writer.u32(0);
  writer.end();
}
