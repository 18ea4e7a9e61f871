/** The one pattern at the kernel: adopt, write differences, retry, repair. In virtual time, against a target in memory. */

import { describe, expect, test } from '@jest/globals';
import type { Delta } from '../../../src/core/deltaTable.js';
import { createReconciler, type Reconciler, type ReconcilerEvent, type Target } from '../../../src/core/reconciler.js';
import { VirtualClock } from './virtualClock.js';

class FakeTarget implements Target<string, number> {
  readonly state = new Map<string, number>();
  readonly commits: Delta<string, number>[] = [];
  reads = 0;
  readonly refuse = new Map<string, string>();
  breakNext: string | undefined;
  breakRead: string | undefined;
  reading = (state: ReadonlyMap<string, number>): ReadonlyMap<string, number> => state;
  during: (() => void) | undefined;

  async read(): Promise<ReadonlyMap<string, number>> {
    this.reads += 1;
    await Promise.resolve();
    if (this.breakRead !== undefined) {
      const text = this.breakRead;
      this.breakRead = undefined;
      throw new Error(text);
    }
    return this.reading(new Map(this.state));
  }

  async commit(delta: Delta<string, number>): Promise<ReadonlyMap<string, string>> {
    this.commits.push(delta);
    this.during?.();
    this.during = undefined;
    await Promise.resolve();
    if (this.breakNext !== undefined) {
      const text = this.breakNext;
      this.breakNext = undefined;
      throw new Error(text);
    }
    const failed = new Map<string, string>();
    for (const key of [...delta.set.keys(), ...delta.removed.keys()]) {
      const refusal = this.refuse.get(key);
      if (refusal !== undefined) failed.set(key, refusal);
    }
    for (const [key, { value }] of delta.set) if (!failed.has(key)) this.state.set(key, value);
    for (const key of delta.removed.keys()) if (!failed.has(key)) this.state.delete(key);
    return failed;
  }
}

interface Rig {
  readonly target: FakeTarget;
  readonly reconciler: Reconciler<string, number>;
  readonly events: ReconcilerEvent<string>[];
  kinds(): readonly string[];
  run(milliseconds?: number): Promise<void>;
}

function rig(state: Record<string, number> = {}): Rig {
  const clock = new VirtualClock();
  const target = new FakeTarget();
  for (const [key, value] of Object.entries(state)) target.state.set(key, value);
  const events: ReconcilerEvent<string>[] = [];
  const reconciler = createReconciler<string, number>({
    target,
    clock,
    equal: (a, b) => a === b,
    readBackInterval: 60_000,
    onEvent: event => events.push(event),
  });
  const run = async (milliseconds = 0): Promise<void> => {
    for (let left = milliseconds; ; left -= 50) {
      clock.advance(Math.min(50, Math.max(0, left)));
      for (let i = 0; i < 4; i++) await new Promise(resolve => setImmediate(resolve));
      if (left <= 0) return;
    }
  };
  return { target, reconciler, events, kinds: () => events.map(({ kind }) => kind), run };
}

describe('start', () => {
  test('nothing is read or written before the sources are complete', async () => {
    const { target, reconciler, run } = rig({ stale: 1 });
    reconciler.apply([['a', 1]]);
    await run(1000);
    expect([target.reads, target.commits.length]).toEqual([0, 0]);
    reconciler.begin();
    await run();
    expect(target.state).toEqual(new Map([['a', 1]]));
  });

  test('what is there and right is adopted without being written; the rest of ours goes', async () => {
    const { target, reconciler, events, run } = rig({ a: 1, old: 5 });
    reconciler.apply([['a', 1]]);
    reconciler.begin();
    await run();
    expect(target.commits).toEqual([{ set: new Map(), removed: new Map([['old', 5]]) }]);
    expect(events).toEqual([
      { kind: 'adopted', count: 2 },
      { kind: 'written', set: [], removed: ['old'] },
    ]);
  });
});

