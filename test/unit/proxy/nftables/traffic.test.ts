/** What packets counted, told by frontend; and the octets that elements of the table hold. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseAddress, type IpAddress } from '../../../../src/core/ip.js';
import type { ElementCount } from '../../../../src/kernel/nftables/dump.js';
import { addressOfText, endpointOctets } from '../../../../src/kernel/nftables/elements.js';
import { fanOctets, fanOfOctets, NO_FAN, type Fan } from '../../../../src/proxy/nftables/fanChains.js';
import { frontendElementOctets, parseFrontendElement } from '../../../../src/proxy/nftables/frontendElement.js';
import { describeIdentity, identityOctets, shardOf, SHARDS } from '../../../../src/proxy/nftables/serviceIdentity.js';
import { countingPlaces, trafficOf, type Counted } from '../../../../src/proxy/nftables/traffic.js';
import { frontendKey, servicePortKey, type Frontend } from '../../../../src/proxy/proxyTypes.js';
import { serviceDelta } from '../../../../bench/proxy/services.js';

const endpoint = (address: string, port = 80): string => endpointOctets(addressOfText(address), 'TCP', port);
const [cluster] = [...serviceDelta([0], 1).frontends.set.values()];
const nodePort: Frontend = {
  ...cluster!,
  key: frontendKey(4, undefined, 'TCP', 30080),
  address: undefined,
  port: 30080,
  servicePort: servicePortKey(4, 'bench/s0', '', 'TCP'),
};
const count = (packets: bigint, octets: bigint): ElementCount => ({ packets, octets });
const nothing: Counted = { connections: new Map(), packetsIn: new Map(), packetsOut: new Map() };
const zero = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n };

describe('traffic', () => {
  test('first packets are packets of clients too', () => {
    const address = endpoint(cluster!.address!);
    const counted: Counted = {
      connections: new Map([[address, count(2n, 120n)]]),
      packetsIn: new Map([[address, count(10n, 1000n)]]),
      packetsOut: new Map([[address, count(9n, 9000n)]]),
    };
    expect(trafficOf(counted, [cluster!]).traffic).toEqual(
      new Map([[cluster!.key, { connections: 2n, packetsIn: 12n, packetsOut: 9n, bytesIn: 1120n, bytesOut: 9000n }]]),
    );
  });

  test('a node port is all its addresses together, and one that nobody used has none', () => {
    const connections = new Map(['10.0.0.1', '10.0.0.2'].map(ip => [endpoint(ip, 30080), count(1n, 60n)] as const));
    const { traffic, strangers } = trafficOf({ ...nothing, connections }, [cluster!, nodePort]);
    expect(traffic.get(nodePort.key)).toEqual({ ...zero, connections: 2n, packetsIn: 2n, bytesIn: 120n });
    expect(traffic.get(cluster!.key)).toEqual(zero);
    expect(strangers.connections).toEqual([]);
  });

  test('what is no frontend is told apart, by what counted it', () => {
    const packetsOut = new Map([[endpoint('10.9.9.9', 8080), count(1n, 40n)]]);
    const { traffic, strangers } = trafficOf({ ...nothing, packetsOut }, [cluster!]);
    expect(traffic.get(cluster!.key)).toEqual(zero);
    expect(strangers).toEqual({ connections: [], packetsIn: [], packetsOut: [endpoint('10.9.9.9', 8080)] });
  });
});

describe('where it is counted', () => {
  const own = (...texts: readonly string[]): readonly IpAddress[] =>
    texts.flatMap(text => {
      const address = parseAddress(text);
      return address.ok ? [address.value] : [];
    });

  test('a frontend at its address, a node port at each of the machine’s of its family', () => {
    const local = own('10.0.0.1', 'fd00::1', '10.0.0.2', '10.0.0.1');
    expect(countingPlaces([cluster!, nodePort], local)).toEqual([
      endpoint(cluster!.address!),
      endpoint('10.0.0.1', 30080),
      endpoint('10.0.0.2', 30080),
    ]);
    expect(countingPlaces([nodePort], [])).toEqual([]);
  });

  test('so many that asking for each takes longer than reading all', () => {
    const many = (count: number): readonly Frontend[] => [
      ...serviceDelta(
        Array.from({ length: count }, (_, i) => i),
        1,
      ).frontends.set.values(),
    ];
    expect(countingPlaces(many(500), [])).toHaveLength(500);
    expect(countingPlaces(many(501), [])).toBeUndefined();
  });
});

const fans: fc.Arbitrary<Fan> = fc.record({
  by: fc.constantFrom('address', 'node'),
  list: fc.constantFrom('cluster', 'local'),
  slots: fc.integer({ min: 1, max: 65_535 }),
  shard: fc.integer({ min: 0, max: SHARDS - 1 }),
  affinity: fc.option(fc.integer({ min: 1, max: 2 ** 32 - 1 }), { nil: undefined }),
});

describe('octets', () => {
  test('a fan chain is found by what says all of it', () => {
    fc.assert(fc.property(fans, fan => expect(fanOfOctets(fanOctets(fan))).toEqual(fan)));
    expect(fanOfOctets(NO_FAN)).toBeUndefined();
  });

  test('an element of a frontend is read as it is written', () => {
    const identity = identityOctets(endpoint('10.96.0.1'), 4);
    const element = fc.record({
      policy: fc.integer({ min: 0, max: 8 }),
      fan: fans,
      local: fc.option(fans, { nil: undefined }),
      identity: fc.constant(identity),
    });
    fc.assert(fc.property(element, given => expect(parseFrontendElement(frontendElementOctets(given))).toEqual(given)));
    expect(parseFrontendElement('')).toBeUndefined();
  });

  test('identities of IPv4 are the endpoint, and those of IPv6 differ with every part of it', () => {
    expect(describeIdentity(identityOctets(endpoint('10.96.0.1', 30_080), 4), 4)).toBe('10.96.0.1 tcp 30080');
    const six = (text: string, port: number, protocol: 'TCP' | 'UDP'): string =>
      identityOctets(endpointOctets(addressOfText(text), protocol, port), 6);
    const all = [
      six('fd00::1', 80, 'TCP'),
      six('fd00::2', 80, 'TCP'),
      six('fd00::1', 81, 'TCP'),
      six('fd00::1', 80, 'UDP'),
    ];
    expect(new Set(all).size).toBe(4);
    expect(all.map(identity => identity.length)).toEqual([8, 8, 8, 8]);
  });

  test('neighbouring cluster IPs are spread over all maps of backends', () => {
    const counts = new Map<number, number>();
    for (let i = 0; i < 4096; i++) {
      const shard = shardOf(identityOctets(endpoint(`10.96.${i >> 8}.${i & 255}`), 4));
      counts.set(shard, (counts.get(shard) ?? 0) + 1);
    }
    expect(counts.size).toBe(SHARDS);
    expect(Math.max(...counts.values())).toBeLessThan((2 * 4096) / SHARDS);
    expect([...counts.keys()].every(shard => shard >= 0 && shard < SHARDS)).toBe(true);
  });
});
