/** Whatever happens, once it stops happening the kernel holds exactly what is wanted, and what others put there. */

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { changes, nextHops, prefix } from './routeText.js';
import { keyOf, LOST, route } from './fakeKernel.js';
import { newFakeKernel, routesOf, startFakeFib, type FakeFib } from './fakeFib.js';

const PREFIXES = ['20.0.0.0/8', '20.1.0.0/16', '21.0.0.0/8', '22.2.0.0/16', '2001:db8:a::/48', '2001:db8:b::/48'];
const [BGP, STATIC, METRIC] = [186, 4, 20];
/** The periodic reading would heal everything, and hide what notifications, errors and retries fail to do. */
const NEVER = 1e9;
/** By set id; 4 leads nowhere. The gateway's link follows from its address. */
const SETS: readonly (readonly string[])[] = [
  [],
  ['192.168.0.2'],
  ['192.168.1.2'],
  ['192.168.0.2', '192.168.1.2'],
  ['203.0.113.1'],
];
const SETS6: readonly (readonly string[])[] = [
  [],
  ['2001:db8::2'],
  ['2001:db8::3'],
  ['2001:db8::2', '2001:db8::3'],
  ['2001:db9::1'],
];
const isSix = (text: string): boolean => text.includes(':');
const hopsFor = (text: string, set: number): readonly string[] => (isSix(text) ? SETS6 : SETS)[set]!;
/** The two families number their sets apart, as one RIB would. */
const idOf = (text: string, set: number): number => (set === 0 ? 0 : isSix(text) ? set + 10 : set);
const DEFINITIONS = [1, 2, 3, 4].flatMap(set => [nextHops(set, ...SETS[set]!), nextHops(set + 10, ...SETS6[set]!)]);

interface World {
  rig: FakeFib;
  readonly wanted: Map<string, number>;
  readonly foreign: Set<string>;
  readonly down: Set<string>;
}

type Step = (world: World) => Promise<void> | void;
const anyPrefix = fc.constantFrom(...PREFIXES);
const anyLink = fc.constantFrom('a', 'b');
const outside = (text: string, protocol: number, metric: number, last: number): ReturnType<typeof route> =>
  isSix(text)
    ? route(text, `2001:db8::${last}`, 4, protocol, metric)
    : route(text, `192.168.0.${last}`, 2, protocol, metric);

const steps: fc.Arbitrary<{ readonly name: string; readonly step: Step }> = fc.oneof(
  fc.record({ text: anyPrefix, set: fc.integer({ min: 0, max: 4 }) }).map(({ text, set }) => ({
    name: `want ${text} ${set}`,
    step: (world: World) => {
      world.wanted.set(text, set);
      world.rig.fib.apply(changes({ [text]: idOf(text, set) }));
    },
  })),
  fc.record({ link: anyLink, up: fc.boolean() }).map(({ link, up }) => ({
    name: `link ${link} ${up ? 'up' : 'down'}`,
    step: (world: World) => {
      // The strangers' routes go with the link, as they would.
      world.rig.kernel.setLink(link, up);
      if (up) world.down.delete(link);
      else world.down.add(link);
      if (!up && link === 'a') for (const text of [...world.foreign]) if (!isSix(text)) world.foreign.delete(text);
    },
  })),
  anyPrefix.map(text => ({
    name: `somebody deletes our ${text}`,
    step: ({ rig }: World) => {
      const key = keyOf({ table: 254, destination: prefix(text), metric: METRIC });
      if (rig.kernel.routes.get(key)?.protocol === BGP) rig.kernel.erase(key);
    },
  })),
  anyPrefix.map(text => ({
    name: `somebody changes our ${text}`,
    step: ({ rig, foreign, down }: World) => {
      if (!foreign.has(text) && (isSix(text) || !down.has('a'))) rig.kernel.overwrite(outside(text, BGP, METRIC, 99));
    },
  })),
  fc.record({ text: anyPrefix, there: fc.boolean() }).map(({ text, there }) => ({
    name: `a stranger ${there ? 'takes' : 'leaves'} the place of ${text}`,
    step: ({ rig, foreign, down }: World) => {
      const theirs = outside(text, STATIC, METRIC, 77);
      if (there && (isSix(text) || !down.has('a')) && rig.kernel.addForeign(theirs)) foreign.add(text);
      if (!there && foreign.delete(text)) rig.kernel.erase(keyOf(theirs));
    },
  })),
  fc.array(fc.constantFrom(0, 0, 12, 105, LOST), { maxLength: 4 }).map(faults => ({
    name: `faults ${faults.join(' ')}`,
    step: ({ rig }: World) => void rig.kernel.faults.push(...faults),
  })),
  fc.constant({ name: 'notifications are lost', step: ({ rig }: World) => rig.kernel.deliver(true) }),
  fc.constant({ name: 'a dump is interrupted', step: ({ rig }: World) => void (rig.kernel.interruptions += 1) }),
  fc.constantFrom(0, 1, 3).map(turns => ({
    name: `answers of dumps are ${turns} turns old`,
    step: ({ rig }: World) => void (rig.kernel.delays = turns),
  })),
  fc.constantFrom(0, 0, 300, 1000).map(time => ({ name: `${time} ms`, step: ({ rig }: World) => rig.run(time) })),
  fc.constant({
    name: 'restart',
    step: async (world: World) => {
      await world.rig.stop();
      world.rig = await startFakeFib(world.rig.kernel, NEVER);
      world.rig.fib.apply(changes({}, DEFINITIONS));
      for (const [text, set] of world.wanted) world.rig.fib.apply(changes({ [text]: idOf(text, set) }));
    },
  }),
);

function expected({ wanted, foreign, down }: World): readonly string[] {
  const reachable = (gateway: string): boolean =>
    !gateway.startsWith('203.') &&
    !gateway.startsWith('2001:db9') &&
    !down.has(gateway.startsWith('192.168.1.') ? 'b' : 'a');
  const usable = (text: string, set: number): readonly string[] =>
    hopsFor(text, set).filter(gateway => (isSix(gateway) ? !gateway.startsWith('2001:db9') : reachable(gateway)));
  return [...wanted]
    .map(([text, set]) => ({ text, hops: [...usable(text, set)].sort() }))
    .filter(({ text, hops }) => hops.length > 0 && !foreign.has(text))
    .map(({ text, hops }) => `${text} via ${hops.join(',')}`)
    .sort();
}

test('the kernel ends up as wanted, and strangers are left alone', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 40 }), async plan => {
      const world: World = {
        rig: await startFakeFib(newFakeKernel(), NEVER),
        wanted: new Map(),
        foreign: new Set(),
        down: new Set(),
      };
      world.rig.fib.apply(changes({}, DEFINITIONS));
      for (const { step } of plan) await step(world);
      world.rig.kernel.faults.length = 0;
      world.rig.fib.sourcesComplete();
      // The longest back-off is 30 s.
      await world.rig.run(35_000);
      const names = plan.map(({ name }) => name).join('; ');
      expect({ names, routes: routesOf(world.rig.kernel, BGP) }).toEqual({ names, routes: expected(world) });
      expect(routesOf(world.rig.kernel, STATIC).map(text => text.split(' ')[0])).toEqual([...world.foreign].sort());
      const states = [...world.rig.fib.routes({})].filter(({ state }) => state === 'pending');
      expect(states).toEqual([]);
      await world.rig.stop();
    }),
    { numRuns: Number(process.env['FIB_RUNS'] ?? 150) },
  );
}, 120_000);
