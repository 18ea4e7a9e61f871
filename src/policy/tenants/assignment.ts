/**
 * What whoever gives out numbers has to do: who needs a first one, and who asks for another. Decisions are made on an object
 * as the server has it at the moment, so that repeating one changes nothing. Pure.
 */

import { assertNever } from '../../core/assertNever.js';
import type { TenantSpec } from './namespaceTenant.js';
import type { TenantRules } from './resolveTenants.js';
import { FIRST, GLOBAL, LAST, TenantNumber } from './tenantNumber.js';

export interface TenantTask {
  readonly namespace: string;
  /** first: it has no number. change: it asks for another one. */
  readonly kind: 'first' | 'change';
}

/** In the order of names; first numbers go before changes, which may refer to them. */
export function dueTasks(specs: ReadonlyMap<string, TenantSpec>, rules: TenantRules): readonly TenantTask[] {
  if (rules.numbers === 'derived') return [];
  const tasks = [...specs].flatMap(([namespace, { number, change }]): readonly TenantTask[] => {
    if (change !== undefined) return [{ namespace, kind: 'change' }];
    return number === undefined && !rules.global.has(namespace) ? [{ namespace, kind: 'first' }] : [];
  });
  return tasks.sort((a, b) => compare(b.kind, a.kind) || compare(a.namespace, b.namespace));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

export type TenantDecision =
  | { readonly kind: 'nothing' }
  /** A number that nobody has. */
  | { readonly kind: 'fresh' }
  | { readonly kind: 'number'; readonly number: TenantNumber }
  /** The other has none yet: it will. */
  | { readonly kind: 'later' }
  | { readonly kind: 'refused'; readonly text: string };

/**
 * @param spec of the namespace @param other of the one it joins; undefined: there is none
 * A namespace that is to be alone always gets a fresh number: whether others have its old one is not known for sure.
 */
export function decideTenant(
  namespace: string,
  { number, change }: TenantSpec,
  other: TenantSpec | undefined,
  rules: TenantRules,
): TenantDecision {
  switch (change?.kind) {
    case undefined:
      return number === undefined && !rules.global.has(namespace) ? { kind: 'fresh' } : { kind: 'nothing' };
    case 'global':
      return { kind: 'number', number: GLOBAL };
    case 'isolate':
      return { kind: 'fresh' };
    case 'join':
      return decideJoin(change.namespace, namespace, number, other, rules);
    default:
      return assertNever(change);
  }
}

function decideJoin(
  to: string,
  namespace: string,
  own: TenantSpec['number'],
  other: TenantSpec | undefined,
  { global }: TenantRules,
): TenantDecision {
  if (to === namespace) return typeof own === 'number' ? { kind: 'number', number: own } : { kind: 'fresh' };
  const refused = (why: string): TenantDecision => ({
    kind: 'refused',
    text: `asks to join ${to}, ${why}: its network stays as it is`,
  });
  if (other === undefined) return refused('which is not there');
  if (other.number === 'bad') return refused('which has no number that can be used');
  if (other.number !== undefined) return { kind: 'number', number: other.number };
  return global.has(to) ? { kind: 'number', number: GLOBAL } : { kind: 'later' };
}

/**
 * Numbers to give out next.
 * @param next where to begin; undefined: nobody has written it down @param taken that namespaces have
 * @returns the numbers, and where to begin after them; the first again after the last
 * @throws RangeError when there are not so many
 */
export function freshNumbers(
  next: number | undefined,
  taken: ReadonlySet<number>,
  count: number,
): { readonly numbers: readonly TenantNumber[]; readonly next: number } {
  if (count > LAST - FIRST + 1 - taken.size) throw new RangeError(`there are no ${count} numbers of tenants left`);
  let at = next ?? Math.max(FIRST - 1, ...taken) + 1;
  const numbers: TenantNumber[] = [];
  while (numbers.length < count) {
    if (at < FIRST || at > LAST) at = FIRST;
    if (!taken.has(at)) numbers.push(TenantNumber(at));
    at += 1;
  }
  return { numbers, next: at > LAST ? FIRST : at };
}
