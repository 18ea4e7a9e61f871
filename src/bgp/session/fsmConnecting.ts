/** The machine before an OPEN was sent: Idle, Connect and Active. RFC 4271 section 8.2.2. */

import { assertNever } from '../../core/assertNever.js';
import {
  arm,
  cancel,
  connected,
  describe,
  dumped,
  listenAgain,
  notified,
  silentFault,
  stay,
  toIdle,
  toOpenConfirm,
  toOpenSent,
  toStopped,
  versionRefused,
} from './fsmTransitions.js';
import type { FsmEvent, Machine, Step, Timer } from './fsmTypes.js';

/** Idle: connections are refused, and only a start or the end of the idle hold time matters. */
export function inIdle(machine: Machine, event: FsmEvent): Step {
  switch (event.kind) {
    case 'manualStart':
      return begin({ ...machine, connectRetryCounter: 0, idleHold: machine.options.idleHoldTime.min });
    case 'automaticStart':
      return begin({ ...machine, connectRetryCounter: 0 });
    case 'timer':
      return event.timer === 'idleHold' ? begin(machine) : stay(machine);
    case 'manualStop':
      // The RFC ignores it here; but a peer that is stopped must not come back when the idle hold time is over.
      return { machine: { ...machine, idleHold: machine.options.idleHoldTime.min }, actions: [cancel('idleHold')] };
    case 'automaticStop':
    case 'tcpAcked':
    case 'tcpConfirmed':
    case 'tcpFails':
    case 'open':
    case 'headerError':
    case 'openError':
    case 'collisionDump':
    case 'notificationVersionError':
    case 'notification':
    case 'keepalive':
    case 'update':
    case 'routeRefresh':
    case 'updateError':
      return stay(machine);
    default:
      return assertNever(event);
  }
}

/**
 * Connect: our attempt is under way (or, with DelayOpen, has succeeded).
 *
 * Where the RFC goes to Idle because the attempt failed, this machine goes to Active, as it also says for a failure
 * during DelayOpen: in Idle a peer that starts a moment after us would be refused.
 */
export function inConnect(machine: Machine, event: FsmEvent): Step {
  switch (event.kind) {
    case 'timer':
      return event.timer === 'connectRetry' ? retry(machine) : expired(machine, event.timer);
    case 'tcpFails':
      return listenAgain(machine, event.text);
    default:
      return beforeOpen(machine, event);
  }
}

/** Active: waiting for the peer to connect, or for the time to try again (or, with DelayOpen, the peer has connected). */
export function inActive(machine: Machine, event: FsmEvent): Step {
  switch (event.kind) {
    case 'timer':
      if (event.timer === 'connectRetry') return machine.options.passive ? stay(machine) : reconnect(machine);
      return expired(machine, event.timer);
    case 'tcpFails':
      return silentFault(machine, event.text);
    default:
      return beforeOpen(machine, event);
  }
}

/** What Connect and Active have in common; the type names what is left to it, so an event without an answer does not compile. */
function beforeOpen(machine: Machine, event: Exclude<FsmEvent, { kind: 'timer' | 'tcpFails' }>): Step {
  switch (event.kind) {
    case 'manualStart':
    case 'automaticStart':
      return stay(machine);
    case 'manualStop':
      return toStopped(machine, event, false);
    case 'tcpAcked':
    case 'tcpConfirmed':
      return machine.delaying ? stay(machine) : connected(machine);
    case 'open':
      return machine.delaying
        ? toOpenConfirm(machine, event, [{ kind: 'sendOpen' }])
        : silentFault(machine, surprise(machine, event));
    case 'notificationVersionError':
      return versionRefused(machine, event.text);
    case 'notification':
      return notified(machine, event);
    case 'headerError':
    case 'openError':
    case 'updateError':
      return silentFault(machine, event.error.message);
    case 'automaticStop':
      return silentFault(machine, event.cease.message);
    case 'collisionDump':
      return dumped(machine, false);
    case 'keepalive':
    case 'update':
    case 'routeRefresh':
      return silentFault(machine, surprise(machine, event));
    default:
      return assertNever(event);
  }
}

/** Timers other than the ConnectRetryTimer. */
function expired(machine: Machine, timer: Exclude<Timer, 'connectRetry'>): Step {
  switch (timer) {
    case 'delayOpen':
      return toOpenSent(machine);
    case 'hold':
    case 'keepalive':
    case 'idleHold':
    case 'sendHold':
    case 'forget':
      return toIdle(machine, {
        reason: { kind: 'connectionLost', text: surprise(machine, { kind: 'timer', timer }) },
        count: true,
        damp: true,
      });
    default:
      return assertNever(timer);
  }
}

/** Leaves Idle. */
function begin(machine: Machine): Step {
  if (machine.options.passive) return { machine: { ...machine, state: 'Active' }, actions: [cancel('idleHold')] };
  return {
    machine: { ...machine, state: 'Connect' },
    actions: [cancel('idleHold'), arm('connectRetry', machine.options.connectRetryTime), { kind: 'connect' }],
  };
}

/** The ConnectRetryTimer expired: drop what there is and try once more. */
function reconnect(machine: Machine): Step {
  return {
    machine: { ...machine, state: 'Connect', delaying: false },
    actions: [
      cancel('delayOpen'),
      { kind: 'disconnect' },
      arm('connectRetry', machine.options.connectRetryTime),
      { kind: 'connect' },
    ],
  };
}

/** The same while an attempt is under way: nobody has answered it. */
function retry(machine: Machine): Step {
  const text = `no answer to the connection attempt in ${machine.options.connectRetryTime} s`;
  const { machine: next, actions } = reconnect(machine);
  return { machine: next, actions: [...actions, { kind: 'failed', reason: { kind: 'connectionLost', text } }] };
}

function surprise(machine: Machine, event: FsmEvent): string {
  return `unexpected ${describe(event)} in state ${machine.state}`;
}
