/** Dummy links: they lead nowhere, and hold what shall belong to this machine and to none of its real links. */

import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from './netlink/numbers.js';
import type { NetlinkWriter } from './netlink/writer.js';
import * as rt from './rtnetlink.js';

/** A new dummy link, down (EEXIST when there is a link of the name). The kernel makes it without ARP. */
export function writeNewDummy(writer: NetlinkWriter, name: string): void {
  begin(writer, rt.RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, 0);
  writer.attributeText(rt.IFLA_IFNAME, name);
  const info = writer.beginNested(rt.IFLA_LINKINFO, true);
  writer.attributeText(rt.IFLA_INFO_KIND, 'dummy');
  writer.endNested(info);
  writer.end();
}

/** Takes a link up, and keeps it from asking and answering for addresses (ENODEV when there is none of the name). */
export function writeSilentUp(writer: NetlinkWriter, name: string): void {
  begin(writer, rt.RTM_NEWLINK, NLM_F_REQUEST, rt.IFF_UP | rt.IFF_NOARP);
  writer.attributeText(rt.IFLA_IFNAME, name);
  writer.end();
}

/** A request for one link by name; ENODEV when there is none. */
export function writeLinkRequest(writer: NetlinkWriter, name: string): void {
  begin(writer, rt.RTM_GETLINK, NLM_F_REQUEST, 0);
  writer.attributeText(rt.IFLA_IFNAME, name);
  writer.end();
}

/** @param flags IFF_* to be set */
function begin(writer: NetlinkWriter, type: number, command: number, flags: number): void {
  writer.begin(type, command);
  writer.u32(0);
  writer.u32(0);
  writer.u32(flags);
  writer.u32(flags);
}
