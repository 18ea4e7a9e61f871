import { beforeEach, describe, expect, test } from '@jest/globals';
import { Ipv4 } from '../../../../src/core/ip.js';
import { Asn } from '../../../../src/bgp/asn.js';
import type { SessionConfig } from '../../../../src/bgp/session/sessionTypes.js';
import { encodeMessage } from '../../../../src/bgp/wire/frame.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { MemoryNetwork, address, type MemorySocket } from './memoryNetwork.js';
import { makeHost, peerConfig, sessionConfig, type Host } from './testSession.js';

let clock: VirtualClock;
let network: MemoryNetwork;
beforeEach(() => {
  clock = new VirtualClock();
  network = new MemoryNetwork(clock);
});

/** Two hosts, not started. */
function pair(left: Partial<SessionConfig> = {}, right: Partial<SessionConfig> = {}): [Host, Host] {
  return [makeHost(network, '10.0.0.1', sessionConfig(left)), makeHost(network, '10.0.0.2', peerConfig(right))];
}

/** Two hosts with their session up; the right one is passive. */
function established(left: Partial<SessionConfig> = {}, right: Partial<SessionConfig> = {}): [Host, Host] {
  const hosts = pair(left, { passive: true, ...right });
  hosts[1].session.start();
  hosts[0].session.start();
  clock.advance(100);
  expect(hosts.map(h => h.session.state)).toEqual(['Established', 'Established']);
  return hosts;
}

function open(): MemorySocket[] {
  return network.sockets.filter(s => !s.destroyed);
}

const update = (filler: number, length = 30): Uint8Array => encodeMessage(2, new Uint8Array(length).fill(filler));

describe('coming up', () => {
  test('an active and a passive speaker come up and tell their owners in order', () => {
    const [left, right] = established();
    expect(left.log.slice(0, 5)).toEqual(['Connect', 'OpenSent', 'OpenConfirm', 'up ebgp 10.0.0.2', 'Established']);
    expect(right.log.slice(0, 5)).toEqual(['Active', 'OpenSent', 'OpenConfirm', 'up ebgp 10.0.0.1', 'Established']);
    expect(left.session.negotiated).toMatchObject({ holdTime: 90, keepaliveTime: 30, maxMessage: 65535 });
    expect(left.session.establishedAt).toBeInstanceOf(Date);
    expect(left.session.lastError).toBeUndefined();
    expect(left.session.counters).toMatchObject({
      messagesSent: { open: 1, keepalive: 1 },
      messagesReceived: { open: 1, keepalive: 1 },
      established: 1,
    });
  });

  test('a speaker that starts first waits for the other and takes its connection', () => {
    const [left, right] = pair();
    left.session.start();
    clock.advance(10);
    expect(left.session.state).toBe('Active');
    right.session.start();
    clock.advance(10);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
  });

  test('a refused connection is tried again after the connect retry time', () => {
    const lonely = makeHost(network, '10.0.0.1', sessionConfig({ remote: address('10.0.0.9') }));
    lonely.session.start();
    clock.advance(100);
    expect(lonely.session.state).toBe('Active');
    expect(lonely.session.lastError?.text).toBe('cannot connect to 10.0.0.9 port 179: connection refused');
    const before = network.sockets.length;
    clock.advance(7400);
    expect(network.sockets.length).toBe(before);
    clock.advance(200); // 10 s, shortened by the jitter to 7.5
    expect(network.sockets.length).toBe(before + 1);
  });

  test.each([
    ['the left has the higher identifier', 0x0a000009],
    ['the right has the higher identifier', 0x0a000001],
  ])('when both connect at once and %s, its connection stays on both sides', (_name, localId) => {
    const [left, right] = pair({ localId: Ipv4(localId) });
    left.session.start();
    right.session.start();
    clock.advance(500);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
    const winner = localId === 0x0a000009 ? '10.0.0.1' : '10.0.0.2';
    const live = open();
    expect(live).toHaveLength(2);
    expect(live.every(s => (s.local.port === 179 ? s.remote.at : s.local.at) === winner)).toBe(true);
    expect([left.session.counters.established, right.session.counters.established]).toEqual([1, 1]);
    expect([left.session.lastError, right.session.lastError]).toEqual([undefined, undefined]);
    clock.advance(10 * 60_000);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
  });

  test('with DelayOpen the OPEN waits, and the peer’s OPEN cuts the waiting short', () => {
    const [left, right] = pair({ delayOpenTime: 5, passive: true }, { delayOpenTime: 20 });
    left.session.start();
    right.session.start();
    clock.advance(4900);
    expect([left.session.state, right.session.state]).toEqual(['Active', 'Connect']);
    expect(left.session.counters.messagesSent.open).toBe(0);
    clock.advance(200);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
  });

  test('octet by octet is the same as all at once', () => {
    network.segment = 1;
    const [left, right] = established();
    const messages = Buffer.concat([update(1, 4), update(2, 4000), update(3, 300)]);
    left.session.send(messages, 3);
    clock.advance(10);
    expect(right.updates).toEqual([
      new Uint8Array(4).fill(1),
      new Uint8Array(4000).fill(2),
      new Uint8Array(300).fill(3),
    ]);
  });
});

