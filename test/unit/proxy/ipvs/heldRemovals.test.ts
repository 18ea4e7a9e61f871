/** When the firewall beside IPVS hears of frontends that go. */

import { expect, test } from '@jest/globals';
import { parsePrefix } from '../../../../src/core/ip.js';
import { createHeldRemovals } from '../../../../src/proxy/ipvs/heldRemovals.js';
import type { Frontend, FrontendKey, ProxyDelta } from '../../../../src/proxy/proxyTypes.js';
import { frontend, ipText, PORT } from './ipvsWorld.js';

const RANGES = [parsePrefix('192.0.2.0/24')].flatMap(parsed => (parsed.ok ? [parsed.value] : []));
const GUARDED = frontend({ address: ipText('203.0.113.1'), sourceRanges: RANGES });
const OPEN = frontend({ address: ipText('203.0.113.2') });
const NONE = { set: new Map<never, never>(), removed: new Set<never>() };

function delta(set: readonly Frontend[], removed: readonly Frontend[] = []): ProxyDelta {
  return {
    frontends: { set: new Map(set.map(one => [one.key, one])), removed: new Set(removed.map(({ key }) => key)) },
    backends: { set: new Map(), removed: new Set(removed.length > 0 ? [PORT] : []) },
    addresses: NONE,
  };
}

const removedOf = (told: ProxyDelta | undefined): readonly FrontendKey[] => [...(told?.frontends.removed ?? [])];

test('one goes when its servers have gone, and once only', () => {
  const held = createHeldRemovals();
  held.hold(delta([GUARDED, OPEN]));
  const now = held.hold(delta([], [GUARDED, OPEN]));
  expect(removedOf(now)).toEqual([]);
  expect([...now.backends.removed]).toEqual([PORT]);
  expect(removedOf(held.release([OPEN.key]))).toEqual([OPEN.key]);
  expect(removedOf(held.release([OPEN.key, GUARDED.key]))).toEqual([GUARDED.key]);
  expect(held.release([GUARDED.key])).toBeUndefined();
});

test('what comes back meanwhile stays', () => {
  const held = createHeldRemovals();
  held.hold(delta([GUARDED]));
  expect(removedOf(held.hold(delta([], [GUARDED])))).toEqual([]);
  const back = delta([GUARDED]);
  expect(held.hold(back)).toBe(back);
  expect(held.release([GUARDED.key])).toBeUndefined();
  // It is guarded again.
  expect(removedOf(held.hold(delta([], [GUARDED])))).toEqual([]);
});

test('of one that was never there nothing is kept', () => {
  const held = createHeldRemovals();
  held.hold(delta([], [OPEN]));
  expect(held.release([OPEN.key])).toBeUndefined();
});
