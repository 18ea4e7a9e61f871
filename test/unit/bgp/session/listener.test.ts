import { beforeEach, expect, test } from '@jest/globals';
import type { IpAddress, IpPrefix } from '../../../../src/core/ip.js';
import { createListener } from '../../../../src/bgp/session/listener.js';
import type { Listener } from '../../../../src/bgp/session/listenerTypes.js';
import { socketHops } from '../../../../src/bgp/session/hops.js';
import type { ListeningEvents, SocketFactory, StreamSocket } from '../../../../src/bgp/session/socketTypes.js';
import { address } from './memoryNetwork.js';

let events: ListeningEvents;
let keys: string[];
let log: string[];
let listener: Listener;
let refusal: Error | undefined;

const sockets: SocketFactory = {
  connect: () => {
    throw new Error('a listener does not connect');
  },
  listen: (_options, given) => {
    events = given;
    return {
      setPassword: (_peer: IpAddress | IpPrefix, password) => {
        if (refusal !== undefined) throw refusal;
        keys.push(password ?? 'none');
      },
      close: () => log.push('closed'),
    };
  },
};

beforeEach(() => {
  keys = [];
  log = [];
  refusal = undefined;
  listener = createListener({
    address: address('10.0.0.1'),
    port: 179,
    sockets,
    onConnection: (_socket, { remotePort }) => log.push(`connection from port ${remotePort}`),
    onListening: () => log.push('listening'),
    onError: text => log.push(text),
  });
});

test('a failure names address and port', () => {
  events.failed('address already in use');
  expect(log).toEqual(['cannot listen on 10.0.0.1 port 179: address already in use']);
});

test('keys of the other IP version are not for this socket', () => {
  listener.setPassword(address('10.0.0.2'), 'a');
  listener.setPassword(address('fd00::2'), 'b');
  listener.setPassword({ address: address('10.1.0.0'), length: 16 }, 'c');
  listener.setPassword({ address: address('fd00::'), length: 64 }, 'd');
  listener.setPassword(address('10.0.0.2'), undefined);
  expect(keys).toEqual(['a', 'c', 'none']);
});

test('a key that the kernel refuses is reported and costs nothing else', () => {
  refusal = new Error('TCP-MD5 password for 10.0.0.2: ENOMEM');
  listener.setPassword(address('10.0.0.2'), 'secret');
  expect(log).toEqual(['listener on 10.0.0.1 port 179: TCP-MD5 password for 10.0.0.2: ENOMEM']);
});

test('connections are handed over until it is closed', () => {
  let destroyed = 0;
  const endpoints = { local: address('10.0.0.1'), localPort: 179, remote: address('10.0.0.2'), remotePort: 4000 };
  const socket: StreamSocket = {
    endpoints: () => endpoints,
    attach: () => undefined,
    write: () => undefined,
    pauseReading: () => undefined,
    resumeReading: () => undefined,
    setHops: () => undefined,
    end: () => undefined,
    destroy: () => destroyed++,
  };
  events.listening();
  events.accepted(socket);
  listener.close();
  events.accepted(socket);
  expect(log).toEqual(['listening', 'connection from port 4000', 'closed']);
  expect(destroyed).toBe(1);
});

test.each([
  ['a direct eBGP peer is one hop away', { kind: 'direct' }, 'ebgp', { ttl: 1 }],
  ['a direct iBGP peer may be anywhere', { kind: 'direct' }, 'ibgp', {}],
  ['a peer of unknown AS too, until it is known', { kind: 'direct' }, undefined, {}],
  ['multihop says how far', { kind: 'multihop', ttl: 5 }, 'ebgp', { ttl: 5 }],
  ['GTSM for a neighbour', { kind: 'gtsm', hops: 1 }, 'ebgp', { ttl: 255, minTtl: 255 }],
  ['GTSM for three hops', { kind: 'gtsm', hops: 3 }, 'ibgp', { ttl: 255, minTtl: 253 }],
] as const)('%s', (_name, hops, kind, expected) => {
  expect(socketHops(hops, kind)).toEqual(expected);
});
