import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { step } from '../../../../src/bgp/session/fsm.js';
import {
  newMachine,
  type Action,
  type FsmEvent,
  type Machine,
  type MachineOptions,
  type Timer,
} from '../../../../src/bgp/session/fsmTypes.js';
import type { FsmState } from '../../../../src/bgp/session/sessionTypes.js';
import { EVENTS, machineIn, OPTIONS } from './fsmSamples.js';

function event(name: string): FsmEvent {
  const found = EVENTS[name];
  if (found === undefined) throw new Error(`no event ${name}`);
  return found;
}

/** Answers the events one after the other. */
function walk(machine: Machine, ...names: readonly string[]): { machine: Machine; actions: Action[] } {
  const actions: Action[] = [];
  let current = machine;
  for (const name of names) {
    const next = step(current, event(name));
    current = next.machine;
    actions.push(...next.actions);
  }
  return { machine: current, actions };
}

describe('DelayOpen', () => {
  const options: MachineOptions = { ...OPTIONS, delayOpenTime: 7 };

  test.each<[FsmState, string]>([
    ['Connect', 'Tcp_CR_Acked'],
    ['Active', 'TcpConnectionConfirmed'],
  ])('in %s holds the OPEN back', (state, name) => {
    const { machine, actions } = walk(machineIn(state, { options }), name);
    expect(machine).toMatchObject({ state, delaying: true });
    expect(actions).toEqual([
      { kind: 'cancel', timers: ['connectRetry'] },
      { kind: 'arm', timer: 'delayOpen', seconds: 7 },
    ]);
  });

  test.each<FsmState>(['Connect', 'Active'])('in %s the peer’s OPEN is answered with OPEN and KEEPALIVE', state => {
    const { machine, actions } = walk(machineIn(state, { options, delaying: true }), 'BGPOpen');
    expect(machine).toMatchObject({ state: 'OpenConfirm', delaying: false, holdTime: 90, keepaliveTime: 30 });
    expect(actions.map(a => a.kind).filter(k => k.startsWith('send'))).toEqual(['sendOpen', 'sendKeepalive']);
  });

  test('in Connect a connection that fails meanwhile leads to Active', () => {
    const { machine } = walk(machineIn('Connect', { options, delaying: true }), 'TcpConnectionFails');
    expect(machine).toMatchObject({ state: 'Active', delaying: false });
  });

  test('a second connection meanwhile changes nothing', () => {
    const before = machineIn('Connect', { options, delaying: true });
    expect(step(before, { kind: 'tcpConfirmed' })).toEqual({ machine: before, actions: [] });
  });
});

describe('a passive peer', () => {
  const options: MachineOptions = { ...OPTIONS, passive: true };

  test('starts in Active and never connects', () => {
    const { machine, actions } = walk(newMachine(options), 'ManualStart', 'ConnectRetryTimer_Expires');
    expect(machine.state).toBe('Active');
    expect(actions.map(a => a.kind)).toEqual(['cancel']);
  });

  test('listens again when the connection breaks before the OPEN', () => {
    const { machine, actions } = walk(machineIn('OpenSent', { options }), 'TcpConnectionFails');
    expect(machine.state).toBe('Active');
    expect(actions.some(a => a.kind === 'arm')).toBe(false);
  });
});

describe('the ConnectRetryCounter and the idle hold time', () => {
  test('grow with every failure, the time up to its maximum', () => {
    let machine = machineIn('OpenSent', { connectRetryCounter: 0 });
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      const failed = step(machine, event('HoldTimer_Expires'));
      for (const a of failed.actions) if (a.kind === 'arm' && a.timer === 'idleHold') waits.push(a.seconds);
      machine = { ...failed.machine, state: 'OpenSent' };
    }
    expect(waits).toEqual([5, 10, 20, 40, 60, 60]);
    expect(machine.connectRetryCounter).toBe(6);
  });

  test('are forgotten by a manual start and a manual stop', () => {
    const worn = { connectRetryCounter: 9, idleHold: 60 };
    for (const [state, name] of [
      ['Idle', 'ManualStart'],
      ['OpenConfirm', 'ManualStop'],
    ] as const) {
      expect(walk(machineIn(state, worn), name).machine).toMatchObject({ connectRetryCounter: 0, idleHold: 5 });
    }
  });

  test('the time is forgotten when the session stays up for the longest of them', () => {
    expect(walk(machineIn('Established', { idleHold: 60 }), 'ForgetTimer_Expires').machine.idleHold).toBe(5);
  });

  test('the counter survives an automatic restart after the idle hold time', () => {
    expect(walk(machineIn('Idle'), 'IdleHoldTimer_Expires').machine.connectRetryCounter).toBe(3);
  });

  test.each<[FsmState, string]>([
    ['OpenSent', 'NotifMsgVerErr'],
    ['Connect', 'NotifMsgVerErr'],
    ['OpenConfirm', 'OpenCollisionDump'],
    ['OpenSent', 'NotifMsg of a collision'],
    ['Connect', 'OpenCollisionDump'],
  ])('in %s %s is not damped', (state, name) => {
    expect(walk(machineIn(state), name).machine.idleHold).toBe(5);
  });
});

