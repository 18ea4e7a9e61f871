/** What decides about a message reads its own octets only, wherever it is cut. */

import { expect, test } from '@jest/globals';
import { UpdateRecord } from '../../../../src/bgp/updateRecord.js';
import { Frame, nextFrame } from '../../../../src/bgp/wire/frame.js';
import { decodeRouteRefresh } from '../../../../src/bgp/wire/routeRefresh.js';
import { scanUpdate } from '../../../../src/bgp/wire/updateScanner.js';
import * as captures from '../../../vectors/captures.js';
import { guarded } from '../../../vectors/guarded.js';
import { message, octets } from '../../../vectors/hex.js';
import { body, EBGP, IBGP, MANDATORY, NLRI, ORIGIN } from '../../../vectors/updates.js';

const UPDATES = Object.entries(captures).filter(([name]) => /UPDATE|WITHDRAW|END_OF_RIB/.test(name));
const ADD_PATH = { ...EBGP, addPathReceive: [true, true] as const };
const TWO_OCTET = { ...IBGP, fourOctetAs: false };
const record = new UpdateRecord();

/** Scans the first octets of a body; reading behind them throws. */
function scanCut(source: Uint8Array, length: number): void {
  for (const context of [EBGP, ADD_PATH, TWO_OCTET]) {
    scanUpdate(guarded(source, 0, length), 0, length, context, record);
  }
}

test.each(UPDATES)('%s, cut anywhere', (_name, captured) => {
  const source = message(captured).slice(19);
  for (let length = 0; length <= source.length; length++) scanCut(source, length);
});

test.each([
  ['no room for the second length', octets('0003 000000'), 5],
  ['half of the second length', octets('0003 000000 00'), 6],
  ['half of an extended length', body(`${MANDATORY}d00800`, NLRI), 0],
  ['a path identifier and no length', body(MANDATORY, '00000001'), 0],
  ['an attribute of two octets', body(`${ORIGIN}4002`), 0],
  ['an attribute of three octets, extended', body(`${ORIGIN}500200`), 0],
])('%s', (_name, source, length) => {
  const padded = Uint8Array.of(...source, 0, 0, 0, 0);
  expect(() => {
    scanCut(padded, length === 0 ? source.length : length);
  }).not.toThrow();
});

test('framing and ROUTE-REFRESH', () => {
  const source = message(captures.BIRD_IPV4_UPDATE);
  const frame = new Frame();
  for (let length = 0; length <= source.length; length++) {
    nextFrame(guarded(source, 0, length), 0, length, 4096, frame);
  }
  for (let length = 0; length <= 4; length++) decodeRouteRefresh(guarded(octets('00010001'), 0, length), 0, length);
});
