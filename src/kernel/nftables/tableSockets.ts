/** The sockets by which a table is kept: one reads, one writes, one hears of what others change. Impure. */

import { openChannel, type NetlinkChannel } from '../netlink/channel.js';
import { NETLINK_NETFILTER } from './numbers.js';
import { openTableMonitor, type TableMonitor } from './tableMonitor.js';
import { openTransactions, type Transactions } from './transaction.js';

export interface TableSockets {
  readonly channel: NetlinkChannel;
  readonly transactions: Transactions;
  /** Does not tell of what `transactions` changes. */
  readonly monitor: TableMonitor;
  close(): void;
}

/** In the network namespace of the calling thread. @throws SyscallError */
export function openTableSockets(): TableSockets {
  const opened: { close(): void }[] = [];
  const kept = <T extends { close(): void }>(resource: T): T => {
    opened.push(resource);
    return resource;
  };
  const close = (): void => {
    for (const resource of opened.reverse()) resource.close();
  };
  try {
    const channel = kept(openChannel(NETLINK_NETFILTER));
    const transactions = kept(openTransactions());
    const monitor = kept(openTableMonitor(transactions.portId));
    return { channel, transactions, monitor, close };
  } catch (error) {
    close();
    throw error;
  }
}
