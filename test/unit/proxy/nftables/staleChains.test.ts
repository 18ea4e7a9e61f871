import { expect, test } from '@jest/globals';
import { createDeltaTable } from '../../../../src/core/deltaTable.js';
import { elementKey } from '../../../../src/kernel/nftables/elements.js';
import { TransactionError, type Transactions } from '../../../../src/kernel/nftables/transaction.js';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.js';
import { fanName, fanOctets, type Fan } from '../../../../src/proxy/nftables/fanChains.js';
import { layoutOf, SETS } from '../../../../src/proxy/nftables/layout.js';
import { CHAINS } from '../../../../src/proxy/nftables/plan.js';
import { createTableTarget, fingerprint, STRUCTURE } from '../../../../src/proxy/nftables/tableTarget.js';
import { SETTINGS } from '../../../kernel/proxyRig.js';

const LAYOUT = layoutOf(4, SETTINGS);
const FAN: Fan = { by: 'address', list: 'cluster', slots: 3, shard: 1, affinity: undefined };
const NEW = elementKey(SETS.clusterIps, '\x0a\x60\0\x01');

test('chains of a former life go in a transaction of their own where the kernel still counts what led to them', async () => {
  const sent: string[] = [];
  const transactions: Transactions = {
    portId: 0,
    run: compose => {
      const writer = new NetlinkWriter();
      compose(writer);
      const octets = Buffer.from(writer.finished()).toString('latin1');
      sent.push(octets);
      const isBusy = octets.includes(`${fanName(FAN)}\0`) && octets.includes(`${SETS.fans}\0`);
      return isBusy ? Promise.reject(new TransactionError('EBUSY')) : Promise.resolve();
    },
    close: () => undefined,
  };
  const target = createTableTarget(
    {
      table: 't',
      family: 4,
      channel: { dump: () => Promise.reject(new Error('not read')) } as never,
      transactions,
      entrances: [SETS.frontends],
      groupsOf: () => new Map(),
    },
    LAYOUT,
  );
  const table = createDeltaTable<string, string>((a, b) => a === b);
  const mark = fingerprint(LAYOUT);
  table.found(
    new Map([
      [STRUCTURE, mark],
      [elementKey(CHAINS, fanName(FAN)), ''],
      [elementKey(SETS.fans, fanOctets(FAN)), `goto ${fanName(FAN)}`],
    ]),
  );
  table.want([
    [STRUCTURE, mark],
    [NEW, ''],
  ]);
  expect(await target.commit(table.delta())).toEqual(new Map());
  expect(sent.map(octets => octets.includes(`${SETS.clusterIps}\0`))).toEqual([true, true, false]);
});
