/** One machine with its connection and timers: carries out what the machine wants, tells it what happens. RFC 4271 section 8. */

import { assertNever } from '../../core/assertNever.js';
import type { TimerHandle } from '../../core/clock.js';
import { formatAddress } from '../../core/ip.js';
import type { SharedBuffer } from '../../core/sharedBuffer.js';
import type { OpenMessage } from '../messages.js';
import type { Negotiated } from '../negotiated.js';
import { NotificationError } from '../notification.js';
import { encodeKeepalive } from '../wire/frame.js';
import { ErrorCode, FsmError, MessageType, OpenError } from '../wire/iana.js';
import { decodeNotification, describeNotification, encodeNotification } from '../wire/notificationMessage.js';
import { decodeOpen, encodeOpen } from '../wire/open.js';
import { adoptConnection, openConnection, type Connection, type ConnectionEvents } from './connection.js';
import { kindOf, type Counting } from './counters.js';
import { step } from './fsm.js';
import { newMachine, sendHoldTime, type Action, type FsmEvent, type Machine, type Timer } from './fsmTypes.js';
import { socketHops } from './hops.js';
import type { SessionOptions } from './managedSession.js';
import { negotiate } from './negotiate.js';
import { makeOffer } from './offer.js';
import type { DownReason } from './sessionTypes.js';
import type { StreamSocket } from './socketTypes.js';
import { createTimers, type Timers } from './timers.js';

/** What a track asks of the session it belongs to. */
export interface TrackOwner {
  readonly options: SessionOptions;
  readonly counters: Counting;
  /** The peer's OPEN is good: settles a collision. `hold`: answer it when {@link Track.release} is called. */
  mayProceed(track: Track, negotiated: Negotiated): 'proceed' | 'hold' | 'given up';
  up(track: Track): void;
  down(track: Track, reason: DownReason): void;
  failed(track: Track, reason: DownReason): void;
  /** An event was answered completely. */
  settled(track: Track): void;
  /** Messages of the established session: UPDATE and ROUTE-REFRESH bodies, lent for the call. */
  update(octets: Uint8Array, start: number, end: number): void;
  routeRefresh(track: Track, octets: Uint8Array, start: number, end: number): void;
  readDone(): void;
  drained(): void;
}

const KEEPALIVE = encodeKeepalive();

/**
 * Milliseconds to hold an OPEN back for another connection that never sends one. Less than the shortest hold time,
 * which the peer may be counting already.
 */
const PATIENCE = 2000;

interface HeldOpen {
  readonly negotiated: Negotiated;
  readonly patience: TimerHandle;
  /** The peer, which has our OPEN, has confirmed it already. */
  isConfirmed: boolean;
}

export class Track {
  readonly #owner: TrackOwner;
  readonly #timers: Timers;
  readonly #events: FsmEvent[] = [];
  #machine: Machine;
  #running = false;
  #retired = false;
  #connection: Connection | undefined;
  /** The OPEN of this connection, sent or about to be: negotiation needs what was really said. */
  #ourOpen: OpenMessage | undefined;
  /** The peer's OPEN, not answered yet because another connection may stay instead; and when the waiting ends. */
  #held: HeldOpen | undefined;
  #negotiated: Negotiated | undefined;
  /** The NOTIFICATION with which the connection is about to be closed. */
  #last: NotificationError | undefined;
  /** An UPDATE came with this read: the hold timer starts anew once, not for each. */
  #heard = false;

  constructor(owner: TrackOwner) {
    const { config, clock, random } = owner.options;
    this.#owner = owner;
    this.#machine = newMachine(config);
    this.#timers = createTimers(clock, random ?? Math.random, timer => this.#expired(timer));
  }

  get machine(): Machine {
    return this.#machine;
  }

  /** Present from the attempt to connect until the end. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Present once the peer's OPEN was accepted. */
  get negotiated(): Negotiated | undefined {
    return this.#negotiated;
  }

  get isEstablished(): boolean {
    return this.#machine.state === 'Established';
  }

