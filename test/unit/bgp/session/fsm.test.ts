import { describe, expect, test } from '@jest/globals';
import type { Action, Machine } from '../../../../src/bgp/session/fsmTypes.js';
import { step } from '../../../../src/bgp/session/fsm.js';
import type { FsmState } from '../../../../src/bgp/session/sessionTypes.js';
import { EVENTS, machineIn } from './fsmSamples.js';

type Expected = readonly [event: string, state: FsmState, actions: string];

/** Actions in a few words: "notify 6/2", "arm hold 240", "cancel all". */
function words(actions: readonly Action[]): string {
  return actions.map(wordsOf).join(', ');
}

function wordsOf(action: Action): string {
  switch (action.kind) {
    case 'notify':
      return `notify ${action.error.code}/${action.error.subcode}`;
    case 'arm':
      return `arm ${action.timer} ${action.seconds}`;
    case 'cancel':
      return action.timers.length > 6 ? 'cancel all' : `cancel ${action.timers.join('+')}`;
    case 'down':
    case 'failed':
      return `${action.kind} ${action.reason.kind}`;
    default:
      return action.kind;
  }
}

function check(machine: Machine, rows: readonly Expected[]): void {
  test.each(rows)(`${machine.state}: %s goes to %s and does: %s`, (name, state, actions) => {
    const event = EVENTS[name];
    if (event === undefined) throw new Error(`no event ${name}`);
    const after = step(machine, event);
    expect([after.machine.state, words(after.actions)]).toEqual([state, actions]);
  });
  test(`${machine.state}: every event has its row`, () => {
    expect(rows.map(([name]) => name)).toEqual(Object.keys(EVENTS));
  });
}

const NOTHING = '';
const LOST = 'cancel all, disconnect, arm idleHold 5, failed connectionLost';
const TOLD = 'cancel all, disconnect, arm idleHold 5, failed notificationReceived';
const STOP = 'cancel all, disconnect';
const OPEN_SENT = 'cancel connectRetry+delayOpen, sendOpen, arm hold 240';
const LISTEN = 'cancel delayOpen+hold, disconnect, arm connectRetry 120, failed connectionLost';
const CONFIRM = 'sendKeepalive, arm keepalive 30, arm hold 90, arm sendHold 480';

function told(error: string): string {
  return `notify ${error}, cancel all, disconnect, arm idleHold 5, failed notificationSent`;
}

function downTold(error: string): string {
  return told(error).replace('failed', 'down');
}

describe('Idle refuses everything but a start', () => {
  const begin = 'cancel idleHold, arm connectRetry 120, connect';
  check(machineIn('Idle'), [
    ['ManualStart', 'Connect', begin],
    ['ManualStop', 'Idle', 'cancel idleHold'],
    ['ManualStop in silence', 'Idle', 'cancel idleHold'],
    ['AutomaticStart', 'Connect', begin],
    ['AutomaticStop', 'Idle', NOTHING],
    ['ConnectRetryTimer_Expires', 'Idle', NOTHING],
    ['HoldTimer_Expires', 'Idle', NOTHING],
    ['KeepaliveTimer_Expires', 'Idle', NOTHING],
    ['DelayOpenTimer_Expires', 'Idle', NOTHING],
    ['IdleHoldTimer_Expires', 'Connect', begin],
    ['SendHoldTimer_Expires', 'Idle', NOTHING],
    ['ForgetTimer_Expires', 'Idle', NOTHING],
    ['Tcp_CR_Acked', 'Idle', NOTHING],
    ['TcpConnectionConfirmed', 'Idle', NOTHING],
    ['TcpConnectionFails', 'Idle', NOTHING],
    ['BGPOpen', 'Idle', NOTHING],
    ['BGPOpen without hold time', 'Idle', NOTHING],
    ['BGPHeaderErr', 'Idle', NOTHING],
    ['BGPOpenMsgErr', 'Idle', NOTHING],
    ['OpenCollisionDump', 'Idle', NOTHING],
    ['NotifMsgVerErr', 'Idle', NOTHING],
    ['NotifMsg', 'Idle', NOTHING],
    ['NotifMsg of a collision', 'Idle', NOTHING],
    ['KeepAliveMsg', 'Idle', NOTHING],
    ['UpdateMsg', 'Idle', NOTHING],
    ['RouteRefreshMsg', 'Idle', NOTHING],
    ['UpdateMsgErr', 'Idle', NOTHING],
  ]);
});

