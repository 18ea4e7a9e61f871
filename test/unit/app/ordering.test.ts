import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createOrdering, type Ordering, type Plane } from '../../../src/app/ordering.js';
import type { KeyedDelta } from '../../../src/routing/intent.js';
import { VirtualClock } from '../core/virtualClock.js';

const SETTLE = 500;

interface Bench {
  readonly clock: VirtualClock;
  readonly ordering: Ordering<string>;
  /** What is announced now, by the deltas told. */
  readonly announced: Map<string, string>;
  /** Every event in order, with its time. */
  readonly log: string[];
  want(set: Readonly<Record<string, string>>, ...removed: readonly string[]): void;
  plane(name: string): Plane;
}

function bench(): Bench {
  const clock = new VirtualClock();
  const announced = new Map<string, string>();
  const log: string[] = [];
  const take = ({ set, removed }: KeyedDelta<string>): void => {
    for (const key of removed) {
      announced.delete(key);
      log.push(`${clock.now()} withdraw ${key}`);
    }
    for (const [key, value] of set) {
      announced.set(key, value);
      log.push(`${clock.now()} announce ${key}=${value}`);
    }
  };
  const settled = (): unknown => log.push(`${clock.now()} settled`);
  const ordering = createOrdering<string>({ clock, settleTime: SETTLE, changed: take, settled });
  return {
    clock,
    ordering,
    announced,
    log,
    want: (set, ...removed) => take(ordering.want({ set: new Map(Object.entries(set)), removed: new Set(removed) })),
    plane: name => ordering.register(name, keys => log.push(`${clock.now()} ${name} may take out ${keys.join()}`)),
  };
}

test('without planes everything is announced and withdrawn at once, and no timer is left', () => {
  const { want, log, clock, ordering } = bench();
  want({ a: '1', b: '1' });
  want({ a: '2' }, 'b');
  expect(log).toEqual(['0 announce a=1', '0 announce b=1', '0 withdraw b', '0 announce a=2']);
  expect(ordering.isSettled).toBe(true);
  clock.advance(SETTLE);
  expect(clock.pending).toBe(0);
});

test('an address waits for every plane', () => {
  const { want, log, plane } = bench();
  const [proxy, tunnels] = [plane('proxy'), plane('tunnels')];
  want({ a: '1' });
  proxy.programmed(['a']);
  expect(log).toEqual([]);
  tunnels.programmed(['a', 'other']);
  expect(log).toEqual(['0 announce a=1']);
});

test('planes may be first', () => {
  const { want, log, plane } = bench();
  plane('proxy').programmed(['a']);
  want({ a: '1' });
  expect(log).toEqual(['0 announce a=1']);
});

test('a plane takes an address out only after withdrawal and some time', () => {
  const { want, log, plane, clock } = bench();
  const proxy = plane('proxy');
  proxy.programmed(['a']);
  want({ a: '1' });
  clock.advance(100);
  proxy.retire(['a']);
  expect(log).toEqual(['0 announce a=1', '100 withdraw a']);
  clock.advance(SETTLE - 1);
  expect(log).toHaveLength(2);
  clock.advance(1);
  expect(log.at(-1)).toBe('600 proxy may take out a');
  want({}, 'a');
  expect(clock.pending).toBe(0);
});

test('routing lets go first: the time counts from then on', () => {
  const { want, log, plane, clock } = bench();
  const proxy = plane('proxy');
  proxy.programmed(['a', 'b']);
  want({ a: '1', b: '1' });
  want({}, 'a');
  clock.advance(300);
  proxy.retire(['a']);
  clock.advance(200);
  expect(log.slice(2)).toEqual(['0 withdraw a', '500 proxy may take out a']);
});

test('what was never announced, or long ago, may go at once', () => {
  const { log, plane, want, clock } = bench();
  const proxy = plane('proxy');
  proxy.programmed(['a', 'b']);
  proxy.retire(['a']);
  want({ b: '1' });
  want({}, 'b');
  clock.advance(SETTLE);
  proxy.retire(['b']);
  expect(log.filter(line => line.includes('take'))).toEqual(['0 proxy may take out a', '500 proxy may take out b']);
});

test('an address that comes back in time is not taken out', () => {
  const { want, log, plane, clock } = bench();
  const proxy = plane('proxy');
  proxy.programmed(['a']);
  want({ a: '1' });
  proxy.retire(['a']);
  clock.advance(100);
  proxy.programmed(['a']);
  clock.advance(10 * SETTLE);
  expect(log).toEqual(['0 announce a=1', '0 withdraw a', '100 announce a=1']);
});

