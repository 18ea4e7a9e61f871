/** Opens everything that connects BGP with the kernel's routing: sockets, feed, next-hop resolver and FIB. */

import { systemClock, type Clock } from '../core/clock.js';
import { openMonitor } from '../kernel/monitor.js';
import { openRouteChannel } from '../kernel/netlink/channel.js';
import { RT_TABLE_MAIN } from '../kernel/rtnetlink.js';
import { createFib } from './fib.js';
import type { Fib, FibEvent } from './fibTypes.js';
import { createKernelFeed } from './kernelFeed.js';
import { createNextHopResolver, type NextHopResolver } from './nextHopResolver.js';
import { DEFAULT_OWNERSHIP, type Ownership } from './ownership.js';

export interface KernelRoutingOptions {
  readonly owner?: Partial<Ownership>;
  /** False: only next hops are resolved, and no route is ever written. */
  readonly install: boolean;
  readonly clock?: Clock;
  /** Milliseconds between two readings of the whole table. */
  readonly readBackInterval?: number;
  onEvent(event: FibEvent): void;
}

export interface KernelRouting {
  readonly resolver: NextHopResolver;
  /** Absent when routes are not installed. */
  readonly fib?: Fib;
  /** Adopts what is there. Until this resolves, every next hop is unreachable. @throws when the kernel cannot be read */
  start(): Promise<void>;
  /** Ends with all that belongs to it. */
  stop(options: { readonly keepRoutes: boolean }): Promise<void>;
}

const READ_BACK_INTERVAL = 60_000;

/** Works in the network namespace of the calling thread. @throws SyscallError when netlink is not to be had */
export function openKernelRouting(options: KernelRoutingOptions): KernelRouting {
  const owner = { ...DEFAULT_OWNERSHIP, ...options.owner };
  const clock = options.clock ?? systemClock;
  const channel = openRouteChannel();
  const monitor = openMonitor({ topics: ['link', 'address', 'route'], ignoreCausedBy: channel.portId });
  const feed = createKernelFeed({
    channel,
    monitor,
    clock,
    tables: [...new Set([RT_TABLE_MAIN, owner.table])],
    readBackInterval: options.readBackInterval ?? READ_BACK_INTERVAL,
    onError: text => options.onEvent({ kind: 'error', text }),
  });
  const resolver = createNextHopResolver(feed, owner);
  const fib = options.install
    ? createFib({ owner, channel, feed, resolver, clock, onEvent: event => options.onEvent(event) })
    : undefined;
  return {
    resolver,
    ...(fib === undefined ? {} : { fib }),
    start: () => feed.start(),
    stop: async stopOptions => {
      await fib?.stop(stopOptions);
      feed.stop();
      monitor.close();
      channel.close();
    },
  };
}
