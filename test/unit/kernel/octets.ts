/** Netlink messages from hex, for codec tests. Numbers are little-endian, as on the machines the vectors were taken from. */

import { MessageCursor } from '../../../src/kernel/netlink/reader.js';

/** The only message in the hex text, which may have spaces. */
export function messageFrom(hex: string): MessageCursor {
  const octets = Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
  const cursor = new MessageCursor(octets).over(octets.length);
  if (!cursor.next()) throw new Error('no whole message');
  return cursor;
}

export function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets)
    .toString('hex')
    .replace(/(.{8})(?=.)/g, '$1 ');
}