describe('not coming up', () => {
  test('a wrong AS is refused with Bad Peer AS, and both sides know why', () => {
    const [left, right] = pair({ remoteAsn: Asn(64999) }, { passive: true });
    right.session.start();
    left.session.start();
    clock.advance(100);
    expect(left.session.lastError?.text).toBe('bad peer AS: 65001 instead of 64999');
    expect(right.session.lastError?.text).toBe('NOTIFICATION received: OPEN Message Error/Bad Peer AS');
    expect(left.log).not.toContain('up ebgp 10.0.0.2');
    expect(left.session.state).toBe('Idle');
  });

  test('inside one AS the same identifier on both sides is refused', () => {
    const same = { localAsn: Asn(65000), remoteAsn: Asn(65000), localId: Ipv4(0x01010101) };
    const [left, right] = pair(same, { ...same, passive: true });
    right.session.start();
    left.session.start();
    clock.advance(100);
    const texts = [left, right].map(h => h.session.lastError?.text);
    expect(texts).toContain('bad BGP identifier: 1.1.1.1 is our own');
  });

  test('without the password there is no connection, and no end to trying', () => {
    const [left, right] = pair({}, { passive: true, password: 'secret' });
    right.session.start();
    left.session.start();
    clock.advance(60_000);
    expect([left.session.state, right.session.state]).toEqual(['Connect', 'Active']);
    expect(network.sockets.length).toBeGreaterThan(5);
    expect(open()).toHaveLength(1);
  });

  test('with the password on both sides it comes up', () => {
    established({ password: 'secret' }, { password: 'secret' });
  });

  test('the idle hold time doubles with each failure up to its maximum, and a good session resets it', () => {
    const [left, right] = pair({ remoteAsn: Asn(64999) }, { passive: true, idleHoldTime: { min: 0, max: 0 } });
    right.session.start();
    left.session.start();
    const starts: number[] = [];
    for (let t = 0; t < 120_000; t += 100) {
      clock.advance(100);
      if (left.log.at(-1) === 'Idle' && left.log.splice(0).length > 1) starts.push(t);
    }
    const waits = starts.slice(1).map((t, i) => Math.round((t - starts[i]!) / 100) / 10);
    // 2, 4, 8, 16, 32, 32 seconds, each with jitter at its lowest.
    [1.5, 3, 6, 12, 24, 24].forEach((expected, i) => expect(waits[i]).toBeCloseTo(expected, 0));
  });

  test('an idle peer refuses connections', () => {
    const [left, right] = pair();
    left.session.start();
    clock.advance(100);
    expect(left.session.state).toBe('Active');
    expect(right.session.state).toBe('Idle');
    expect(right.log).toEqual([]);
  });
});

