import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { formatAddress, parseAddress, parsePrefix, type IpAddress, type IpPrefix } from '../../src/core/ip.js';
import type { ConnectOptions, ListeningSocket, StreamSocket } from '../../src/bgp/session/socketTypes.js';
import { createSocketFactory } from '../../src/kernel/tcpSocket.js';
import { inNamespace } from '../../lab/topology/inNamespace.js';
import { whileInNamespace, ip, joinNamespaces, removeNamespaces, sleep, until } from './tcpNamespaces.js';

// left --- middle --- right: two hops from end to end, one to the middle.
const LEFT = 'tcpt-left';
const MIDDLE = 'tcpt-mid';
const RIGHT = 'tcpt-right';
const NAMES = [LEFT, MIDDLE, RIGHT];
const PORT = 1179;

const factory = createSocketFactory();
const closers: (() => void)[] = [];

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

interface End {
  socket: StreamSocket | undefined;
  connected: boolean;
  received: Buffer;
  closed: string | undefined;
}

function newEnd(): End & { events: Parameters<typeof factory.connect>[1] } {
  const end: End & { events: Parameters<typeof factory.connect>[1] } = {
    socket: undefined,
    connected: false,
    received: Buffer.alloc(0),
    closed: undefined,
    events: {
      connected: () => (end.connected = true),
      data: octets => (end.received = Buffer.concat([end.received, octets])),
      closed: text => (end.closed = text),
    },
  };
  return end;
}

interface Server {
  readonly socket: ListeningSocket;
  readonly accepted: End[];
  listening: boolean;
  failed: string | undefined;
}

function serve(namespace: string, at: string, onAccept: (socket: StreamSocket) => void = () => undefined): Server {
  const accepted: End[] = [];
  const listening = inNamespace(namespace, () =>
    factory.listen(
      { address: address(at), port: PORT },
      {
        listening: () => (server.listening = true),
        accepted: socket => {
          const end = newEnd();
          end.socket = socket;
          accepted.push(end);
          onAccept(socket);
          socket.attach(end.events);
          closers.push(() => socket.destroy());
        },
        failed: text => (server.failed = text),
      },
    ),
  );
  const server: Server = { socket: listening, accepted, listening: false, failed: undefined };
  closers.push(() => listening.close());
  return server;
}

