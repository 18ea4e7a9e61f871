/** The nftables backend of the service proxy with real packets, both families: the cases of test/proxyRows. Needs root. */

import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { CASES } from '../proxyRows/cases.js';
import { openWorlds, type Worlds } from '../proxyRows/worlds.js';

let worlds: Worlds;
beforeAll(async () => {
  worlds = await openWorlds('pknp');
});
afterAll(() => worlds.close());

describe.each([4, 6] as const)('IPv%i', family => {
  test.each(CASES)('$name', ({ run }) => run(worlds.of(family)));
});
