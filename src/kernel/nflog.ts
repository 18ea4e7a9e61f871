/** Messages of nfnetlink_log: how a group of logged packets is asked for, and how they come (linux/netfilter/nfnetlink_log.h). */

import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import { NLM_F_ACK, NLM_F_REQUEST } from './netlink/numbers.js';
import type { NetlinkWriter } from './netlink/writer.js';
import { readPacketHeader, type PacketHeader } from './packetHeader.js';

export interface LoggedPacket {
  /** What the rule said. */
  readonly prefix: string;
  readonly header: PacketHeader;
}

const SUBSYSTEM = 4 << 8;
export const NFULNL_MSG_PACKET = SUBSYSTEM;
const NFULNL_MSG_CONFIG = SUBSYSTEM | 1;
const [NFULA_CFG_CMD, NFULA_CFG_MODE, NFULA_CFG_NLBUFSIZ, NFULA_CFG_TIMEOUT] = [1, 2, 3, 4];
const NFULNL_CFG_CMD_BIND = 1;
const NFULNL_COPY_PACKET = 2;
const [NFULA_PAYLOAD, NFULA_PREFIX] = [9, 10];
/** `struct nfgenmsg`: family, version, resource, which is the group. */
const NFGENMSG = 4;

/** Octets of each packet: the IPv6 header, some extension headers, and ports. */
const SNAPLEN = 128;
/** Packets are gathered in the kernel so long, in hundredths of a second, and up to so many octets. */
const [GATHERED, BUFFER] = [10, 32 << 10];

/** Asks for a group's packets: they come to the socket that sends this. EPERM or EBUSY: another one listens. */
export function writeLogBinding(writer: NetlinkWriter, group: number): void {
  const begin = (): void => {
    writer.begin(NFULNL_MSG_CONFIG, NLM_F_REQUEST | NLM_F_ACK);
    writer.u8x4(0, 0, group >>> 8, group & 255);
  };
  begin();
  writer.attributeOctets(NFULA_CFG_CMD, Uint8Array.of(NFULNL_CFG_CMD_BIND));
  writer.end();
  begin();
  // Range in network order, mode, padding.
  writer.attributeOctets(NFULA_CFG_MODE, Uint8Array.of(0, 0, 0, SNAPLEN, NFULNL_COPY_PACKET, 0));
  writer.attributeHead(NFULA_CFG_NLBUFSIZ, 4);
  writer.addressWord(BUFFER);
  writer.attributeHead(NFULA_CFG_TIMEOUT, 4);
  writer.addressWord(GATHERED);
  writer.end();
}

/** @returns undefined for other messages, and packets that are no IP packets */
export function decodeLoggedPacket(message: MessageCursor): LoggedPacket | undefined {
  if (message.type !== NFULNL_MSG_PACKET) return undefined;
  let prefix = '';
  let header: PacketHeader | undefined;
  const attribute = new AttributeCursor().over(message.view, message.start + NFGENMSG, message.end);
  while (attribute.next()) {
    if (attribute.type === NFULA_PREFIX) prefix = attribute.text();
    else if (attribute.type === NFULA_PAYLOAD)
      header = readPacketHeader(message.octets.subarray(attribute.start, attribute.end));
  }
  return header === undefined ? undefined : { prefix, header };
}