  /** Lets the machine answer an event. One that comes while another is answered waits its turn. */
  dispatch(event: FsmEvent): void {
    this.#events.push(event);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const { machine, actions } = step(this.#machine, next);
        this.#machine = machine;
        for (const action of actions) this.#run(action);
      }
    } finally {
      this.#running = false;
    }
    if (!this.#retired) this.#owner.settled(this);
  }

  /** Gives the machine, in Active or new, a connection of the peer's. */
  accept(socket: StreamSocket): void {
    try {
      socket.setHops(this.#hops());
    } catch (error) {
      // The kernel's refusal costs this connection only.
      socket.destroy();
      const text = `cannot accept a connection: ${error instanceof Error ? error.message : String(error)}`;
      this.#owner.failed(this, { kind: 'connectionLost', text });
      this.#owner.settled(this);
      return;
    }
    this.#connection = adoptConnection(socket, this.#owner.options.clock, this.#connectionEvents());
    this.dispatch({ kind: 'tcpConfirmed' });
  }

  /** Makes a machine that waits for the peer without trying to connect: for a connection that comes beside another. */
  waitBeside(primary: Machine): void {
    this.inherit(primary);
    this.#machine = { ...this.#machine, state: 'Active' };
  }

  /** Takes over what is known about the peer's past from the machine it replaces. */
  inherit(other: Machine): void {
    const { connectRetryCounter, idleHold } = other;
    this.#machine = { ...this.#machine, connectRetryCounter, idleHold };
  }

  /** The other connection is gone, or silent: answers the OPEN that was held back. */
  release(): void {
    const held = this.#held;
    this.#unhold();
    if (held === undefined) return;
    this.#proceed(held.negotiated);
    if (held.isConfirmed) this.dispatch({ kind: 'keepalive' });
  }

  /** Ends for good: a last event, if any, nothing told to the owner but `down`, no timer left. */
  retire(event?: FsmEvent): void {
    this.#retired = true;
    if (event !== undefined) this.dispatch(event);
    this.#timers.cancelAll();
  }

  /** Sends whole messages of one type. @returns false when the queue is full */
  send(octets: Uint8Array, type: number, messages: number, buffer?: SharedBuffer): boolean {
    const connection = this.#connection;
    if (connection === undefined) return false;
    this.#count(octets, type, messages);
    return connection.send(octets, buffer);
  }

  #run(action: Action): void {
    switch (action.kind) {
      case 'connect':
        this.#connect();
        return;
      case 'sendOpen':
        this.send(encodeOpen(this.#offer()), MessageType.open, 1);
        return;
      case 'sendKeepalive':
        this.#count(KEEPALIVE, MessageType.keepalive, 1);
        this.#connection?.sendFirst(KEEPALIVE);
        return;
      case 'notify':
        this.#last = action.error;
        return;
      case 'disconnect':
        this.#disconnect();
        return;
      case 'arm':
        this.#timers.arm(action.timer, action.seconds);
        return;
      case 'cancel':
        this.#timers.cancel(action.timers);
        return;
      case 'up':
        this.#owner.up(this);
        return;
      case 'down':
        this.#owner.down(this, action.reason);
        return;
      case 'failed':
        if (!this.#retired) this.#owner.failed(this, action.reason);
        return;
      default:
        return assertNever(action);
    }
  }

  #connect(): void {
    const { config, sockets, clock } = this.#owner.options;
    const options = {
      remote: config.remote,
      remotePort: config.remotePort,
      ...(config.local === undefined ? {} : { local: config.local }),
      ...(config.password === undefined ? {} : { password: config.password }),
      ...this.#hops(),
    };
    this.#connection = openConnection(sockets, options, clock, this.#connectionEvents());
  }

  #disconnect(): void {
    const connection = this.#connection;
    const last = this.#last;
    this.#connection = undefined;
    this.#ourOpen = undefined;
    this.#negotiated = undefined;
    this.#unhold();
    this.#last = undefined;
    this.#heard = false;
    if (last === undefined || connection === undefined) {
      connection?.abort();
    } else {
      const octets = encodeNotification(last.code, last.subcode, last.data);
      this.#count(octets, MessageType.notification, 1);
      connection.finish(octets);
    }
  }

  #connectionEvents(): ConnectionEvents {
    const { config } = this.#owner.options;
    let wasConnected = false;
    return {
      connected: () => {
        wasConnected = true;
        this.dispatch({ kind: 'tcpAcked' });
      },
      message: (type, octets, start, end) => {
        wasConnected = true;
        this.#receive(type, octets, start, end);
      },
      readDone: octets => this.#readDone(octets),
      badHeader: error => this.dispatch({ kind: 'headerError', error }),
      drained: () => this.#owner.drained(),
      closed: text => {
        const early = this.#machine.state === 'Connect' && !wasConnected;
        const where = `${formatAddress(config.remote)} port ${config.remotePort}`;
        this.dispatch({
          kind: 'tcpFails',
          text: early ? `cannot connect to ${where}: ${text}` : `connection lost: ${text}`,
        });
      },
    };
  }

  #receive(type: number, octets: Uint8Array, start: number, end: number): void {
    this.#owner.counters.messagesReceived[kindOf(type)]++;
    switch (type) {
      case MessageType.update:
        if (!this.isEstablished) {
          this.dispatch({ kind: 'update' });
          return;
        }
        this.#heard = true;
        this.#owner.update(octets, start, end);
        return;
      case MessageType.keepalive:
        if (this.#held === undefined) this.dispatch({ kind: 'keepalive' });
        else this.#held.isConfirmed = true;
        return;
      case MessageType.open:
        this.#receiveOpen(octets, start, end);
        return;
      case MessageType.notification:
        this.#receiveNotification(octets, start, end);
        return;
      case MessageType.routeRefresh:
        this.dispatch({ kind: 'routeRefresh' });
        if (this.isEstablished) this.#owner.routeRefresh(this, octets, start, end);
        return;
    }
  }

  #readDone(octets: number): void {
    this.#owner.counters.octetsReceived += octets;
    if (this.#heard) {
      this.#heard = false;
      this.dispatch({ kind: 'update' });
    }
    if (this.isEstablished) this.#owner.readDone();
  }

  #receiveOpen(octets: Uint8Array, start: number, end: number): void {
    const open = decodeOpen(octets, start, end);
    if (!open.ok) {
      this.dispatch({ kind: 'openError', error: open.error });
      return;
    }
    if (this.#held !== undefined) {
      const error = new NotificationError(ErrorCode.finiteStateMachine, FsmError.inOpenSent, 'a second OPEN');
      this.dispatch({ kind: 'openError', error });
      return;
    }
    if (this.#machine.state !== 'OpenSent' && !this.#machine.delaying) {
      this.dispatch({ kind: 'open', holdTime: 0, keepaliveTime: 0 });
      return;
    }
    const { config, clock } = this.#owner.options;
    const negotiated = negotiate(config, this.#offer(), open.value);
    if (!negotiated.ok) {
      this.dispatch({ kind: 'openError', error: negotiated.error });
      return;
    }
    this.#negotiated = negotiated.value;
    switch (this.#owner.mayProceed(this, negotiated.value)) {
      case 'proceed':
        this.#proceed(negotiated.value);
        return;
      case 'hold':
        this.#held = {
          negotiated: negotiated.value,
          patience: clock.setTimeout(() => this.release(), PATIENCE),
          isConfirmed: false,
        };
        return;
      case 'given up':
        return;
    }
  }

  #unhold(): void {
    if (this.#held !== undefined) this.#owner.options.clock.clearTimeout(this.#held.patience);
    this.#held = undefined;
  }

  #proceed({ holdTime, keepaliveTime, maxMessage }: Negotiated): void {
    this.#connection?.setMaxMessage(maxMessage);
    if (this.#owner.options.config.remoteAsn === undefined) this.#connection?.setHops(this.#hops());
    this.dispatch({ kind: 'open', holdTime, keepaliveTime });
  }

  #receiveNotification(octets: Uint8Array, start: number, end: number): void {
    const { code, subcode, data } = decodeNotification(octets, start, end);
    const text = `NOTIFICATION received: ${describeNotification(code, subcode, data)}`;
    const version = code === ErrorCode.openMessage && subcode === OpenError.unsupportedVersion;
    this.dispatch(version ? { kind: 'notificationVersionError', text } : { kind: 'notification', code, subcode, text });
  }

  /** A timer's time is over. Whether a send hold timer's really is depends on when the socket last took something. */
  #expired(timer: Timer): void {
    const connection = this.#connection;
    if (timer === 'sendHold' && connection !== undefined) {
      const limit = sendHoldTime(this.#machine.holdTime);
      const stuck = (this.#owner.options.clock.now() - connection.lastProgress) / 1000;
      if (connection.waiting === 0) {
        this.#timers.arm(timer, limit);
        return;
      }
      if (stuck < limit) {
        this.#timers.arm(timer, limit - stuck);
        return;
      }
    }
    this.dispatch({ kind: 'timer', timer });
  }

  #offer(): OpenMessage {
    const { config, claims } = this.#owner.options;
    this.#ourOpen ??= makeOffer(config, claims());
    return this.#ourOpen;
  }

  #hops(): ReturnType<typeof socketHops> {
    const { hops, localAsn, remoteAsn } = this.#owner.options.config;
    const configured = remoteAsn === undefined ? undefined : remoteAsn === localAsn ? 'ibgp' : 'ebgp';
    return socketHops(hops, this.#negotiated?.kind ?? configured);
  }

  #count(octets: Uint8Array, type: number, messages: number): void {
    this.#owner.counters.messagesSent[kindOf(type)] += messages;
    this.#owner.counters.octetsSent += octets.length;
  }
}
