/** After every step of any history the kernel has what a backend that starts from nothing would write. */

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { address, LOCAL, openWorld, type SomeService } from './ipvsWorld.js';

const someService = fc.record({
  name: fc.constantFrom('a', 'b', 'c'),
  family: fc.constantFrom(4 as const, 6 as const),
  protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
  pods: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
  weight: fc.constantFrom(1, 1, 0, 7),
  external: fc.constantFrom(undefined, '203.0.113.1', '192.168.9.1'),
  nodePort: fc.constantFrom(undefined, 80, 30001),
  affinity: fc.constantFrom(undefined, 60),
  scheduler: fc.constantFrom('rr' as const, 'sh' as const),
});

/** One of a name, protocol and family; an external address is of IPv4. */
function sane(services: readonly SomeService[]): readonly SomeService[] {
  const byName = new Map(services.map(one => [`${one.name}${one.family ?? 4}${one.protocol ?? 'TCP'}`, one]));
  return [...byName.values()].map(one => (one.family === 6 ? { ...one, external: undefined } : one));
}

const someStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(someService, { maxLength: 5 }).map(services => ({ kind: 'want', services }) as const),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' } as const) },
  { weight: 1, arbitrary: fc.boolean().map(hasAnother => ({ kind: 'local', hasAnother }) as const) },
  { weight: 2, arbitrary: fc.nat(40).map(at => ({ kind: 'hand', at }) as const) },
  { weight: 1, arbitrary: fc.nat(40).map(at => ({ kind: 'connect', at }) as const) },
);

const ANOTHER = [...LOCAL, address('192.168.9.2')];

test('the kernel is as if written anew after each step', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(someStep, { maxLength: 12 }), async steps => {
      let services: readonly SomeService[] = [];
      let local = LOCAL;
      let world = openWorld();
      world.servers.begin();
      for (const step of steps) {
        const { kernel } = world;
        if (step.kind === 'want') services = sane(step.services);
        if (step.kind === 'want') world.want(services);
        if (step.kind === 'local') {
          local = step.hasAnother ? ANOTHER : LOCAL;
          world.servers.setLocal(local);
        }
        if (step.kind === 'connect') {
          const [place, { destinations }] = [...kernel.standing][step.at % Math.max(1, kernel.standing.size)] ?? [
            '',
            { destinations: new Map() },
          ];
          for (const key of destinations.keys()) kernel.connections.set(`${place} ${key}`, 1);
        }
        if (step.kind === 'hand') {
          const places = [...kernel.standing.keys()];
          const vips = [...kernel.vips.keys()];
          if (step.at % 2 === 0) kernel.standing.delete(places[step.at % Math.max(1, places.length)] ?? '');
          else kernel.vips.delete(vips[step.at % Math.max(1, vips.length)] ?? '');
          world.servers.readSoon();
        }
        if (step.kind === 'restart') {
          await world.servers.stop();
          world = openWorld(kernel, undefined, local);
          world.want(services);
          world.servers.begin();
        }
        // Longer than connections may take to end.
        await world.pass(35_000);
        const fresh = openWorld(undefined, undefined, local);
        fresh.want(services);
        fresh.servers.begin();
        await fresh.pass();
        expect(kernel.lines).toEqual(fresh.kernel.lines);
        await fresh.servers.stop();
      }
      await world.servers.stop();
    }),
    { numRuns: 40 },
  );
}, 240_000);
