import { describe, expect, test } from '@jest/globals';
import type { AsSegment } from '../../../../src/bgp/attributes.js';
import { formatAsPath } from '../../../../src/bgp/wire/asPath.js';
import { decodeBlock, encodeAttributes } from '../../../../src/bgp/wire/attributeCodec.js';
import { mergeAs4Path } from '../../../../src/bgp/wire/twoOctet.js';
import { hex, octets } from '../../../vectors/hex.js';
import { body, EBGP, IBGP, NEXT_HOP, NLRI, ORIGIN, scan, verdictOf } from '../../../vectors/updates.js';

const seq = (...asns: number[]): AsSegment => ({ type: 'sequence', asns });
const set = (...asns: number[]): AsSegment => ({ type: 'set', asns });
const conf = (...asns: number[]): AsSegment => ({ type: 'confedSequence', asns });
const TRANS = 23456;

describe('AS4_PATH behind the head of AS_PATH, RFC 6793 section 4.2.3', () => {
  test.each([
    ['same length: AS4_PATH', [seq(1, TRANS)], [seq(1, 70000)], '1 70000'],
    ['one narrow speaker added itself', [seq(9, 1, TRANS)], [seq(1, 70000)], '9 1 70000'],
    ['AS4_PATH longer: AS_PATH', [seq(1)], [seq(70000, 70001)], '1'],
    ['no AS4_PATH', [seq(1, TRANS)], [], '1 23456'],
    ['a set counts once', [seq(9, 1), set(2, TRANS)], [seq(1), set(2, 70000)], '9 1 {2,70000}'],
    ['a set in the head', [set(8, 9), seq(1, TRANS)], [seq(1, 70000)], '{8,9} 1 70000'],
    ['two segments in the head', [seq(7), set(8, 9), seq(1, TRANS)], [seq(70000)], '7 {8,9} 1 70000'],
    ['confederation leads', [conf(65010), seq(9, TRANS)], [seq(70000)], '(65010) 9 70000'],
    ['confederation leads and nothing is missing', [conf(65010), seq(TRANS)], [seq(70000)], '(65010) 70000'],
    ['confederation in AS4_PATH is dropped', [seq(9, TRANS)], [conf(65010), seq(70000)], '9 70000'],
  ])('%s', (_name, path, as4Path, merged) => {
    expect(formatAsPath(mergeAs4Path(path, as4Path))).toBe(merged);
  });

  test('sequences are joined only as far as a segment reaches', () => {
    const long = seq(...Array<number>(254).fill(70000));
    const merged = mergeAs4Path([seq(1, 2, ...Array<number>(254).fill(TRANS))], [long]);
    expect(merged.map(s => s.asns.length)).toEqual([2, 254]);
  });
});

const TWO = { ...EBGP, fourOctetAs: false };
const PATH = '4002060202fde95ba0';
const AS4_PATH = 'c0110a02020000fde9fa56ea01';

function block(attributes: string, context = TWO): string {
  const result = scan(body(ORIGIN + NEXT_HOP + attributes, NLRI), context);
  expect(result.record.verdict).toBe('accept');
  return result.block;
}

describe('an UPDATE of a two-octet speaker', () => {
  const widePath = '40020a02020000fde95ba0'.replace('5ba0', '00005ba0');
  const mergedPath = '40020a02020000fde9fa56ea01';

  test.each([
    ['AS_PATH alone is widened', PATH, widePath],
    ['AS4_PATH is merged', PATH + AS4_PATH, mergedPath],
    // CVE-2026-41643: AS4_PATH before the AS_PATH it belongs to.
    ['AS4_PATH may come first', AS4_PATH + PATH, mergedPath],
    ['AGGREGATOR is widened', `${PATH}c00706fde90a000001`, `${widePath}c007080000fde90a000001`],
    [
      'AGGREGATOR is AS_TRANS: AS4_AGGREGATOR and AS4_PATH count',
      `${PATH}c007065ba00a000001${AS4_PATH}c01208fa56ea010a000001`,
      `${mergedPath}c00708fa56ea010a000001`,
    ],
    [
      'AGGREGATOR is another: neither of them counts',
      `${PATH}c00706fde90a000001${AS4_PATH}c01208fa56ea010a000001`,
      `${widePath}c007080000fde90a000001`,
    ],
    [
      'AGGREGATOR is another, and there is no AS4_AGGREGATOR',
      `${PATH}c00706fde90a000001${AS4_PATH}`,
      `${mergedPath}c007080000fde90a000001`,
    ],
    ['AS4_AGGREGATOR without AGGREGATOR is nothing', `${PATH}c01208fa56ea010a000001`, widePath],
    ['AGGREGATOR keeps Partial', `${PATH}e00706fde90a000001`, `${widePath}e007080000fde90a000001`],
  ])('%s', (_name, attributes, expected) => {
    expect(block(attributes)).toBe(ORIGIN + expected);
  });

  test('gives the same block as the same route of a four-octet speaker', () => {
    expect(block(PATH + AS4_PATH)).toBe(block('40020a02020000fde9fa56ea01', EBGP));
  });

  test('decision fields are those of the merged path', () => {
    const { record } = scan(body(ORIGIN + NEXT_HOP + PATH + AS4_PATH, NLRI), { ...TWO, localAsn: 4200000001 });
    expect(record).toMatchObject({ asPathLength: 2, neighborAs: 65001, originAs: 4200000001, localAsCount: 1 });
  });

  test('AS4_PATH without AS_PATH: something mandatory is missing', () => {
    expect(verdictOf(scan(body(ORIGIN + NEXT_HOP + AS4_PATH, NLRI), TWO))).toBe('treatAsWithdraw');
  });

  test('a path too long for four octets a number is treated as withdrawn', () => {
    // 128 segments of 255 numbers: 65,536 octets narrow would not fit; 64 of them are 32,768 and 65,408 wide.
    const segment = `02ff${'fde9'.repeat(255)}`;
    const attribute = (count: number): string => {
      const value = segment.repeat(count);
      return `5002${(value.length / 2).toString(16).padStart(4, '0')}${value}`;
    };
    const fits = scan(body(ORIGIN + NEXT_HOP + attribute(64), NLRI), TWO);
    expect([verdictOf(fits), fits.record.asPathLength]).toEqual(['accept', 64 * 255]);
    expect(verdictOf(scan(body(ORIGIN + NEXT_HOP + attribute(65), NLRI), TWO))).toBe('treatAsWithdraw');
    // The record's block grows when the widened path does not fit beside the rest.
    const rest = `f0fe7530${'ab'.repeat(30000)}`;
    const both = scan(body(ORIGIN + NEXT_HOP + attribute(64) + rest, NLRI), TWO);
    expect([verdictOf(both), both.record.blockLength]).toEqual(['accept', 4 + 4 + 64 * 255 * 4 + 128 + 4 + 30000]);
    expect(both.block.endsWith(rest)).toBe(true);
  });

  test('what we encode for such a speaker comes back whole', () => {
    const segments = [seq(65001, 4200000001), set(1, 2)];
    const attributes = encodeAttributes(
      [
        { kind: 'asPath', segments },
        { kind: 'as4Path', segments },
      ],
      { fourOctetAs: false },
    );
    const merged = octets(block(hex(attributes)));
    expect(decodeBlock(merged, 0, merged.length)).toContainEqual({ kind: 'asPath', segments });
  });
});

test('an internal two-octet session keeps confederation segments', () => {
  expect(block('40020803010007' + '0201fde9', { ...IBGP, fourOctetAs: false })).toBe(
    ORIGIN + '40020c0301000000070201' + '0000fde9',
  );
});
