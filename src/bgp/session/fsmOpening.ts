/** The machine between our OPEN and the peer's first KEEPALIVE: OpenSent and OpenConfirm. RFC 4271 section 8.2.2. */

import { assertNever } from '../../core/assertNever.js';
import {
  arm,
  cancel,
  dumped,
  fault,
  holdExpired,
  listenAgain,
  notified,
  sendHoldExpired,
  silentFault,
  stay,
  toOpenConfirm,
  toStopped,
  unexpected,
  versionRefused,
} from './fsmTransitions.js';
import type { FsmEvent, Machine, Step } from './fsmTypes.js';

/** OpenSent: waiting for the peer's OPEN. */
export function inOpenSent(machine: Machine, event: FsmEvent): Step {
  switch (event.kind) {
    case 'open':
      return toOpenConfirm(machine, event, []);
    case 'tcpFails':
      return listenAgain(machine, event.text);
    case 'timer':
      return event.timer === 'hold' ? holdExpired(machine) : unexpected(machine, event);
    case 'keepalive':
    case 'update':
    case 'routeRefresh':
      return unexpected(machine, event);
    default:
      return whileOpening(machine, event);
  }
}

/** OpenConfirm: waiting for a KEEPALIVE, which says that the peer accepts our OPEN. */
export function inOpenConfirm(machine: Machine, event: FsmEvent): Step {
  switch (event.kind) {
    case 'keepalive':
      return toEstablished(machine);
    case 'timer':
      return confirmTimer(machine, event);
    case 'tcpFails':
      return silentFault(machine, event.text);
    case 'open':
    case 'update':
    case 'routeRefresh':
      return unexpected(machine, event);
    default:
      return whileOpening(machine, event);
  }
}

type Common = Exclude<FsmEvent, { kind: 'open' | 'tcpFails' | 'timer' | 'keepalive' | 'update' | 'routeRefresh' }>;

/**
 * What both states have in common; the type names what is left to it, so an event without an answer does not compile.
 * A second connection (events 16 and 17) is tracked by a machine of its own. A
 * NOTIFICATION in OpenSent, which the RFC's list counts as an FSM error, just ends the connection: an answer to a
 * NOTIFICATION would go against its section 6.4.
 */
function whileOpening(machine: Machine, event: Common): Step {
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
    case 'openError':
      return fault(machine, event.error);
    case 'collisionDump':
      return dumped(machine, true);
    case 'notificationVersionError':
      return versionRefused(machine, event.text);
    case 'notification':
      return notified(machine, event);
    case 'updateError':
      return unexpected(machine, event);
    default:
      return assertNever(event);
  }
}

function toEstablished(machine: Machine): Step {
  const restart = machine.holdTime === 0 ? [] : [arm('hold', machine.holdTime)];
  return {
    machine: { ...machine, state: 'Established' },
    actions: [...restart, arm('forget', machine.options.idleHoldTime.max), { kind: 'up' }],
  };
}

function confirmTimer(machine: Machine, event: FsmEvent & { kind: 'timer' }): Step {
  switch (event.timer) {
    case 'hold':
      return holdExpired(machine);
    case 'keepalive':
      return { machine, actions: [{ kind: 'sendKeepalive' }, arm('keepalive', machine.keepaliveTime)] };
    case 'sendHold':
      return sendHoldExpired(machine);
    case 'connectRetry':
    case 'delayOpen':
    case 'idleHold':
    case 'forget':
      return unexpected(machine, event);
    default:
      return assertNever(event.timer);
  }
}
