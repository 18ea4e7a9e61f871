/** How differences of the policy table are composed, against transactions in memory. */

import { expect, test } from '@jest/globals';
import { elementKey } from '../../../../src/kernel/nftables/elements.js';
import type { SetShape } from '../../../../src/kernel/nftables/messages.js';
import { plain } from '../../../../src/kernel/nftables/ruleParts.js';
import { TransactionError, type Transactions } from '../../../../src/kernel/nftables/transaction.js';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.js';
import { CHAINS, NAMED_SETS } from '../../../../src/policy/nftables/plan.js';
import { createPolicyTarget } from '../../../../src/policy/nftables/policyTarget.js';

const PORTS: SetShape = { name: 'ports-1', key: ['inet_proto', 'inet_service'] };

test('what is refused is tried again as it was wanted when it began, whatever is wanted meanwhile', async () => {
  const sent: string[] = [];
  const transactions: Transactions = {
    portId: 0,
    run: compose => {
      const writer = new NetlinkWriter();
      compose(writer);
      sent.push(Buffer.from(writer.finished()).toString('hex'));
      return sent.length === 1 ? Promise.reject(new TransactionError('ENOMEM')) : Promise.resolve();
    },
    close: () => undefined,
  };
  const chains = new Map([['rules-1', { rules: [[plain('drop')]] }]]);
  const sets = new Map([[PORTS.name, PORTS]]);
  const target = createPolicyTarget({
    family: 4,
    channel: { portId: 0, transact: neverAsked, dump: neverAsked, close: () => undefined },
    transactions,
    contents: { chain: name => chains.get(name), set: name => sets.get(name) },
    commitApart: async (delta, _text, write) => {
      chains.clear();
      sets.clear();
      await write(delta);
      return new Map();
    },
  });
  const keys = [
    elementKey(CHAINS, 'rules-1'),
    elementKey(NAMED_SETS, PORTS.name),
    elementKey(PORTS.name, '\x06\0\0\0\0P\0\0'),
  ];
  await target.commit({ set: new Map(keys.map(key => [key, { value: '', before: undefined }])), removed: new Map() });
  expect(sent).toHaveLength(2);
  expect(sent[1]).toBe(sent[0]);
});

function neverAsked(): never {
  throw new Error('nothing is to be read');
}
