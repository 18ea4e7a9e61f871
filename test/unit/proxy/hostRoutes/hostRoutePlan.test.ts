/** Which routes this machine needs to reach cluster IPs, and by which link. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatAddress, parseAddress, parsePrefix, type IpAddress, type IpPrefix } from '../../../../src/core/ip.js';
import type { InterfaceAddress } from '../../../../src/kernel/addresses.js';
import type { Link } from '../../../../src/kernel/links.js';
import { IFF_LOOPBACK, IFF_RUNNING, IFF_UP } from '../../../../src/kernel/rtnetlink.js';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import {
  createHostRoutePlan,
  parseRouteValue,
  routeTerms,
  routeValue,
  type HostRouteChanges,
} from '../../../../src/proxy/hostRoutes/hostRoutePlan.js';
import type { KeyedChange, ServiceAddress } from '../../../../src/proxy/proxyTypes.js';

const address = (text: string): IpAddress => {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};
const prefix = (text: string): IpPrefix => {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};
const link = (index: number, more: Partial<Link> = {}): Link => ({
  index,
  name: `eth${index}`,
  mtu: 1500,
  flags: IFF_UP | IFF_RUNNING,
  operState: 6,
  master: null,
  ...more,
});
const LO = link(1, { name: 'lo', flags: IFF_UP | IFF_RUNNING | IFF_LOOPBACK });
const on = (ifindex: number, text: string, scope = 0): InterfaceAddress => ({
  ifindex,
  address: address(text),
  length: 24,
  scope,
  flags: 0x80,
});
const LINK_SCOPE = 253;
const OWN = [address('192.0.2.1'), address('2001:db8::1')];

describe('by which link', () => {
  const cases: readonly [
    what: string,
    family: 4 | 6,
    links: readonly Link[],
    addresses: readonly InterfaceAddress[],
    expected: string | undefined,
  ][] = [
    ['the link with the address', 4, [LO, link(2), link(3)], [on(2, '10.0.0.1'), on(3, '192.0.2.1')], '3 192.0.2.1'],
    ['of the own family', 6, [LO, link(2), link(3)], [on(3, '192.0.2.1'), on(2, '2001:db8::1')], '2 2001:db8::1'],
    ['an address that is not here', 4, [LO, link(2)], [on(2, '10.0.0.1')], undefined],
    ['the link is down', 4, [LO, link(2, { flags: 0 })], [on(2, '192.0.2.1')], undefined],
    [
      'address on lo: one with an address',
      4,
      [LO, link(2), link(3)],
      [on(1, '192.0.2.1'), on(3, '10.0.0.1')],
      '3 192.0.2.1',
    ],
    ['address on lo: none has an address', 4, [LO, link(3), link(2)], [on(1, '192.0.2.1')], '2 192.0.2.1'],
    [
      'IPv6 is off on the first',
      6,
      [LO, link(2), link(3)],
      [on(1, '2001:db8::1'), on(3, 'fe80::1', LINK_SCOPE)],
      '3 2001:db8::1',
    ],
    [
      'ports of a bridge carry nothing of ours',
      4,
      [LO, link(2, { master: 9 }), link(3)],
      [on(1, '192.0.2.1')],
      '3 192.0.2.1',
    ],
  ];
  test.each(cases)('%s', (_, family, links, addresses, expected) => {
    const terms = routeTerms(family, OWN, { links, addresses });
    expect(terms && routeValue(terms)).toBe(expected);
  });

  test('where any would do, the one of before stays', () => {
    const found = { links: [LO, link(2), link(3)], addresses: [on(1, '192.0.2.1')] };
    const before = { ifindex: 3, source: address('192.0.2.1') };
    expect(routeTerms(4, OWN, found, before)?.ifindex).toBe(3);
    expect(routeTerms(4, OWN, { ...found, links: [LO, link(2)] }, before)?.ifindex).toBe(2);
  });
});

test('the value says all that there is to a route', () => {
  expect(parseRouteValue('7 2001:db8::1')).toEqual({ ifindex: 7, source: address('2001:db8::1') });
  expect(parseRouteValue('other')).toBeUndefined();
});

const service = (text: string, isClusterIp = true): readonly [IpText, ServiceAddress] => {
  const name = text as IpText;
  return [name, { address: name, family: text.includes(':') ? 6 : 4, isClusterIp }];
};

describe('which routes', () => {
  const terms = { ifindex: 2, source: address('192.0.2.1') };
  const change = (set: readonly string[], removed: readonly string[] = []): KeyedChange<IpText, ServiceAddress> => ({
    set: new Map(set.map(text => service(text))),
    removed: new Set(removed.map(text => text as IpText)),
  });

  test('a network has one, addresses in it none, and external addresses none either', () => {
    const plan = createHostRoutePlan();
    plan.setTerms(4, terms);
    expect([...plan.setNetworks([prefix('10.96.0.0/12')])]).toEqual([['10.96.0.0/12', '2 192.0.2.1']]);
    expect([...plan.apply(change(['10.96.0.1', '10.200.0.1']))]).toEqual([['10.200.0.1/32', '2 192.0.2.1']]);
    expect([...plan.apply({ set: new Map([service('203.0.113.1', false)]), removed: new Set() })]).toEqual([]);
  });

  test('an address that is a cluster IP no more has none', () => {
    const plan = createHostRoutePlan();
    plan.setTerms(4, terms);
    plan.apply(change(['10.200.0.1']));
    const other = plan.apply({ set: new Map([service('10.200.0.1', false)]), removed: new Set() });
    expect([...other]).toEqual([['10.200.0.1/32', undefined]]);
  });

  test('without terms of its family there is none', () => {
    const plan = createHostRoutePlan();
    plan.setTerms(4, terms);
    expect([...plan.setNetworks([prefix('fd96::/64')])]).toEqual([['fd96::/64', undefined]]);
  });

  test('whatever the order of events, what was told in steps is what a plan from nothing says', () => {
    const texts = ['10.96.0.1', '10.97.0.1', '10.200.0.1', 'fd96::1'];
    const networks = ['10.96.0.0/16', '10.97.0.0/16', 'fd96::/64'].map(prefix);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('addresses' as const), set: fc.subarray(texts), removed: fc.subarray(texts) }),
      fc.record({ kind: fc.constant('networks' as const), networks: fc.subarray(networks) }),
      fc.record({ kind: fc.constant('terms' as const), ifindex: fc.option(fc.integer({ min: 1, max: 3 })) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), steps => {
        const plan = createHostRoutePlan();
        const told = new Map<string, string>();
        const state = {
          present: new Set<string>(),
          networks: [] as readonly IpPrefix[],
          ifindex: null as number | null,
        };
        for (const given of steps) {
          if (given.kind === 'addresses') {
            const removed = given.removed.filter(text => !given.set.includes(text));
            take(told, plan.apply(change(given.set, removed)));
            for (const text of removed) state.present.delete(text);
            for (const text of given.set) state.present.add(text);
          } else if (given.kind === 'networks') {
            take(told, plan.setNetworks(given.networks));
            state.networks = given.networks;
          } else {
            state.ifindex = given.ifindex;
            take(told, plan.setTerms(4, given.ifindex === null ? undefined : { ...terms, ifindex: given.ifindex }));
          }
        }
        const fresh = createHostRoutePlan();
        const expected = new Map<string, string>();
        if (state.ifindex !== null) take(expected, fresh.setTerms(4, { ...terms, ifindex: state.ifindex }));
        take(expected, fresh.setNetworks(state.networks));
        take(expected, fresh.apply(change([...state.present])));
        expect(new Map([...told].sort())).toEqual(new Map([...expected].sort()));
        for (const value of told.values()) expect(value).toContain(formatAddress(terms.source));
      }),
    );
  });

  function take(into: Map<string, string>, changes: HostRouteChanges): void {
    for (const [key, value] of changes) {
      if (value === undefined) into.delete(key);
      else into.set(key, value);
    }
  }
});
