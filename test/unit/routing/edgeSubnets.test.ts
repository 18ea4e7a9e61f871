import { describe as group, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatPrefix, prefixContains, type IpPrefix } from '../../../src/core/ip.js';
import {
  allocateSubnets,
  formatAsk,
  parseAsk,
  parseSubnets,
  type SubnetAsk,
  type SubnetRequest,
} from '../../../src/routing/edgeSubnets.js';
import { prefix } from './serviceCluster.js';

const RANGES = ['10.250.0.0/22', 'fd00:ed9e::/62'].map(prefix);
const request = (name: string, ask: SubnetAsk, held = '', createdAt = ''): SubnetRequest => ({
  name,
  createdAt,
  ask,
  held: parseSubnets(held),
});
const given = (requests: readonly SubnetRequest[], ranges = RANGES): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...allocateSubnets(requests, ranges)].map(([name, { subnets, complaints }]) => [
      name,
      [...subnets.map(formatPrefix), ...complaints].join(', '),
    ]),
  );

group('who gets which subnet', () => {
  test.each<[string, readonly SubnetRequest[], Readonly<Record<string, string>>]>([
    [
      'one of each family that is asked for',
      [request('a', { ipv4: 24, ipv6: 64 }), request('b', { ipv4: 24 })],
      { a: '10.250.0.0/24, fd00:ed9e::/64', b: '10.250.1.0/24' },
    ],
    [
      'the oldest first',
      [request('a', { ipv4: 24 }, '', '2026-01-02T00:00:00Z'), request('b', { ipv4: 24 }, '', '2026-01-01T00:00:00Z')],
      { a: '10.250.1.0/24', b: '10.250.0.0/24' },
    ],
    [
      'what is held stays, also before older ones that ask',
      [request('a', { ipv4: 24 }), request('b', { ipv4: 24 }, '10.250.0.0/24')],
      { a: '10.250.1.0/24', b: '10.250.0.0/24' },
    ],
    [
      'two hold the same: the older keeps it',
      [request('a', { ipv4: 24 }, '10.250.3.0/24'), request('b', { ipv4: 25 }, '10.250.3.128/25')],
      { a: '10.250.3.0/24', b: '10.250.0.0/25' },
    ],
    ['held outside of the ranges', [request('a', { ipv4: 24 }, '192.0.2.0/24')], { a: '10.250.0.0/24' }],
    ['held, and another length asked for', [request('a', { ipv4: 26 }, '10.250.2.0/24')], { a: '10.250.0.0/26' }],
    [
      'nothing that overlaps a smaller one',
      [request('a', { ipv4: 28 }, '10.250.0.240/28'), request('b', { ipv4: 23 })],
      { a: '10.250.0.240/28', b: '10.250.2.0/23' },
    ],
    ['more than there is', [request('a', { ipv4: 21 })], { a: 'gets no IPv4 subnet: no /21 is free' }],
    [
      'all used up',
      ['a', 'b', 'c'].map(name => request(name, { ipv4: 23 })),
      { a: '10.250.0.0/23', b: '10.250.2.0/23', c: 'gets no IPv4 subnet: no /23 is free' },
    ],
  ])('%s', (_what, requests, expected) => {
    expect(given(requests)).toEqual(expected);
  });
});

const overlap = (a: IpPrefix, b: IpPrefix): boolean =>
  a.length >= b.length ? prefixContains(b, a.address) : prefixContains(a, b.address);

test('no two overlap, and an answer that was written stays', () => {
  const some = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    ask: fc.record({ ipv4: fc.integer({ min: 22, max: 28 }), ipv6: fc.integer({ min: 62, max: 66 }) }),
    held: fc.constantFrom('', '10.250.0.0/24', '10.250.0.64/26', 'fd00:ed9e::/64, 10.250.1.0/24'),
  });
  fc.assert(
    fc.property(fc.uniqueArray(some, { selector: ({ name }) => name }), list => {
      const requests = list.map(({ name, ask, held }) => request(name, ask, held));
      const grants = allocateSubnets(requests, RANGES);
      const all = [...grants.values()].flatMap(({ subnets }) => subnets);
      for (const [i, a] of all.entries()) for (const b of all.slice(i + 1)) expect(overlap(a, b)).toBe(false);
      const written = requests.map(one => ({ ...one, held: grants.get(one.name)!.subnets }));
      expect(allocateSubnets(written, RANGES)).toEqual(grants);
    }),
  );
});

test('what is asked is a text that both ends read', () => {
  for (const ask of [{ ipv4: 24 }, { ipv6: 64 }, { ipv4: 24, ipv6: 64 }]) expect(parseAsk(formatAsk(ask))).toEqual(ask);
  for (const text of ['', 'ipv4', 'ipv4/33', 'ipv5/2', 'ipv4/24;']) expect(parseAsk(text)).toBeUndefined();
});
