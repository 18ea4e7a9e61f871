/** Opens the firewall of an agent: the kernel's part, what ends connections, metrics and log. Impure. */

import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { systemClock } from '../../core/clock.js';
import { listenToLog } from '../../kernel/nflogListener.js';
import { openChannel, openRouteChannel } from '../../kernel/netlink/channel.js';
import { NETLINK_NETFILTER } from '../../kernel/nftables/numbers.js';
import type { ProblemReport } from '../../kube/problems.js';
import { createFlowCutter, type FlowCutEvent } from '../../policy/flows/flowCutter.js';
import { readNodeAddresses } from '../../policy/flows/nodeAddresses.js';
import { openNftablesFirewall } from '../../policy/nftables/nftablesFirewall.js';
import { createPolicyMetrics } from './policyMetrics.js';
import { startFirewall, type RunningFirewall } from './runningFirewall.js';

export interface OpenFirewallOptions {
  readonly logger: Logger;
  readonly report: (found: ProblemReport) => void;
  readonly registry: Registry;
}

/** Works in the network namespace of the calling thread. @throws Error when the kernel cannot be reached */
export async function openFirewall({ logger, report, registry }: OpenFirewallOptions): Promise<RunningFirewall> {
  const [netfilter, routes] = [openChannel(NETLINK_NETFILTER), openRouteChannel()];
  const metrics = createPolicyMetrics([registry]);
  const cutter = createFlowCutter({
    channel: netfilter,
    nodeAddresses: () => readNodeAddresses(routes),
    clock: systemClock,
    onEvent: event => {
      metrics.flows(event);
      tellFlows(event, logger, report);
    },
  });
  const open = openNftablesFirewall;
  const running = await startFirewall({
    open,
    clock: systemClock,
    logger,
    metrics,
    report,
    cutter,
    listen: listenToLog,
  });
  logger.info('firewall starting');
  return {
    view: running.view,
    firewall: running.firewall,
    synced: running.synced,
    attach: ordering => running.attach(ordering),
    update: update => running.update(update),
    scrape: () => running.scrape(),
    stop: async () => {
      await running.stop();
      for (const socket of [netfilter, routes]) socket.close();
    },
  };
}

function tellFlows(event: FlowCutEvent, logger: Logger, report: OpenFirewallOptions['report']): void {
  const problems = event.kind === 'error' ? [{ subject: 'firewall', text: `connections: ${event.text}` }] : [];
  report(new Map([['firewall connections', problems]]));
  if (event.kind === 'looked' && event.cut + event.released > 0)
    logger.info(
      { family: event.family, cut: event.cut, released: event.released },
      'connections judged by new policies',
    );
}
