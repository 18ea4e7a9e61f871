/** A session with one peer: up to two connections, of which one stays. RFC 4271 sections 6.8 and 8, RFC 4724, RFC 9003. */

import type { SharedBuffer } from '../../core/sharedBuffer.js';
import { familyOf, type FamilyIndex } from '../families.js';
import type { Negotiated } from '../negotiated.js';
import { NotificationError } from '../notification.js';
import { CeaseCode, ErrorCode, MessageType } from '../wire/iana.js';
import { describeNotification, encodeShutdownData } from '../wire/notificationMessage.js';
import { decodeRouteRefresh, encodeRouteRefresh } from '../wire/routeRefresh.js';
import { resolveCollision } from './collision.js';
import { newCounters } from './counters.js';
import type { ManagedSession, SessionOptions } from './managedSession.js';
import type { DownReason, FsmState, Session, SessionConfig } from './sessionTypes.js';
import type { StreamSocket } from './socketTypes.js';
import { Track, type TrackOwner } from './track.js';

type Stop = Parameters<Session['stop']>[0];

/** A session in state Idle; `start` sets it going. */
export function createSession(options: SessionOptions): ManagedSession {
  return new PeerSession(options);
}

/** How far each state is from Idle: a session with two connections is where the further one is. */
const ORDER: readonly FsmState[] = ['Idle', 'Active', 'Connect', 'OpenSent', 'OpenConfirm', 'Established'];

/** Milliseconds in which an attempt to connect may still be on its way after the session came up. */
const CROSSING = 5000;

class PeerSession implements ManagedSession, TrackOwner {
  readonly counters = newCounters();
  /** The track that starts, retries and waits in Idle. */
  #primary: Track;
  /** A connection of the peer's that came while the primary had one; ends for good or becomes the primary. */
  #second: Track | undefined;
  /** The loser of a collision, while it is being closed. */
  #dumping: Track | undefined;
  #reported: FsmState = 'Idle';
  #lastError: Session['lastError'];
  #establishedAt: Date | undefined;
  #upSince = 0;

  constructor(readonly options: SessionOptions) {
    this.#primary = new Track(this);
  }

  get config(): SessionConfig {
    return this.options.config;
  }

