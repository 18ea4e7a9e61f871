/** A FIB on a kernel in memory and a clock that a test moves. */

import { formatAddress } from '../../../src/core/ip.js';
import { createFib } from '../../../src/fib/fib.js';
import type { Fib, FibEvent } from '../../../src/fib/fibTypes.js';
import { createKernelFeed } from '../../../src/fib/kernelFeed.js';
import { createNextHopResolver, type NextHopResolver, type NodeWays } from '../../../src/fib/nextHopResolver.js';
import { DEFAULT_OWNERSHIP } from '../../../src/fib/ownership.js';
import { VirtualClock } from '../core/virtualClock.js';
import { FakeKernel } from './fakeKernel.js';

export interface FakeFib {
  readonly kernel: FakeKernel;
  readonly clock: VirtualClock;
  readonly fib: Fib;
  readonly resolver: NextHopResolver;
  readonly events: FibEvent[];
  /** Lets everything that is due happen, and `milliseconds` pass in steps. */
  run(milliseconds?: number): Promise<void>;
  /** Ends this FIB, keeping its routes. */
  stop(): Promise<void>;
}

/** Two links: a (192.168.0.1/24) is link 2, b (192.168.1.1/24) is link 3; c (2001:db8::1/64) is link 4. */
export function newFakeKernel(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.addLink('a', '192.168.0.1/24');
  kernel.addLink('b', '192.168.1.1/24');
  kernel.addLink('c', '2001:db8::1/64');
  return kernel;
}

/** @param nodes who knows the nodes of a cluster */
export async function startFakeFib(kernel: FakeKernel, readBackInterval = 60_000, nodes?: NodeWays): Promise<FakeFib> {
  const clock = new VirtualClock();
  const events: FibEvent[] = [];
  const tell = (event: FibEvent): void => void events.push(event);
  const feed = createKernelFeed({
    channel: kernel,
    monitor: kernel,
    clock,
    tables: [DEFAULT_OWNERSHIP.table],
    readBackInterval,
    onError: text => tell({ kind: 'error', text }),
  });
  const resolver = createNextHopResolver(feed, DEFAULT_OWNERSHIP, nodes);
  const firstCapacity = 16;
  const fib = createFib({
    owner: DEFAULT_OWNERSHIP,
    channel: kernel,
    feed,
    resolver,
    clock,
    firstCapacity,
    onEvent: tell,
  });
  await feed.start();
  const run = async (milliseconds = 0): Promise<void> => {
    const steps = 5 + Math.ceil(milliseconds / 100);
    for (let i = 0; i < steps; i++) {
      kernel.deliver();
      clock.advance(i < 5 ? 0 : 100);
      // Promises of batches and dumps.
      await new Promise(resolve => setImmediate(resolve));
    }
  };
  const stop = async (): Promise<void> => {
    const stopped = fib.stop({ keepRoutes: true });
    await run();
    await stopped;
    feed.stop();
  };
  return { kernel, clock, fib, resolver, events, run, stop };
}

/** The kernel's routes of one protocol as `destination via gateways`, sorted. */
export function routesOf(kernel: FakeKernel, protocol: number): readonly string[] {
  const found = [...kernel.routes.entries()].filter(([, route]) => route.protocol === protocol);
  return found
    .map(([key, { hops }]) => {
      const gateways = hops.map(hop => (hop.gateway === null ? 'link' : formatAddress(hop.gateway))).sort();
      return `${key.split(' ')[1]!} via ${gateways.join(',')}`;
    })
    .sort();
}
