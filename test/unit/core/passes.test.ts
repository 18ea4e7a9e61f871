import { describe, expect, test } from '@jest/globals';
import { createPasses, type Passes } from '../../../src/core/passes.js';
import { VirtualClock } from './virtualClock.js';

interface Rig {
  readonly clock: VirtualClock;
  readonly passes: Passes;
  /** When passes began. */
  readonly begun: number[];
  /** Ends the pass under way. */
  end(): Promise<void>;
}

/** Passes that go on until they are ended; the next is due after 1000 ms. */
function rig(): Rig {
  const clock = new VirtualClock();
  const begun: number[] = [];
  let release = (): void => undefined;
  const run = (): Promise<number> => {
    begun.push(clock.now());
    return new Promise(resolve => {
      release = () => resolve(1000);
    });
  };
  const passes = createPasses({ clock, gather: 10, run });
  const end = async (): Promise<void> => {
    release();
    await new Promise(resolve => setImmediate(resolve));
  };
  return { clock, passes, begun, end };
}

describe('passes', () => {
  test('begin when they are asked for, and again when nothing happens', async () => {
    const { clock, passes, begun, end } = rig();
    clock.advance(5000);
    expect(begun).toEqual([]);
    passes.wake(100);
    clock.advance(99);
    expect(begun).toEqual([]);
    clock.advance(1);
    expect(begun).toEqual([5100]);
    await end();
    clock.advance(1000);
    expect(begun).toEqual([5100, 6100]);
  });

  test('are not put off by what happens later, and come earlier when they must', () => {
    const { clock, passes, begun } = rig();
    passes.wake(100);
    clock.advance(60);
    passes.wake(100);
    clock.advance(10);
    passes.wake(5);
    clock.advance(5);
    expect(begun).toEqual([75]);
  });

  test('are one at a time: a burst during one makes one more', async () => {
    const { clock, passes, begun, end } = rig();
    passes.wake(0);
    clock.advance(0);
    for (let i = 0; i < 5; i++) passes.wake(0);
    clock.advance(500);
    expect(begun).toEqual([0]);
    await end();
    clock.advance(10);
    expect(begun).toEqual([0, 510]);
    await end();
    clock.advance(999);
    expect(begun).toEqual([0, 510]);
  });

  test('are over when idle() resolves, which waits for none that is far off', async () => {
    const { clock, passes, begun, end } = rig();
    await passes.idle();
    passes.wake(100);
    const idle = passes.idle();
    expect(begun).toEqual([0]);
    await end();
    await idle;
    clock.advance(999);
    expect(begun).toEqual([0]);
  });

  test('end with stop(), which lets the one under way end', async () => {
    const { clock, passes, begun, end } = rig();
    passes.wake(0);
    clock.advance(0);
    passes.wake(0);
    let stopped = false;
    const stopping = passes.stop().then(() => (stopped = true));
    await new Promise(resolve => setImmediate(resolve));
    expect(stopped).toBe(false);
    await end();
    await stopping;
    passes.wake(0);
    clock.advance(5000);
    expect(begun).toEqual([0]);
  });
});
