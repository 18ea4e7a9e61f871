import { beforeEach, describe, expect, test } from '@jest/globals';
import { Ipv4 } from '../../../../src/core/ip.js';
import { Asn } from '../../../../src/bgp/asn.js';
import { address } from './memoryNetwork.js';
import { makeHost, sessionConfig, TestBed, update } from './testSession.js';

let bed: TestBed;
let clock: TestBed['clock'];
let network: TestBed['network'];
beforeEach(() => {
  bed = new TestBed();
  ({ clock, network } = bed);
});

describe('coming up', () => {
  test('an active and a passive speaker come up and tell their owners in order', () => {
    const [left, right] = bed.established();
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
    const [left, right] = bed.pair();
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
    const [left, right] = bed.pair({ localId: Ipv4(localId) });
    left.session.start();
    right.session.start();
    clock.advance(500);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
    // The loser's socket is given two seconds to take its last message.
    clock.advance(2500);
    const winner = localId === 0x0a000009 ? '10.0.0.1' : '10.0.0.2';
    const live = bed.open();
    expect(live).toHaveLength(2);
    expect(live.every(s => (s.local.port === 179 ? s.remote.at : s.local.at) === winner)).toBe(true);
    expect([left.session.counters.established, right.session.counters.established]).toEqual([1, 1]);
    expect([left.session.lastError, right.session.lastError]).toEqual([undefined, undefined]);
    clock.advance(10 * 60_000);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
  });

  test('a connection that shall stay but never says a word does not keep the other one waiting', () => {
    const [left, right] = bed.pair({ localId: Ipv4(0x0a000009) });
    left.session.start();
    right.session.start();
    clock.advance(1);
    // Nothing gets through on our connection, in either direction.
    const ours = network.sockets.find(s => s.local.at === '10.0.0.1' && s.remote.port === 179);
    ours!.cut = true;
    ours!.receive = () => undefined;
    clock.advance(1500);
    expect(left.session.state).toBe('OpenSent');
    clock.advance(1000);
    expect([left.session.state, right.session.state]).toEqual(['Established', 'Established']);
  });

  test('with DelayOpen the OPEN waits, and the peer’s OPEN cuts the waiting short', () => {
    const [left, right] = bed.pair({ delayOpenTime: 5, passive: true }, { delayOpenTime: 20 });
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
    const [left, right] = bed.established();
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
    const [left, right] = bed.pair({ remoteAsn: Asn(64999) }, { passive: true });
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
    const [left, right] = bed.pair(same, { ...same, passive: true });
    right.session.start();
    left.session.start();
    clock.advance(100);
    const texts = [left, right].map(h => h.session.lastError?.text);
    expect(texts).toContain('bad BGP identifier: 1.1.1.1 is our own');
  });

  test('without the password there is no connection, and no end to trying', () => {
    const [left, right] = bed.pair({}, { passive: true, password: 'secret' });
    right.session.start();
    left.session.start();
    clock.advance(60_000);
    expect([left.session.state, right.session.state]).toEqual(['Connect', 'Active']);
    expect(network.sockets.length).toBeGreaterThan(5);
    expect(left.session.lastError?.text).toBe('no answer to the connection attempt in 10 s');
    expect(bed.open()).toHaveLength(1);
  });

  test('with the password on both sides it comes up', () => {
    bed.established({ password: 'secret' }, { password: 'secret' });
  });

  test('the idle hold time doubles with each failure up to its maximum, and a good session resets it', () => {
    const [left, right] = bed.pair({ remoteAsn: Asn(64999) }, { passive: true, idleHoldTime: { min: 0, max: 0 } });
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
    const [left, right] = bed.pair();
    left.session.start();
    clock.advance(100);
    expect(left.session.state).toBe('Active');
    expect(right.session.state).toBe('Idle');
    expect(right.log).toEqual([]);
  });
});
