/** Intermediate functional blocks: links through which packets pass once more, so that what comes in can wait in a queue. */

import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from './netlink/numbers.js';
import type { NetlinkWriter } from './netlink/writer.js';
import * as rt from './rtnetlink.js';

/** A new one, down (EEXIST when there is a link of the name). */
export function writeNewIfb(writer: NetlinkWriter, name: string): void {
  writer.begin(rt.RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
  for (const word of [0, 0, 0, 0]) writer.u32(word);
  writer.attributeText(rt.IFLA_IFNAME, name);
  const info = writer.beginNested(rt.IFLA_LINKINFO, true);
  writer.attributeText(rt.IFLA_INFO_KIND, 'ifb');
  writer.endNested(info);
  writer.end();
}

/** Takes a link up and names what it is for (ENODEV when there is none of the name). */
export function writeIfbUp(writer: NetlinkWriter, name: string, alias: string): void {
  writer.begin(rt.RTM_NEWLINK, NLM_F_REQUEST);
  for (const word of [0, 0, rt.IFF_UP, rt.IFF_UP]) writer.u32(word);
  writer.attributeText(rt.IFLA_IFNAME, name);
  writer.attributeText(rt.IFLA_IFALIAS, alias);
  writer.end();
}
