/** The machine while the session is up. RFC 4271 section 8.2.2, RFC 9687 section 3.3. */

import { assertNever } from '../../core/assertNever.js';
import {
  afterOpen,
  arm,
  fault,
  holdExpired,
  sendHoldExpired,
  silentFault,
  stay,
  unexpected,
} from './fsmTransitions.js';
import type { FsmEvent, Machine, Step } from './fsmTypes.js';

/**
 * Established. The RFC lists a bad header among the FSM errors here; its section 6.1 asks for the header's own error,
 * which says more, so that is what is sent.
 */
export function inEstablished(machine: Machine, event: FsmEvent): Step {
  switch (event.kind) {
    case 'keepalive':
    case 'update':
    case 'routeRefresh':
      return machine.holdTime === 0 ? stay(machine) : { machine, actions: [arm('hold', machine.holdTime)] };
    case 'timer':
      return upTimer(machine, event);
    case 'tcpFails':
      return silentFault(machine, event.text);
    case 'updateError':
      return fault(machine, event.error);
    case 'open':
    case 'openError':
      return unexpected(machine, event);
    default:
      return afterOpen(machine, event);
  }
}

function upTimer(machine: Machine, event: FsmEvent & { kind: 'timer' }): Step {
  switch (event.timer) {
    case 'hold':
      return holdExpired(machine);
    case 'keepalive':
      return { machine, actions: [{ kind: 'sendKeepalive' }, arm('keepalive', machine.keepaliveTime)] };
    case 'sendHold':
      return sendHoldExpired(machine);
    case 'forget':
      return { machine: { ...machine, idleHold: machine.options.idleHoldTime.min }, actions: [] };
    case 'connectRetry':
    case 'delayOpen':
    case 'idleHold':
      return unexpected(machine, event);
    default:
      return assertNever(event.timer);
  }
}