test('a session with hold time zero arms neither hold nor send hold timer', () => {
  const { machine, actions } = walk(
    machineIn('OpenSent'),
    'BGPOpen without hold time',
    'KeepAliveMsg',
    'UpdateMsg',
    'KeepAliveMsg',
  );
  expect(machine).toMatchObject({ state: 'Established', holdTime: 0 });
  expect(actions.filter(a => a.kind === 'arm').map(a => a.timer)).toEqual(['forget']);
});

test('the send hold time is eight minutes, or twice the hold time', () => {
  const long = step(machineIn('OpenSent'), { kind: 'open', holdTime: 600, keepaliveTime: 200 });
  expect(long.actions).toContainEqual({ kind: 'arm', timer: 'sendHold', seconds: 1200 });
});

/** What a driver sees of a run: which timers run, whether the session is up, whether there is a connection. */
interface World {
  readonly armed: Set<Timer>;
  up: boolean;
  ups: number;
  downs: number;
}

function apply(world: World, action: Action): void {
  switch (action.kind) {
    case 'arm':
      expect(action.seconds).toBeGreaterThanOrEqual(0);
      world.armed.add(action.timer);
      return;
    case 'cancel':
      action.timers.forEach(timer => world.armed.delete(timer));
      return;
    case 'up':
      expect(world.up).toBe(false);
      world.up = true;
      world.ups++;
      return;
    case 'down':
      expect(world.up).toBe(true);
      world.up = false;
      world.downs++;
      return;
    default:
      return;
  }
}

const anyOptions: fc.Arbitrary<MachineOptions> = fc
  .record({
    passive: fc.boolean(),
    connectRetryTime: fc.integer({ min: 1, max: 120 }),
    delay: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
    idleHoldTime: fc.constantFrom({ min: 0, max: 0 }, { min: 1, max: 60 }, { min: 5, max: 300 }),
  })
  .map(({ delay, ...rest }) => (delay === undefined ? rest : { ...rest, delayOpenTime: delay }));

/** Single events, and runs of events that lead up, without which a session would hardly ever come up. */
const anyEvents = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...Object.keys(EVENTS)).map(name => [name]) },
      { weight: 1, arbitrary: fc.constant(['ManualStart', 'Tcp_CR_Acked', 'BGPOpen', 'KeepAliveMsg']) },
    ),
    { maxLength: 40 },
  )
  .map(runs => runs.flat());

test('whatever happens: every event is answered, up and down pair, and Idle keeps no timer but its own', () => {
  let cameUp = 0;
  fc.assert(
    fc.property(anyOptions, anyEvents, (options, names) => {
      const world: World = { armed: new Set(), up: false, ups: 0, downs: 0 };
      let machine = newMachine(options);
      for (const name of names) {
        const what = event(name);
        // A timer that does not run cannot expire.
        if (what.kind === 'timer' && !world.armed.delete(what.timer)) continue;
        const next = step(machine, what);
        machine = next.machine;
        next.actions.forEach(action => apply(world, action));
        expect(world.up).toBe(machine.state === 'Established');
        if (machine.state === 'Idle') expect([...world.armed].filter(timer => timer !== 'idleHold')).toEqual([]);
        else expect(world.armed.has('idleHold')).toBe(false);
        expect(machine.delaying).toBe(world.armed.has('delayOpen'));
        expect(machine.idleHold).toBeLessThanOrEqual(Math.max(options.idleHoldTime.max, options.idleHoldTime.min));
        if (options.passive) expect(next.actions.some(a => a.kind === 'connect')).toBe(false);
        const waits = machine.state === 'OpenSent' || (machine.state === 'Established' && machine.holdTime > 0);
        if (waits) expect(world.armed.has('hold')).toBe(true);
      }
      expect(world.ups - world.downs).toBe(world.up ? 1 : 0);
      cameUp += world.ups;
    }),
    { numRuns: 2000 },
  );
  expect(cameUp).toBeGreaterThan(500);
});
