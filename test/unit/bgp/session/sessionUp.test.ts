import { beforeEach, describe, expect, test } from '@jest/globals';
import { encodeMessage } from '../../../../src/bgp/wire/frame.js';
import { TestBed, update } from './testSession.js';

let bed: TestBed;
let clock: TestBed['clock'];
let network: TestBed['network'];
beforeEach(() => {
  bed = new TestBed();
  ({ clock, network } = bed);
});

describe('staying up', () => {
  test('keepalives go out at the interval counted from the last, not from the last UPDATE', () => {
    const [left, right] = bed.established({ holdTime: 9 });
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
    const [left] = bed.established({ holdTime: 9 });
    bed.open().forEach(s => (s.cut = true));
    clock.advance(8000);
    expect(left.session.state).toBe('Established');
    clock.advance(2000);
    expect(left.log.slice(-2)).toEqual(['down notificationSent: hold timer expired', 'Idle']);
    expect(left.session.lastError?.text).toBe('hold timer expired');
    expect(left.session.negotiated).toBeUndefined();
  });

  test('our own busy loop is not blamed on the peer: octets that wait to be read count', () => {
    const [left] = bed.established({ holdTime: 9 });
    const socket = bed.socketAt('10.0.0.1');
    bed.open().forEach(s => (s.cut = true));
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
    const [left, right] = bed.established({ holdTime: 0 });
    clock.advance(3600_000);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
    expect(left.session.counters.messagesSent.keepalive).toBe(1);
  });

  test('refresh requests and marks arrive when both sides know them', () => {
    const [left, right] = bed.established();
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
    const [left, right] = bed.established({ families: [true, false] });
    left.session.sendRefresh(1, 'request');
    clock.advance(10);
    expect(right.log.filter(l => l.startsWith('refresh'))).toEqual([]);
    expect(right.session.state).toBe('Established');
  });

  test('a full queue says so, and drained follows once', () => {
    const [left] = bed.established();
    const socket = bed.socketAt('10.0.0.1');
    const chunk = Buffer.concat(Array.from({ length: 100 }, () => update(7, 4000)));
    const answers = [1, 2, 3, 4].map(() => left.session.send(chunk, 100));
    expect(answers).toEqual([true, true, false, false]);
    clock.advance(10);
    expect(left.log.filter(l => l === 'drained')).toHaveLength(1);
    expect(left.session.send(chunk, 100)).toBe(true);
    expect(socket.destroyed).toBe(false);
  });

  test('a keepalive does not wait behind the queue', () => {
    const [left] = bed.established({ holdTime: 9 });
    const socket = bed.socketAt('10.0.0.1');
    socket.clogged = true;
    left.session.send(update(1), 1);
    left.session.send(update(2, 4000), 1);
    clock.advance(3000);
    expect(left.session.counters.messagesSent.keepalive).toBe(2);
  });

  test('a peer that does not read is given up after the send hold time', () => {
    const [left] = bed.established({ holdTime: 9 });
    const [socket, other] = [bed.socketAt('10.0.0.1'), bed.socketAt('10.0.0.2')];
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
    const [left, right] = bed.established();
    network.segment = 1000;
    right.onUpdate = () => clock.block(6);
    left.session.send(Buffer.concat([update(1, 981), update(2, 981), update(3, 981)]), 3);
    clock.advance(100);
    expect(right.updates).toHaveLength(3);
    expect(network.sockets.some(s => s.paused > 0)).toBe(true);
    expect(bed.open().every(s => s.local.at !== '10.0.0.2' || !s.destroyed)).toBe(true);
  });
});
