/** Scanner and attribute table are two readings of the same rules: on any attribute they must come to the same verdict. */

import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import type { PathAttribute } from '../../../../src/bgp/attributes.js';
import { ATTRIBUTES } from '../../../../src/bgp/wire/attributeTable.js';
import { decodeAttribute, decodeBlock, encodeAttributes, rowOf } from '../../../../src/bgp/wire/attributeCodec.js';
import { hex } from '../../../vectors/hex.js';
import { AS_PATH, body, EBGP, IBGP, NEXT_HOP, NLRI, ORIGIN, scan, verdictOf } from '../../../vectors/updates.js';
import { anyAttribute, mutatedAttribute } from '../../../vectors/arbitraries.js';

/** What must stand beside the attribute under test for the UPDATE to be whole. */
const REST: Readonly<Record<number, string>> = { 1: AS_PATH + NEXT_HOP, 2: ORIGIN + NEXT_HOP, 3: ORIGIN + AS_PATH };
const CODES = Object.values(ATTRIBUTES).map(row => row.code);
/** These two depend on more than themselves: the session's families and each other. updateErrors.test.ts has them. */
const MULTIPROTOCOL = [14, 15];
const UNIQUE_CODES = CODES.filter(code => !MULTIPROTOCOL.includes(code));

/** The verdict by the table alone. */
function tableVerdict(source: Uint8Array, ebgp: boolean): string {
  const row = rowOf(source[1]!);
  if (row === undefined) return (source[0]! & 0x80) === 0 ? 'reset' : 'accept';
  if (ebgp && row.internalOnly) return 'accept';
  const start = (source[0]! & 0x10) === 0 ? 3 : 4;
  const attribute = decodeAttribute(source[1]!, source[0]!, source, start, source.length, { fourOctetAs: true, ebgp });
  if (!('verdict' in attribute)) return isUnusable(attribute) ? 'treatAsWithdraw' : 'accept';
  // Between four-octet speakers these two are passed over unread, whatever they say (RFC 6793 section 4.1).
  const unread = (source[1] === 17 || source[1] === 18) && !attribute.reason.includes('flags');
  return unread ? 'accept' : attribute.verdict;
}

/** A next hop that is well-formed and no host's address (RFC 4271 section 6.3): semantics, which the table leaves out. */
function isUnusable(attribute: PathAttribute): boolean {
  if (attribute.kind !== 'nextHop') return false;
  const top = attribute.address >>> 24;
  return top === 0 || top >= 224;
}

function scannerVerdict(source: Uint8Array, ebgp: boolean): string {
  const attributes = hex(source) + (REST[source[1]!] ?? ORIGIN + AS_PATH + NEXT_HOP);
  const result = scan(body(attributes, NLRI), {
    ...(ebgp ? EBGP : IBGP),
    enforceFirstAs: false,
    loopbackNextHops: true,
  });
  return verdictOf(result).split(' ')[0]!;
}

describe.each([
  ['external', true],
  ['internal', false],
])('%s sessions', (_name, ebgp) => {
  test.each(UNIQUE_CODES)('attribute %d, mutated', code => {
    fc.assert(
      fc.property(mutatedAttribute(code), source => {
        fc.pre(source[1] === code);
        expect(scannerVerdict(source, ebgp)).toBe(tableVerdict(source, ebgp));
      }),
      { numRuns: 400 },
    );
  });
});

test('what the scanner keeps, the table decodes to what was encoded', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyAttribute, { selector: a => a.kind, maxLength: 12 }), list => {
      const own = list.filter(
        a => !['origin', 'asPath', 'nextHop', 'mpReach', 'mpUnreach', 'as4Path', 'as4Aggregator'].includes(a.kind),
      );
      const source = hex(encodeAttributes(own, { fourOctetAs: true }));
      const result = scan(body(ORIGIN + AS_PATH + NEXT_HOP + source, NLRI), IBGP);
      expect(verdictOf(result)).toBe('accept');
      const block = result.record.block;
      const decoded = decodeBlock(block, 0, result.record.blockLength).filter(
        a => a.kind !== 'origin' && a.kind !== 'asPath',
      );
      expect(decoded).toEqual(decodeBlock(Buffer.from(source, 'hex'), 0, source.length / 2));
      expect(hex(encodeAttributes(decoded, { fourOctetAs: true }))).toBe(source);
    }),
    { numRuns: 500 },
  );
});
