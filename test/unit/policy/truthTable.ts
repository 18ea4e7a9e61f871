/** Truth tables over a model: which pods reach which, against what a list of patterns says. */

import { expect } from '@jest/globals';
import type { Protocol } from '../../../src/kube/objectTypes.js';
import type { PolicyModel } from '../../../src/policy/policyModel.js';
import type { PolicyPod } from '../../../src/policy/policyTypes.js';
import { verdict, type Party } from '../../../src/policy/verdict.js';
import { isExpected, type Expectation } from '../../policyRows/rows.js';
import { addressOf } from './modelCluster.js';

/** Pods do not count as peers of themselves. What no expectation speaks of is allowed. */
export function expectTable(
  model: PolicyModel,
  protocol: Protocol,
  port: number,
  expectations: readonly Expectation[],
): void {
  const pods = [...model.pods.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const table = (isAllowed: (from: PolicyPod, to: PolicyPod) => boolean): readonly string[] =>
    pods.flatMap(from =>
      pods
        .filter(to => to !== from)
        .map(to => `${from.key} -> ${to.key}: ${isAllowed(from, to) ? 'allowed' : 'denied'}`),
    );
  const found = table((from, to) => verdict(model, { from: partyOf(from), to: partyOf(to), protocol, port }).allowed);
  const expected = table((from, to) => isExpected(expectations, from, to));
  expect(found).toEqual(expected);
}

export function partyOf(pod: PolicyPod): Party {
  return { kind: 'pod', pod, address: addressOf(pod.addresses[0]!) };
}
