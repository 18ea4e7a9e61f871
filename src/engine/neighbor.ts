/**
 * One neighbour of the engine: its session, its place in the RIB, and graceful restart in both roles (RFC 4724).
 *
 * It interprets what the session says; decisions about routes are the RIB's, decisions about the protocol the session's.
 */

import { FAMILIES, FAMILY_INDICES, type FamilyIndex } from '../bgp/families.js';
import type { Negotiated } from '../bgp/negotiated.js';
import { PeerKind } from '../bgp/peerKind.js';
import type { ScanContext } from '../bgp/scanContext.js';
import type { ManagedSession } from '../bgp/session/managedSession.js';
import { createSession } from '../bgp/session/peerSession.js';
import type {
  DownReason,
  FsmState,
  RestartClaims,
  SessionConfig,
  SessionEndpoints,
} from '../bgp/session/sessionTypes.js';
import type { SocketFactory } from '../bgp/session/socketTypes.js';
import type { UpdateRecord } from '../bgp/updateRecord.js';
import { CeaseCode, ErrorCode } from '../bgp/wire/iana.js';
import { scanUpdate } from '../bgp/wire/updateScanner.js';
import type { Clock, TimerHandle } from '../core/clock.js';
import { formatAddress, isLoopback } from '../core/ip.js';
import type { PeerId } from '../rib/peerTable.js';
import type { ReceiveContext, Rib } from '../rib/rib.js';
import { Advertising } from './advertising.js';
import { capabilityNames } from './capabilityNames.js';
import type { EngineConfig, EngineEvent, PeerRouting } from './engineTypes.js';
import { Importing } from './importing.js';
import type { Policies } from './policies.js';
import { checkPrefixes, prefixLimitData, type PrefixFinding } from './prefixLimits.js';
import { Refreshing } from './refreshing.js';

/** What all neighbours share. */
export interface NeighborHost {
  readonly rib: Rib;
  readonly record: UpdateRecord;
  readonly sockets: SocketFactory;
  readonly clock: Clock;
  readonly policies: Policies;
  config(): EngineConfig;
  /** Peers are being told that this router is about to go (RFC 8326). */
  draining(): boolean;
  /** False while a restarting speaker holds back what it tells peers with graceful restart. */
  selected(): boolean;
  claims(): RestartClaims;
  event(event: EngineEvent): void;
  /** There is work for `Rib.pump`. */
  wake(): void;
  /** The neighbour is down and nothing of it is left in the RIB. */
  gone(neighbor: Neighbor): void;
}

export class Neighbor {
  readonly session: ManagedSession;
  endpoints: SessionEndpoints | undefined;
  readonly endOfRibReceived: [boolean, boolean] = [false, false];
  disabled = false;
  readonly advertising: Advertising;
  readonly importing: Importing;
  /** When stale paths go at the latest, in clock milliseconds; undefined when there are none. */
  staleUntil: number | undefined;

  private negotiated: Negotiated | undefined;
  private scan: ScanContext | undefined;
  private receive: ReceiveContext | undefined;
  private staleTimer: TimerHandle | undefined;
  private readonly refreshing: Refreshing;
  private readonly prefixLevels: [number, number] = [0, 0];
  /** Begins again after too many prefixes. */
  private resumeTimer: TimerHandle | undefined;
  private lastErrorAt: Date | undefined;
  private upSince = 0;

  constructor(
    private readonly host: NeighborHost,
    readonly name: string,
    readonly id: PeerId,
    readonly config: SessionConfig,
    public routing: PeerRouting,
    readonly dynamic: string | undefined,
  ) {
    this.refreshing = new Refreshing(host.clock, family => this.sweepStale(family));
    this.importing = new Importing(host.rib, host.policies, id, config.remote);
    this.advertising = new Advertising(host, id, {
      send: (octets, messages, buffer) => this.session.send(octets, messages, buffer),
      mark: (family, subtype) => this.session.sendRefresh(family, subtype),
    });
    this.session = createSession({
      config,
      claims: () => host.claims(),
      sockets: host.sockets,
      clock: host.clock,
      handlers: {
        stateChanged: state => this.stateChanged(state),
        established: (negotiated, endpoints) => this.established(negotiated, endpoints),
        update: (octets, start, end) => this.update(octets, start, end),
        readDone: () => this.readDone(),
        refresh: (family, subtype) => this.refreshed(family, subtype),
        drained: () => this.advertising.drained(),
        down: reason => this.down(reason),
      },
    });
  }

