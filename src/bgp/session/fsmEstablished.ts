/** The machine while the session is up. RFC 4271 section 8.2.2, RFC 9687 section 3.3. */

import { assertNever } from '../../core/assertNever.js';
import {
  arm,
  dumped,
  fault,
  holdExpired,
  notified,
  sendHoldExpired,
  silentFault,
  stay,
  toStopped,
  unexpected,
  versionRefused,
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
    case 'manualStart':
    case 'automaticStart':
    case 'tcpAcked':
    case 'tcpConfirmed':
      return stay(machine);
    case 'manualStop':
      return toStopped(machine, event, true);
    case 'automaticStop':
      return fault(machine, event.cease);
    case 'tcpFails':
      return silentFault(machine, event.text);
    case 'headerError':
    case 'updateError':
      return fault(machine, event.error);
    case 'open':
    case 'openError':
      return unexpected(machine, event);
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
