import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PeerKind } from '../../../src/bgp/peerKind.js';
import type { DecisionOptions } from '../../../src/rib/decision.js';
import { candidatesOf, explain } from '../../../src/rib/explain.js';
import { DECISION, RibFixture, type Announcement } from './ribFixture.js';

const announcement = fc.record({
  med: fc.integer({ min: 0, max: 2 }),
  localPref: fc.integer({ min: 99, max: 101 }),
  path: fc.array(fc.constantFrom(65001, 65002), { minLength: 1, maxLength: 3 }),
  nextHop: fc.integer({ min: 0x0a000001, max: 0x0a000003 }),
});

/** The paths of prefix 1, announced in this order by peers 0, 1, …; @returns the name of the best one's peer */
function best(
  routes: readonly Omit<Announcement, 'prefixes'>[],
  order: readonly number[],
  decision: DecisionOptions,
): string | undefined {
  const fixture = new RibFixture({ decision });
  const peers = routes.map((_, i) => fixture.peer(`p${i}`, i % 3 === 0 ? PeerKind.ibgp : PeerKind.ebgp, false));
  for (const i of order) fixture.update(peers[i]!, [], { prefixes: [1], ...routes[i]! });
  const { rib } = fixture;
  const [locRib] = rib.families;
  const prefix = locRib.prefixes.find4(0x0a000100, 24);
  const row = locRib.best[prefix]!;
  const told = explain(candidatesOf(locRib, prefix, rib.attributes, rib.nextHops, rib.peers, decision), decision);
  // The fast process and the readable one must agree.
  expect(row).toBe(told.best?.row ?? 0);
  return row === 0 ? undefined : rib.peers.get(locRib.paths.peer[row]! as Parameters<typeof rib.peers.get>[0]).name;
}

describe('the decision process (RFC 4271 section 9.1.2.2)', () => {
  test('the winner does not depend on the order of arrival, and is the one that explain names', () => {
    fc.assert(
      fc.property(
        fc.array(announcement, { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        fc.boolean(),
        fc.infiniteStream(fc.nat()),
        (routes, alwaysCompareMed, missingMedWorst, random) => {
          const decision = { ...DECISION, alwaysCompareMed, missingMedWorst };
          const order = routes.map((_, i) => i);
          const winner = best(routes, order, decision);
          const keys = order.map(() => Number(random.next().value));
          const shuffled = [...order].sort((a, b) => keys[a]! - keys[b]!);
          expect(best(routes, shuffled, decision)).toBe(winner);
          expect(best(routes, [...order].reverse(), decision)).toBe(winner);
        },
      ),
      { numRuns: 500 },
    );
  });

  const base = { med: 0, localPref: 100, path: [65001], nextHop: 0x0a000001 };
  test.each([
    [
      'highest LOCAL_PREF',
      [
        { ...base, localPref: 99 },
        { ...base, path: [65001, 65002, 65002] },
      ],
      'p1',
      'lower local preference',
    ],
    [
      'shortest AS_PATH',
      [
        { ...base, path: [65001, 65002] },
        { ...base, path: [65002] },
      ],
      'p1',
      'longer AS path',
    ],
    ['lowest MED of one neighbouring AS', [{ ...base }, { ...base, med: 9 }, { ...base, med: 3 }], 'p0', 'higher MED'],
    ['eBGP over iBGP', [{ ...base }, { ...base }], 'p1', 'eBGP is preferred over iBGP'],
  ] as const)('%s', (_name, routes, winner, reason) => {
    expect(
      best(
        routes,
        routes.map((_, i) => i),
        DECISION,
      ),
    ).toBe(winner);
    const fixture = new RibFixture();
    routes.forEach((route, i) =>
      fixture.update(fixture.peer(`p${i}`, i % 3 === 0 ? PeerKind.ibgp : PeerKind.ebgp, false), [], {
        prefixes: [1],
        ...route,
        path: [...route.path],
      }),
    );
    const { rib } = fixture;
    const candidates = candidatesOf(rib.families[0], 1, rib.attributes, rib.nextHops, rib.peers, DECISION);
    expect([...explain(candidates, DECISION).reasons.values()]).toContain(reason);
  });

  test('MED is not compared across neighbouring ASes unless asked to', () => {
    // p0 and p1 tie but for MED; p0 has the lower router id.
    const routes = [
      { ...base, med: 9, path: [65001] },
      { ...base, med: 1, path: [65002] },
    ];
    const ibgpOnly = (decision: DecisionOptions): string => {
      const fixture = new RibFixture({ decision });
      routes.forEach((route, i) => fixture.update(fixture.peer(`p${i}`), [], { prefixes: [1], ...route }));
      const row = fixture.rib.families[0].best[1]!;
      return fixture.rib.peers.get(
        fixture.rib.families[0].paths.peer[row]! as Parameters<typeof fixture.rib.peers.get>[0],
      ).name;
    };
    expect(ibgpOnly(DECISION)).toBe('p0');
    expect(ibgpOnly({ ...DECISION, alwaysCompareMed: true })).toBe('p1');
  });

  test('a next hop that cannot be reached takes a path out of the decision, and back', () => {
    const fixture = new RibFixture({ trackNextHops: true });
    const { rib } = fixture;
    fixture.update(fixture.peer('p0'), [], { prefixes: [1], med: 0, nextHop: 0x0a000007 });
    expect(rib.families[0].best[1]).toBe(0);
    rib.setNextHops([{ address: { version: 4, value: 0x0a000007 as never }, reachable: true, metric: 10 }]);
    fixture.settle();
    expect(rib.families[0].best[1]).not.toBe(0);
    rib.setNextHops([{ address: { version: 4, value: 0x0a000007 as never }, reachable: false, metric: 0 }]);
    fixture.settle();
    expect(rib.families[0].best[1]).toBe(0);
  });
});
