/** The machine between our OPEN and the peer's first KEEPALIVE: OpenSent and OpenConfirm. RFC 4271 section 8.2.2. */

import { assertNever } from '../../core/assertNever.js';
import {
  afterOpen,
  arm,
  fault,
  holdExpired,
  listenAgain,
  sendHoldExpired,
  silentFault,
  toOpenConfirm,
  unexpected,
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
    case 'openError':
      return fault(machine, event.error);
    case 'keepalive':
    case 'update':
    case 'routeRefresh':
    case 'updateError':
      return unexpected(machine, event);
    default:
      return afterOpen(machine, event);
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
    case 'openError':
      return fault(machine, event.error);
    case 'open':
    case 'update':
    case 'routeRefresh':
    case 'updateError':
      return unexpected(machine, event);
    default:
      return afterOpen(machine, event);
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
