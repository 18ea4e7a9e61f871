import { expect, test } from '@jest/globals';
import { addressText } from '../../../src/kernel/conntrackTuple.js';
import { readPacketHeader } from '../../../src/kernel/packetHeader.js';

const FOUR = '4500003c1c4640004006b1e60a0000010a000002';
const SIX = '6000000000000640' + '20010db8000000000000000000000001' + '20010db8000000000000000000000002';
const six = (next: string): string => `${SIX.slice(0, 12)}${next}${SIX.slice(14)}`;

test.each([
  ['TCP over IPv4', `${FOUR}c35001bb00000000`, '10.0.0.1', '10.0.0.2', 6, [50000, 443]],
  ['with options', `46${FOUR.slice(2)}01010101c35001bb`, '10.0.0.1', '10.0.0.2', 6, [50000, 443]],
  ['a later fragment', `${FOUR.slice(0, 12)}0010${FOUR.slice(16)}c35001bb`, '10.0.0.1', '10.0.0.2', 6, undefined],
  ['the first fragment', `${FOUR.slice(0, 12)}2000${FOUR.slice(16)}c35001bb`, '10.0.0.1', '10.0.0.2', 6, [50000, 443]],
  ['ICMP', `${FOUR.slice(0, 18)}01${FOUR.slice(20)}08000000`, '10.0.0.1', '10.0.0.2', 1, undefined],
  ['cut short before its ports', FOUR, '10.0.0.1', '10.0.0.2', 6, undefined],
  ['UDP over IPv6', `${six('11')}00350035`, '2001:db8::1', '2001:db8::2', 17, [53, 53]],
  ['after hop-by-hop options', `${six('00')}1100000000000000d4310035`, '2001:db8::1', '2001:db8::2', 17, [54321, 53]],
  [
    'after two',
    `${six('00')}3c000000000000001101${'00'.repeat(14)}00350036`,
    '2001:db8::1',
    '2001:db8::2',
    17,
    [53, 54],
  ],
  ['a first fragment of IPv6', `${six('2c')}110000010000000100350035`, '2001:db8::1', '2001:db8::2', 17, [53, 53]],
  ['a later fragment of IPv6', `${six('2c')}110005b90000000100350035`, '2001:db8::1', '2001:db8::2', 17, undefined],
  [
    'an authentication header',
    `${six('33')}0601000000000001${'00'.repeat(4)}00500051`,
    '2001:db8::1',
    '2001:db8::2',
    6,
    [80, 81],
  ],
] as const)('%s', (_, hex, source, destination, protocol, ports) => {
  const header = readPacketHeader(Uint8Array.from(Buffer.from(hex, 'hex')))!;
  expect([addressText(header.source), addressText(header.destination), header.protocol]).toEqual([
    source,
    destination,
    protocol,
  ]);
  expect(header.ports).toEqual(ports && { source: ports[0], destination: ports[1] });
});

test.each(['', '45', FOUR.slice(0, 38), SIX.slice(0, 78), '00'.repeat(60)])('%s is none', hex => {
  expect(readPacketHeader(Uint8Array.from(Buffer.from(hex, 'hex')))).toBeUndefined();
});
