/** What a refusal costs, and whom, against a kernel that refuses whatever has a certain element in it. */

import { expect, test } from '@jest/globals';
import { elementKey, type ElementKey } from '../../../../src/kernel/nftables/elements.js';
import { TransactionError } from '../../../../src/kernel/nftables/transaction.js';
import { writeApart } from '../../../../src/policy/nftables/apart.js';
import { CLOSED_POD, SETS } from '../../../../src/policy/nftables/layout.js';
import type { PolicyDifference } from '../../../../src/policy/nftables/policyTarget.js';
import { podName } from '../../../../src/policy/policyTypes.js';

const [USER, OTHER] = [podName('x', 'user'), podName('x', 'other')];
const ADDRESSES = new Map([
  [USER, '\x0a\x01\0\x01'],
  [OTHER, '\x0a\x01\0\x02'],
]);
const podKey = (pod: typeof USER): ElementKey => elementKey(SETS.pods, ADDRESSES.get(pod) ?? '');
const [BAD, GOOD] = [elementKey('group-1', 'bad'), elementKey('group-2', 'good')];

test('pods that look up a set that could not be written are closed, and stay so until it can', async () => {
  const kernel = new Map([USER, OTHER].map(pod => [podKey(pod), 'open']));
  const write = ({ set }: PolicyDifference): Promise<void> => {
    if (set.has(BAD)) return Promise.reject(new TransactionError('ENOMEM'));
    for (const [key, { value }] of set) kernel.set(key, value);
    return Promise.resolve();
  };
  const { failures, closed } = await writeApart({
    delta: { set: new Map([BAD, GOOD].map(key => [key, { value: '', before: undefined }])), removed: new Map() },
    text: 'ENOMEM',
    write,
    pods: [USER, OTHER],
    addressesOf: pod => [ADDRESSES.get(pod) ?? ''],
    needs: pod => ({ keys: new Set(), sets: new Set([pod === USER ? 'group-1' : 'group-2']) }),
    present: new Map(kernel),
  });
  expect(kernel).toEqual(
    new Map([
      [podKey(USER), CLOSED_POD],
      [podKey(OTHER), 'open'],
      [GOOD, ''],
    ]),
  );
  expect([...closed.keys()]).toEqual([USER]);
  expect(new Set(failures.keys())).toEqual(new Set([BAD, podKey(USER)]));
});
