/** Opens everything that connects BGP with the kernel's routing: sockets, feed, next-hop resolver and FIB. */

import { systemClock, type Clock } from '../core/clock.js';
import { openFouPorts } from '../kernel/fou.js';
import { openMonitor, type Topic } from '../kernel/monitor.js';
import { openRouteChannel } from '../kernel/netlink/channel.js';
import { RT_TABLE_MAIN } from '../kernel/rtnetlink.js';
import { createFib } from './fib.js';
import type { Fib, FibEvent, WrittenBatch } from './fibTypes.js';
import { createKernelFeed } from './kernelFeed.js';
import { createNextHopResolver, type NextHopResolver } from './nextHopResolver.js';
import { createOverlay, type Overlay, type OverlayConfig, type OverlayEvent } from './overlay/overlay.js';
import { createOverlayReader } from './overlay/overlayFeed.js';
import { OVERLAY_TABLE } from './overlay/overlayOptions.js';
import { createOverlayTarget } from './overlay/overlayTarget.js';
import { DEFAULT_OWNERSHIP, type Ownership } from './ownership.js';

export interface KernelRoutingOptions {
  readonly owner?: Partial<Ownership>;
  /** False: only next hops are resolved, and no route is ever written. */
  readonly install: boolean;
  readonly clock?: Clock;
  /** Milliseconds between two readings of the whole table. */
  readonly readBackInterval?: number;
  onEvent(event: FibEvent): void;
  /** For metrics. */
  readonly onWritten?: (batch: WrittenBatch) => void;
  /** Where the machine is a node of a cluster: told of the overlay's doings. */
  readonly onOverlayEvent?: (event: OverlayEvent) => void;
}

export interface KernelRouting {
  readonly resolver: NextHopResolver;
  /** Tunnels to other nodes; absent when nobody asked for its events, or routes are not installed. */
  readonly overlay?: Overlay;
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
  const readBackInterval = options.readBackInterval ?? READ_BACK_INTERVAL;
  const tunnels = options.install && options.onOverlayEvent !== undefined;
  const channel = openRouteChannel();
  const topics: readonly Topic[] = ['link', 'address', 'route', ...(tunnels ? (['neighbour', 'rule'] as const) : [])];
  const monitor = openMonitor({ topics, ignoreCausedBy: channel.portId });
  const feed = createKernelFeed({
    channel,
    monitor,
    clock,
    tables: [...new Set([RT_TABLE_MAIN, owner.table, ...(tunnels ? [OVERLAY_TABLE] : [])])],
    readBackInterval,
    onError: text => options.onEvent({ kind: 'error', text }),
  });
  const overlay = tunnels
    ? openOverlay({
        protocol: owner.protocol,
        clock,
        readBackInterval,
        routesWritten: () => fib?.idle() ?? Promise.resolve(),
        onEvent: event => options.onOverlayEvent?.(event),
      })
    : undefined;
  const resolver = createNextHopResolver(feed, owner, overlay?.overlay);
  const fib = options.install
    ? createFib({
        owner,
        channel,
        feed,
        resolver,
        clock,
        onEvent: event => options.onEvent(event),
        onWritten: batch => options.onWritten?.(batch),
      })
    : undefined;
  if (overlay !== undefined) feed.subscribe(createOverlayReader(overlay.overlay, owner.protocol));
  return {
    resolver,
    ...(fib === undefined ? {} : { fib }),
    ...(overlay === undefined ? {} : { overlay: overlay.overlay }),
    start: () => feed.start(),
    stop: async stopOptions => {
      await fib?.stop(stopOptions);
      // Tunnels go after the routes through them.
      await overlay?.stop({ keep: stopOptions.keepRoutes });
      feed.stop();
      monitor.close();
      channel.close();
    },
  };
}

interface OpenedOverlay {
  readonly overlay: Overlay;
  stop(options: { readonly keep: boolean }): Promise<void>;
}

/** With a channel of its own, so that the FIB's monitor tells what it does: the resolver has to hear of its devices. */
function openOverlay(options: Omit<OverlayConfig, 'target'> & { readonly protocol: number }): OpenedOverlay {
  const channel = openRouteChannel();
  const fou = openFouPorts();
  const target = createOverlayTarget({ channel, fou, protocol: options.protocol });
  const overlay = createOverlay({ ...options, target });
  return {
    overlay,
    stop: async stopOptions => {
      await overlay.stop(stopOptions);
      fou.close();
      channel.close();
    },
  };
}
