/** What a refusal costs, and whom, against a kernel that refuses whatever has a certain element in it. */

import { expect, test } from '@jest/globals';
import { elementKey, type ElementKey } from '../../../../src/kernel/nftables/elements.js';
import { TransactionError } from '../../../../src/kernel/nftables/transaction.js';
import { closeWaiting, writeApart } from '../../../../src/policy/nftables/apart.js';
import { CLOSED_POD, SETS } from '../../../../src/policy/nftables/layout.js';
import { NAMED_SETS } from '../../../../src/policy/nftables/plan.js';
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

test('a pod that comes to look up a set that was refused before is closed from the first', () => {
  const added = { value: 'open', before: undefined };
  const change = (...keys: readonly ElementKey[]): PolicyDifference => ({
    set: new Map(keys.map(key => [key, added])),
    removed: new Map(),
  });
  const closedIn = (delta: PolicyDifference, refused: ElementKey) =>
    closeWaiting({
      delta,
      refused: new Map([[refused, 'ENOMEM']]),
      pods: [USER, OTHER],
      addressesOf: pod => [ADDRESSES.get(pod) ?? ''],
      needs: pod => ({ keys: new Set(), sets: new Set([pod === USER ? 'group-1' : 'group-2']) }),
    });
  const both = change(podKey(USER), podKey(OTHER));
  for (const refused of [BAD, elementKey(NAMED_SETS, 'group-1')]) {
    const { delta, closed, failures } = closedIn(both, refused);
    expect([...delta.set]).toEqual([
      [podKey(USER), { value: CLOSED_POD, before: undefined }],
      [podKey(OTHER), added],
    ]);
    expect(closed).toEqual(new Map([[USER, 'ENOMEM']]));
    expect(failures).toEqual(new Map([[podKey(USER), 'ENOMEM']]));
  }
  // Tried again with it, or with nothing of it changed: it is for the refusal of this change to close it.
  for (const delta of [change(podKey(USER), BAD), change(podKey(OTHER))])
    expect(closedIn(delta, BAD)).toEqual({ delta, closed: new Map(), failures: new Map() });
});