describe('staying up', () => {
  test('keepalives go out at the interval counted from the last, not from the last UPDATE', () => {
    const [left, right] = established({ holdTime: 9 });
    const before = left.session.counters.messagesSent.keepalive;
    for (let i = 0; i < 100; i++) {
      clock.advance(100);
      left.session.send(update(i), 1);
    }
    clock.advance(1);
    // 10 s with one every 3 s times the lowest jitter of 0.75.
    expect(left.session.counters.messagesSent.keepalive - before).toBe(4);
    expect(right.updates).toHaveLength(100);
  });

  test('a silent peer is taken down when the hold time is over', () => {
    const [left] = established({ holdTime: 9 });
    open().forEach(s => (s.cut = true));
    clock.advance(8000);
    expect(left.session.state).toBe('Established');
    clock.advance(2000);
    expect(left.log.slice(-2)).toEqual(['down notificationSent: hold timer expired', 'Idle']);
    expect(left.session.lastError?.text).toBe('hold timer expired');
    expect(left.session.negotiated).toBeUndefined();
  });

  test('our own busy loop is not blamed on the peer: octets that wait to be read count', () => {
    const [left] = established({ holdTime: 9 });
    const socket = open().find(s => s.local.at === '10.0.0.1')!;
    open().forEach(s => (s.cut = true));
    clock.advance(1);
    clock.block(60_000);
    // The loop comes round: the timer fires first, then the socket is read.
    clock.setTimeout(() => socket.receive(encodeMessage(4, new Uint8Array())), 0);
    clock.advance(0);
    expect(left.session.state).toBe('Established');
    clock.advance(8900);
    expect(left.session.state).toBe('Established');
    clock.advance(200);
    expect(left.session.state).toBe('Idle');
  });

  test('a hold time of zero means no keepalives and no expiry', () => {
    const [left, right] = established({ holdTime: 0 });
    clock.advance(3600_000);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
    expect(left.session.counters.messagesSent.keepalive).toBe(1);
  });

  test('refresh requests and marks arrive when both sides know them', () => {
    const [left, right] = established();
    left.session.sendRefresh(0, 'request');
    left.session.sendRefresh(1, 'begin');
    left.session.sendRefresh(1, 'end');
    clock.advance(10);
    expect(right.log.filter(l => l.startsWith('refresh'))).toEqual([
      'refresh 0 request',
      'refresh 1 begin',
      'refresh 1 end',
    ]);
    expect(right.session.counters.messagesReceived.routeRefresh).toBe(3);
  });

  test('a refresh for a family that was not negotiated is passed over', () => {
    const [left, right] = established({ families: [true, false] });
    left.session.sendRefresh(1, 'request');
    clock.advance(10);
    expect(right.log.filter(l => l.startsWith('refresh'))).toEqual([]);
    expect(right.session.state).toBe('Established');
  });

  test('a full queue says so, and drained follows once', () => {
    const [left] = established();
    const socket = open().find(s => s.local.at === '10.0.0.1')!;
    const chunk = Buffer.concat(Array.from({ length: 100 }, () => update(7, 4000)));
    const answers = [1, 2, 3, 4].map(() => left.session.send(chunk, 100));
    expect(answers).toEqual([true, true, false, false]);
    clock.advance(10);
    expect(left.log.filter(l => l === 'drained')).toHaveLength(1);
    expect(left.session.send(chunk, 100)).toBe(true);
    expect(socket.destroyed).toBe(false);
  });

  test('a keepalive does not wait behind the queue', () => {
    const [left] = established({ holdTime: 9 });
    const socket = open().find(s => s.local.at === '10.0.0.1')!;
    socket.clogged = true;
    left.session.send(update(1), 1);
    left.session.send(update(2, 4000), 1);
    clock.advance(3000);
    expect(left.session.counters.messagesSent.keepalive).toBe(2);
  });

  test('a peer that does not read is given up after the send hold time', () => {
    const [left] = established({ holdTime: 9 });
    const [socket, other] = [
      open().find(s => s.local.at === '10.0.0.1')!,
      open().find(s => s.local.at === '10.0.0.2')!,
    ];
    socket.clogged = true;
    other.cut = true; // Nor does what the peer says about it arrive.
    const timer = (): void => {
      socket.receive(encodeMessage(4, new Uint8Array())); // It does send.
    };
    for (let s = 0; s < 470; s++) {
      clock.advance(1000);
      timer();
    }
    expect(left.session.state).toBe('Established');
    for (let s = 0; s < 20 && left.session.state === 'Established'; s++) {
      clock.advance(1000);
      timer();
    }
    expect(left.log.filter(l => l !== 'readDone')).toContain(
      'down notificationSent: send hold timer expired: the peer does not read',
    );
    clock.advance(5000);
    expect(socket.destroyed).toBe(true);
  });

  test('a session that read for long lets the loop go on and reads the rest later', () => {
    const [left, right] = established();
    network.segment = 1000;
    right.onUpdate = () => clock.block(6);
    left.session.send(Buffer.concat([update(1, 981), update(2, 981), update(3, 981)]), 3);
    clock.advance(100);
    expect(right.updates).toHaveLength(3);
    expect(network.sockets.some(s => s.paused > 0)).toBe(true);
    expect(open().every(s => s.local.at !== '10.0.0.2' || !s.destroyed)).toBe(true);
  });
});

