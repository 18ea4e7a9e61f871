/** Plumbing on this machine: its netlink sockets, nft(8) and kernel switches. Impure. */

import type { Logger } from 'pino';
import { systemClock } from '../../core/clock.js';
import type { Ownership } from '../../fib/ownership.js';
import type { ProblemReport } from '../../kube/problems.js';
import { openFouPorts } from '../../kernel/fou.js';
import { openLegacyIptables } from '../../kernel/legacyForward.js';
import { openMonitor } from '../../kernel/monitor.js';
import { openRouteChannel } from '../../kernel/netlink/channel.js';
import { openNft } from '../../kernel/nft.js';
import { kernelSwitches } from '../../kernel/sysctl.js';
import { openLeftovers, type LeftoversOptions } from '../../proxy/leftovers.js';
import { watchFiles } from '../config/watchFiles.js';
import { cleanUp, type CleanupReport } from './cleanup.js';
import { createPlumbing, type Plumbing } from './plumbing.js';
import { leftOfRouter } from './ourRoutes.js';
import type { NodePlumbingOptions } from './plumbingOptions.js';

export interface OpenPlumbingOptions {
  readonly nodeName: string;
  readonly logger: Logger;
  readonly report: (problems: ProblemReport) => void;
}

/** Works in the network namespace of the calling thread. @throws SyscallError when the kernel cannot be spoken to */
export function openPlumbing({ nodeName, logger, report }: OpenPlumbingOptions): Plumbing {
  const channel = openRouteChannel();
  const monitor = openMonitor({ topics: ['link', 'address'], ignoreCausedBy: channel.portId });
  const plumbing = createPlumbing({
    nodeName,
    logger,
    clock: systemClock,
    channel,
    monitor,
    nft: openNft(),
    legacyIptables: openLegacyIptables(),
    switches: kernelSwitches,
    report,
    watchFiles,
  });
  return {
    ...bound(plumbing),
    stop: async () => {
      await plumbing.stop();
      monitor.close();
      channel.close();
    },
  };
}

function bound(plumbing: Plumbing): Plumbing {
  return {
    configure: options => plumbing.configure(options),
    nodesChanged: batch => plumbing.nodesChanged(batch),
    idle: () => plumbing.idle(),
    stop: () => plumbing.stop(),
  };
}

/** Where no router runs: a warning of what one that ran here left in the kernel. Never fails. */
export async function tellLeftOfRouter(owner: Ownership, logger: Logger): Promise<void> {
  const channel = openRouteChannel();
  const fou = openFouPorts();
  try {
    const left = await leftOfRouter(channel, fou, owner);
    if (left === undefined) return;
    logger.warn(`run.router is off: ${left}; end the agent and run "peerage cleanup" to be rid of them`);
  } catch (error) {
    logger.warn({ err: error }, 'routes of a router that ran here may be left');
  } finally {
    fou.close();
    channel.close();
  }
}

/**
 * Takes off this machine what is ours.
 * @param proxy what of the service proxy stays, and whom to ask about pods
 * @throws SyscallError when the kernel cannot be spoken to
 */
export async function cleanUpMachine(
  options: NodePlumbingOptions,
  owner: Ownership,
  proxy: LeftoversOptions,
): Promise<CleanupReport> {
  const channel = openRouteChannel();
  const fou = openFouPorts();
  const leftovers = openLeftovers(proxy);
  try {
    return await cleanUp(
      { channel, fou, nft: openNft(), legacyIptables: openLegacyIptables(), switches: kernelSwitches, leftovers },
      options,
      owner,
    );
  } finally {
    leftovers.close();
    fou.close();
    channel.close();
  }
}
