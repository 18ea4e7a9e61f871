/** One machine in each state and one event of each kind, for the tests of the machine. */

import { NotificationError } from '../../../../src/bgp/notification.js';
import type { FsmEvent, Machine } from '../../../../src/bgp/session/fsmTypes.js';
import { newMachine, TIMERS, type MachineOptions } from '../../../../src/bgp/session/fsmTypes.js';
import type { FsmState } from '../../../../src/bgp/session/sessionTypes.js';

export const OPTIONS: MachineOptions = { passive: false, connectRetryTime: 120, idleHoldTime: { min: 5, max: 60 } };
export const CEASE = new NotificationError(6, 2, 'maintenance');

/** A machine in this state, with a hold time of 90 s where one was negotiated. */
export function machineIn(state: FsmState, overrides: Partial<Machine> = {}): Machine {
  const negotiated = state === 'OpenConfirm' || state === 'Established';
  return {
    ...newMachine(OPTIONS),
    state,
    connectRetryCounter: 3,
    ...(negotiated ? { holdTime: 90, keepaliveTime: 30 } : {}),
    ...overrides,
  };
}

/** Every event, by the name it has in the RFC. */
export const EVENTS: Readonly<Record<string, FsmEvent>> = {
  ManualStart: { kind: 'manualStart' },
  ManualStop: { kind: 'manualStop', cease: CEASE, text: 'stopped' },
  'ManualStop in silence': { kind: 'manualStop', text: 'stopped' },
  AutomaticStart: { kind: 'automaticStart' },
  AutomaticStop: { kind: 'automaticStop', cease: new NotificationError(6, 1, 'too many prefixes') },
  ConnectRetryTimer_Expires: { kind: 'timer', timer: 'connectRetry' },
  HoldTimer_Expires: { kind: 'timer', timer: 'hold' },
  KeepaliveTimer_Expires: { kind: 'timer', timer: 'keepalive' },
  DelayOpenTimer_Expires: { kind: 'timer', timer: 'delayOpen' },
  IdleHoldTimer_Expires: { kind: 'timer', timer: 'idleHold' },
  SendHoldTimer_Expires: { kind: 'timer', timer: 'sendHold' },
  ForgetTimer_Expires: { kind: 'timer', timer: 'forget' },
  Tcp_CR_Acked: { kind: 'tcpAcked' },
  TcpConnectionConfirmed: { kind: 'tcpConfirmed' },
  TcpConnectionFails: { kind: 'tcpFails', text: 'reset' },
  BGPOpen: { kind: 'open', holdTime: 90, keepaliveTime: 30 },
  'BGPOpen without hold time': { kind: 'open', holdTime: 0, keepaliveTime: 0 },
  BGPHeaderErr: { kind: 'headerError', error: new NotificationError(1, 2, 'bad length') },
  BGPOpenMsgErr: { kind: 'openError', error: new NotificationError(2, 2, 'bad peer AS') },
  OpenCollisionDump: { kind: 'collisionDump' },
  NotifMsgVerErr: { kind: 'notificationVersionError', text: 'unsupported version' },
  NotifMsg: { kind: 'notification', code: 6, subcode: 4, text: 'reset' },
  'NotifMsg of a collision': { kind: 'notification', code: 6, subcode: 7, text: 'collision' },
  KeepAliveMsg: { kind: 'keepalive' },
  UpdateMsg: { kind: 'update' },
  RouteRefreshMsg: { kind: 'routeRefresh' },
  UpdateMsgErr: { kind: 'updateError', error: new NotificationError(3, 1, 'malformed') },
};

/** The timers, for checks that none is forgotten. */
export const ALL_TIMERS = [...TIMERS];
