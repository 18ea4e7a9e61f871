/** Tables taken away whole, where they are: nothing is written where they are not. Impure: netlink. */

import { openChannel, type NetlinkChannel } from '../netlink/channel.js';
import { readTableState } from './dump.js';
import { writeTable, type TableFamily, type TableName } from './messages.js';
import { NETLINK_NETFILTER } from './numbers.js';
import { openTransactions, type Transactions } from './transaction.js';

/** @returns whether it was there; rejects when the kernel refuses */
export async function removeTable(
  channel: NetlinkChannel,
  transactions: Transactions,
  table: TableName,
): Promise<boolean> {
  if ((await readTableState(channel, table)) === undefined) return false;
  await transactions.run(writer => writeTable(writer, 'delete', table));
  return true;
}

/** Of each family, in the network namespace of the calling thread. @returns those that were there; rejects when the kernel refuses */
export async function removeTables(
  name: string,
  families: readonly TableFamily[] = ['ip', 'ip6'],
): Promise<readonly TableName[]> {
  const channel = openChannel(NETLINK_NETFILTER);
  const transactions = openTransactions();
  try {
    const removed: TableName[] = [];
    for (const family of families)
      if (await removeTable(channel, transactions, { family, name })) removed.push({ family, name });
    return removed;
  } finally {
    for (const socket of [channel, transactions]) socket.close();
  }
}
