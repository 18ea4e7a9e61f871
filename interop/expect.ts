/** Expectations with words, for scenarios that also run outside of jest. */

import { isDeepStrictEqual } from 'node:util';

/** @throws Error naming what differs */
export function expectEqual(what: string, seen: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(seen, wanted))
    throw new Error(`${what}: ${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`);
}

/** @throws Error naming what does not hold */
export function expectHolds(what: string, holds: boolean): void {
  if (!holds) throw new Error(`not so: ${what}`);
}