describe('going down', () => {
  test('a shutdown carries its message to the other side', () => {
    const [left, right] = established();
    left.session.stop({ kind: 'shutdown', message: 'maintenance' });
    clock.advance(100);
    expect(left.log.slice(-2)).toEqual(['down stopped: stopped: Cease/Administrative Shutdown: "maintenance"', 'Idle']);
    const text = 'NOTIFICATION received: Cease/Administrative Shutdown: "maintenance"';
    expect(right.log).toContain(`down notificationReceived: ${text}`);
    expect(right.session.lastError?.text).toBe(text);
    clock.advance(3600_000);
    expect(left.session.state).toBe('Idle');
    left.session.start();
    clock.advance(60_000);
    expect(left.session.state).toBe('Established');
  });

  test('a silent stop looks like a lost connection', () => {
    const [left, right] = established();
    left.session.stop({ kind: 'silent' });
    clock.advance(100);
    expect(right.log).toContain('down connectionLost: connection lost: closed by the peer');
    expect(left.session.counters.messagesSent.notification).toBe(0);
  });

  test('an error found in an UPDATE ends the session at once, and what follows in the same read is dropped', () => {
    const [left, right] = established();
    right.onUpdate = () => right.session.fail(3, 1, 'malformed attribute list');
    left.session.send(Buffer.concat([update(1), update(2)]), 2);
    right.log.splice(0);
    clock.advance(100);
    expect(right.updates).toHaveLength(1);
    expect(right.log).toEqual(['update 30', 'down notificationSent: malformed attribute list', 'Idle']);
    expect(left.session.lastError?.text).toBe('NOTIFICATION received: UPDATE Message Error/Malformed Attribute List');
  });

  test('octets that are no BGP end the session with the header’s error', () => {
    const [left, right] = established();
    open()
      .find(s => s.local.at === '10.0.0.2')!
      .receive(new Uint8Array(19));
    clock.advance(100);
    expect(right.log).toContain('down notificationSent: the marker is not all ones');
    expect(left.session.lastError?.text).toMatch(/Connection Not Synchronized/);
  });

  test('the session comes back by itself after the idle hold time', () => {
    const [left, right] = established();
    open().forEach(s => s.fail('connection reset by peer'));
    clock.advance(100);
    expect(left.session.state).toBe('Idle');
    clock.advance(30_000);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
    expect(left.session.counters.established).toBe(2);
  });

  test('up and down always pair, and nothing keeps a timer or a socket after a stop', () => {
    const [left, right] = established();
    left.session.stop({ kind: 'reset' });
    clock.advance(1);
    right.session.stop({ kind: 'deconfigured' });
    clock.advance(10_000);
    expect(open()).toEqual([]);
    expect(clock.pending).toBe(0);
    for (const host of [left, right]) {
      expect(host.log.filter(l => l.startsWith('up'))).toHaveLength(1);
      expect(host.log.filter(l => l.startsWith('down'))).toHaveLength(1);
    }
  });
});

describe('a second connection to an established session', () => {
  /** The right host's process dies without a word and a new one connects. */
  function restart(left: Host, config: SessionConfig): Host {
    open().forEach(s => (s.cut = true));
    const again = makeHost(network, '10.0.0.2', config);
    again.session.start();
    clock.advance(100);
    expect(left.session).toBeDefined();
    return again;
  }

  test('is closed when there is no graceful restart', () => {
    const [left] = established();
    const again = restart(left, peerConfig());
    expect(left.session.state).toBe('Established');
    expect(left.log.filter(l => l.startsWith('down'))).toEqual([]);
    expect(again.session.lastError?.text).toBe('NOTIFICATION received: Cease/Connection Collision Resolution');
  });

  test('replaces it, as a lost connection, when the peer has graceful restart', () => {
    const gracefulRestart = { restartTime: 120 };
    const [left] = established({ gracefulRestart }, { gracefulRestart });
    const again = restart(left, peerConfig({ gracefulRestart }));
    expect([left.session.state, again.session.state]).toEqual(['Established', 'Established']);
    expect(left.log.filter(l => /^(up|down)/.test(l))).toEqual([
      'up ebgp 10.0.0.2',
      'down connectionLost: connection lost: the peer has restarted and opened another one',
      'up ebgp 10.0.0.2',
    ]);
    expect(left.session.counters.messagesSent.notification).toBe(0);
  });
});
