/** One TCP connection to a peer: messages in, messages out, and an end that lets a NOTIFICATION arrive. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import type { SharedBuffer } from '../../core/sharedBuffer.js';
import type { NotificationError } from '../notification.js';
import type { Initiator } from './collision.js';
import { MessageReader, type MessageHandler } from './messageReader.js';
import { SendQueue } from './sendQueue.js';
import type { SessionEndpoints } from './sessionTypes.js';
import type { ConnectOptions, SocketEvents, SocketFactory, SocketHops, StreamSocket } from './socketTypes.js';

/** Milliseconds that a closing connection may take to send its last message and hear the peer's FIN. */
const LINGER = 2000;
/** Milliseconds that one connection may read without giving the event loop back to timers and other connections. */
const READ_SLICE = 5;

/** Calls a connection makes; none after `finish` or `abort`. */
export interface ConnectionEvents {
  connected(): void;
  message: MessageHandler;
  /** All messages of one read were delivered. */
  readDone(octets: number): void;
  badHeader(error: NotificationError): void;
  drained(): void;
  closed(text: string): void;
}

export interface Connection {
  readonly initiator: Initiator;
  /** Undefined until connected. */
  readonly endpoints: SessionEndpoints | undefined;
  /** Octets queued or with Node, not yet with the kernel. */
  readonly waiting: number;
  /** When (by the clock) the kernel last took octets. */
  readonly lastProgress: number;
  /** See {@link MessageReader.maxMessage}. */
  setMaxMessage(octets: number): void;
  setHops(hops: SocketHops): void;
  /** See {@link SendQueue.push}. @returns false when about 1 MiB is waiting; `drained` follows below 256 KiB */
  send(octets: Uint8Array, buffer?: SharedBuffer): boolean;
  sendFirst(octets: Uint8Array): void;
  /** Sends a last message instead of what is queued, then closes; frees the socket within two seconds in any case. */
  finish(last: Uint8Array): void;
  /** Closes at once. */
  abort(): void;
}

/** Begins to connect. */
export function openConnection(
  sockets: SocketFactory,
  options: ConnectOptions,
  clock: Clock,
  events: ConnectionEvents,
): Connection {
  return connectionOn(socketEvents => sockets.connect(options, socketEvents), 'local', clock, events);
}

/** Takes over an accepted socket and begins to read. */
export function adoptConnection(socket: StreamSocket, clock: Clock, events: ConnectionEvents): Connection {
  const attach = (socketEvents: SocketEvents): StreamSocket => {
    socket.attach(socketEvents);
    return socket;
  };
  return connectionOn(attach, 'remote', clock, events);
}

function connectionOn(
  open: (events: SocketEvents) => StreamSocket,
  initiator: Initiator,
  clock: Clock,
  events: ConnectionEvents,
): Connection {
  let over = false;
  let isConnected = initiator === 'remote';
  let lastProgress = clock.now();
  let linger: TimerHandle | undefined;

  const reader = new MessageReader((type, octets, start, end) => events.message(type, octets, start, end));
  const slice = readSlice(clock, () => socket);
  const socket = open({
    connected: () => {
      if (over) return;
      isConnected = true;
      events.connected();
    },
    data: octets => {
      if (over) return;
      slice.begin();
      const error = reader.read(octets);
      // The owner may have ended the connection from inside a message.
      if (!isOver()) events.readDone(octets.length);
      if (!isOver() && error !== undefined) events.badHeader(error);
      if (!isOver()) slice.end();
    },
    closed: text => {
      if (linger !== undefined) release();
      if (over) return;
      stop();
      events.closed(text);
    },
  });
  const queue = new SendQueue(
    (chunks, flushed) => socket.write(chunks, flushed),
    () => (lastProgress = clock.now()),
    () => {
      if (!over) events.drained();
    },
  );
  const isOver = (): boolean => over;
  const stop = (): void => {
    over = true;
    reader.stop();
    slice.cancel();
    queue.discard();
  };
  const release = (): void => {
    if (linger !== undefined) clock.clearTimeout(linger);
    linger = undefined;
    socket.destroy();
  };

  return {
    initiator,
    get endpoints() {
      return isConnected ? socket.endpoints() : undefined;
    },
    get waiting() {
      return queue.waiting;
    },
    get lastProgress() {
      return lastProgress;
    },
    setMaxMessage: octets => (reader.maxMessage = octets),
    setHops: hops => socket.setHops(hops),
    send: (octets, buffer) => queue.push(octets, buffer),
    sendFirst: octets => queue.pushFirst(octets),
    finish: last => {
      if (over) return;
      stop();
      linger = clock.setTimeout(release, LINGER);
      queue.push(last);
      queue.whenEmpty(() => {
        if (linger !== undefined) socket.end();
      });
      // What the peer still sends is read and dropped: unread octets would turn our FIN into a reset.
      socket.resumeReading();
    },
    abort: () => {
      if (!over) stop();
      release();
    },
  };
}

/** Pauses a socket that has been read for long without a turn of the event loop in between. */
function readSlice(clock: Clock, socket: () => StreamSocket): { begin(): void; end(): void; cancel(): void } {
  let began: number | undefined;
  let turn: TimerHandle | undefined;
  let paused = false;
  const nextTurn = (): void => {
    turn = undefined;
    began = undefined;
    if (paused) socket().resumeReading();
    paused = false;
  };
  return {
    begin: () => {
      began ??= clock.now();
      turn ??= clock.setTimeout(nextTurn, 0);
    },
    end: () => {
      if (paused || began === undefined || clock.now() - began < READ_SLICE) return;
      paused = true;
      socket().pauseReading();
    },
    cancel: () => {
      if (turn !== undefined) clock.clearTimeout(turn);
      turn = undefined;
      paused = false;
    },
  };
}
