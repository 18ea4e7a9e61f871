/** A holder that may have been replaced lets go before anybody takes over, and takes back what is its own when it knows that it is. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { World } from './holderWorld.js';

const NAMES = ['a', 'b', 'c'] as const;

/** @returns a cluster at work, and who holds the address in it */
async function atWork(...names: readonly string[]): Promise<readonly [World, string]> {
  const world = new World(...names);
  await world.pass(10);
  const [holder = ''] = world.announcing;
  return [world, holder];
}

describe('cut off from everything but its routers', () => {
  test('the holder lets go before another takes over', async () => {
    const [world, holder] = await atWork(...NAMES);
    world.cutOff.add(holder);
    world.off.add(holder);
    await world.pass(4.6);
    expect([world.announcing, world.lost]).toEqual([[], []]);
    await world.pass(4);
    expect(world.lost).toEqual([holder]);
    expect(world.announcing).toHaveLength(1);
    await world.pass(300);
    expect(world.doubles).toEqual([]);
  });

  test('and takes it back when it hears again, as soon as what it knows is true', async () => {
    const [world, holder] = await atWork(...NAMES);
    world.cutOff.add(holder);
    world.off.add(holder);
    await world.pass(90);
    const [heir] = world.announcing;
    expect(heir).not.toBe(holder);
    world.behind.add(holder);
    world.cutOff.delete(holder);
    world.off.delete(holder);
    // Its kubelet is heard of in time, its watches are not: it believes what was true before it was cut off.
    await world.pass(5);
    expect(world.lost).toEqual([]);
    world.behind.delete(holder);
    await world.pass(15);
    expect(world.announcing).toEqual([holder]);
    expect(world.doubles).toEqual([]);
  });

  test('whose node is not Ready meanwhile, as its watch did not tell, holds nothing when it hears again', async () => {
    const [world, holder] = await atWork(...NAMES);
    world.cutOff.add(holder);
    world.off.add(holder);
    await world.pass(20);
    world.behind.add(holder);
    world.cutOff.delete(holder);
    world.off.delete(holder);
    world.unready.add(holder);
    await world.pass(30);
    expect(world.announcing).toHaveLength(1);
    expect(world.announcing).not.toContain(holder);
    expect(world.doubles).toEqual([]);
  });
});

describe('cut off from the API server alone', () => {
  test('the holder goes on while others reach it, and lets go before its node can be called not Ready', async () => {
    const [world, holder] = await atWork(...NAMES);
    world.cutOff.add(holder);
    await world.pass(20);
    expect(world.announcing).toEqual([holder]);
    await world.pass(8);
    expect(world.announcing).toEqual([]);
    await world.pass(20);
    expect(world.announcing).toHaveLength(1);
    expect(world.doubles).toEqual([]);
  });

  test('with all others: everybody keeps what it has, for as long as it takes', async () => {
    const [world, holder] = await atWork(...NAMES);
    for (const name of NAMES) world.cutOff.add(name);
    await world.pass(35);
    expect(world.announcing).toEqual([holder]);
    expect(world.doubles).toEqual([]);
  });

  test('with all others, of which one was gone before: everybody keeps what it has', async () => {
    const [world, holder] = await atWork(...NAMES);
    const [gone = '', other = ''] = NAMES.filter(name => name !== holder);
    world.off.add(gone);
    world.cutOff.add(gone);
    await world.pass(10);
    expect(world.lost).toEqual([gone]);
    for (const name of NAMES) world.cutOff.add(name);
    await world.pass(10);
    expect(world.announcing).toEqual([holder]);
    world.off.add(other);
    await world.pass(2);
    expect(world.announcing).toEqual([]);
  });

  test('and nobody else may hold addresses: it keeps them', async () => {
    const [world] = await atWork('a');
    world.cutOff.add('a');
    await world.pass(35);
    expect(world.announcing).toEqual(['a']);
  });

  test('a server that refuses is one that is heard of', async () => {
    const [world, holder] = await atWork(...NAMES);
    for (const name of NAMES) world.refused.add(name);
    for (const name of NAMES) if (name !== holder) world.off.add(name);
    await world.pass(60);
    expect(world.announcing).toEqual([holder]);
  });
});

/** What is done to a node, and for how many seconds. */
const fault = fc.record({
  node: fc.constantFrom(...NAMES),
  what: fc.constantFrom('cutOff' as const, 'off' as const, 'both' as const),
  isCut: fc.boolean(),
  seconds: fc.integer({ min: 1, max: 30 }),
});

test('whatever is cut and mended, no two announce at once, and one does in the end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { minLength: 1, maxLength: 6 }), async faults => {
      const world = new World(...NAMES);
      await world.pass(5);
      for (const { node, what, isCut, seconds } of faults) {
        for (const set of what === 'both' ? [world.cutOff, world.off] : [world[what]])
          if (isCut) set.add(node);
          else set.delete(node);
        await world.pass(seconds);
      }
      world.cutOff.clear();
      world.off.clear();
      await world.pass(30);
      expect(world.doubles).toEqual([]);
      expect(world.announcing).toHaveLength(1);
    }),
    { numRuns: Number(process.env['FENCE_RUNS'] ?? 5), endOnFailure: true },
  );
});

test('who ends while a request is on its way asks nobody any more', async () => {
  const [world] = await atWork('a', 'b');
  for (const name of ['a', 'b']) {
    world.late.add(name);
    await world.pass(1.5);
    const ending = world.agents.get(name)!.watch.stop();
    world.agents.delete(name);
    await world.pass(4);
    await ending;
  }
  await world.pass(10);
  expect(world.clock.pending).toBe(0);
});
