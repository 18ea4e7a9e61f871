/** The short way to read an IPv4 address says nothing but what the library says. */

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Address4 } from 'ip-address';
import { dottedIpv4, formatIpv4, parseAddress } from '../../../src/core/ip.js';

test('every address is read as it is written', () => {
  const words = fc.integer({ min: 0, max: 0xffff_ffff });
  fc.assert(fc.property(words, word => expect(dottedIpv4(formatIpv4(word))).toBe(word)));
});

test('what looks like one is read as the library does, or left to it', () => {
  const looksLikeOne = fc
    .array(fc.constantFrom('0', '1', '25', '255', '256', '00', '01', '', '1000000000', ' ', '-', '/'))
    .map(parts => parts.join('.'));
  fc.assert(
    fc.property(looksLikeOne, text => {
      const word = dottedIpv4(text);
      if (word !== undefined) expect(new Address4(text).bigInt()).toBe(BigInt(word));
    }),
    { numRuns: 1000 },
  );
  for (const text of [
    '',
    '.',
    '1',
    '1.2.3',
    '1.2.3.',
    '.1.2.3',
    '1.2.3.4.',
    '1.2.3.4.5',
    '1..2.3',
    '1.2.3.256',
    '01.2.3.4',
  ])
    expect(dottedIpv4(text)).toBeUndefined();
  expect(parseAddress('1.2.3.256').ok).toBe(false);
});