describe('Connect waits for its own attempt', () => {
  check(machineIn('Connect'), [
    ['ManualStart', 'Connect', NOTHING],
    ['ManualStop', 'Idle', STOP],
    ['ManualStop in silence', 'Idle', STOP],
    ['AutomaticStart', 'Connect', NOTHING],
    ['AutomaticStop', 'Idle', LOST],
    [
      'ConnectRetryTimer_Expires',
      'Connect',
      'cancel delayOpen, disconnect, arm connectRetry 120, connect, failed connectionLost',
    ],
    ['HoldTimer_Expires', 'Idle', LOST],
    ['KeepaliveTimer_Expires', 'Idle', LOST],
    ['DelayOpenTimer_Expires', 'OpenSent', OPEN_SENT],
    ['IdleHoldTimer_Expires', 'Idle', LOST],
    ['SendHoldTimer_Expires', 'Idle', LOST],
    ['ForgetTimer_Expires', 'Idle', LOST],
    ['Tcp_CR_Acked', 'OpenSent', OPEN_SENT],
    ['TcpConnectionConfirmed', 'OpenSent', OPEN_SENT],
    ['TcpConnectionFails', 'Active', LISTEN],
    ['BGPOpen', 'Idle', LOST],
    ['BGPOpen without hold time', 'Idle', LOST],
    ['BGPHeaderErr', 'Idle', LOST],
    ['BGPOpenMsgErr', 'Idle', LOST],
    ['OpenCollisionDump', 'Idle', LOST],
    ['NotifMsgVerErr', 'Idle', TOLD],
    ['NotifMsg', 'Idle', TOLD],
    ['NotifMsg of a collision', 'Idle', TOLD],
    ['KeepAliveMsg', 'Idle', LOST],
    ['UpdateMsg', 'Idle', LOST],
    ['RouteRefreshMsg', 'Idle', LOST],
    ['UpdateMsgErr', 'Idle', LOST],
  ]);
});

describe('Active waits for the peer', () => {
  check(machineIn('Active'), [
    ['ManualStart', 'Active', NOTHING],
    ['ManualStop', 'Idle', STOP],
    ['ManualStop in silence', 'Idle', STOP],
    ['AutomaticStart', 'Active', NOTHING],
    ['AutomaticStop', 'Idle', LOST],
    ['ConnectRetryTimer_Expires', 'Connect', 'cancel delayOpen, disconnect, arm connectRetry 120, connect'],
    ['HoldTimer_Expires', 'Idle', LOST],
    ['KeepaliveTimer_Expires', 'Idle', LOST],
    ['DelayOpenTimer_Expires', 'OpenSent', OPEN_SENT],
    ['IdleHoldTimer_Expires', 'Idle', LOST],
    ['SendHoldTimer_Expires', 'Idle', LOST],
    ['ForgetTimer_Expires', 'Idle', LOST],
    ['Tcp_CR_Acked', 'OpenSent', OPEN_SENT],
    ['TcpConnectionConfirmed', 'OpenSent', OPEN_SENT],
    ['TcpConnectionFails', 'Idle', LOST],
    ['BGPOpen', 'Idle', LOST],
    ['BGPOpen without hold time', 'Idle', LOST],
    ['BGPHeaderErr', 'Idle', LOST],
    ['BGPOpenMsgErr', 'Idle', LOST],
    ['OpenCollisionDump', 'Idle', LOST],
    ['NotifMsgVerErr', 'Idle', TOLD],
    ['NotifMsg', 'Idle', TOLD],
    ['NotifMsg of a collision', 'Idle', TOLD],
    ['KeepAliveMsg', 'Idle', LOST],
    ['UpdateMsg', 'Idle', LOST],
    ['RouteRefreshMsg', 'Idle', LOST],
    ['UpdateMsgErr', 'Idle', LOST],
  ]);
});

describe('OpenSent waits for an OPEN', () => {
  check(machineIn('OpenSent'), [
    ['ManualStart', 'OpenSent', NOTHING],
    ['ManualStop', 'Idle', `notify 6/2, ${STOP}`],
    ['ManualStop in silence', 'Idle', STOP],
    ['AutomaticStart', 'OpenSent', NOTHING],
    ['AutomaticStop', 'Idle', told('6/1')],
    ['ConnectRetryTimer_Expires', 'Idle', told('5/1')],
    ['HoldTimer_Expires', 'Idle', told('4/0')],
    ['KeepaliveTimer_Expires', 'Idle', told('5/1')],
    ['DelayOpenTimer_Expires', 'Idle', told('5/1')],
    ['IdleHoldTimer_Expires', 'Idle', told('5/1')],
    ['SendHoldTimer_Expires', 'Idle', told('5/1')],
    ['ForgetTimer_Expires', 'Idle', told('5/1')],
    ['Tcp_CR_Acked', 'OpenSent', NOTHING],
    ['TcpConnectionConfirmed', 'OpenSent', NOTHING],
    ['TcpConnectionFails', 'Active', LISTEN],
    ['BGPOpen', 'OpenConfirm', `cancel connectRetry+delayOpen, ${CONFIRM}`],
    ['BGPOpen without hold time', 'OpenConfirm', 'cancel connectRetry+delayOpen, sendKeepalive, cancel hold+keepalive'],
    ['BGPHeaderErr', 'Idle', told('1/2')],
    ['BGPOpenMsgErr', 'Idle', told('2/2')],
    ['OpenCollisionDump', 'Idle', told('6/7')],
    ['NotifMsgVerErr', 'Idle', TOLD],
    ['NotifMsg', 'Idle', TOLD],
    ['NotifMsg of a collision', 'Idle', TOLD],
    ['KeepAliveMsg', 'Idle', told('5/1')],
    ['UpdateMsg', 'Idle', told('5/1')],
    ['RouteRefreshMsg', 'Idle', told('5/1')],
    ['UpdateMsgErr', 'Idle', told('5/1')],
  ]);
});

