/**
 * The BGP engine: sessions, RIB and networks of our own behind one narrow border (engineTypes.ts).
 *
 * Everything runs on the event loop it is created on. Sockets fill the RIB as they are read; what follows from that,
 * telling peers and the kernel, is pumped in slices between reads.
 */

import type { RestartClaims } from '../bgp/session/sessionTypes.js';
import type { SocketFactory } from '../bgp/session/socketTypes.js';
import { UpdateRecord } from '../bgp/updateRecord.js';
import type { Clock, TimerHandle } from '../core/clock.js';
import type { MakeResident } from '../core/columns.js';
import { LOCAL_PEER } from '../rib/peerTable.js';
import { PeerKind } from '../bgp/peerKind.js';
import { Rib } from '../rib/rib.js';
import { Access } from './access.js';
import type { ApplyReport, Engine, EngineConfig, EngineEvent, EngineOptions, NextHopState } from './engineTypes.js';
import type { Neighbor, NeighborHost } from './neighbor.js';
import { Neighbors } from './neighbors.js';
import { Policies } from './policies.js';
import { OwnNetworks } from './networks.js';
import { NextHopWatch } from './nextHopWatch.js';
import { createEngineView } from './engineView.js';
import { progress } from './selection.js';

export interface EngineDependencies {
  readonly sockets: SocketFactory;
  readonly clock: Clock;
  /** For {@link EngineOptions.expectedRoutes}. */
  readonly makeResident?: MakeResident;
}

/** Milliseconds of work in one turn of the event loop; sockets and timers get theirs in between. */
const TURN = 4;
/** Milliseconds between looks at how far the first exchange of routes has come. */
const PROGRESS_INTERVAL = 250;
/** Milliseconds that `stop` gives the last NOTIFICATIONs to leave. */
const FAREWELL = 100;
/** Seconds to wait for peers at start when graceful restart is not configured: only stale kernel routes depend on it. */
const DEFAULT_DEFERRAL = 60;

/** Makes an engine; it does nothing until its first `apply`. */
export function createEngine(dependencies: EngineDependencies, options: EngineOptions): Engine {
  return new RunningEngine(dependencies, options).asEngine();
}

class RunningEngine implements NeighborHost {
  readonly rib: Rib;
  readonly record = new UpdateRecord();
  readonly sockets: SocketFactory;
  readonly clock: Clock;
  readonly neighbors: Neighbors;
  readonly policies: Policies;
  private readonly networks: OwnNetworks;
  private readonly access: Access;
  private readonly watch: NextHopWatch;
  private configuration: EngineConfig | undefined;
  /** Listeners that could not be opened, by address. */
  private readonly problems = new Map<string, string>();
  private awake = false;
  private stopped = false;
  private isDraining = false;
  private isSelected = false;
  private isConverged = false;
  private startedAt = 0;
  private progressTimer: TimerHandle | undefined;

  constructor(
    dependencies: EngineDependencies,
    private readonly options: EngineOptions,
  ) {
    this.sockets = dependencies.sockets;
    this.clock = dependencies.clock;
    this.rib = new Rib({
      routerId: 0,
      trackNextHops: options.trackNextHops,
      decision: {
        alwaysCompareMed: false,
        missingMedWorst: false,
        maximumPaths: { ebgp: 1, ibgp: 1 },
        multipathRelax: false,
      },
      ...(options.expectedRoutes === undefined
        ? {}
        : {
            reserve: { routes: options.expectedRoutes, makeResident: dependencies.makeResident ?? (() => undefined) },
          }),
      ...(options.listeners.changes === undefined ? {} : { kernel: batch => options.listeners.changes?.(batch) }),
    });
    this.policies = new Policies(this.rib);
    this.neighbors = new Neighbors(this);
    this.networks = new OwnNetworks(this.rib, this.record);
    this.access = new Access({
      sockets: this.sockets,
      neighbors: () => this.neighbors.all(),
      admit: (range, remote) => this.neighbors.admit(range, remote),
      event: event => this.event(event),
    });
    this.watch = new NextHopWatch(this.rib.nextHops, options.listeners);
  }

  asEngine(): Engine {
    const view = createEngineView({
      rib: this.rib,
      neighbors: this.neighbors,
      clock: this.clock,
      config: () => this.config(),
      problems: () => [...this.problems.values()],
    });
    return {
      ...view,
      apply: config => this.apply(config),
      setNextHops: states => this.setNextHops(states),
      drain: on => this.drain(on),
      stop: (kind, message) => this.stop(kind, message),
    };
  }

