/** What a session counts, for people. */

import { MessageType } from '../wire/iana.js';
import type { SessionCounters } from './sessionTypes.js';

type Kind = keyof SessionCounters['messagesReceived'];

/** {@link SessionCounters}, writable by the session alone. */
export interface Counting extends SessionCounters {
  readonly messagesReceived: Record<Kind, number>;
  readonly messagesSent: Record<Kind, number>;
  octetsReceived: number;
  octetsSent: number;
  established: number;
}

export function newCounters(): Counting {
  const none = (): Record<Kind, number> => ({ open: 0, update: 0, notification: 0, keepalive: 0, routeRefresh: 0 });
  return { messagesReceived: none(), messagesSent: none(), octetsReceived: 0, octetsSent: 0, established: 0 };
}

const KINDS: Readonly<Record<number, Kind>> = {
  [MessageType.open]: 'open',
  [MessageType.update]: 'update',
  [MessageType.notification]: 'notification',
  [MessageType.keepalive]: 'keepalive',
  [MessageType.routeRefresh]: 'routeRefresh',
};

/** The counter of a message type; every type that framing lets through has one. */
export function kindOf(type: number): Kind {
  return KINDS[type] ?? 'update';
}
