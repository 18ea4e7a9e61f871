/** Opens the firewall of an agent: the kernel's part, what ends connections, metrics and log. Impure. */

import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { systemClock } from '../../core/clock.js';
import { listenToLog } from '../../kernel/nflogListener.js';
import { openChannel, openRouteChannel } from '../../kernel/netlink/channel.js';
import { NETLINK_NETFILTER } from '../../kernel/nftables/numbers.js';
import { kernelSwitches } from '../../kernel/sysctl.js';
import { removeTables } from '../../kernel/nftables/removal.js';
import type { ProblemReport } from '../../kube/problems.js';
import { createFlowCutter, type FlowCutEvent } from '../../policy/flows/flowCutter.js';
import { readNodeAddresses } from '../../policy/flows/nodeAddresses.js';
import { TABLE } from '../../policy/nftables/layout.js';
import { openNftablesFirewall } from '../../policy/nftables/nftablesFirewall.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';
import { watchBridge } from './bridgedPods.js';
import { forgetFlowOffload, openFlowOffload } from './openFlowOffload.js';
import { createPolicyMetrics } from './policyMetrics.js';
import { startFirewall, type RunningFirewall } from './runningFirewall.js';

export interface OpenFirewallOptions {
  readonly logger: Logger;
  readonly report: (found: ProblemReport) => void;
  readonly registry: Registry;
}

/** The firewall, if the configuration asks for one; what a former life's left is taken away otherwise. */
export async function firewallOf(
  settings: Kubernetes,
  options: OpenFirewallOptions,
): Promise<RunningFirewall | undefined> {
  if (settings.run.firewall) return openFirewall(settings, options);
  await forgetPolicies(options.logger).catch((error: unknown) =>
    options.logger.warn({ err: error }, 'network policies of a former life may be left'),
  );
  return undefined;
}

/** Policies that nobody follows any more would be wrong soon. */
async function forgetPolicies(logger: Logger): Promise<void> {
  await forgetFlowOffload(logger);
  const removed = await removeTables(TABLE);
  if (removed.length > 0) logger.info('network policies of a former life are taken away: no firewall runs');
}

/** Works in the network namespace of the calling thread. @throws Error when the kernel cannot be reached */
async function openFirewall(
  settings: Kubernetes,
  { logger, report, registry }: OpenFirewallOptions,
): Promise<RunningFirewall> {
  const [netfilter, routes] = [openChannel(NETLINK_NETFILTER), openRouteChannel()];
  const metrics = createPolicyMetrics([registry]);
  const offload = await openFlowOffload(settings, { logger, report, routes });
  const cutter = createFlowCutter({
    channel: netfilter,
    nodeAddresses: () => readNodeAddresses(routes),
    clock: systemClock,
    onEvent: event => {
      metrics.flows(event);
      offload?.looked(event);
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
  // The plumbing has turned the switches by then.
  let endWatch = (): void => undefined;
  void running.synced.then(() => offload?.begin());
  void running.synced.then(
    () => (endWatch = watchBridge({ settings, switches: kernelSwitches, clock: systemClock, report })),
  );
  return {
    view: running.view,
    firewall: running.firewall,
    synced: running.synced,
    get hasFormer() {
      return running.hasFormer;
    },
    attach: ordering => running.attach(ordering),
    update: update => {
      running.update(update);
      if (update.settings !== undefined) offload?.configure(update.settings);
    },
    scrape: () => running.scrape(),
    stop: async () => {
      endWatch();
      await running.stop();
      await offload?.stop();
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
