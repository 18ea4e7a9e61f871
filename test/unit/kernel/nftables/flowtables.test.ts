/** Octets that nft(8) 1.0.6 sends for the same words (`nft --debug=mnl`), and what the kernel answers read back. */

import { expect, test } from '@jest/globals';
import { writeExpressions } from '../../../../src/kernel/nftables/expressions.js';
import { decodeFlowtable, writeFlowtable, type FlowtableShape } from '../../../../src/kernel/nftables/flowtables.js';
import { MessageCursor } from '../../../../src/kernel/netlink/reader.js';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.js';

const SHAPE: FlowtableShape = { name: 'established', priority: 0, devices: ['x1', 'eth0'] };
const TABLE = { family: 'inet', name: 'peerage-offload' } as const;

/** `add flowtable inet peerage-offload established { hook ingress priority 0; devices = { eth0, x1 }; }` */
const ADDED = [
  '01000000',
  '14000100 70656572 6167652d 6f66666c 6f616400',
  '10000200 65737461 626c6973 68656400',
  '2c000380',
  '08000100 00000000',
  '08000200 00000000',
  '18000380',
  '07000100 78310000',
  '09000100 65746830 00000000',
  '08000700 00000000',
].join('');

/** `delete flowtable inet peerage-offload established { hook ingress priority 0; devices = { eth0, x1 }; }` */
const REMOVED = ADDED.slice(0, -'08000700 00000000'.length);

/** `flow add @established` */
const RULE_PART = [
  '2c000180',
  '11000100 666c6f77 5f6f6666 6c6f6164 00000000',
  '14000280',
  '10000100 65737461 626c6973 68656400',
].join('');

function composed(write: (writer: NetlinkWriter) => void): Uint8Array {
  const writer = new NetlinkWriter(256);
  write(writer);
  return writer.finished();
}

test.each([
  ['add', ADDED, 2582],
  ['delete', REMOVED, 2584],
] as const)('a flowtable, or devices of one: %s as nft(8) does', (command, wanted, type) => {
  const octets = composed(writer => writeFlowtable(writer, command, TABLE, SHAPE));
  expect(Buffer.from(octets.subarray(16)).toString('hex')).toBe(wanted.replaceAll(' ', ''));
  expect(new DataView(octets.buffer, octets.byteOffset).getUint16(4, true)).toBe(type);
});

test('what was written is read back', () => {
  const octets = composed(writer => writeFlowtable(writer, 'add', TABLE, { ...SHAPE, priority: -150 }));
  const message = new MessageCursor(octets).over(octets.length);
  expect(message.next()).toBe(true);
  expect(decodeFlowtable(message)).toEqual({ table: TABLE.name, ...SHAPE, priority: -150 });
});

test('a rule puts connections into it as nft(8) writes it', () => {
  const octets = composed(writer => {
    writer.begin(0, 0);
    writeExpressions(writer, [{ kind: 'offload', flowtable: 'established' }]);
    writer.end();
  });
  expect(Buffer.from(octets.subarray(20)).toString('hex')).toBe(RULE_PART.replaceAll(' ', ''));
});
