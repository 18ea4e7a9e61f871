import { beforeEach, expect, test } from '@jest/globals';
import type { Timer } from '../../../../src/bgp/session/fsmTypes.js';
import { createTimers, type Timers } from '../../../../src/bgp/session/timers.js';
import { VirtualClock } from '../../core/virtualClock.js';

let clock: VirtualClock;
let expired: string[];
let timers: Timers;
let random: number;
beforeEach(() => {
  clock = new VirtualClock();
  expired = [];
  random = 0;
  timers = createTimers(
    clock,
    () => random,
    (timer: Timer) => expired.push(`${timer} ${clock.now()}`),
  );
});

test('a timer expires once, when its time is over', () => {
  timers.arm('delayOpen', 5);
  clock.advance(4999);
  expect(expired).toEqual([]);
  clock.advance(60_000);
  expect(expired).toEqual(['delayOpen 5000']);
  expect(clock.pending).toBe(0);
});

test.each([
  [0, 'keepalive 7500'],
  [0.999999, 'keepalive 10000'],
])('with random %d the keepalive of 10 s is %s', (value, when) => {
  random = value;
  timers.arm('keepalive', 10);
  clock.advance(11_000);
  expect(expired.map(e => e.replace(/\d+\.\d+/, n => String(Math.round(Number(n)))))).toEqual([when]);
});

test('hold, delay open and send hold are never shortened', () => {
  for (const timer of ['hold', 'delayOpen', 'sendHold', 'forget'] as const) timers.arm(timer, 10);
  clock.advance(9999);
  expect(expired).toEqual([]);
});

test('arming again moves the end without another call to the clock', () => {
  timers.arm('hold', 90);
  for (let i = 0; i < 1000; i++) {
    clock.advance(10);
    timers.arm('hold', 90);
    expect(clock.pending).toBe(1);
  }
  clock.advance(89_999);
  expect(expired).toEqual([]);
  clock.advance(1);
  expect(expired).toEqual(['hold 100000']);
});

test('arming again with less time expires earlier', () => {
  timers.arm('hold', 240);
  timers.arm('hold', 9);
  clock.advance(9000);
  expect(expired).toEqual(['hold 9000']);
});

test('what is cancelled does not expire, not even in the turn given for reading', () => {
  timers.arm('hold', 9);
  timers.arm('keepalive', 9);
  timers.arm('forget', 9);
  timers.cancel(['keepalive']);
  clock.block(9000);
  clock.setTimeout(() => timers.cancelAll(), 0);
  clock.advance(0);
  clock.advance(60_000);
  // `forget` was late and fired; the hold timer waited a turn, in which it was cancelled.
  expect(expired).toEqual(['forget 9000']);
  expect(clock.pending).toBe(0);
});

test('a late hold timer is given up when something was read in the turn after it fired', () => {
  timers.arm('hold', 9);
  clock.block(20_000);
  clock.setTimeout(() => timers.arm('hold', 9), 0);
  clock.advance(0);
  expect(expired).toEqual([]);
  clock.advance(8999);
  expect(expired).toEqual([]);
  clock.advance(1);
  expect(expired).toEqual(['hold 29000']);
});
