/** The short way of established connections on this machine: whether there is to be one, its sockets, and what is told of it. Impure. */

import type { Logger } from 'pino';
import { systemClock } from '../../core/clock.js';
import { openMonitor } from '../../kernel/monitor.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { readFlowtables } from '../../kernel/nftables/flowtables.js';
import { removeTable, removeTables } from '../../kernel/nftables/removal.js';
import { openTableSockets } from '../../kernel/nftables/tableSockets.js';
import { readHostLinks } from '../../kernel/podLinkReading.js';
import type { ProblemReport } from '../../kube/problems.js';
import { createFlowOffload, type FlowOffloadEvent } from '../../policy/flowOffload/flowOffload.js';
import { OFFLOAD_TABLE } from '../../policy/flowOffload/offloadTable.js';
import type { FlowCutEvent } from '../../policy/flows/flowCutter.js';
import type { FirewallSettings } from '../../policy/policyFirewall.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';
import { hasEgressAddresses } from '../egressAddresses/openPodAddresses.js';

export interface OpenedFlowOffload {
  /** As the firewall is told. */
  configure(settings: FirewallSettings): void;
  /** Policies are in force: not before, what the kernel has of a former life is made anew. */
  begin(): void;
  /** The cutter looked at connections: what it cut must meet the rules again. */
  looked(event: FlowCutEvent): void;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}

export interface FlowOffloadDeps {
  readonly logger: Logger;
  readonly report: (found: ProblemReport) => void;
  /** Of NETLINK_ROUTE. Its owner closes it. */
  readonly routes: NetlinkChannel;
}

/** @returns why established connections shall be seen by all rules although the configuration asks for the short way */
export function offloadRefusal(settings: Kubernetes): string | undefined {
  if (settings.tenancy !== 'none') return 'with tenancy, packets of all connections are to be judged';
  if (hasEgressAddresses(settings)) return 'with egress addresses, packets of all connections are to be routed by them';
  return undefined;
}

/** @returns undefined when there is to be none: that of a former life is taken away. @throws SyscallError */
export async function openFlowOffload(
  settings: Kubernetes,
  deps: FlowOffloadDeps,
): Promise<OpenedFlowOffload | undefined> {
  const { logger } = deps;
  const refusal = settings.firewall.flowOffload === 'off' ? 'off' : offloadRefusal(settings);
  if (refusal === undefined) return start(deps);
  if (refusal !== 'off') logger.warn(`established connections are not offloaded: ${refusal}`);
  await forgetFlowOffload(logger);
  return undefined;
}

/** Nobody would end what policies forbid. */
export async function forgetFlowOffload(logger: Logger): Promise<void> {
  try {
    const removed = await removeTables(OFFLOAD_TABLE.name, [OFFLOAD_TABLE.family]);
    if (removed.length > 0) logger.info('established connections are not offloaded any more');
  } catch (error) {
    logger.warn({ err: error }, 'established connections may be offloaded still');
  }
}

function start({ logger, report, routes }: FlowOffloadDeps): OpenedFlowOffload {
  const sockets = openTableSockets();
  const links = openMonitor({ topics: ['link'] });
  const offload = createFlowOffload({
    transactions: sockets.transactions,
    links: () => readHostLinks(routes),
    flowtables: () => readFlowtables(sockets.channel, OFFLOAD_TABLE),
    remove: () => removeTable(sockets.channel, sockets.transactions, OFFLOAD_TABLE),
    clock: systemClock,
    onEvent: teller(logger, report),
  });
  sockets.monitor.watch(OFFLOAD_TABLE, () => offload.tableChanged());
  links.subscribe(() => offload.linksChanged());
  let latest: FirewallSettings | undefined;
  let hasBegun = false;
  const settle = (): void => {
    if (latest === undefined || !hasBegun) return;
    const { ipv4, ipv6, cutBit } = latest;
    offload.configure({ ipv4, ipv6, cutBit });
  };
  return {
    configure: settings => {
      latest = settings;
      settle();
    },
    begin: () => {
      hasBegun = true;
      settle();
    },
    // After an error, some may have been cut already.
    looked: event => {
      if (event.kind === 'error' || event.cut > 0) offload.renew();
    },
    stop: async () => {
      await offload.stop();
      links.close();
      sockets.close();
    },
  };
}

function teller(logger: Logger, report: FlowOffloadDeps['report']): (event: FlowOffloadEvent) => void {
  let known: string | undefined;
  return event => {
    const text = event.kind === 'error' ? event.text : undefined;
    const problems =
      text === undefined
        ? []
        : [
            {
              subject: 'firewall',
              text: `established connections cannot be offloaded, and take the ordinary way (has the kernel nf_flow_table?): ${text}`,
            },
          ];
    report(new Map([['firewall offload', problems]]));
    if (event.kind === 'written' || event.kind === 'adapted')
      logger.debug({ links: event.links }, `flowtable ${event.kind}`);
    if (known === text) return;
    known = text;
    if (text !== undefined)
      logger.warn(
        { reason: text },
        'established connections cannot be offloaded: the kernel may have no nf_flow_table',
      );
  };
}
