/** What the kernel has, in words of services. */

import { expect, test } from '@jest/globals';
import type { Counters, FoundDestination, FoundServer } from '../../../../src/kernel/ipvs/messages.js';
import { countersByPort, ipvsFrontend } from '../../../../src/proxy/ipvs/kernelServers.js';
import { serverKey } from '../../../../src/proxy/ipvs/virtualServers.js';
import { address, stateOf } from './ipvsWorld.js';

function counters(n: bigint): Counters {
  return { connections: n, packetsIn: 2n * n, packetsOut: 3n * n, bytesIn: 4n * n, bytesOut: 5n * n };
}

function server(text: string, n: bigint): FoundServer {
  const base = { protocol: 6, port: 30001, scheduler: 'rr', flags: 0, timeout: 0 };
  return { address: address(text), ...base, counters: counters(n) };
}

function destination(text: string, active: number): FoundDestination {
  const base = { port: 8080, weight: 1, method: 0, inactive: 9, persistent: 0, counters: counters(0n) };
  return { address: address(text), active, ...base };
}

const STATE = stateOf([{ name: 'w', pods: [1], nodePort: 30001 }]);
const NODE_PORT = [...STATE.frontends.values()].find(({ kind }) => kind === 'nodePort')!;
const LISTS = STATE.backends.get(NODE_PORT.servicePort);
const SERVERS = [server('192.168.9.1', 1n), server('192.168.9.2', 10n)];

test('a node port is one thing, however many addresses it is at', () => {
  const found = ipvsFrontend(NODE_PORT, LISTS, SERVERS, [
    [destination('10.244.0.1', 2)],
    [destination('10.244.0.1', 3)],
  ]);
  expect(found).toEqual({
    key: NODE_PORT.key,
    backends: [{ address: '10.244.0.1', port: 8080, weight: 1, activeConnections: 5 }],
    verdict: 'forward',
    counters: counters(11n),
  });
});

test('what the kernel has no server for, it does not have', () => {
  expect(ipvsFrontend(NODE_PORT, LISTS, [], [])).toBeUndefined();
});

test('counters add up by service port, and foreign servers are in none', () => {
  const mine = new Set(SERVERS.map(serverKey));
  const found = countersByPort([...SERVERS, server('192.168.9.3', 100n)], key =>
    mine.has(key) ? NODE_PORT.servicePort : undefined,
  );
  expect([...found]).toEqual([[NODE_PORT.servicePort, counters(11n)]]);
});
