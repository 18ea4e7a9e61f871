/**
 * What suites of policies in the guest stand on: the node of the proxy's rig with services, the firewall, and what cuts the
 * connections that a change forbids; and, where asked for, the short way of established connections.
 */

import { systemClock } from '../../src/core/clock.js';
import { openChannel, openRouteChannel } from '../../src/kernel/netlink/channel.js';
import { readFlowtables } from '../../src/kernel/nftables/flowtables.js';
import { NETLINK_NETFILTER } from '../../src/kernel/nftables/numbers.js';
import { removeTable } from '../../src/kernel/nftables/removal.js';
import { openTableSockets } from '../../src/kernel/nftables/tableSockets.js';
import { readHostLinks } from '../../src/kernel/podLinkReading.js';
import {
  createFlowOffload,
  type FlowOffload,
  type FlowOffloadEvent,
} from '../../src/policy/flowOffload/flowOffload.js';
import { OFFLOAD_TABLE } from '../../src/policy/flowOffload/offloadTable.js';
import { createFlowCutter, type FlowCutEvent } from '../../src/policy/flows/flowCutter.js';
import { readNodeAddresses } from '../../src/policy/flows/nodeAddresses.js';
import { openNftablesFirewall } from '../../src/policy/nftables/nftablesFirewall.js';
import type { PolicyFirewall } from '../../src/policy/policyFirewall.js';
import { createPolicyModel } from '../../src/policy/policyModel.js';
import { networkPolicy, SETTINGS as FIREWALL_SETTINGS } from '../../test/kernel/policyRig.js';
import type { Namespace } from '../../test/kernel/namespace.js';
import {
  deltaOf,
  openProxyRig,
  SETTINGS,
  type OpenBackend,
  type ProxyRig,
  type ServiceShape,
} from '../../test/kernel/proxyRig.js';
import { batchBetween } from '../../test/unit/policy/modelCluster.js';

/** Pod a receives from pod c, and from nobody else. */
export const ONLY_C = networkPolicy('only-c', {
  podSelector: { matchLabels: { pod: 'a' } },
  policyTypes: ['Ingress'],
  ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { pod: 'c' } } }] }],
});

export interface PolicyNode {
  readonly rig: ProxyRig;
  readonly firewall: PolicyFirewall;
  /** These objects are all there are. Resolves when policies are in force, and what they forbid has been cut. */
  readonly become: (objects: readonly unknown[]) => Promise<void>;
  close(): Promise<void>;
}

export interface PolicyNodeOptions {
  readonly prefix: string;
  readonly services: readonly ServiceShape[];
  /** Absent: nftables. */
  readonly openBackend?: OpenBackend;
  readonly onFlows: (event: FlowCutEvent) => void;
}

export async function openPolicyNode(options: PolicyNodeOptions): Promise<PolicyNode> {
  const rig = await openProxyRig(options.prefix, options.openBackend);
  rig.proxy.configure(SETTINGS);
  rig.proxy.apply(deltaOf(options.services));
  rig.proxy.begin();
  await rig.proxy.idle();
  const policies = openPolicies(rig.node, options.onFlows);
  return {
    rig,
    ...policies,
    close: async () => {
      await policies.close();
      await rig.close();
    },
  };
}

function openPolicies(node: Namespace, onFlows: PolicyNodeOptions['onFlows']): Omit<PolicyNode, 'rig'> {
  const [flows, routes] = node.inside(() => [openChannel(NETLINK_NETFILTER), openRouteChannel()]);
  const cutter = createFlowCutter({
    channel: flows,
    nodeAddresses: () => readNodeAddresses(routes),
    clock: systemClock,
    onEvent: onFlows,
  });
  const firewall = node.inside(() =>
    openNftablesFirewall(event => {
      if (event.kind === 'committed') cutter.committed();
    }),
  );
  firewall.configure(FIREWALL_SETTINGS);
  cutter.configure({ ipv4: true, ipv6: true, bit: FIREWALL_SETTINGS.cutBit });
  const model = createPolicyModel('n1');
  let known: readonly unknown[] = [];
  return {
    firewall,
    become: async objects => {
      const delta = model.apply(batchBetween(known, objects));
      known = objects;
      cutter.note(delta, model);
      firewall.apply(delta);
      firewall.begin();
      await firewall.idle();
      await cutter.idle();
    },
    close: async () => {
      await cutter.stop();
      await firewall.stop();
      for (const socket of [flows, routes]) socket.close();
    },
  };
}

export interface ShortWay {
  offload: FlowOffload;
  readonly events: FlowOffloadEvent[];
  /** Devices of the flowtable. */
  devices(): Promise<readonly string[]>;
  /** As an agent that is told what it cut. */
  readonly onFlows: (event: FlowCutEvent) => void;
  /** Another life of the agent's: the kernel stays as it is. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const OFFLOADED = { ipv4: true, ipv6: true, cutBit: FIREWALL_SETTINGS.cutBit };

/** Who changes links tells the short way of it: nothing here listens to them. */
export function openShortWay(node: Namespace): ShortWay {
  const events: FlowOffloadEvent[] = [];
  const sockets = node.inside(() => openTableSockets());
  const routes = node.inside(() => openRouteChannel());
  const flowtables: () => ReturnType<typeof readFlowtables> = () => readFlowtables(sockets.channel, OFFLOAD_TABLE);
  const open = (): FlowOffload => {
    const offload = createFlowOffload({
      transactions: sockets.transactions,
      links: () => readHostLinks(routes),
      flowtables,
      remove: () => removeTable(sockets.channel, sockets.transactions, OFFLOAD_TABLE),
      clock: systemClock,
      onEvent: event => events.push(event),
    });
    offload.configure(OFFLOADED);
    return offload;
  };
  const way: ShortWay = {
    offload: open(),
    events,
    devices: async () => (await flowtables())[0]?.devices ?? [],
    onFlows: event => {
      if (event.kind === 'error' || event.cut > 0) way.offload.renew();
    },
    restart: async () => {
      await way.offload.stop();
      way.offload = open();
      await way.offload.idle();
    },
    close: async () => {
      await way.offload.stop();
      for (const socket of [sockets, routes]) socket.close();
    },
  };
  sockets.monitor.watch(OFFLOAD_TABLE, () => way.offload.tableChanged());
  return way;
}