test('a plane that lost an address has it withdrawn, and is not asked to take it out', () => {
  const { want, log, plane, clock } = bench();
  const proxy = plane('proxy');
  proxy.programmed(['a']);
  want({ a: '1' });
  proxy.lost(['a']);
  clock.advance(SETTLE);
  expect(log).toEqual(['0 announce a=1', '0 withdraw a']);
  proxy.programmed(['a']);
  expect(log.at(-1)).toBe('500 announce a=1');
});

test('a plane that comes later takes over what is announced, and nobody waits for one that is closed', () => {
  const { want, log, plane } = bench();
  want({ a: '1' });
  const proxy = plane('proxy');
  expect(log.at(-1)).toBe('0 withdraw a');
  expect(() => plane('proxy')).toThrow('there is a data plane "proxy" already');
  proxy.close();
  expect(log.slice(-2)).toEqual(['0 announce a=1', '0 settled']);
});

test('it has settled when every plane has looked at everything', () => {
  const { plane, ordering, log } = bench();
  const [proxy, tunnels] = [plane('proxy'), plane('tunnels')];
  proxy.synced();
  expect(ordering.isSettled).toBe(false);
  tunnels.synced();
  tunnels.synced();
  expect([ordering.isSettled, log]).toEqual([true, ['0 settled']]);
});

test('held: all is withdrawn and planes go on; released: all comes back', () => {
  const { want, announced, ordering, plane } = bench();
  plane('proxy').programmed(['a', 'b', 'c']);
  want({ a: '1', b: '1' });
  ordering.hold(true);
  want({ c: '1' }, 'b');
  expect([...announced]).toEqual([]);
  ordering.hold(false);
  expect([...announced.keys()]).toEqual(['a', 'c']);
});

test('a plane may answer within its callback', () => {
  const { want, ordering, clock, announced } = bench();
  const plane: Plane = ordering.register('proxy', keys => plane.programmed(keys));
  plane.programmed(['a']);
  want({ a: '1' });
  plane.retire(['a']);
  expect(announced.size).toBe(0);
  clock.advance(SETTLE);
  expect(announced.get('a')).toBe('1');
});

const key = fc.constantFrom('a', 'b', 'c');
const step = fc.oneof(
  fc.record({ do: fc.constantFrom('want' as const, 'unwant' as const), key }),
  fc.record({
    do: fc.constantFrom('programmed' as const, 'retire' as const, 'lost' as const),
    key,
    plane: fc.constantFrom(0, 1),
  }),
  fc.record({ do: fc.constant('wait' as const), time: fc.integer({ min: 0, max: 700 }) }),
);

test('in any history, nothing is announced that a plane does not serve, and nothing taken out that was announced lately', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), history => {
      const clock = new VirtualClock();
      const announced = new Map<string, string>();
      const withdrawn = new Map<string, number>();
      const inKernel = [new Set<string>(), new Set<string>()];
      const wanted = new Set<string>();
      const take = ({ set, removed }: KeyedDelta<string>): void => {
        for (const name of removed) if (announced.delete(name)) withdrawn.set(name, clock.now());
        for (const [name, value] of set) announced.set(name, value);
      };
      const ordering = createOrdering<string>({ clock, settleTime: SETTLE, changed: take });
      const planes = inKernel.map((kernel, i) =>
        ordering.register(String(i), keys => {
          for (const name of keys) {
            expect(announced.has(name)).toBe(false);
            const since = withdrawn.get(name);
            if (since !== undefined) expect(clock.now() - since).toBeGreaterThanOrEqual(SETTLE);
            kernel.delete(name);
          }
        }),
      );
      for (const move of history) {
        if (move.do === 'wait') clock.advance(move.time);
        else if ('plane' in move) {
          if (move.do === 'programmed') inKernel[move.plane]?.add(move.key);
          if (move.do === 'lost') inKernel[move.plane]?.delete(move.key);
          planes[move.plane]?.[move.do]([move.key]);
        } else if (move.do === 'want') {
          wanted.add(move.key);
          take(ordering.want({ set: new Map([[move.key, 'x']]), removed: new Set() }));
        } else {
          wanted.delete(move.key);
          take(ordering.want({ set: new Map(), removed: new Set([move.key]) }));
        }
        for (const name of announced.keys()) {
          expect(wanted.has(name)).toBe(true);
          for (const kernel of inKernel) expect(kernel.has(name)).toBe(true);
        }
      }
      clock.advance(SETTLE);
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test('a gate holds up the start, and no address', () => {
  const { ordering, announced, log, want, plane } = bench();
  const gate = ordering.gate();
  const proxy = plane('proxy');
  proxy.synced();
  want({ a: '1' });
  proxy.programmed(['a']);
  expect([ordering.isSettled, [...announced.keys()], log]).toEqual([false, ['a'], ['0 announce a=1']]);
  gate.open();
  gate.open();
  expect([ordering.isSettled, log.at(-1), log.length]).toEqual([true, '0 settled', 2]);
});
