/** The vocabulary of the finite state machine: its state, events, timers and actions. RFC 4271 section 8.1, RFC 9687. */

import type { NotificationError } from '../notification.js';
import type { DownReason, FsmState } from './sessionTypes.js';

/**
 * RFC 4271 section 8.1.3, IdleHold of section 8.1.1, SendHold of RFC 9687 section 3. `forget` is ours: once a session
 * has stayed up as long as the longest IdleHoldTime, its peer's past oscillation is forgotten.
 */
export const TIMERS = ['connectRetry', 'hold', 'keepalive', 'delayOpen', 'idleHold', 'sendHold', 'forget'] as const;
export type Timer = (typeof TIMERS)[number];

/** The session attributes of RFC 4271 section 8.1.1 that are configured. Times are seconds. */
export interface MachineOptions {
  /** PassiveTcpEstablishment: never connect, only accept. */
  readonly passive: boolean;
  readonly connectRetryTime: number;
  /** DelayOpen is off when absent. */
  readonly delayOpenTime?: number;
  /** DampPeerOscillations: the first wait in Idle after an error, and the most it doubles to. */
  readonly idleHoldTime: { readonly min: number; readonly max: number };
}

/** One connection's machine. A value: `step` answers the next one. */
export interface Machine {
  readonly options: MachineOptions;
  readonly state: FsmState;
  readonly connectRetryCounter: number;
  /** The DelayOpenTimer runs: the connection is up and our OPEN has not been sent (Connect and Active only). */
  readonly delaying: boolean;
  /** Negotiated, in seconds; 0 before and when the session has neither hold timer nor keepalives. */
  readonly holdTime: number;
  readonly keepaliveTime: number;
  /** Seconds that the next stay in Idle after an error will last. */
  readonly idleHold: number;
}

/**
 * RFC 4271 section 8.1.2 to 8.1.5, with the numbers given there. Events 14 and 15 (a SYN that is or is not acceptable)
 * are the listener's and never reach a machine. Whether a start is passive (4, 5, 7) or damped (6, 7) is in the options.
 */
export type FsmEvent =
  /** 1 and 4. */
  | { readonly kind: 'manualStart' }
  /** 3, 5, 6 and 7. */
  | { readonly kind: 'automaticStart' }
  /** 2. Without `cease` the connection is closed with no NOTIFICATION (graceful restart of ours). */
  | { readonly kind: 'manualStop'; readonly cease?: NotificationError; readonly text: string }
  /** 8: we end the session for a reason of our own, and come back after the idle hold time. */
  | { readonly kind: 'automaticStop'; readonly cease: NotificationError }
  /** 9 to 13, and 29 (RFC 9687). */
  | { readonly kind: 'timer'; readonly timer: Timer }
  /** 16: our connection attempt succeeded. */
  | { readonly kind: 'tcpAcked' }
  /** 17: the peer's did. */
  | { readonly kind: 'tcpConfirmed' }
  /** 18. */
  | { readonly kind: 'tcpFails'; readonly text: string }
  /** 19 and 20, with what was negotiated (seconds). */
  | { readonly kind: 'open'; readonly holdTime: number; readonly keepaliveTime: number }
  /** 21. */
  | { readonly kind: 'headerError'; readonly error: NotificationError }
  /** 22. */
  | { readonly kind: 'openError'; readonly error: NotificationError }
  /** 23. */
  | { readonly kind: 'collisionDump' }
  /** 24: the peer does not speak our version. */
  | { readonly kind: 'notificationVersionError'; readonly text: string }
  /** 25. */
  | { readonly kind: 'notification'; readonly code: number; readonly subcode: number; readonly text: string }
  /** 26. */
  | { readonly kind: 'keepalive' }
  /** 27. */
  | { readonly kind: 'update' }
  /** ROUTE-REFRESH (RFC 2918) came. */
  | { readonly kind: 'routeRefresh' }
  /** 28. */
  | { readonly kind: 'updateError'; readonly error: NotificationError };

/** What the machine wants done, in order. */
export type Action =
  | { readonly kind: 'connect' }
  | { readonly kind: 'sendOpen' }
  | { readonly kind: 'sendKeepalive' }
  | { readonly kind: 'notify'; readonly error: NotificationError }
  /** Close the connection, if there is one, after what was sent. */
  | { readonly kind: 'disconnect' }
  /** Start the timer anew. Jitter is the driver's ({@link JITTERED}). */
  | { readonly kind: 'arm'; readonly timer: Timer; readonly seconds: number }
  | { readonly kind: 'cancel'; readonly timers: readonly Timer[] }
  | { readonly kind: 'up' }
  /** After `up`, exactly once. */
  | { readonly kind: 'down'; readonly reason: DownReason }
  /** An attempt ended before it came up. */
  | { readonly kind: 'failed'; readonly reason: DownReason };

export interface Step {
  readonly machine: Machine;
  readonly actions: readonly Action[];
}

/** Timers that are shortened to 75 to 100 % at random each time they are armed (RFC 4271 section 10). */
export const JITTERED: ReadonlySet<Timer> = new Set<Timer>(['connectRetry', 'keepalive', 'idleHold']);

/** Seconds the HoldTimer runs in OpenSent (RFC 4271 section 8.2.2 suggests four minutes). */
export const LARGE_HOLD_TIME = 240;

/** Seconds without progress in sending after which the peer counts as stuck (RFC 9687 section 3.2). */
export function sendHoldTime(holdTime: number): number {
  return Math.max(480, 2 * holdTime);
}

/** A machine that was never started. */
export function newMachine(options: MachineOptions): Machine {
  return {
    options,
    state: 'Idle',
    connectRetryCounter: 0,
    delaying: false,
    holdTime: 0,
    keepaliveTime: 0,
    idleHold: options.idleHoldTime.min,
  };
}