describe('OpenConfirm waits for a KEEPALIVE', () => {
  check(machineIn('OpenConfirm'), [
    ['ManualStart', 'OpenConfirm', NOTHING],
    ['ManualStop', 'Idle', `notify 6/2, ${STOP}`],
    ['ManualStop in silence', 'Idle', STOP],
    ['AutomaticStart', 'OpenConfirm', NOTHING],
    ['AutomaticStop', 'Idle', told('6/1')],
    ['ConnectRetryTimer_Expires', 'Idle', told('5/2')],
    ['HoldTimer_Expires', 'Idle', told('4/0')],
    ['KeepaliveTimer_Expires', 'OpenConfirm', 'sendKeepalive, arm keepalive 30'],
    ['DelayOpenTimer_Expires', 'Idle', told('5/2')],
    ['IdleHoldTimer_Expires', 'Idle', told('5/2')],
    ['SendHoldTimer_Expires', 'Idle', told('8/0')],
    ['ForgetTimer_Expires', 'Idle', told('5/2')],
    ['Tcp_CR_Acked', 'OpenConfirm', NOTHING],
    ['TcpConnectionConfirmed', 'OpenConfirm', NOTHING],
    ['TcpConnectionFails', 'Idle', LOST],
    ['BGPOpen', 'Idle', told('5/2')],
    ['BGPOpen without hold time', 'Idle', told('5/2')],
    ['BGPHeaderErr', 'Idle', told('1/2')],
    ['BGPOpenMsgErr', 'Idle', told('2/2')],
    ['OpenCollisionDump', 'Idle', told('6/7')],
    ['NotifMsgVerErr', 'Idle', TOLD],
    ['NotifMsg', 'Idle', TOLD],
    ['NotifMsg of a collision', 'Idle', TOLD],
    ['KeepAliveMsg', 'Established', 'arm hold 90, arm forget 60, up'],
    ['UpdateMsg', 'Idle', told('5/2')],
    ['RouteRefreshMsg', 'Idle', told('5/2')],
    ['UpdateMsgErr', 'Idle', told('5/2')],
  ]);
});

describe('Established exchanges routes', () => {
  const lost = LOST.replace('failed', 'down');
  const toldBy = TOLD.replace('failed', 'down');
  check(machineIn('Established'), [
    ['ManualStart', 'Established', NOTHING],
    ['ManualStop', 'Idle', `notify 6/2, ${STOP}, down stopped`],
    ['ManualStop in silence', 'Idle', `${STOP}, down stopped`],
    ['AutomaticStart', 'Established', NOTHING],
    ['AutomaticStop', 'Idle', downTold('6/1')],
    ['ConnectRetryTimer_Expires', 'Idle', downTold('5/3')],
    ['HoldTimer_Expires', 'Idle', downTold('4/0')],
    ['KeepaliveTimer_Expires', 'Established', 'sendKeepalive, arm keepalive 30'],
    ['DelayOpenTimer_Expires', 'Idle', downTold('5/3')],
    ['IdleHoldTimer_Expires', 'Idle', downTold('5/3')],
    ['SendHoldTimer_Expires', 'Idle', downTold('8/0')],
    ['ForgetTimer_Expires', 'Established', NOTHING],
    ['Tcp_CR_Acked', 'Established', NOTHING],
    ['TcpConnectionConfirmed', 'Established', NOTHING],
    ['TcpConnectionFails', 'Idle', lost],
    ['BGPOpen', 'Idle', downTold('5/3')],
    ['BGPOpen without hold time', 'Idle', downTold('5/3')],
    ['BGPHeaderErr', 'Idle', downTold('1/2')],
    ['BGPOpenMsgErr', 'Idle', downTold('5/3')],
    ['OpenCollisionDump', 'Idle', downTold('6/7')],
    ['NotifMsgVerErr', 'Idle', toldBy],
    ['NotifMsg', 'Idle', toldBy],
    ['NotifMsg of a collision', 'Idle', toldBy],
    ['KeepAliveMsg', 'Established', 'arm hold 90'],
    ['UpdateMsg', 'Established', 'arm hold 90'],
    ['RouteRefreshMsg', 'Established', 'arm hold 90'],
    ['UpdateMsgErr', 'Idle', downTold('3/1')],
  ]);
});
