/** The moves that several states of the machine share: coming up, going Idle. RFC 4271 section 8.2.2, RFC 6608. */

import { assertNever } from '../../core/assertNever.js';
import { NotificationError } from '../notification.js';
import { CeaseCode, ErrorCode, FsmError } from '../wire/iana.js';
import type { Action, FsmEvent, Machine, Step, Timer } from './fsmTypes.js';
import { LARGE_HOLD_TIME, sendHoldTime, TIMERS } from './fsmTypes.js';
import type { DownReason } from './sessionTypes.js';

/** The event changes nothing. */
export function stay(machine: Machine): Step {
  return { machine, actions: [] };
}

/** "Sends an OPEN message, sets the HoldTimer to a large value and changes its state to OpenSent." */
export function toOpenSent(machine: Machine): Step {
  return {
    machine: { ...machine, state: 'OpenSent', delaying: false },
    actions: [cancel('connectRetry', 'delayOpen'), { kind: 'sendOpen' }, arm('hold', LARGE_HOLD_TIME)],
  };
}

/** The peer's OPEN is good: answer with a KEEPALIVE and wait for the peer's. `before`: what must be sent first. */
export function toOpenConfirm(machine: Machine, event: FsmEvent & { kind: 'open' }, before: readonly Action[]): Step {
  const { holdTime, keepaliveTime } = event;
  const timers =
    holdTime === 0
      ? [cancel('hold', 'keepalive')]
      : [arm('keepalive', keepaliveTime), arm('hold', holdTime), arm('sendHold', sendHoldTime(holdTime))];
  return {
    machine: { ...machine, state: 'OpenConfirm', delaying: false, holdTime, keepaliveTime },
    actions: [cancel('connectRetry', 'delayOpen'), ...before, { kind: 'sendKeepalive' }, ...timers],
  };
}

/** The connection is up; OPEN goes out at once, or after the DelayOpenTimer. */
export function connected(machine: Machine): Step {
  const { delayOpenTime } = machine.options;
  if (delayOpenTime === undefined) return toOpenSent(machine);
  return {
    machine: { ...machine, delaying: true },
    actions: [cancel('connectRetry'), arm('delayOpen', delayOpenTime)],
  };
}

/** The connection broke before the peer's OPEN: not an error yet, "continues to listen" (event 18). */
export function listenAgain(machine: Machine, text: string): Step {
  const { passive, connectRetryTime } = machine.options;
  return {
    machine: { ...machine, state: 'Active', delaying: false },
    actions: [
      cancel('delayOpen', 'hold'),
      { kind: 'disconnect' },
      ...(passive ? [] : [arm('connectRetry', connectRetryTime)]),
      { kind: 'failed', reason: { kind: 'connectionLost', text } },
    ],
  };
}

/** How a connection ends; `notify` is sent first. */
interface Ending {
  readonly reason: DownReason;
  /** Increment the ConnectRetryCounter. */
  readonly count: boolean;
  /** Let the next stay in Idle last longer (DampPeerOscillations). */
  readonly damp: boolean;
  readonly notify?: NotificationError;
}

/** Ends the connection and waits in Idle for the IdleHoldTimer, which starts anew by itself. */
export function toIdle(machine: Machine, ending: Ending): Step {
  const { reason, count, damp, notify } = ending;
  const longer = Math.min(machine.options.idleHoldTime.max, Math.max(1, machine.idleHold * 2));
  return {
    machine: {
      ...idle(machine),
      connectRetryCounter: machine.connectRetryCounter + (count ? 1 : 0),
      idleHold: damp ? longer : machine.idleHold,
    },
    actions: [
      ...(notify === undefined ? [] : [{ kind: 'notify', error: notify } as const]),
      ...release,
      arm('idleHold', machine.idleHold),
      { kind: machine.state === 'Established' ? 'down' : 'failed', reason },
    ],
  };
}

/** ManualStop: Idle until somebody starts it. `mayNotify`: an OPEN was sent, so the peer may be told. */
export function toStopped(machine: Machine, event: FsmEvent & { kind: 'manualStop' }, mayNotify: boolean): Step {
  const up = machine.state === 'Established';
  return {
    machine: { ...idle(machine), connectRetryCounter: 0, idleHold: machine.options.idleHoldTime.min },
    actions: [
      ...(mayNotify && event.cease !== undefined ? [{ kind: 'notify', error: event.cease } as const] : []),
      ...release,
      ...(up ? [{ kind: 'down', reason: { kind: 'stopped', text: event.text } } as const] : []),
    ],
  };
}

/** We found an error and tell the peer. */
export function fault(machine: Machine, error: NotificationError): Step {
  const { code, subcode, message } = error;
  const reason: DownReason = { kind: 'notificationSent', code, subcode, text: message };
  return toIdle(machine, { reason, count: true, damp: !isCollision(code, subcode), notify: error });
}