function dial(namespace: string, to: string, options: Partial<ConnectOptions> = {}): End {
  const end = newEnd();
  const socket = inNamespace(namespace, () =>
    factory.connect({ remote: address(to), remotePort: PORT, ...options }, end.events),
  );
  end.socket = socket;
  closers.push(() => socket.destroy());
  return end;
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

beforeAll(() => {
  removeNamespaces(NAMES);
  for (const name of NAMES) ip('netns', 'add', name);
  joinNamespaces(
    { name: LEFT, link: 'tcpt0', addresses: ['10.99.1.1/24', '10.99.1.3/24', 'fd99:1::1/64', 'fe80::1/64'] },
    { name: MIDDLE, link: 'tcpt1', addresses: ['10.99.1.2/24', 'fd99:1::2/64', 'fe80::2/64'] },
  );
  joinNamespaces(
    { name: MIDDLE, link: 'tcpt2', addresses: ['10.99.2.2/24', 'fd99:2::2/64'] },
    { name: RIGHT, link: 'tcpt3', addresses: ['10.99.2.1/24', 'fd99:2::1/64'] },
  );
  ip('-n', LEFT, 'route', 'add', '10.99.2.0/24', 'via', '10.99.1.2');
  ip('-n', LEFT, 'route', 'add', 'fd99:2::/64', 'via', 'fd99:1::2');
  ip('-n', RIGHT, 'route', 'add', '10.99.1.0/24', 'via', '10.99.2.2');
  ip('-n', RIGHT, 'route', 'add', 'fd99:1::/64', 'via', 'fd99:2::2');
  for (const key of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) {
    execFileSync('ip', ['netns', 'exec', MIDDLE, 'sysctl', '-qw', `${key}=1`]);
  }
});

afterEach(async () => {
  closers.splice(0).forEach(close => close());
  await sleep(20);
});

afterAll(() => removeNamespaces(NAMES));

describe.each([
  ['IPv4', '10.99.1.1', '10.99.1.2', '10.99.1.0/24', '10.99.2.1'],
  ['IPv6', 'fd99:1::1', 'fd99:1::2', 'fd99:1::/64', 'fd99:2::1'],
])('%s', (_name, left, middle, leftPrefix, right) => {
  test('octets travel both ways, in the order they were written', async () => {
    const server = serve(MIDDLE, middle);
    await until('listening', () => server.listening);
    const client = dial(LEFT, middle);
    await until('connected', () => client.connected && server.accepted.length === 1);
    expect(formatAddress(client.socket!.endpoints().local)).toBe(left);
    expect(formatAddress(server.accepted[0]!.socket!.endpoints().remote)).toBe(left);
    const big = Buffer.alloc(3_000_000, 'x');
    let flushed = 0;
    client.socket!.write([Buffer.from('one '), big, Buffer.from(' two')], () => flushed++);
    server.accepted[0]!.socket!.write([Buffer.from('three')], () => flushed++);
    await until(
      'arrived',
      () => server.accepted[0]!.received.length === big.length + 8 && client.received.length === 5,
    );
    expect(server.accepted[0]!.received.subarray(0, 5).toString()).toBe('one x');
    expect(server.accepted[0]!.received.subarray(-5).toString()).toBe('x two');
    expect(client.received.toString()).toBe('three');
    expect(flushed).toBe(2);
  });

  test('the right password connects', async () => {
    const server = serve(MIDDLE, middle);
    await until('listening', () => server.listening);
    server.socket.setPassword(address(left), 'secret');
    const client = dial(LEFT, middle, { password: 'secret' });
    await until('connected', () => client.connected && server.accepted.length === 1);
    client.socket!.write([Buffer.from('signed')], () => undefined);
    await until('arrived', () => server.accepted[0]!.received.toString() === 'signed');
  });

  test.each([
    ['a wrong password', 'other'],
    ['no password', undefined],
  ])('%s never connects', async (_what, password) => {
    const server = serve(MIDDLE, middle);
    await until('listening', () => server.listening);
    server.socket.setPassword(address(left), 'secret');
    const client = dial(LEFT, middle, password === undefined ? {} : { password });
    await sleep(1500); // Longer than the first repetition of the SYN.
    expect([client.connected, client.closed, server.accepted.length]).toEqual([false, undefined, 0]);
  });

  test('a password where none is wanted never connects', async () => {
    const server = serve(MIDDLE, middle);
    await until('listening', () => server.listening);
    const client = dial(LEFT, middle, { password: 'secret' });
    await sleep(1500);
    expect([client.connected, server.accepted.length]).toEqual([false, 0]);
  });

  test('a password for a prefix holds for its addresses and can be taken back', async () => {
    const server = serve(MIDDLE, middle);
    await until('listening', () => server.listening);
    server.socket.setPassword(prefix(leftPrefix), 'secret');
    const good = dial(LEFT, middle, { password: 'secret' });
    const bad = dial(LEFT, middle);
    await until('connected', () => good.connected && server.accepted.length === 1);
    await sleep(300);
    expect(bad.connected).toBe(false);
    server.socket.setPassword(prefix(leftPrefix), undefined);
    server.socket.setPassword(prefix(leftPrefix), undefined);
    const plain = dial(LEFT, middle);
    await until('connected without', () => plain.connected);
  });

  test('GTSM lets the neighbour in and drops who is two hops away', async () => {
    const server = serve(MIDDLE, middle, socket => socket.setHops({ ttl: 255, minTtl: 255 }));
    await until('listening', () => server.listening);
    const near = dial(LEFT, middle, { ttl: 255, minTtl: 255 });
    await until('near connected', () => near.connected && server.accepted.length === 1);
    near.socket!.write([Buffer.from('near')], () => undefined);
    await until('near heard', () => server.accepted[0]!.received.toString() === 'near');

    const far = serve(RIGHT, right, socket => socket.setHops({ ttl: 255, minTtl: 255 }));
    await until('listening', () => far.listening);
    const client = dial(LEFT, right, { ttl: 255 });
    await until('handshake', () => far.accepted.length === 1);
    client.socket!.write([Buffer.from('far')], () => undefined);
    await sleep(1000);
    expect(far.accepted[0]!.received.toString()).toBe('');
    // And as the one who connects: the SYN,ACK has come too far.
    const strict = dial(LEFT, right, { ttl: 255, minTtl: 255 });
    await sleep(1000);
    expect(strict.connected).toBe(false);
  });

  test('GTSM reads nothing of who is too far, not even what came before the limit was set', async () => {
    const far = serve(RIGHT, right, socket => socket.setHops({ ttl: 255, minTtl: 255 }));
    await until('listening', () => far.listening);
    const client = newEnd();
    client.events.connected = () => {
      client.socket!.write([Buffer.from('early')], () => undefined);
      // The server's turn comes when these octets are in its buffer.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    };
    const options = { remote: address(right), remotePort: PORT, ttl: 255 };
    client.socket = inNamespace(LEFT, () => factory.connect(options, client.events));
    await until('refused', () => far.accepted[0]?.closed !== undefined);
    expect(far.accepted[0]!.closed).toBe("TTL 254 of the peer's packets is below 255");
    expect(far.accepted[0]!.received.toString()).toBe('');
    client.socket.destroy();
  });

  test('GTSM for two hops lets both in', async () => {
    const server = serve(RIGHT, right, socket => socket.setHops({ ttl: 255, minTtl: 254 }));
    await until('listening', () => server.listening);
    const client = dial(LEFT, right, { ttl: 255, minTtl: 254 });
    await until('connected', () => client.connected && server.accepted.length === 1);
    client.socket!.write([Buffer.from('far')], () => undefined);
    await until('heard', () => server.accepted[0]!.received.toString() === 'far');
  });

  test('TTL 1 reaches the neighbour and nobody beyond', async () => {
    const near = serve(MIDDLE, middle);
    const far = serve(RIGHT, right);
    await until('listening', () => near.listening && far.listening);
    const toNear = dial(LEFT, middle, { ttl: 1 });
    const toFar = dial(LEFT, right, { ttl: 1 });
    await until('near', () => toNear.connected);
    await sleep(300);
    expect(toFar.connected).toBe(false);
    expect(far.accepted).toHaveLength(0);
  });
});

test('the local address is the one asked for', async () => {
  const server = serve(MIDDLE, '10.99.1.2');
  await until('listening', () => server.listening);
  dial(LEFT, '10.99.1.2', { local: address('10.99.1.3') });
  await until('accepted', () => server.accepted.length === 1);
  expect(formatAddress(server.accepted[0]!.socket!.endpoints().remote)).toBe('10.99.1.3');
});

test('a local address that is not ours is reported, not thrown', async () => {
  const client = dial(LEFT, '10.99.1.2', { local: address('10.99.77.7') });
  expect(client.closed).toBeUndefined();
  await until('reported', () => client.closed !== undefined);
  expect(client.closed).toBe('address not available (bind)');
});

test('nobody listening, and a listener that resets, are told apart', async () => {
  const refused = dial(LEFT, '10.99.1.2');
  await until('refused', () => refused.closed !== undefined);
  expect(refused.closed).toBe('connection refused');
  const server = serve(MIDDLE, '10.99.1.2');
  await until('listening', () => server.listening);
  const client = dial(LEFT, '10.99.1.2');
  await until('connected', () => client.connected && server.accepted.length === 1);
  server.accepted[0]!.socket!.end();
  await until('closed', () => client.closed !== undefined);
  expect(client.closed).toBe('closed by the peer');
});

test('a link-local address works with its zone', async () => {
  // Names of links are those of the namespace the thread is in.
  await whileInNamespace(MIDDLE, async () => {
    const server = serve(MIDDLE, 'fe80::2%tcpt1');
    await until('listening', () => server.listening);
    const client = dial(LEFT, 'fe80::2%tcpt0', { ttl: 1 });
    await until('connected', () => client.connected && server.accepted.length === 1);
    expect(formatAddress(server.accepted[0]!.socket!.endpoints().remote)).toMatch(/^fe80::[^%]+%tcpt1$/);
  });
});

test('a port that is taken is reported, and the other listener stays', async () => {
  const first = serve(MIDDLE, '10.99.1.2');
  await until('listening', () => first.listening);
  const second = serve(MIDDLE, '10.99.1.2');
  await until('failed', () => second.failed !== undefined);
  expect(second.failed).toMatch(/^address already in use/);
  const client = dial(LEFT, '10.99.1.2');
  await until('connected', () => client.connected);
});

test('a key that is too long is refused without being shown', async () => {
  const server = serve(MIDDLE, '10.99.1.2');
  await until('listening', () => server.listening);
  const key = 'k'.repeat(81);
  expect(() => server.socket.setPassword(address('10.99.1.1'), key)).toThrow(/10\.99\.1\.1: 81 octets/);
  const client = dial(LEFT, '10.99.1.2', { password: key });
  await until('reported', () => client.closed !== undefined);
  expect(client.closed).not.toContain('kkk');
});

test('no descriptor leaks, however a connection ends', async () => {
  const server = serve(MIDDLE, '10.99.1.2');
  await until('listening', () => server.listening);
  await sleep(50);
  const before = descriptors();
  for (let i = 0; i < 10; i++) {
    const good = dial(LEFT, '10.99.1.2');
    const refused = dial(LEFT, '10.99.2.2');
    const impossible = dial(LEFT, '10.99.1.2', { local: address('10.99.77.7') });
    const early = dial(LEFT, '10.99.1.2');
    early.socket!.destroy();
    const taken = serve(MIDDLE, '10.99.1.2');
    const absent = serve(MIDDLE, '10.99.77.7');
    await until('both failed', () => taken.failed !== undefined && absent.failed !== undefined);
    await until('all ended', () => good.connected && refused.closed !== undefined && impossible.closed !== undefined);
    good.socket!.destroy();
  }
  await until('all accepted ones ended', () => server.accepted.every(end => end.closed !== undefined));
  await sleep(100);
  expect(descriptors()).toBe(before);
});
