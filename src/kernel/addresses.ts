/** Addresses of network interfaces as values (linux/if_addr.h). */

import type { IpAddress } from '../core/ip.js';
import { HOST_IS_LITTLE_ENDIAN, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import type { NetlinkWriter } from './netlink/writer.js';
import { readAddress } from './readAddress.js';
import * as rt from './rtnetlink.js';

export interface InterfaceAddress {
  readonly ifindex: number;
  readonly address: IpAddress;
  /** Length of the connected prefix. */
  readonly length: number;
  /** RT_SCOPE_*. */
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
}

/** @returns undefined when the message is no IPv4 or IPv6 address or is cut short */
export function decodeInterfaceAddress(message: MessageCursor): InterfaceAddress | undefined {
  const { view, start, end } = message;
  if (end - start < rt.IFADDRMSG) return undefined;
  const family = view.getUint8(start);
  let flags = view.getUint8(start + 2);
  let local: IpAddress | undefined;
  let peer: IpAddress | undefined;
  const attributes = new AttributeCursor().over(view, start + rt.IFADDRMSG, end);
  while (attributes.next()) {
    if (attributes.type === rt.IFA_LOCAL) local = readAddress(attributes, family);
    else if (attributes.type === rt.IFA_ADDRESS) peer = readAddress(attributes, family);
    else if (attributes.type === rt.IFA_FLAGS) flags = attributes.u32();
  }
  // On a point-to-point link IFA_ADDRESS is the other end's; IPv6 has IFA_LOCAL only there.
  const address = local ?? peer;
  if (attributes.malformed || address === undefined) return undefined;
  const ifindex = view.getUint32(start + 4, HOST_IS_LITTLE_ENDIAN);
  return { ifindex, address, length: view.getUint8(start + 1), scope: view.getUint8(start + 3), flags };
}

/** A request for all addresses of both families. */
export function writeAddressDump(writer: NetlinkWriter): void {
  writer.begin(rt.RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP);
  writer.u32(0);
  writer.u32(0);
  writer.end();
}

/** Takes an address off its link (EADDRNOTAVAIL when it is not there), and with it the routes that the kernel made for it. */
export function writeAddressRemoval(writer: NetlinkWriter, { ifindex, address, length }: InterfaceAddress): void {
  writer.begin(rt.RTM_DELADDR, NLM_F_REQUEST);
  writer.u8x4(address.version === 4 ? rt.AF_INET : rt.AF_INET6, length, 0, 0);
  writer.u32(ifindex);
  writer.attributeHead(rt.IFA_LOCAL, address.version === 4 ? 4 : 16);
  for (const word of address.version === 4 ? [address.value] : address.words) writer.addressWord(word);
  writer.end();
}

/** IFA_F_NODAD (linux/if_addr.h): whether somebody else has the address is not asked. */
const NODAD = 0x02;

/** Puts a single address on a link (EEXIST when it is there), without a network around it. */
export function writeNewAddress(writer: NetlinkWriter, ifindex: number, address: IpAddress): void {
  const isFour = address.version === 4;
  writer.begin(rt.RTM_NEWADDR, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL);
  writer.u8x4(isFour ? rt.AF_INET : rt.AF_INET6, isFour ? 32 : 128, isFour ? 0 : NODAD, rt.RT_SCOPE_UNIVERSE);
  writer.u32(ifindex);
  writer.attributeHead(rt.IFA_LOCAL, isFour ? 4 : 16);
  for (const word of isFour ? [address.value] : address.words) writer.addressWord(word);
  writer.end();
}
