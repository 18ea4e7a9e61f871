/** How differences of the policy table are composed, against transactions in memory. */

import { expect, test } from '@jest/globals';
import { elementKey } from '../../../../src/kernel/nftables/elements.js';
import type { SetShape } from '../../../../src/kernel/nftables/messages.js';
import { plain } from '../../../../src/kernel/nftables/ruleParts.js';
import { TransactionError, type Transactions } from '../../../../src/kernel/nftables/transaction.js';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.js';
import { blockSet } from '../../../../src/policy/nftables/contentSets.js';
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

test('ranges are written ascending, whatever order they are wanted in: the kernel takes no end before its beginning', async () => {
  const sent: string[] = [];
  const ranges = blockSet(
    [
      { first: '\x0a\0\0\0', last: '\x0a\0\0\x13' },
      { first: '\x0a\0\0\x15', last: '\x0a\0\xff\xff' },
    ],
    4,
  );
  const { name } = ranges.shape;
  const target = createPolicyTarget({
    family: 4,
    channel: { portId: 0, transact: neverAsked, dump: neverAsked, close: () => undefined },
    transactions: {
      portId: 0,
      run: compose => {
        const writer = new NetlinkWriter();
        compose(writer);
        sent.push(Buffer.from(writer.finished()).toString('hex'));
        return Promise.resolve();
      },
      close: () => undefined,
    },
    contents: { chain: () => undefined, set: wanted => (wanted === name ? ranges.shape : undefined) },
    commitApart: neverAsked,
  });
  const keys = [elementKey(NAMED_SETS, name), ...ranges.elements.map(octets => elementKey(name, octets))];
  for (const order of [keys, [...keys].reverse()])
    await target.commit({
      set: new Map(order.map(key => [key, { value: '', before: undefined }])),
      removed: new Map(),
    });
  expect(sent[1]).toBe(sent[0]);
  expect(sent[0]).not.toBe('');
});

function neverAsked(): never {
  throw new Error('nothing is to be read');
}
