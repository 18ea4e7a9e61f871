/** The plan of the nftables proxy: changes add up to what a plan from nothing would want. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseAddress } from '../../../../src/core/ip.js';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import { createPlan, type Plan } from '../../../../src/proxy/nftables/plan.js';
import { PROXY_TABLE } from '../../../../src/proxy/nftables/proxyTable.js';
import { addressOctets, addressOfText } from '../../../../src/kernel/nftables/elements.js';
import { fanName, parseFan } from '../../../../src/proxy/nftables/fanChains.js';
import { slotsOf } from '../../../../src/proxy/nftables/servicePortElements.js';
import type { Backend, ProxyDelta } from '../../../../src/proxy/proxyTypes.js';
import { serviceDelta } from '../../../../bench/proxy/services.js';

const backend = (last: number, weight: number): Backend => ({
  address: `10.244.0.${last}` as IpText,
  port: 80,
  weight,
  isLocal: false,
  state: 'ready',
});

function removal(index: number): ProxyDelta {
  const { frontends, backends, addresses } = serviceDelta([index], 1);
  return {
    frontends: { set: new Map(), removed: new Set(frontends.set.keys()) },
    backends: { set: new Map(), removed: new Set(backends.set.keys()) },
    addresses,
  };
}

function follow(plan: Plan, deltas: readonly ProxyDelta[]): ReadonlyMap<string, string> {
  const elements = new Map<string, string>();
  for (const delta of deltas) {
    for (const [key, value] of plan.apply(delta).elements) {
      if (value === undefined) elements.delete(key);
      else elements.set(key, value);
    }
  }
  // Chains that nobody needs any more stay.
  return new Map([...elements].filter(([key]) => !/^(chain|fans) /.test(key)).sort());
}

test('changes add up to what a plan from nothing wants', () => {
  const step = fc.tuple(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: -1, max: 4 }),
    fc.integer({ min: 0, max: 9 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), steps => {
      const last = new Map<number, ProxyDelta>();
      const deltas = steps.map(([index, endpoints, generation]) => {
        const delta = endpoints < 0 ? removal(index) : serviceDelta([index], endpoints, generation);
        last.set(index, delta);
        return delta;
      });
      expect(follow(createPlan(4, PROXY_TABLE), deltas)).toEqual(
        follow(createPlan(4, PROXY_TABLE), [...last.values()]),
      );
    }),
  );
});

test('one endpoint that moved is one element', () => {
  const plan = createPlan(4, PROXY_TABLE);
  plan.apply(serviceDelta([0, 1, 2], 10));
  expect(plan.apply(serviceDelta([1], 10, 7)).elements.size).toBe(1);
});

test('the other family is not looked at', () => {
  expect(createPlan(6, PROXY_TABLE).apply(serviceDelta([0], 2)).elements.size).toBe(0);
});

describe('slots', () => {
  const shares = (weights: readonly number[]): readonly number[] => {
    const backends = weights.map((weight, i) => backend(i, weight));
    const slots = slotsOf(backends);
    return backends.map(one => slots.filter(slot => slot === one).length);
  };
  test.each([
    ['equal weights', [1, 1, 1], [1, 1, 1]],
    ['a common divisor', [100, 200], [1, 2]],
    ['no weight', [0, 5], [0, 1]],
    ['nobody', [0, 0], [0, 0]],
  ])('%s', (_name, weights, expected) => expect(shares(weights)).toEqual(expected));

  test('there are never too many, and nobody is rounded away', () => {
    const [least, most] = shares([1, 65_535]);
    expect(least).toBe(1);
    expect(most).toBeGreaterThan(1000);
    expect(most).toBeLessThanOrEqual(4096);
  });
});

test.each(['address-cluster-3-of-0', 'node-local-1-of-15-for-10800s', 'node-cluster-65535-of-7'])(
  '%s is read as it is written',
  name => {
    const fan = parseFan(name);
    expect(fan === undefined ? undefined : fanName(fan)).toBe(name);
  },
);
test.each(['services', 'address-cluster-0-of-1', 'node-cluster-3-of-16', 'node-local-1-of-1-for-s', 'mark-always'])(
  '%s is no fan chain',
  name => {
    expect(parseFan(name)).toBeUndefined();
  },
);

describe('addresses in text', () => {
  test.each([
    ['10.244.0.1', '\x0a\xf4\0\x01'],
    ['255.255.255.255', '\xff\xff\xff\xff'],
    ['fd00::1', `\xfd${'\0'.repeat(14)}\x01`],
  ])('%s', (text, octets) => expect(addressOfText(text)).toBe(octets));

  test.each(['10.0.0', '10.0.0.256', '10.0.0.01', '10.0.0.1.', '10..0.1', '10.0.0.1.1', '', 'web', '1e1.0.0.0'])(
    '%j is none',
    text => expect(() => addressOfText(text)).toThrow(RangeError),
  );

  test('whatever is read is what the library reads', () => {
    fc.assert(
      fc.property(fc.ipV4(), text => {
        const address = parseAddress(text);
        expect(addressOfText(text)).toBe(address.ok ? addressOctets(address.value) : '');
      }),
    );
  });
});
