/** What packets have counted where they were denied, told by pod and reason. Impure: netlink. */

import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { readCounts } from '../../kernel/nftables/dump.js';
import { describeEndpoint } from '../../kernel/nftables/elements.js';
import { writeElements, type TableName } from '../../kernel/nftables/messages.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import { TransactionError, type Transactions } from '../../kernel/nftables/transaction.js';
import type { IpText } from '../../kube/objectTypes.js';
import type { Denial } from '../policyFirewall.js';
import type { PodName } from '../policyTypes.js';
import type { Decision } from './chains.js';
import { SETS } from './layout.js';

export interface DenialReading {
  readonly channel: NetlinkChannel;
  readonly transactions: Transactions;
  readonly table: TableName;
  readonly family: Family;
  readonly plan: { podAt(address: string): PodName | undefined };
  readonly firewall: { decision(digest: string): Decision | undefined };
}

const DIGEST_OCTETS = 8;

export async function readDenials(reading: DenialReading): Promise<readonly Denial[]> {
  const { channel, table, family, plan, firewall } = reading;
  const denials: Denial[] = [];
  const strangers: string[] = [];
  for (const [key, { packets }] of await readCounts(channel, table, SETS.denials)) {
    const octets = key.slice(0, -DIGEST_OCTETS);
    const decision = firewall.decision(Buffer.from(key.slice(-DIGEST_OCTETS), 'latin1').toString('hex'));
    const pod = plan.podAt(octets);
    if (decision === undefined || (pod === undefined && decision.cause.kind !== 'unknown')) strangers.push(key);
    else {
      const address = describeEndpoint(octets, family) as IpText;
      denials.push({ pod, address, direction: decision.direction, cause: decision.cause, packets });
    }
  }
  await forget(reading, strangers);
  return denials;
}

/** Takes out what nobody asks for. What goes by itself meanwhile is refused with the rest, and tried again another time. */
async function forget({ transactions, table }: DenialReading, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  try {
    const elements = keys.map(key => ({ key, value: undefined }));
    await transactions.run(writer => writeElements(writer, 'delete', table, SETS.denials, elements));
  } catch (error) {
    if (!(error instanceof TransactionError)) throw error;
  }
}