  /** Seconds the session has been up, undefined when it is not. */
  get upFor(): number | undefined {
    return this.negotiated === undefined ? undefined : (this.host.clock.now() - this.upSince) / 1000;
  }

  get current(): Negotiated | undefined {
    return this.negotiated;
  }

  /** Joins the update groups it is in none of yet: at once, or when a restarting speaker has made its selection. */
  joinGroups(): void {
    const { negotiated } = this;
    if (negotiated === undefined) return;
    if (negotiated.gracefulRestart !== undefined && !this.host.selected()) return;
    if (this.endpoints !== undefined) this.advertising.join(negotiated, this.endpoints, this.routing);
    this.host.wake();
  }

  /** Takes new routing parameters: what is told changes at once, what was refused may have to be asked for again. */
  reroute(routing: PeerRouting): void {
    const askAgain =
      routing.allowOwnAs !== this.routing.allowOwnAs || routing.enforceFirstAs !== this.routing.enforceFirstAs;
    this.routing = routing;
    if (this.negotiated === undefined) return;
    this.adopt(this.negotiated);
    this.regroup();
    if (askAgain) this.requestRoutes();
    this.checkLimits();
    this.host.wake();
  }

  /** Goes over to other update groups where what it is told, or how, has changed. */
  regroup(): void {
    if (this.negotiated === undefined || this.endpoints === undefined) return;
    this.advertising.regroup(this.negotiated, this.endpoints, this.routing);
    this.joinGroups();
  }

  /** Stops waiting after too many prefixes; called before the session is started or stopped by hand. */
  forgetLimit(): void {
    this.resumeTimer?.cancel();
    this.resumeTimer = undefined;
  }

  /** Asks the peer for all its routes (RFC 2918). @returns false when it cannot be asked */
  requestRoutes(): boolean {
    const { negotiated } = this;
    if (negotiated?.routeRefresh !== true) return false;
    for (const family of FAMILY_INDICES) if (negotiated.families[family]) this.session.sendRefresh(family, 'request');
    return true;
  }

  /** Forgets kept paths; called when the neighbour is removed while down. */
  dropStale(): void {
    this.forgetLimit();
    this.clearTimer();
    this.withdrawAll();
  }

  private stateChanged(state: FsmState): void {
    this.host.event({ kind: 'stateChanged', peer: this.name, state });
    if (state !== 'Idle' && state !== 'Active') return;
    const error = this.session.lastError;
    if (error === undefined || error.at === this.lastErrorAt || this.negotiated !== undefined) return;
    this.lastErrorAt = error.at;
    this.host.event({ kind: 'attemptFailed', peer: this.name, text: error.text });
    // A stranger leaves its place to others, unless it is still awaited (RFC 4724).
    if (this.dynamic !== undefined && this.held() === 0) this.withdrawAll();
  }

  private established(negotiated: Negotiated, endpoints: SessionEndpoints): void {
    const { rib, clock } = this.host;
    rib.finishSweeps(this.id);
    this.negotiated = negotiated;
    this.endpoints = endpoints;
    this.upSince = clock.now();
    this.adopt(negotiated);
    this.beginResync(negotiated);
    this.host.event({
      kind: 'peerUp',
      peer: this.name,
      address: formatAddress(this.config.remote),
      asn: negotiated.remoteAsn,
      holdTime: negotiated.holdTime,
      capabilities: capabilityNames(negotiated),
    });
    this.joinGroups();
  }

