/** The finite state machine of a BGP connection as a pure function. RFC 4271 section 8, RFC 6608, RFC 9687. */

import { assertNever } from '../../core/assertNever.js';
import { inActive, inConnect, inIdle } from './fsmConnecting.js';
import { inEstablished } from './fsmEstablished.js';
import { inOpenConfirm, inOpenSent } from './fsmOpening.js';
import type { FsmEvent, Machine, Step } from './fsmTypes.js';

/**
 * What a machine becomes with this event, and what is to be done about it. Every state answers every event. It knows
 * one connection; a second one to the same peer has a machine of its own, and collision.ts decides between them.
 */
export function step(machine: Machine, event: FsmEvent): Step {
  switch (machine.state) {
    case 'Idle':
      return inIdle(machine, event);
    case 'Connect':
      return inConnect(machine, event);
    case 'Active':
      return inActive(machine, event);
    case 'OpenSent':
      return inOpenSent(machine, event);
    case 'OpenConfirm':
      return inOpenConfirm(machine, event);
    case 'Established':
      return inEstablished(machine, event);
    default:
      return assertNever(machine.state);
  }
}