  get state(): FsmState {
    const states = [this.#primary, this.#second].map(t => t?.machine.state ?? 'Idle');
    return ORDER.findLast(state => states.includes(state)) ?? 'Idle';
  }

  get negotiated(): Negotiated | undefined {
    return this.#primary.isEstablished ? this.#primary.negotiated : undefined;
  }

  get lastError(): Session['lastError'] {
    return this.#lastError;
  }

  get establishedAt(): Date | undefined {
    return this.#establishedAt;
  }

  get queued(): number {
    return this.#primary.connection?.waiting ?? 0;
  }

  start(): void {
    this.#primary.dispatch({ kind: 'manualStart' });
  }

  stop(how: Stop): void {
    const cease = ceaseOf(how);
    const text = cease === undefined ? 'stopped without NOTIFICATION' : `stopped: ${cease.message}`;
    const event = { kind: 'manualStop', text, ...(cease === undefined ? {} : { cease }) } as const;
    const second = this.#second;
    this.#second = undefined;
    second?.retire(event);
    this.#primary.dispatch(event);
  }

  fail(code: number, subcode: number, text: string, data?: Uint8Array): void {
    // What comes after the end of the session concerns one that is no more.
    if (!this.#primary.isEstablished) return;
    const error = new NotificationError(code, subcode, text, data);
    const cease = code === ErrorCode.cease;
    this.#primary.dispatch(cease ? { kind: 'automaticStop', cease: error } : { kind: 'updateError', error });
  }

  send(octets: Uint8Array, messages: number, buffer?: SharedBuffer): boolean {
    return this.#primary.isEstablished && this.#primary.send(octets, MessageType.update, messages, buffer);
  }

  sendRefresh(family: FamilyIndex, subtype: 'request' | 'begin' | 'end'): void {
    const { negotiated } = this;
    const understood = subtype === 'request' ? negotiated?.routeRefresh : negotiated?.enhancedRouteRefresh;
    if (understood === true) this.#primary.send(encodeRouteRefresh(family, subtype), MessageType.routeRefresh, 1);
  }

  accept(socket: StreamSocket): void {
    const primary = this.#primary;
    if (primary.machine.state === 'Idle' || this.#justEstablished()) {
      socket.destroy();
    } else if (primary.machine.state === 'Active' && primary.connection === undefined) {
      primary.accept(socket);
    } else {
      // Nobody connects twice at a time: a second connection that is still there is one the peer has given up.
      this.#second?.retire({ kind: 'tcpFails', text: 'replaced by a newer connection' });
      this.#second = new Track(this);
      this.#second.waitBeside(primary.machine);
      this.#second.accept(socket);
    }
  }

  /**
   * True in the first seconds of a session: what connects then is not a peer that has restarted (RFC 4724 section 5) but
   * an attempt that crossed ours on its way. Answering it with an OPEN could make the peer give up the session for it.
   */
  #justEstablished(): boolean {
    return this.#primary.isEstablished && this.options.clock.now() - this.#upSince < CROSSING;
  }

  mayProceed(track: Track, negotiated: Negotiated): 'proceed' | 'hold' | 'given up' {
    const other = track === this.#primary ? this.#second : this.#primary;
    if (other?.connection === undefined || track.connection === undefined) return 'proceed';
    const outcome = resolveCollision({
      ...negotiated,
      newcomer: track.connection.initiator,
      other: { state: other.machine.state, initiator: other.connection.initiator },
      gracefulRestart: other.negotiated?.gracefulRestart?.families.includes(true) === true,
    });
    switch (outcome) {
      case 'holdNewcomer':
        return 'hold';
      case 'closeNewcomer':
        track.dispatch({ kind: 'collisionDump' });
        return 'given up';
      case 'closeOther':
        this.#dumping = other;
        other.dispatch({ kind: 'collisionDump' });
        this.#dumping = undefined;
        return 'proceed';
      case 'replaceOther':
        other.dispatch({ kind: 'tcpFails', text: 'connection lost: the peer has restarted and opened another one' });
        return 'proceed';
    }
  }

  up(track: Track): void {
    const other = track === this.#primary ? this.#second : this.#primary;
    this.#primary = track;
    this.#second = undefined;
    other?.retire({ kind: 'collisionDump' });
    this.counters.established++;
    this.#establishedAt = new Date();
    this.#upSince = this.options.clock.now();
    const { negotiated, connection } = track;
    if (negotiated === undefined || connection?.endpoints === undefined) throw new Error('up without a connection');
    this.options.handlers.established(negotiated, connection.endpoints);
  }

  down(_track: Track, reason: DownReason): void {
    this.#establishedAt = undefined;
    this.#note(reason);
    this.options.handlers.down(reason);
  }

  failed(track: Track, reason: DownReason): void {
    const other = track === this.#primary ? this.#second : this.#primary;
    // When two connections collide, one ends by design: not an error to show.
    if (track === this.#dumping || (isCollision(reason) && other?.connection !== undefined)) return;
    this.#note(reason);
  }

  settled(track: Track): void {
    const second = this.#second;
    if (second !== undefined && second.connection === undefined) {
      second.retire();
      this.#second = undefined;
    } else if (second !== undefined && this.#primary.connection === undefined) {
      second.inherit(this.#primary.machine);
      this.#primary.retire();
      this.#primary = second;
      this.#second = undefined;
    }
    if (track === this.#primary || track === second) this.#report();
    this.#releaseHeld();
  }

  /** An OPEN that was held back for a connection which is gone now is answered. */
  #releaseHeld(): void {
    const second = this.#second;
    if (second?.connection === undefined) this.#primary.release();
    else if (this.#primary.connection === undefined) second.release();
  }

  update(octets: Uint8Array, start: number, end: number): void {
    this.options.handlers.update(octets, start, end);
  }

  routeRefresh(track: Track, octets: Uint8Array, start: number, end: number): void {
    const message = decodeRouteRefresh(octets, start, end);
    if (!message.ok) {
      const { code, subcode, message: text, data } = message.error;
      this.fail(code, subcode, text, data);
      return;
    }
    const { afi, safi, subtype } = message.value;
    const family = familyOf(afi, safi);
    if (family === undefined || track.negotiated?.families[family] !== true) return;
    // Without RFC 7313 the octet of the subtype is reserved and says nothing.
    const said = track.negotiated.enhancedRouteRefresh ? subtype : 'request';
    if (said !== 'unknown') this.options.handlers.refresh(family, said);
  }

  readDone(): void {
    this.options.handlers.readDone();
  }

  drained(): void {
    this.options.handlers.drained();
  }

  #note(reason: DownReason): void {
    this.#lastError = { at: new Date(), text: reason.text };
  }

  #report(): void {
    const { state } = this;
    if (state === this.#reported) return;
    this.#reported = state;
    this.options.handlers.stateChanged(state);
  }
}

/** The NOTIFICATION for a stop (RFC 4486, RFC 9003); undefined for a silent one. */
function ceaseOf(how: Stop): NotificationError | undefined {
  if (how.kind === 'silent') return undefined;
  const subcode = {
    shutdown: CeaseCode.administrativeShutdown,
    reset: CeaseCode.administrativeReset,
    deconfigured: CeaseCode.peerDeconfigured,
  }[how.kind];
  const carriesText = how.message !== undefined && how.kind !== 'deconfigured';
  const data = carriesText ? encodeShutdownData(how.message) : new Uint8Array();
  return new NotificationError(ErrorCode.cease, subcode, describeNotification(ErrorCode.cease, subcode, data), data);
}

function isCollision(reason: DownReason): boolean {
  if (reason.kind !== 'notificationReceived' && reason.kind !== 'notificationSent') return false;
  return reason.code === ErrorCode.cease && reason.subcode === CeaseCode.collisionResolution;
}
