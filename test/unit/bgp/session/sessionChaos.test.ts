import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Ipv4 } from '../../../../src/core/ip.js';
import { Asn } from '../../../../src/bgp/asn.js';
import type { SessionConfig } from '../../../../src/bgp/session/sessionTypes.js';
import { TestBed, type Host } from './testSession.js';

/** Ups and downs of a host alternate, beginning with up; and it is up exactly when it says so. */
function checkPairs(host: Host): void {
  const turns = host.log.filter(l => /^(up|down)/.test(l)).map(l => l.slice(0, 2));
  turns.forEach((turn, i) => expect(turn).toBe(i % 2 === 0 ? 'up' : 'do'));
  expect(host.session.state === 'Established').toBe(turns.length % 2 === 1);
}

const anySide = fc.record({
  localId: fc.integer({ min: 1, max: 3 }).map(Ipv4),
  startsAt: fc.integer({ min: 0, max: 12 }),
  delayOpenTime: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  passive: fc.boolean(),
  gracefulRestart: fc.boolean(),
});

type Side = typeof anySide extends fc.Arbitrary<infer T> ? T : never;

function configOf(side: Side, passive: boolean): Partial<SessionConfig> {
  return {
    localId: side.localId,
    passive,
    idleHoldTime: { min: 1, max: 8 },
    ...(side.delayOpenTime === undefined ? {} : { delayOpenTime: side.delayOpenTime }),
    ...(side.gracefulRestart ? { gracefulRestart: { restartTime: 120 } } : {}),
  };
}

/** A stream of latencies that repeats, so that a failing run can be repeated. */
function latencies(values: readonly number[]): () => number {
  let i = 0;
  return () => values[i++ % values.length] ?? 1;
}

test('whoever starts when, with whatever delays: one session comes up and stays', () => {
  fc.assert(
    fc.property(
      anySide,
      anySide,
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 }),
      fc.boolean(),
      (left, right, delays, sameAs) => {
        const bed = new TestBed();
        bed.network.latency = latencies(delays);
        // Inside one AS identifiers must differ; two passive sides never meet.
        fc.pre(!sameAs || left.localId !== right.localId);
        const as = sameAs ? { localAsn: Asn(65000), remoteAsn: Asn(65000) } : {};
        const hosts = bed.pair(
          { ...configOf(left, left.passive && !right.passive), ...as },
          { ...configOf(right, right.passive), ...as },
        );
        const starts = [left.startsAt, right.startsAt];
        for (let t = 0; t <= 12; t++) {
          hosts.forEach((host, i) => {
            if (starts[i] === t) host.session.start();
          });
          bed.clock.advance(1);
        }
        bed.clock.advance(120_000);
        expect(hosts.map(h => h.session.state)).toEqual(['Established', 'Established']);
        expect(bed.open()).toHaveLength(2);
        const ups = hosts.map(h => h.session.counters.established);
        expect(ups).toEqual([1, 1]); // No false start.
        bed.clock.advance(1000_000);
        expect(hosts.map(h => h.session.counters.established)).toEqual(ups);
        hosts.forEach(checkPairs);
      },
    ),
    { numRuns: 400 },
  );
});

const anyTrouble = fc.oneof(
  fc.record({ kind: fc.constant('reset' as const), which: fc.nat(5) }),
  fc.record({ kind: fc.constant('cut' as const), which: fc.nat(5) }),
  fc.record({ kind: fc.constant('stop' as const), which: fc.nat(1), silent: fc.boolean() }),
  fc.record({ kind: fc.constant('start' as const), which: fc.nat(1) }),
  fc.record({ kind: fc.constant('fail' as const), which: fc.nat(1) }),
  fc.record({ kind: fc.constant('garbage' as const), which: fc.nat(5) }),
);

test('whatever befalls two speakers, they keep their books right and find together when it is over', () => {
  fc.assert(
    fc.property(
      anySide,
      anySide,
      fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 10 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), anyTrouble), { maxLength: 25 }),
      (left, right, delays, troubles) => {
        const bed = new TestBed();
        bed.network.latency = latencies(delays);
        const hosts = bed.pair(configOf(left, left.passive && !right.passive), configOf(right, right.passive));
        hosts.forEach(h => h.session.start());
        for (const [wait, trouble] of troubles) {
          bed.clock.advance(wait);
          befall(bed, hosts, trouble);
          hosts.forEach(checkPairs);
        }
        bed.network.latency = () => 1;
        hosts.forEach(h => h.session.start());
        bed.clock.advance(600_000);
        expect(hosts.map(h => h.session.state)).toEqual(['Established', 'Established']);
        hosts.forEach(checkPairs);
        expect(bed.open()).toHaveLength(2);
        hosts.forEach(h => h.session.stop({ kind: 'shutdown' }));
        bed.clock.advance(10_000);
        expect([bed.open().length, bed.clock.pending]).toEqual([0, 0]);
      },
    ),
    { numRuns: 400 },
  );
});

function befall(
  bed: TestBed,
  hosts: readonly Host[],
  trouble: typeof anyTrouble extends fc.Arbitrary<infer T> ? T : never,
): void {
  const open = bed.open();
  const socket = open[trouble.which % Math.max(1, open.length)];
  const host = hosts[trouble.which % 2]!;
  switch (trouble.kind) {
    case 'reset':
      socket?.peer?.fail('connection reset by peer');
      socket?.fail('connection reset by peer');
      return;
    case 'cut':
      if (socket !== undefined) socket.cut = true;
      return;
    case 'garbage':
      socket?.receive(new Uint8Array(30));
      return;
    case 'stop':
      host.session.stop(trouble.silent ? { kind: 'silent' } : { kind: 'reset' });
      return;
    case 'start':
      host.session.start();
      return;
    case 'fail':
      host.session.fail(3, 1, 'malformed');
      return;
  }
}
