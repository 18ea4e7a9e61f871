/** Messages that brought down or reset other speakers, each with the report that describes it. */

import { describe, expect, test } from '@jest/globals';
import {
  AS_PATH,
  body,
  EBGP,
  IBGP,
  MANDATORY,
  NEXT_HOP,
  NLRI,
  ORIGIN,
  scan,
  verdictOf,
} from '../../../vectors/updates.js';

const noise = (length: number): string =>
  Array.from({ length }, (_, i) => ((i * 151) & 0xff).toString(16).padStart(2, '0')).join('');

// VU#347067 with CVE-2023-38802, CVE-2023-38283, CVE-2023-4481 and CVE-2023-40457: a far-away router corrupts an
// attribute that routers in between do not know; whoever knows it must not take down its session with the messenger.
describe('VU#347067: garbage in attributes that travel', () => {
  const TRAVELLERS = [11, 12, 13, 19, 20, 21, 22, 23, 24, 27, 28, 29, 33, 34, 36, 37, 40, 128, 129, 241, 255];
  test.each(TRAVELLERS)('attribute %d', code => {
    const type = code.toString(16).padStart(2, '0');
    for (const length of [0, 1, 3, 17, 255]) {
      const attribute = `e0${type}${length.toString(16).padStart(2, '0')}${noise(length)}`;
      const result = scan(body(MANDATORY + attribute, NLRI), EBGP);
      expect(verdictOf(result)).toBe('accept');
      expect(result.block.endsWith(attribute)).toBe(true);
    }
  });

  test.each([
    [8, 'COMMUNITIES'],
    [16, 'EXTENDED_COMMUNITIES'],
    [25, 'IPV6_EXTENDED_COMMUNITIES'],
    [32, 'LARGE_COMMUNITY'],
    [35, 'OTC'],
  ])('attribute %d (%s), which we know: treat-as-withdraw', code => {
    const attribute = `e0${code.toString(16).padStart(2, '0')}03${noise(3)}`;
    expect(verdictOf(scan(body(MANDATORY + attribute, NLRI), EBGP))).toBe('treatAsWithdraw');
  });
});

test('CVE-2023-38406: flow specification with an NLRI of length 0', () => {
  const flowspec = (nlri: string): string => {
    const value = `0001850000${nlri}`;
    return `800e${(value.length / 2).toString(16).padStart(2, '0')}${value}`;
  };
  for (const nlri of ['', '00', 'f000', '0000']) {
    expect(verdictOf(scan(body(ORIGIN + AS_PATH + flowspec(nlri)), EBGP))).toBe('discard');
  }
});

test('CVE-2023-46752: MP_REACH_NLRI that is empty, or nothing but zeros', () => {
  for (const value of ['00', '0100', '050000000000', '04' + '00000000']) {
    expect(verdictOf(scan(body(`${MANDATORY}800e${value}`, NLRI), EBGP))).toMatch(/^(reset 3\/9|discard)/);
  }
});

test('CVE-2023-46753: nothing but an unknown transitive attribute', () => {
  const alone = scan(body('c0fe0401020304'), EBGP);
  expect([verdictOf(alone), alone.block]).toEqual(['accept', 'e0fe0401020304']);
  expect(verdictOf(scan(body('c0fe0401020304', NLRI), EBGP))).toBe('treatAsWithdraw');
});

describe('CVE-2023-47234 and CVE-2023-47235: something like an End-of-RIB', () => {
  test.each([
    ['with a mandatory attribute missing', '800f03000201' + ORIGIN, 'accept'],
    ['with malformed attributes behind it', '800f03000201' + '40010107', 'reset 3/6 40010107'],
    ['of two octets', '800f020002', 'reset 3/9 800f020002'],
    ['with a prefix cut off', '800f05000201' + '4020', 'reset 3/9 800f050002014020'],
  ])('%s', (_name, attributes, verdict) => {
    const result = scan(body(attributes), EBGP);
    expect([verdictOf(result), result.record.endOfRib]).toEqual([verdict, -1]);
  });
});

test('CVE-2026-30405: NEXT_HOP shorter than four octets, at the very end of the attributes', () => {
  for (const hop of ['400300', '4003010a', '4003030a0000']) {
    expect(verdictOf(scan(body(ORIGIN + AS_PATH + hop, NLRI), EBGP))).toBe('treatAsWithdraw');
  }
});

test('CVE-2026-49943: more than 2048 numbers in AS_PATH, in an extended message', () => {
  const segment = `02ff${'0000fde9'.repeat(255)}`;
  const value = segment.repeat(60);
  const path = `5002${(value.length / 2).toString(16)}${value}`;
  const result = scan(body(ORIGIN + path + NEXT_HOP, NLRI), EBGP);
  expect([verdictOf(result), result.record.asPathLength]).toEqual(['accept', 60 * 255]);
  expect(result.block).toBe(ORIGIN + path);
});

test('an UPDATE full of attributes of every code', () => {
  const all = Array.from({ length: 255 }, (_, code) => `c0${(255 - code).toString(16).padStart(2, '0')}00`).join('');
  expect(verdictOf(scan(body(all, NLRI), IBGP))).toMatch(/^reset 3\/9/);
  const unknown = all.replace('c00e00', '').replace('c00f00', '');
  expect(verdictOf(scan(body(unknown, NLRI), IBGP))).toBe('treatAsWithdraw');
});