describe('running', () => {
  test('a hundred changes while a commit is under way make one more commit', async () => {
    const { target, reconciler, run } = rig();
    reconciler.begin();
    await run();
    target.during = () => {
      for (let i = 0; i < 100; i++) reconciler.apply([[`k${i}`, i]]);
    };
    reconciler.apply([['a', 1]]);
    await run();
    expect(target.commits).toHaveLength(2);
    expect(target.state.size).toBe(101);
  });

  test('what is refused is told once, tried again with back-off, and its recovery told', async () => {
    const { target, reconciler, events, kinds, run } = rig();
    target.refuse.set('a', 'EBUSY');
    reconciler.apply([
      ['a', 1],
      ['b', 2],
    ]);
    reconciler.begin();
    await run(2000);
    expect(target.state).toEqual(new Map([['b', 2]]));
    expect(events.filter(({ kind }) => kind === 'failed')).toEqual([
      { kind: 'failed', failures: new Map([['a', 'EBUSY']]) },
    ]);
    // At 0, 250, 750 and 1,750 ms.
    expect(target.commits).toHaveLength(4);
    expect([reconciler.isSettled('a'), reconciler.isSettled('b'), reconciler.failures.get('a')]).toEqual([
      false,
      true,
      'EBUSY',
    ]);
    target.refuse.clear();
    await run(3000);
    expect(target.state.get('a')).toBe(1);
    expect(kinds()).toContain('recovered');
    expect(reconciler.failures.size).toBe(0);
  });

  test('a new wish does not wait for the back-off of the old one', async () => {
    const { target, reconciler, run } = rig();
    target.refuse.set('a', 'EBUSY');
    reconciler.apply([['a', 1]]);
    reconciler.begin();
    await run(20_000);
    target.refuse.clear();
    reconciler.apply([['a', 2]]);
    await run();
    expect(target.state.get('a')).toBe(2);
  });

  test('what was refused and is not wanted any more is no failure any more, and that is told', async () => {
    const { target, reconciler, events, run } = rig();
    target.refuse.set('a', 'EBUSY');
    reconciler.apply([['a', 1]]);
    reconciler.begin();
    await run();
    reconciler.apply([['a', undefined]]);
    await run();
    expect(reconciler.failures.size).toBe(0);
    expect(events.at(-1)).toEqual({ kind: 'recovered', keys: ['a'] });
  });

  test('what was refused and is found as it shall be is no failure any more, and leads to no more readings', async () => {
    const { target, reconciler, events, run } = rig({ gone: 1 });
    target.refuse.set('a', 'no').set('gone', 'no');
    reconciler.begin();
    reconciler.apply([['a', 1]]);
    await run();
    expect([...reconciler.failures.keys()]).toEqual(['a', 'gone']);
    target.state.set('a', 1);
    target.state.delete('gone');
    await run(1000);
    expect([...reconciler.failures]).toEqual([]);
    expect(events).toContainEqual({ kind: 'recovered', keys: ['a', 'gone'] });
    const { reads } = target;
    await run(5000);
    expect(target.reads).toBe(reads);
  });

  test('a commit that fails as a whole leads to a reading, and to another try', async () => {
    const { target, reconciler, kinds, run } = rig();
    target.breakNext = 'ENOBUFS';
    reconciler.apply([['a', 1]]);
    reconciler.begin();
    await run();
    expect([target.state.size, target.reads]).toEqual([0, 1]);
    await run(300);
    expect([target.state.size, target.reads]).toEqual([1, 2]);
    expect(kinds()).toEqual(['adopted', 'error', 'written']);
  });

  test('an error that leaves nothing to write is told to be over, too', async () => {
    const { target, reconciler, events, run } = rig({ a: 1 });
    reconciler.apply([['a', 1]]);
    reconciler.begin();
    await run();
    target.breakRead = 'EAGAIN';
    reconciler.readSoon();
    await run(300);
    expect(events.at(-1)).toEqual({ kind: 'error', text: 'EAGAIN' });
    await run(1000);
    expect(events.at(-1)).toEqual({ kind: 'written', set: [], removed: [] });
    expect(target.commits).toEqual([]);
  });

  test('what is outdated while a commit is under way is read anew before the next one', async () => {
    const { target, reconciler, run } = rig({ structure: 1, a: 1, b: 1 });
    reconciler.apply([
      ['structure', 1],
      ['a', 1],
      ['b', 1],
    ]);
    reconciler.begin();
    await run();
    // From now on another structure is read as one without anything in it, and writing it takes all there is away.
    target.during = () => {
      target.reading = state => (state.get('structure') === 2 ? state : new Map([['structure', -1]]));
      reconciler.readFirst();
      reconciler.apply([['structure', 2]]);
    };
    reconciler.apply([['b', 2]]);
    await run();
    const [, second, ...others] = target.commits;
    expect(new Map([...(second?.set ?? [])].map(([key, { value }]) => [key, value]))).toEqual(
      new Map([
        ['structure', 2],
        ['a', 1],
        ['b', 2],
      ]),
    );
    expect(others).toEqual([]);
  });

  test('what others change is put right at once when noticed, else at the next reading', async () => {
    const { target, reconciler, events, run } = rig();
    reconciler.apply([['a', 1]]);
    reconciler.begin();
    await run();
    target.state.set('a', 7);
    reconciler.readSoon();
    reconciler.readSoon();
    await run(300);
    expect([target.state.get('a'), target.reads]).toEqual([1, 2]);
    target.state.delete('a');
    await run(61_000);
    expect(target.state.get('a')).toBe(1);
    expect(events.filter(({ kind }) => kind === 'drift')).toEqual([
      { kind: 'drift', keys: ['a'] },
      { kind: 'drift', keys: ['a'] },
    ]);
  });

  test('wanting exactly these takes the rest away', async () => {
    const { target, reconciler, run } = rig();
    reconciler.begin();
    reconciler.replaceAll(
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    );
    await run();
    reconciler.replaceAll(new Map([['b', 3]]));
    await run();
    expect(target.state).toEqual(new Map([['b', 3]]));
  });
});

describe('end', () => {
  test('idle waits for what can be written, not for what is refused', async () => {
    const { target, reconciler, run } = rig();
    target.refuse.set('a', 'no');
    reconciler.apply([
      ['a', 1],
      ['b', 1],
    ]);
    reconciler.begin();
    const idle = reconciler.idle();
    await run();
    await idle;
    expect(target.state.get('b')).toBe(1);
  });

  test('after stop nothing is written any more, and what is there stays', async () => {
    const { target, reconciler, run } = rig();
    reconciler.apply([['a', 1]]);
    reconciler.begin();
    await run();
    await reconciler.stop();
    reconciler.apply([['a', undefined]]);
    await run(100_000);
    expect(target.state.get('a')).toBe(1);
  });
});