  /** Everything derived from what was negotiated and how the peer is configured. */
  private adopt(negotiated: Negotiated): void {
    const config = this.host.config();
    const ebgp = negotiated.kind === 'ebgp';
    this.host.rib.setPeer(this.id, {
      name: this.name,
      address: this.config.remote,
      kind: ebgp ? PeerKind.ebgp : PeerKind.ibgp,
      client: this.routing.routeReflectorClient,
      routerId: negotiated.remoteId,
    });
    const remote = this.endpoints?.remote;
    this.receive = {
      addPath: negotiated.addPathReceive,
      allowOwnAs: this.routing.allowOwnAs,
      zone: remote?.version === 6 ? remote.zone : undefined,
      filters: this.importing.adopt(negotiated, this.routing),
    };
    this.scan = {
      ebgp,
      fourOctetAs: negotiated.fourOctetAs,
      families: negotiated.families,
      addPathReceive: negotiated.addPathReceive,
      extendedNextHop: negotiated.extendedNextHop,
      localAsn: negotiated.localAsn,
      remoteAsn: negotiated.remoteAsn,
      localId: negotiated.localId,
      clusterId: config.clusterId ?? config.routerId,
      enforceFirstAs: this.routing.enforceFirstAs,
      loopbackNextHops: remote !== undefined && isLoopback(remote),
    };
  }

  /** Decides what happens to paths kept from before (RFC 4724 section 4.2, "Receiving Speaker"). */
  private beginResync(negotiated: Negotiated): void {
    const { rib, clock } = this.host;
    this.endOfRibReceived.fill(false);
    this.clearTimer();
    const peerGr = negotiated.gracefulRestart;
    let kept = false;
    for (const family of FAMILY_INDICES) {
      if (rib.families[family].stale[this.id] === 0) continue;
      const preserved = negotiated.families[family] && peerGr?.families[family] === true && peerGr.forwarding[family];
      if (preserved) kept = true;
      else this.sweepStale(family);
    }
    if (!kept) return;
    const seconds = this.host.config().gracefulRestart?.staleTime ?? 0;
    this.armStale(seconds);
    this.staleUntil = clock.now() + seconds * 1000;
  }

  private update(octets: Uint8Array, start: number, end: number): void {
    const { record, rib } = this.host;
    if (this.scan === undefined || this.receive === undefined) return;
    const error = scanUpdate(octets, start, end, this.scan, record);
    if (error !== undefined) {
      this.session.fail(error.code, error.subcode, error.message, error.data);
      return;
    }
    if (record.problems.length > 0) this.reportMalformed(record);
    if (record.endOfRib >= 0) this.endOfRib(record.endOfRib === 0 ? 0 : 1);
    else rib.receive(this.id, record, this.receive);
  }

  private reportMalformed(record: UpdateRecord): void {
    this.host.event({
      kind: 'malformedUpdate',
      peer: this.name,
      problems: [...record.problems],
      verdict: record.verdict === 'accept' ? 'discarded attributes' : 'treated as withdraw',
    });
  }

  private endOfRib(family: FamilyIndex): void {
    this.endOfRibReceived[family] = true;
    this.host.rib.decide();
    this.sweepStale(family);
    this.host.event({ kind: 'endOfRib', peer: this.name, family });
    this.host.wake();
  }

  private sweepStale(family: FamilyIndex): void {
    const paths = this.host.rib.families[family].stale[this.id]!;
    if (paths === 0) return;
    this.host.rib.sweep(family, this.id, 'withdrawStale', () => {
      this.host.event({ kind: 'staleSwept', peer: this.name, paths });
      if (this.staleCount() === 0) this.staleUntil = undefined;
    });
    this.host.wake();
  }

  private staleCount(): number {
    return FAMILY_INDICES.reduce<number>((sum, family) => sum + this.host.rib.families[family].stale[this.id]!, 0);
  }

  /** Paths held from the peer. */
  private held(): number {
    return FAMILY_INDICES.reduce<number>((sum, family) => sum + this.host.rib.families[family].received[this.id]!, 0);
  }