  config(): EngineConfig {
    if (this.configuration === undefined) throw new Error('the engine has no configuration yet');
    return this.configuration;
  }

  selected(): boolean {
    return this.isSelected;
  }

  draining(): boolean {
    return this.isDraining;
  }

  claims(): RestartClaims {
    const restarted = this.config().gracefulRestart?.restarted === true && !this.isSelected;
    // The kernel keeps forwarding in every family while we are away: routes are left in place.
    const kept = this.config().gracefulRestart?.restarted === true;
    return { restarting: restarted, forwarding: [kept, kept] };
  }

  event(event: EngineEvent): void {
    if (event.kind === 'listenFailed') this.problems.set(event.address, event.text);
    if (event.kind === 'listening') this.problems.delete(event.address);
    this.options.listeners.event(event);
  }

  wake(): void {
    if (this.awake || this.stopped) return;
    this.awake = true;
    setImmediate(() => this.turn());
  }

  gone(neighbor: Neighbor): void {
    this.neighbors.gone(neighbor);
  }

  private apply(config: EngineConfig): ApplyReport {
    const first = this.configuration === undefined;
    const before = this.configuration;
    this.configuration = config;
    this.rib.peers.set(LOCAL_PEER, {
      name: 'local',
      address: { version: 4, value: config.routerId },
      kind: PeerKind.local,
      client: false,
      routerId: config.routerId,
    });
    if (JSON.stringify(before?.decision) !== JSON.stringify(config.decision)) this.rib.setDecision(config.decision);
    const otherPolicies = this.policies.use(config.policies);
    const networks = this.networks.set(config.networks);
    const report = this.neighbors.set(config, before, otherPolicies);
    this.access.set(config);
    if (first) this.beginSelection(config);
    this.wake();
    return { ...report, networksAdded: networks.added, networksRemoved: networks.removed };
  }

  private setNextHops(states: readonly NextHopState[]): void {
    this.rib.setNextHops(states);
    this.watch.answered(states.map(({ address }) => address));
    this.wake();
  }

  private drain(on: boolean): void {
    if (on === this.isDraining) return;
    this.isDraining = on;
    for (const neighbor of this.neighbors.all()) neighbor.regroup();
    this.wake();
  }

  private async stop(kind: 'shutdown' | 'gracefulRestart', message?: string): Promise<void> {
    this.access.close();
    this.progressTimer?.cancel();
    this.neighbors.stop(
      kind === 'gracefulRestart'
        ? { kind: 'silent' }
        : { kind: 'shutdown', ...(message === undefined ? {} : { message }) },
    );
    this.stopped = true;
    await new Promise<void>(resolve => {
      this.clock.setTimeout(resolve, FAREWELL);
    });
  }

  /** One turn of work; the next one follows after whatever sockets and timers have to do. */
  private turn(): void {
    this.awake = false;
    const until = this.clock.now() + TURN;
    let more = true;
    while (more && this.clock.now() < until) more = this.rib.pump();
    this.watch.tell();
    if (more) this.wake();
    else this.neighbors.release();
  }

  private beginSelection(config: EngineConfig): void {
    this.startedAt = this.clock.now();
    // Only a speaker that says it restarted has peers that keep its routes meanwhile.
    this.isSelected = config.gracefulRestart?.restarted !== true;
    this.lookAtProgress();
  }

  /** Whether everything heard so far has been decided on, and told to whoever knows the kernel. */
  private isAtRest(): boolean {
    return !this.awake && !(this.options.trackNextHops && this.watch.isAsking);
  }

  private lookAtProgress(): void {
    if (this.stopped || this.isConverged) return;
    const elapsed = (this.clock.now() - this.startedAt) / 1000;
    const deferral = this.config().gracefulRestart?.deferralTime ?? DEFAULT_DEFERRAL;
    const strangers = this.config().dynamicRanges.length > 0;
    const state = progress(this.neighbors.progress(), elapsed, deferral, strangers);
    // Who never rests has its say in the end, too.
    const isAtRest = this.isAtRest() || elapsed >= 2 * deferral;
    if (state.selected && isAtRest && !this.isSelected) {
      this.isSelected = true;
      for (const neighbor of this.neighbors.all()) neighbor.joinGroups();
    }
    if (state.converged && isAtRest) {
      this.isConverged = true;
      this.event({ kind: 'converged', waitedSeconds: elapsed, missing: state.missing });
      return;
    }
    this.progressTimer = this.clock.setTimeout(() => this.lookAtProgress(), PROGRESS_INTERVAL);
  }
}
