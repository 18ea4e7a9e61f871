/**
 * As much of RFC 4271 as a load generator needs: it says OPEN and KEEPALIVE and believes what it is told. Own code and
 * not the speaker's, so that a fault in the codec under test cannot hide itself.
 */

import type { Family } from '../../src/bgp/families.js';

export const MessageType = { open: 1, update: 2, notification: 3, keepalive: 4 } as const;

export const KEEPALIVE: Buffer = message(MessageType.keepalive, Buffer.alloc(0));

/** @param holdTime seconds */
export function openMessage(asn: number, holdTime: number, routerId: number, families: readonly Family[]): Buffer {
  const capabilities = Buffer.concat([
    ...families.map(f => Buffer.from([1, 4, 0, f === 'ipv4-unicast' ? 1 : 2, 0, 1])),
    Buffer.from([65, 4, 0, 0, 0, 0]),
  ]);
  capabilities.writeUInt32BE(asn, capabilities.length - 4);
  const body = Buffer.alloc(12);
  body[0] = 4;
  // AS_TRANS stands for numbers that need four octets (RFC 6793).
  body.writeUInt16BE(asn > 0xffff ? 23_456 : asn, 1);
  body.writeUInt16BE(holdTime, 3);
  body.writeUInt32BE(routerId >>> 0, 5);
  body[9] = 2 + capabilities.length;
  body[10] = 2;
  body[11] = capabilities.length;
  return message(MessageType.open, Buffer.concat([body, capabilities]));
}

/** The hold time the other side offers, in seconds, from the body of its OPEN. */
export function holdTimeOf(octets: Uint8Array, start: number): number {
  return (octets[start + 3]! << 8) | octets[start + 4]!;
}

export function describeNotification(octets: Uint8Array, start: number, end: number): string {
  const text = Buffer.from(octets.subarray(start + 2, end))
    .toString('latin1')
    .replace(/[^ -~]/g, '.');
  return `NOTIFICATION ${octets[start]!}/${octets[start + 1]!} ${text}`.trim();
}

function message(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(19, 0xff);
  header.writeUInt16BE(19 + body.length, 16);
  header[18] = type;
  return Buffer.concat([header, body]);
}
