/** A node of a history: its firewall and its tenants' tables, told of objects; transactions of the firewall can fail. Impure. */

import { parsePrefix, type IpPrefix } from '../../src/core/ip.js';
import { openTableSockets, type TableSockets } from '../../src/kernel/nftables/tableSockets.js';
import { TransactionError, type Transactions } from '../../src/kernel/nftables/transaction.js';
import { openNftablesFirewall } from '../../src/policy/nftables/nftablesFirewall.js';
import type { FirewallEvent, PolicyFirewall } from '../../src/policy/policyFirewall.js';
import { createPolicyModel, type PolicyModel } from '../../src/policy/policyModel.js';
import { openTenantKernel, type TenantKernel } from '../../src/policy/tenants/tenantKernel.js';
import { createTenantModel, type TenantModel } from '../../src/policy/tenants/tenantModel.js';
import type { Namespace } from '../../test/kernel/namespace.js';
import { batchBetween } from '../../test/unit/policy/modelCluster.js';
import type { Fault, NodeName } from './histories.js';
import { PLAIN_SETTINGS } from './settings.js';

const NETWORKS: Readonly<Record<NodeName, readonly IpPrefix[]>> = {
  n1: ['10.244.1.0/24', 'fd44:1::/64'].map(prefixOf),
  n2: ['10.244.2.0/24', 'fd44:2::/64'].map(prefixOf),
};
const TENANT_RULES = { global: new Set<string>(), numbers: 'given' } as const;

export interface HistoryNode {
  readonly events: readonly FirewallEvent[];
  /** These objects are all there are from now on. Does not wait. */
  tell(objects: readonly unknown[]): void;
  /** What becomes of the next transactions of the firewall. */
  suffer(faults: readonly Fault[]): void;
  /** The agent begins another life. */
  restart(): Promise<void>;
  /** All that can be written now is written. */
  idle(): Promise<void>;
  readonly isSettled: boolean;
  stop(): Promise<void>;
}

interface Life {
  readonly policies: PolicyModel;
  readonly tenants: TenantModel;
  readonly firewall: PolicyFirewall;
  readonly tables: TenantKernel;
}

export function openHistoryNode(name: NodeName, space: Namespace): HistoryNode {
  const events: FirewallEvent[] = [];
  const faults: Fault[] = [];
  const start = (): Life => openLife(name, space, faults, event => events.push(event));
  let life = start();
  let before: readonly unknown[] = [];
  const tell = (objects: readonly unknown[]): void => {
    const batch = batchBetween(before, objects);
    before = objects;
    life.firewall.apply(life.policies.apply(batch));
    life.tables.apply(life.tenants.apply(batch).delta);
    life.firewall.begin();
    life.tables.begin();
  };
  const stop = async (): Promise<void> => {
    await Promise.all([life.firewall.stop(), life.tables.stop()]);
  };
  return {
    events,
    tell,
    suffer: some => faults.push(...some),
    restart: async () => {
      const objects = before;
      await stop();
      before = [];
      life = start();
      tell(objects);
    },
    idle: async () => {
      await Promise.all([life.firewall.idle(), life.tables.idle()]);
    },
    get isSettled() {
      return life.firewall.isSettled && life.tables.isSettled;
    },
    stop,
  };
}

function openLife(name: NodeName, space: Namespace, faults: Fault[], onEvent: (event: FirewallEvent) => void): Life {
  const firewall = space.inside(() => openNftablesFirewall(onEvent, { sockets: faulty(openTableSockets(), faults) }));
  firewall.configure({ ...PLAIN_SETTINGS, podCidrs: NETWORKS[name] });
  const tables = space.inside(() => openTenantKernel(() => undefined, { families: [4, 6] }));
  tables.setNetworks(Object.values(NETWORKS).flat());
  return { policies: createPolicyModel(name), tenants: createTenantModel(name, TENANT_RULES), firewall, tables };
}

/** @param faults the first is taken by the next transaction */
function faulty(sockets: TableSockets, faults: Fault[]): TableSockets {
  const inner = sockets.transactions;
  const transactions: Transactions = {
    portId: inner.portId,
    close: () => inner.close(),
    run: async compose => {
      const fault = faults.shift() ?? 'none';
      if (fault === 'refused') throw new TransactionError('refused by the test');
      if (fault !== 'lost') await inner.run(compose);
      if (fault !== 'none') throw new Error('nothing was heard of a transaction, says the test');
    },
  };
  return { ...sockets, transactions, close: () => sockets.close() };
}

function prefixOf(text: string): IpPrefix {
  const prefix = parsePrefix(text);
  if (!prefix.ok) throw new Error(prefix.error);
  return prefix.value;
}
