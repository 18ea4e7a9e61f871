/** Anti-spoofing on this machine: its netlink sockets, nft(8) and libcni's folder. Impure. */

import type { Logger } from 'pino';
import { Gauge, type Registry } from 'prom-client';
import { systemClock } from '../../core/clock.js';
import type { ProblemReport } from '../../kube/problems.js';
import { openMonitor } from '../../kernel/monitor.js';
import { openRouteChannel } from '../../kernel/netlink/channel.js';
import { openNft } from '../../kernel/nft.js';
import { splitPodName, type PodName } from '../../policy/policyTypes.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';
import { createAntiSpoof, type AntiSpoof, type AntiSpoofOptions } from './antiSpoof.js';
import { watchAttachments } from './attachments.js';

export interface OpenAntiSpoofOptions {
  readonly logger: Logger;
  readonly report: (problems: ProblemReport) => void;
  readonly registry: Registry;
}

/** A host outside the cluster has no pods. */
export function antiSpoofOptions({ antiSpoof, cni, role }: Kubernetes): AntiSpoofOptions {
  return {
    mode: role === 'edge' ? 'off' : antiSpoof.mode,
    attachments: antiSpoof.attachments,
    bridge: cni.bridge,
  };
}

/** Works in the network namespace of the calling thread. @throws SyscallError when the kernel cannot be spoken to */
export function openAntiSpoof({ logger, report, registry }: OpenAntiSpoofOptions): AntiSpoof {
  const channel = openRouteChannel();
  const monitor = openMonitor({ topics: ['link'] });
  const antiSpoof = createAntiSpoof({
    channel,
    monitor,
    nft: openNft(),
    clock: systemClock,
    logger,
    report,
    watch: watchAttachments,
  });
  registerMetric(antiSpoof, registry);
  return {
    configure: options => antiSpoof.configure(options),
    spoofed: () => antiSpoof.spoofed(),
    idle: () => antiSpoof.idle(),
    stop: async () => {
      await antiSpoof.stop();
      monitor.close();
      channel.close();
    },
  };
}

/** A gauge, since it goes with the pod; only pods of this node that were caught are in it. */
function registerMetric(antiSpoof: AntiSpoof, registry: Registry): void {
  const gauge = new Gauge({
    name: 'peerage_antispoof_dropped_packets',
    help: 'Packets of a pod of this node that were dropped since they came from addresses that are not its own',
    labelNames: ['namespace', 'pod'],
    registers: [registry],
    collect: async () => {
      gauge.reset();
      // A scrape goes on without it; that nft(8) does not answer is a problem by itself.
      const caught = await antiSpoof.spoofed().catch(() => new Map<PodName, number>());
      for (const [name, packets] of caught) gauge.set(splitPodName(name), packets);
    },
  });
}
