/** Truth tables over a model: which pods reach which, against what a list of patterns says. */

import { expect } from '@jest/globals';
import type { Protocol } from '../../../src/kube/objectTypes.js';
import type { PolicyModel } from '../../../src/policy/policyModel.js';
import type { PolicyPod } from '../../../src/policy/policyTypes.js';
import { verdict, type Party } from '../../../src/policy/verdict.js';
import { addressOf } from './modelCluster.js';

/** `from -> to`, such as `x/* -> x/a` or `* -> y/b`, and whether that is allowed. The last that fits a cell decides. */
export type Expectation = readonly [pattern: string, allowed: boolean];

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
  const expected = table((from, to) => expectations.filter(([pattern]) => fits(pattern, from, to)).at(-1)?.[1] ?? true);
  expect(found).toEqual(expected);
}

export function partyOf(pod: PolicyPod): Party {
  return { kind: 'pod', pod, address: addressOf(pod.addresses[0]!) };
}

function fits(pattern: string, from: PolicyPod, to: PolicyPod): boolean {
  const [left = '', right = ''] = pattern.split(' -> ');
  return isIn(left, from) && isIn(right, to);
}

function isIn(pattern: string, { namespace, name }: PolicyPod): boolean {
  if (pattern === '*') return true;
  const [wanted, pod] = pattern.split('/');
  return wanted === namespace && (pod === '*' || pod === name);
}
