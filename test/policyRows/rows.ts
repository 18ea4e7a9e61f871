/** Cases of policies as truth tables: asked of the offline engine, and with real packets of what enforces them. */

import type { Protocol } from '../../src/kube/objectTypes.js';

/** `from -> to`, such as `x/* -> x/a` or `* -> y/b`, and whether that is allowed. The last that fits a cell decides. */
export type Expectation = readonly [pattern: string, allowed: boolean];

export interface Step {
  /** All there are from now on. */
  readonly objects: readonly unknown[];
  readonly protocol: Protocol;
  readonly port: number;
  readonly expect: readonly Expectation[];
}

export interface Row {
  readonly name: string;
  readonly steps: readonly Step[];
}

interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** @returns whether one may reach the other: what no expectation speaks of is allowed */
export function isExpected(expectations: readonly Expectation[], from: PodName, to: PodName): boolean {
  return expectations.filter(([pattern]) => fits(pattern, from, to)).at(-1)?.[1] ?? true;
}

function fits(pattern: string, from: PodName, to: PodName): boolean {
  const [left = '', right = ''] = pattern.split(' -> ');
  return isIn(left, from) && isIn(right, to);
}

function isIn(pattern: string, { namespace, name }: PodName): boolean {
  if (pattern === '*') return true;
  const [wanted, pod] = pattern.split('/');
  return wanted === namespace && (pod === '*' || pod === name);
}
