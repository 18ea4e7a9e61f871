/** Bandwidth on this machine: its netlink sockets, what is shown of it, and its metrics. Impure. */

import type { Logger } from 'pino';
import { Gauge, type Registry } from 'prom-client';
import type { BandwidthView } from '../../api/bandwidthView.js';
import { systemClock } from '../../core/clock.js';
import type { ProblemReport } from '../../kube/problems.js';
import { openMonitor } from '../../kernel/monitor.js';
import { openRouteChannel, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { createBandwidthTarget, readBuckets } from '../../policy/bandwidth/bandwidthTarget.js';
import { createBandwidthPlane } from './bandwidthPlane.js';
import type { BandwidthUpdate } from './bandwidthStage.js';
import { listLimits } from './limitsView.js';

export interface OpenBandwidthOptions {
  readonly logger: Logger;
  readonly report: (problems: ProblemReport) => void;
  readonly registry: Registry;
}

export interface OpenedBandwidth {
  readonly view: BandwidthView;
  update(update: BandwidthUpdate): void;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}

/** Works in the network namespace of the calling thread. @throws SyscallError when the kernel cannot be spoken to */
export function openBandwidth({ logger, report, registry }: OpenBandwidthOptions): OpenedBandwidth {
  const channel = openRouteChannel();
  const monitor = openMonitor({ topics: ['link'], ignoreCausedBy: channel.portId });
  const plane = createBandwidthPlane({ channel, monitor, clock: systemClock, logger, report });
  const view: BandwidthView = { limits: async () => listLimits(plane.state, await readBuckets(channel)) };
  registerMetrics(view, registry);
  return {
    view,
    update: ({ changes, isComplete }) => plane.update(changes, isComplete),
    stop: async () => {
      await plane.stop();
      monitor.close();
      channel.close();
    },
  };
}

/** Gauges, since they go with their pods; only pods of this node with a limit are in them. */
function registerMetrics(view: BandwidthView, registry: Registry): void {
  const labelNames = ['namespace', 'pod', 'direction'] as const;
  const limit = new Gauge({
    name: 'peerage_pod_bandwidth_limit_bits_per_second',
    help: 'Limit of a pod of this node, where it is in force',
    labelNames,
    registers: [registry],
  });
  const dropped = new Gauge({
    name: 'peerage_pod_bandwidth_dropped_packets',
    help: 'Packets of or to a pod of this node that its limit left no room for',
    labelNames,
    registers: [registry],
    collect: async () => {
      limit.reset();
      dropped.reset();
      // A scrape goes on without it; that the kernel does not answer is a problem by itself.
      for (const row of await view.limits().catch(() => [])) {
        if (row.state !== 'in force') continue;
        const [namespace = '', pod = ''] = row.pod.split('/');
        limit.set({ namespace, pod, direction: row.direction }, row.limit);
        dropped.set({ namespace, pod, direction: row.direction }, row.dropped ?? 0);
      }
    },
  });
}

export interface ForgottenLimits {
  readonly removed: number;
  /** Those that are there still, with the reason. */
  readonly left: readonly string[];
}

/** Takes off this machine what limits pods. */
export async function forgetBandwidth(): Promise<ForgottenLimits> {
  const channel = openRouteChannel();
  try {
    return await takeOutLimits(channel);
  } finally {
    channel.close();
  }
}

/** The same in the network namespace of a channel. */
export async function takeOutLimits(channel: NetlinkChannel): Promise<ForgottenLimits> {
  const target = createBandwidthTarget(channel);
  const removed = await target.read();
  if (removed.size === 0) return { removed: 0, left: [] };
  const failures = await target.commit({ set: new Map(), removed });
  const left = [...failures].map(([key, reason]) => `bandwidth limit of link ${key}: ${reason}`);
  return { removed: removed.size - left.length, left };
}
