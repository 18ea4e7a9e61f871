/** Policy routing rules as values (linux/fib_rules.h): read, add, delete. */

import type { IpPrefix } from '../core/ip.js';
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import type { NetlinkWriter } from './netlink/writer.js';
import { readAddress } from './readAddress.js';
import { writeAddress } from './routes.js';
import * as rt from './rtnetlink.js';

/** A rule that sends what it matches to a routing table. */
export interface Rule {
  readonly version: 4 | 6;
  /** Rules are tried in ascending order. */
  readonly priority: number;
  readonly table: number;
  /** RTPROT_*: who put it there. */
  readonly protocol: number;
  readonly source?: IpPrefix;
  readonly destination?: IpPrefix;
  readonly mark?: { readonly value: number; readonly mask: number };
  readonly inputDevice?: string;
  readonly outputDevice?: string;
}

/** @returns undefined for rules with another action than a table lookup, and for messages cut short */
export function decodeRule(message: MessageCursor): Rule | undefined {
  const { view, start, end } = message;
  if (end - start < rt.FIB_RULE_HDR || view.getUint8(start + 7) !== rt.FR_ACT_TO_TBL) return undefined;
  const family = view.getUint8(start);
  if (family !== rt.AF_INET && family !== rt.AF_INET6) return undefined;
  const rule: { -readonly [K in keyof Rule]: Rule[K] } = {
    version: family === rt.AF_INET ? 4 : 6,
    priority: 0,
    table: view.getUint8(start + 4),
    protocol: 0,
  };
  let [mark, mask] = [0, 0xffff_ffff];
  const attributes = new AttributeCursor().over(view, start + rt.FIB_RULE_HDR, end);
  while (attributes.next()) {
    if (attributes.type === rt.FRA_FWMARK) mark = attributes.u32();
    else if (attributes.type === rt.FRA_FWMASK) mask = attributes.u32();
    else readRuleAttribute(attributes, rule, family, view.getUint8(start + 1), view.getUint8(start + 2));
  }
  if (mark !== 0) rule.mark = { value: mark, mask };
  return attributes.malformed ? undefined : rule;
}

function readRuleAttribute(
  attribute: AttributeCursor,
  rule: { -readonly [K in keyof Rule]: Rule[K] },
  family: rt.AddressFamily,
  destinationLength: number,
  sourceLength: number,
): void {
  const prefix = (length: number): IpPrefix | undefined => {
    const address = readAddress(attribute, family);
    return address === undefined ? undefined : { address, length };
  };
  let found: IpPrefix | undefined;
  switch (attribute.type) {
    case rt.FRA_PRIORITY:
      rule.priority = attribute.u32();
      break;
    case rt.FRA_TABLE:
      rule.table = attribute.u32();
      break;
    case rt.FRA_PROTOCOL:
      rule.protocol = attribute.u8();
      break;
    case rt.FRA_SRC:
      if ((found = prefix(sourceLength)) !== undefined) rule.source = found;
      break;
    case rt.FRA_DST:
      if ((found = prefix(destinationLength)) !== undefined) rule.destination = found;
      break;
    case rt.FRA_IIFNAME:
      rule.inputDevice = attribute.text();
      break;
    case rt.FRA_OIFNAME:
      rule.outputDevice = attribute.text();
      break;
  }
}

/** Adds (EEXIST when there is the same) or deletes (ENOENT when there is none). */
export function writeRule(writer: NetlinkWriter, command: 'create' | 'delete', rule: Rule): void {
  const deleting = command === 'delete';
  const flags = deleting ? NLM_F_REQUEST : NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
  writer.begin(deleting ? rt.RTM_DELRULE : rt.RTM_NEWRULE, flags);
  const family = rule.version === 4 ? rt.AF_INET : rt.AF_INET6;
  writer.u8x4(family, rule.destination?.length ?? 0, rule.source?.length ?? 0, 0);
  writer.u8x4(rule.table < 256 ? rule.table : 0, 0, 0, rt.FR_ACT_TO_TBL);
  writer.u32(0);
  if (rule.destination !== undefined) writeAddress(writer, rt.FRA_DST, rule.destination.address);
  if (rule.source !== undefined) writeAddress(writer, rt.FRA_SRC, rule.source.address);
  writer.attributeU32(rt.FRA_PRIORITY, rule.priority);
  writer.attributeU32(rt.FRA_TABLE, rule.table);
  writer.attributeOctets(rt.FRA_PROTOCOL, Uint8Array.of(rule.protocol));
  if (rule.mark !== undefined) {
    writer.attributeU32(rt.FRA_FWMARK, rule.mark.value);
    writer.attributeU32(rt.FRA_FWMASK, rule.mark.mask);
  }
  if (rule.inputDevice !== undefined) writer.attributeText(rt.FRA_IIFNAME, rule.inputDevice);
  if (rule.outputDevice !== undefined) writer.attributeText(rt.FRA_OIFNAME, rule.outputDevice);
  writer.end();
}

/** A request for all rules of a family. */
export function writeRuleDump(writer: NetlinkWriter, version: 4 | 6): void {
  writer.begin(rt.RTM_GETRULE, NLM_F_REQUEST | NLM_F_DUMP);
  writer.u8x4(version === 4 ? rt.AF_INET : rt.AF_INET6, 0, 0, 0);
  writer.u32(0);
  writer.u32(0);
  writer.end();
}
