import { describe, expect, test } from '@jest/globals';
import { Routers } from './routers.js';
import type { RibChanges } from '../../../src/rib/changes.js';
import { address } from '../bgp/session/memoryNetwork.js';

describe('a change of the configuration reaches what is held and told already', () => {
  test('fewer equal paths than before leave the kernel with fewer', async () => {
    const world = new Routers();
    const sets = new Map<number, number>();
    let now = 0;
    const changes = ({ definitions, nextHopSets, count }: RibChanges): void => {
      for (const { id, nextHops } of definitions) sets.set(id, nextHops.length);
      if (count > 0) now = sets.get(nextHopSets[count - 1]!) ?? 0;
    };
    const one = world.router(1, 65001, {
      changes,
      nextHops: added => one.engine.setNextHops(added.map(a => ({ address: a, reachable: true, metric: 0 }))),
    });
    const others = [2, 3, 4].map(number => world.router(number).originate('10.9.0.0/16'));
    for (const other of others) one.peer(other);
    const decision = { alwaysCompareMed: false, missingMedWorst: false, multipathRelax: true };
    await one.with({ decision: { ...decision, maximumPaths: { ebgp: 8, ibgp: 8 } } }).apply();
    for (const other of others) await other.peer(one).apply();
    await world.settle();
    expect(now).toBe(3);
    await one.with({ decision: { ...decision, maximumPaths: { ebgp: 1, ibgp: 1 } } }).apply();
    expect(now).toBe(1);
    await one.with({ decision: { ...decision, maximumPaths: { ebgp: 2, ibgp: 1 } } }).apply();
    expect(now).toBe(2);
  });

  test('a peer that becomes a client of the reflector has its routes told to those that are none, and back', async () => {
    const world = new Routers();
    const one = world.router(1, 65000);
    const two = world.router(2, 65000).originate('10.2.0.0/16');
    const three = world.router(3, 65000);
    await one.peer(two).peer(three).apply();
    await two.peer(one).apply();
    await three.peer(one).apply();
    await world.settle();
    expect(three.learned(one)).toEqual([]);
    await one.peer(two, { routeReflectorClient: true }).apply();
    expect(three.learned(one)).toEqual(['10.2.0.0/16']);
    await one.peer(two).apply();
    expect(three.learned(one)).toEqual([]);
  });

  test('another address of our own for NEXT_HOP is told to peers that are up', async () => {
    const world = new Routers();
    const one = world.router(1).originate('2001:db8:1::/48');
    const two = world.router(2);
    await one
      .peer(two)
      .with({ nextHopAddresses: { v6: address('2001:db8::1') } })
      .apply();
    await two.peer(one).apply();
    await world.settle();
    expect(two.route('2001:db8:1::/48')?.nextHop).toBe('2001:db8::1');
    await one.with({ nextHopAddresses: { v6: address('2001:db8::2') } }).apply();
    expect(two.route('2001:db8:1::/48')?.nextHop).toBe('2001:db8::2');
  });
});
