import { beforeEach, describe, expect, test } from '@jest/globals';
import type { SessionConfig } from '../../../../src/bgp/session/sessionTypes.js';
import { makeHost, peerConfig, TestBed, update, type Host } from './testSession.js';

let bed: TestBed;
let clock: TestBed['clock'];
let network: TestBed['network'];
beforeEach(() => {
  bed = new TestBed();
  ({ clock, network } = bed);
});

describe('going down', () => {
  test('a shutdown carries its message to the other side', () => {
    const [left, right] = bed.established();
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
    const [left, right] = bed.established();
    left.session.stop({ kind: 'silent' });
    clock.advance(100);
    expect(right.log).toContain('down connectionLost: connection lost: closed by the peer');
    expect(left.session.counters.messagesSent.notification).toBe(0);
  });

  test('an error found in an UPDATE ends the session at once, and what follows in the same read is dropped', () => {
    const [left, right] = bed.established();
    right.onUpdate = () => right.session.fail(3, 1, 'malformed attribute list');
    left.session.send(Buffer.concat([update(1), update(2)]), 2);
    right.log.splice(0);
    clock.advance(100);
    expect(right.updates).toHaveLength(1);
    expect(right.log).toEqual(['update 30', 'down notificationSent: malformed attribute list', 'Idle']);
    expect(left.session.lastError?.text).toBe('NOTIFICATION received: UPDATE Message Error/Malformed Attribute List');
  });

  test('octets that are no BGP end the session with the header’s error', () => {
    const [left, right] = bed.established();
    bed.socketAt('10.0.0.2').receive(new Uint8Array(19));
    clock.advance(100);
    expect(right.log).toContain('down notificationSent: the marker is not all ones');
    expect(left.session.lastError?.text).toMatch(/Connection Not Synchronized/);
  });

  test('the session comes back by itself after the idle hold time', () => {
    const [left, right] = bed.established();
    bed.open().forEach(s => s.fail('connection reset by peer'));
    clock.advance(100);
    expect(left.session.state).toBe('Idle');
    clock.advance(30_000);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
    expect(left.session.counters.established).toBe(2);
  });

  test('up and down always pair, and nothing keeps a timer or a socket after a stop', () => {
    const [left, right] = bed.established();
    left.session.stop({ kind: 'reset' });
    clock.advance(1);
    right.session.stop({ kind: 'deconfigured' });
    clock.advance(10_000);
    expect(bed.open()).toEqual([]);
    expect(clock.pending).toBe(0);
    for (const host of [left, right]) {
      expect(host.log.filter(l => l.startsWith('up'))).toHaveLength(1);
      expect(host.log.filter(l => l.startsWith('down'))).toHaveLength(1);
    }
  });
});

describe('a second connection to an established session', () => {
  /** The right host's process dies without a word and a new one connects. */
  function restart(left: Host, config: SessionConfig, age = 6000): Host {
    clock.advance(age);
    bed.open().forEach(s => (s.cut = true));
    const again = makeHost(network, '10.0.0.2', config);
    again.session.start();
    clock.advance(100);
    expect(left.session).toBeDefined();
    return again;
  }

  test('is closed when there is no graceful restart', () => {
    const [left] = bed.established();
    const again = restart(left, peerConfig());
    expect(left.session.state).toBe('Established');
    expect(left.log.filter(l => l.startsWith('down'))).toEqual([]);
    expect(again.session.lastError?.text).toBe('NOTIFICATION received: Cease/Connection Collision Resolution');
  });

  test('in the first seconds is an attempt that crossed ours: it is not answered, and the session stays', () => {
    const gracefulRestart = { restartTime: 120 };
    const [left] = bed.established({ gracefulRestart }, { gracefulRestart });
    const again = restart(left, peerConfig({ gracefulRestart }), 1000);
    expect(left.log.filter(l => l.startsWith('down'))).toEqual([]);
    expect(left.session.counters.messagesSent.notification).toBe(0);
    expect(again.session.counters.messagesReceived.open).toBe(0);
  });

  test('replaces it, as a lost connection, when the peer has graceful restart', () => {
    const gracefulRestart = { restartTime: 120 };
    const [left] = bed.established({ gracefulRestart }, { gracefulRestart });
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
