/** Ethernet bridges as values (linux/if_link.h, IFLA_INFO_KIND "bridge"). */

import { lladdrOctets } from './lladdr.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import type { NetlinkWriter } from './netlink/writer.js';
import * as rt from './rtnetlink.js';

export interface Bridge {
  readonly name: string;
  /** A line for people. */
  readonly alias: string;
  /** Octets. */
  readonly mtu: number;
}

export type FoundBridge = Bridge & { readonly ifindex: number; readonly up: boolean };

/**
 * A new bridge, up, in two messages: a link takes no alias while it is made (EEXIST when there is a link of the name).
 * @param lladdr one of its own: otherwise it would take that of whatever port has the lowest, another one with every pod,
 * and pods would lose their gateway for as long as they remember it
 */
export function writeNewBridge(writer: NetlinkWriter, { name, alias, mtu }: Bridge, lladdr: string): void {
  beginLink(writer, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
  writer.attributeText(rt.IFLA_IFNAME, name);
  writer.attributeU32(rt.IFLA_MTU, mtu);
  writer.attributeOctets(rt.IFLA_ADDRESS, lladdrOctets(lladdr));
  const info = writer.beginNested(rt.IFLA_LINKINFO, true);
  writer.attributeText(rt.IFLA_INFO_KIND, 'bridge');
  writer.endNested(info);
  writer.end();
  beginLink(writer, NLM_F_REQUEST);
  writer.attributeText(rt.IFLA_IFNAME, name);
  writer.attributeText(rt.IFLA_IFALIAS, alias);
  writer.end();
}

/** Sets a link's MTU and takes it up (ENODEV when there is none of the name). */
export function writeLinkUp(writer: NetlinkWriter, name: string, mtu: number): void {
  beginLink(writer, NLM_F_REQUEST);
  writer.attributeText(rt.IFLA_IFNAME, name);
  writer.attributeU32(rt.IFLA_MTU, mtu);
  writer.end();
}

function beginLink(writer: NetlinkWriter, flags: number): void {
  writer.begin(rt.RTM_NEWLINK, flags);
  writer.u32(0);
  writer.u32(0);
  writer.u32(rt.IFF_UP);
  writer.u32(rt.IFF_UP);
}

/** @returns undefined when the message is no bridge or is cut short */
export function decodeBridge(message: MessageCursor): FoundBridge | undefined {
  const { view, start, end } = message;
  if (end - start < rt.IFINFOMSG || view.getUint8(start) !== rt.AF_UNSPEC) return undefined;
  let [name, alias, mtu, kind] = ['', '', 0, ''];
  const attributes = new AttributeCursor().over(view, start + rt.IFINFOMSG, end);
  while (attributes.next()) {
    if (attributes.type === rt.IFLA_IFNAME) name = attributes.text();
    else if (attributes.type === rt.IFLA_IFALIAS) alias = attributes.text();
    else if (attributes.type === rt.IFLA_MTU) mtu = attributes.u32();
    else if (attributes.type === rt.IFLA_LINKINFO)
      kind = kindOf(new AttributeCursor().over(view, attributes.start, attributes.end));
  }
  if (attributes.malformed || kind !== 'bridge') return undefined;
  const ifindex = view.getInt32(start + 4, HOST_IS_LITTLE_ENDIAN);
  const up = (view.getUint32(start + 8, HOST_IS_LITTLE_ENDIAN) & rt.IFF_UP) !== 0;
  return { ifindex, name, alias, mtu, up };
}

function kindOf(attributes: AttributeCursor): string {
  while (attributes.next()) if (attributes.type === rt.IFLA_INFO_KIND) return attributes.text();
  return '';
}