/** The same before an OPEN was sent: SendNOTIFICATIONwithoutOPEN is off, so the connection is just closed. */
export function silentFault(machine: Machine, text: string): Step {
  return toIdle(machine, { reason: { kind: 'connectionLost', text }, count: true, damp: true });
}

/** An event that this state does not expect is an error of the machine (RFC 6608). */
export function unexpected(machine: Machine, event: FsmEvent): Step {
  const subcode = {
    OpenSent: FsmError.inOpenSent,
    OpenConfirm: FsmError.inOpenConfirm,
    Established: FsmError.inEstablished,
  };
  const { state } = machine;
  const code =
    state === 'OpenSent' || state === 'OpenConfirm' || state === 'Established' ? subcode[state] : FsmError.unspecified;
  const text = `unexpected ${describe(event)} in state ${state}`;
  return fault(machine, new NotificationError(ErrorCode.finiteStateMachine, code, text));
}

/** The peer ended the connection. It is never answered (RFC 4271 section 6.4). */
export function notified(machine: Machine, event: FsmEvent & { kind: 'notification' }): Step {
  const { code, subcode, text } = event;
  const reason: DownReason = { kind: 'notificationReceived', code, subcode, text };
  return toIdle(machine, { reason, count: true, damp: !isCollision(code, subcode) });
}

/** The peer does not speak our version of BGP: no fault of the connection, so nothing is damped. */
export function versionRefused(machine: Machine, text: string): Step {
  const reason: DownReason = { kind: 'notificationReceived', code: ErrorCode.openMessage, subcode: 1, text };
  const up = machine.state === 'Established';
  return toIdle(machine, { reason, count: up, damp: up });
}

export function holdExpired(machine: Machine): Step {
  return fault(machine, new NotificationError(ErrorCode.holdTimerExpired, 0, 'hold timer expired'));
}

/** RFC 9687: the peer has not read for so long that it cannot be told, but the attempt is free. */
export function sendHoldExpired(machine: Machine): Step {
  const text = 'send hold timer expired: the peer does not read';
  return fault(machine, new NotificationError(ErrorCode.sendHoldTimerExpired, 0, text));
}

type Common = Exclude<
  FsmEvent,
  { kind: 'open' | 'openError' | 'updateError' | 'tcpFails' | 'timer' | 'keepalive' | 'update' | 'routeRefresh' }
>;

/**
 * What OpenSent, OpenConfirm and Established have in common; the type names what is left to it, so an event without an
 * answer does not compile. A second connection (events 16 and 17) is tracked by a machine of its own. A NOTIFICATION
 * in OpenSent, which the RFC's list counts as an FSM error, just ends the connection: an answer to a NOTIFICATION would
 * go against its section 6.4.
 */
export function afterOpen(machine: Machine, event: Common): Step {
  switch (event.kind) {
    case 'manualStart':
    case 'automaticStart':
    case 'tcpAcked':
    case 'tcpConfirmed':
      return stay(machine);
    case 'manualStop':
      return toStopped(machine, event, true);
    case 'automaticStop':
      return fault(machine, event.cease);
    case 'headerError':
      return fault(machine, event.error);
    case 'collisionDump':
      return dumped(machine, true);
    case 'notificationVersionError':
      return versionRefused(machine, event.text);
    case 'notification':
      return notified(machine, event);
    default:
      return assertNever(event);
  }
}

/** Event 23: the other connection to this peer stays (RFC 4271 section 6.8). `mayNotify`: our OPEN was sent on this one. */
export function dumped(machine: Machine, mayNotify: boolean): Step {
  const text = 'connection collision: another connection to this peer stays';
  if (mayNotify) return fault(machine, new NotificationError(ErrorCode.cease, CeaseCode.collisionResolution, text));
  return toIdle(machine, { reason: { kind: 'connectionLost', text }, count: true, damp: false });
}

export function arm(timer: Timer, seconds: number): Action {
  return { kind: 'arm', timer, seconds };
}

export function cancel(...timers: readonly Timer[]): Action {
  return { kind: 'cancel', timers };
}

/** What an event is called in a sentence. */
export function describe(event: FsmEvent): string {
  return event.kind === 'timer' ? `${event.timer} timer` : event.kind;
}

/** Two connections at once are no oscillation, so the end of one of them is not damped. */
function isCollision(code: number, subcode: number): boolean {
  return code === ErrorCode.cease && subcode === CeaseCode.collisionResolution;
}

const release: readonly Action[] = [{ kind: 'cancel', timers: TIMERS }, { kind: 'disconnect' }];

function idle(machine: Machine): Machine {
  return { ...machine, state: 'Idle', delaying: false, holdTime: 0, keepaliveTime: 0 };
}
