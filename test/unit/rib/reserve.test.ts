import { describe, expect, test } from '@jest/globals';
import type { PerFamily } from '../../../src/bgp/families.js';
import { PrefixTable } from '../../../src/rib/prefixTable.js';
import { Member, RibFixture } from './ribFixture.js';

/** Memory of the tables of a RIB, in the order it was asked for. */
function reserved(routes: PerFamily<number>): { fixture: RibFixture; octets: Uint8Array[] } {
  const octets: Uint8Array[] = [];
  const makeResident = (part: Uint8Array): void => void octets.push(part);
  return { fixture: new RibFixture({ reserve: { routes, makeResident } }), octets };
}

/** Routes come, change and go. @returns what a client was told, and how much memory was reserved for it */
function play(fixture: RibFixture, prefixes: number): (readonly [number, number])[] {
  const feeder = fixture.peer('p1', undefined, false);
  const member = new Member(fixture.peer('p2'));
  fixture.join(member);
  for (let i = 0; i < prefixes; i += 4) {
    fixture.update(feeder, [], { prefixes: [i, i + 1, i + 2, i + 3], med: i });
    fixture.settle();
  }
  for (let i = 0; i < prefixes; i += 8) fixture.update(feeder, [i], { prefixes: [i + 1], med: 7 });
  fixture.settle();
  return [...member.table].sort(([a], [b]) => a - b);
}

describe('reserved tables', () => {
  test.each([0, 10, 1000, 5000])('hold and tell the same as others, with room for %i prefixes', routes => {
    const expected = play(new RibFixture(), 2000);
    expect(play(reserved([routes, 0]).fixture, 2000)).toEqual(expected);
    expect(expected).toHaveLength(1750);
  });

  test('are where the routes then go', () => {
    const { fixture, octets } = reserved([2000, 0]);
    play(fixture, 2000);
    const used = octets.filter(part => part.some(octet => octet !== 0)).length;
    // Some columns stay zero: there are no flags, no cluster lists, no originators and one buffer is enough.
    expect(used).toBeGreaterThan(15);
  });

  test('cost as much as the routes need, in the families that have any', () => {
    const sum = (routes: PerFamily<number>): number =>
      reserved(routes).octets.reduce((total, { length }) => total + length, 0);
    expect(sum([0, 0])).toBe(0);
    const fixed = sum([1, 0]);
    const perRoute = (sum([1_000_000, 0]) - fixed) / 1_000_000;
    expect(perRoute).toBeGreaterThan(50);
    expect(perRoute).toBeLessThan(110);
    expect(sum([1_000_000, 1_000_000])).toBeGreaterThan(1.9 * sum([1_000_000, 0]));
  });

  test.each([1, 4] as const)('find what is beyond what was expected, with addresses of %i words', stride => {
    const table = new PrefixTable(stride, 64);
    table.reserve(1000, () => undefined);
    const id = (i: number): number =>
      stride === 1 ? table.idOf4(i * 256, 24) : table.idOf6(0x2001_0db8, i * 65_536, 0, 0, 48);
    const first = Array.from({ length: 40_000 }, (_, i) => id(i));
    expect(new Set(first).size).toBe(40_000);
    expect(Array.from({ length: 40_000 }, (_, i) => id(i))).toEqual(first);
  });
});