  private readDone(): void {
    this.host.rib.decide();
    if (this.routing.maxPrefixes !== undefined) this.checkLimits();
    this.host.wake();
  }

  private checkLimits(): void {
    const { families } = this.host.rib;
    const received = (family: FamilyIndex): number => families[family].received[this.id]!;
    for (const finding of checkPrefixes(received, this.routing, this.prefixLevels)) {
      this.host.event({ kind: 'prefixLimit', peer: this.name, ...finding });
      if (finding.isExceeded && finding.limit.action !== 'warn') {
        this.endForLimit(finding);
        return;
      }
    }
  }

  /** RFC 4486: ends the session, and begins again after a while or when an operator says so. */
  private endForLimit({ family, count, limit }: PrefixFinding): void {
    const text = `${count} ${FAMILIES[family]} prefixes, and ${limit.limit} are allowed`;
    this.session.fail(ErrorCode.cease, CeaseCode.maximumPrefixes, text, prefixLimitData(family, limit.limit));
    this.session.stop({ kind: 'silent' });
    this.forgetLimit();
    if (limit.action === 'idle') this.disabled = true;
    else
      this.resumeTimer = this.host.clock.setTimeout(() => {
        if (!this.disabled) this.session.start();
      }, limit.restartAfter * 1000);
  }

  private refreshed(family: FamilyIndex, subtype: 'request' | 'begin' | 'end'): void {
    if (subtype === 'request') this.advertising.resend(family);
    else if (subtype === 'end') this.refreshing.end(family);
    // RFC 7313 section 4: before End-of-RIB of a peer with graceful restart, its marks count for nothing.
    else if (this.endOfRibReceived[family] || this.negotiated?.gracefulRestart?.families[family] !== true) {
      this.host.rib.finishSweeps(this.id);
      this.host.rib.markStale(family, this.id);
      this.refreshing.begin(family);
    }
  }

  private down(reason: DownReason): void {
    const negotiated = this.negotiated;
    this.prefixLevels.fill(0);
    this.advertising.leave();
    this.negotiated = undefined;
    this.endpoints = undefined;
    this.scan = undefined;
    this.refreshing.cancel();
    const peerGr = negotiated?.gracefulRestart;
    const graceful =
      reason.kind === 'connectionLost' &&
      peerGr !== undefined &&
      this.config.gracefulRestart !== undefined &&
      peerGr.restartTime > 0;
    if (graceful) this.keepStale(peerGr.restartTime, peerGr.families);
    else this.withdrawAll();
    this.lastErrorAt = this.session.lastError?.at;
    this.host.event({ kind: 'peerDown', peer: this.name, reason, staleKept: graceful });
    this.host.wake();
  }

  private keepStale(seconds: number, families: readonly [boolean, boolean]): void {
    const { rib, clock } = this.host;
    // A sweep that has not come to its end would take what is kept now along.
    rib.finishSweeps(this.id);
    for (const family of FAMILY_INDICES) {
      // What was stale already outlives no second restart.
      for (let from = 1; from !== 0;) from = rib.families[family].sweep(this.id, 'withdrawStale', from);
      rib.decide();
      if (families[family]) rib.markStale(family, this.id);
      else rib.sweep(family, this.id, 'withdraw');
    }
    this.armStale(seconds);
    this.staleUntil = clock.now() + seconds * 1000;
  }

  private armStale(seconds: number): void {
    const { clock } = this.host;
    this.staleTimer?.cancel();
    this.staleTimer = clock.setTimeout(() => {
      if (this.negotiated === undefined) this.withdrawAll();
      else for (const family of FAMILY_INDICES) this.sweepStale(family);
    }, seconds * 1000);
  }

  private clearTimer(): void {
    this.staleTimer?.cancel();
    this.staleUntil = undefined;
  }

  private withdrawAll(): void {
    const { rib } = this.host;
    this.clearTimer();
    rib.sweep(0, this.id, 'withdraw');
    rib.sweep(1, this.id, 'withdraw', () => this.host.gone(this));
    this.host.wake();
  }
}
