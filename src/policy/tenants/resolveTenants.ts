/** From what Namespaces say to the number that each one has. Pure. */

import { assertNever } from '../../core/assertNever.js';
import type { TenantSpec } from './namespaceTenant.js';
import { CLOSED, derivedNumber, GLOBAL, type TenantNumber } from './tenantNumber.js';

export interface TenantRules {
  /** Namespaces that are global unless they have a number. */
  readonly global: ReadonlySet<string>;
  /**
   * given: numbers are given out by whoever holds the Lease; until then a namespace is closed. derived: nobody can write them
   * down (objects come from a folder): numbers are made from names, and changes that are asked for are in force as they
   * stand.
   */
  readonly numbers: 'given' | 'derived';
}

export interface ResolvedTenant {
  readonly number: TenantNumber;
  readonly complaints: readonly string[];
}

/** @param specs of every namespace that is known, or has pods */
export function resolveTenants(
  specs: ReadonlyMap<string, TenantSpec>,
  rules: TenantRules,
): ReadonlyMap<string, ResolvedTenant> {
  if (rules.numbers === 'given')
    return new Map(
      [...specs].map(([name, spec]) => [name, { number: givenNumber(name, spec, rules), complaints: spec.complaints }]),
    );
  const names = new Map<TenantNumber, string[]>();
  for (const name of specs.keys()) {
    const number = derivedNumber(name);
    names.set(number, [...(names.get(number) ?? []), name]);
  }
  return new Map([...specs].map(([name]) => [name, derived(name, specs, rules, names)]));
}

function givenNumber(name: string, { number }: TenantSpec, { global }: TenantRules): TenantNumber {
  if (number === 'bad') return CLOSED;
  return number ?? (global.has(name) ? GLOBAL : CLOSED);
}

function derived(
  name: string,
  specs: ReadonlyMap<string, TenantSpec>,
  rules: TenantRules,
  names: ReadonlyMap<TenantNumber, readonly string[]>,
): ResolvedTenant {
  const complaints = specs.get(name)?.complaints ?? [];
  const closed = (text: string): ResolvedTenant => ({ number: CLOSED, complaints: [...complaints, text] });
  const seen = new Set<string>();
  for (let at = name; ;) {
    if (seen.has(at)) return closed(`joins in a circle (${[...seen, at].join(' → ')}): its pods reach nobody`);
    seen.add(at);
    const spec = specs.get(at);
    if (spec === undefined) return closed(`joins ${at}, which is not there: its pods reach nobody`);
    const { change, number } = spec;
    if (change?.kind === 'join') {
      at = change.namespace;
      continue;
    }
    if (number === 'bad') return { number: CLOSED, complaints };
    if (change === undefined && number !== undefined) return { number, complaints };
    switch (change?.kind) {
      case 'global':
        return { number: GLOBAL, complaints };
      case undefined:
        if (rules.global.has(at)) return { number: GLOBAL, complaints };
        return ownNumber(at);
      case 'isolate':
        return ownNumber(at);
      default:
        return assertNever(change);
    }
  }

  function ownNumber(of: string): ResolvedTenant {
    const number = derivedNumber(of);
    const others = (names.get(number) ?? []).filter(other => other !== of);
    if (others.length === 0) return { number, complaints };
    return closed(
      `has by chance the number that is made for ${others.join(' and ')} too: give it another (annotation peerage.io/tenant.number)`,
    );
  }
}
