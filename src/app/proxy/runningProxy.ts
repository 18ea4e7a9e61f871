/**
 * The service proxy at work: what the derivation wants goes to a backend, and what the kernel says comes back as order of
 * announcements, problems, health and metrics. Impure.
 */

import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import type { ServicesView } from '../../api/serviceView.js';
import type { Clock, TimerHandle } from '../../core/clock.js';
import { formatAddress, parseAddress, prefixContains, isLoopback } from '../../core/ip.js';
import type { ProblemReport } from '../../kube/problems.js';
import type { Proxy } from '../../proxy/proxy.js';
import type { OpenProxyBackend, ProxyBackend, ProxyEvent } from '../../proxy/proxyBackend.js';
import {
  isEmptyDelta,
  verdictOf,
  type FrontendKey,
  type ProxyDelta,
  type ProxySettings,
} from '../../proxy/proxyTypes.js';
import type { ServiceEvents, ServiceEventsOptions } from '../events/serviceEvents.js';
import type { Ordering, Plane } from '../ordering.js';
import { createComplaints } from './complaints.js';
import { createProgrammingLatency } from './programmingLatency.js';
import { createProgrammed, type ProgrammedChange } from './programmed.js';
import type { ProxyHealth } from './proxyHealth.js';
import { noLocalOf, type ProxyMetrics } from './proxyMetrics.js';
import { createProxyView } from './proxyView.js';
import type { ProxyUpdate } from './proxyStage.js';
import { announcementKey, createRetirement } from './retirement.js';
import { createServiceHealth } from './serviceHealth.js';
import { placedCounters } from './servicePlaces.js';

export interface RunningProxyOptions {
  readonly open: OpenProxyBackend;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number;
  readonly logger: Logger;
  readonly health: ProxyHealth;
  readonly metrics: ProxyMetrics;
  readonly report: (found: ProblemReport) => void;
  /** Tells the cluster what is wrong with services. */
  readonly openEvents?: (known: Pick<ServiceEventsOptions, 'nodes' | 'uidOf'>) => ServiceEvents | undefined;
}

export interface RunningProxy {
  readonly view: ServicesView;
  /** Announcements of service addresses wait for this proxy. Called once, before the first update. */
  attach(ordering: Pick<Ordering<unknown>, 'register'>): void;
  update(update: ProxyUpdate): void;
  /** Refreshes what metrics show. */
  scrape(): Promise<void>;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}

/** Milliseconds after a failure of the whole until it is looked whether it is over. */
const LOOK_AGAIN = 5000;
/**
 * Milliseconds after which a failure that was not told again is over: not everything that fails has a success to tell of
 * later. More than there are between two tries of a reconciler.
 */
const FORGIVEN_AFTER = 35_000;
/** kube-proxy's word for it. */
const NOT_LISTENING = 'FailedToStartServiceHealthcheck';

/** @throws Error when the kernel cannot be reached at all */
export async function startProxy(options: RunningProxyOptions): Promise<RunningProxy> {
  const loop = new ProxyLoop(options);
  await loop.open();
  return loop;
}

class ProxyLoop implements RunningProxy {
  view: ServicesView;
  private readonly programmed = createProgrammed();
  private readonly retirement = createRetirement();
  private readonly events;
  private readonly wallClock;
  private readonly latency;
  private readonly failures = new Map<FrontendKey, string>();
  private readonly complaints = createComplaints();
  private readonly serviceHealth;
  private backend: ProxyBackend | undefined;
  private plane: Plane | undefined;
  private proxy: Proxy | undefined;
  private hasBegun = false;
  /** When reading or writing failed as a whole; undefined: it has not since the last success. */
  private brokenAt: number | undefined;
  /** Told once all that can be written is written. */
  private waiting: (() => void)[] = [];
  private lookTimer: TimerHandle | undefined;
  private hasEnded = false;

  constructor(private readonly options: RunningProxyOptions) {
    this.wallClock = options.wallClock ?? Date.now;
    this.latency = createProgrammingLatency(this.wallClock());
    this.events = options.openEvents?.({
      nodes: () => this.proxy?.nodeNames() ?? [],
      uidOf: service => this.proxy?.serviceState(service)?.object.uid,
    });
    this.serviceHealth = createServiceHealth({
      clock: options.clock,
      isHealthy: () => options.health.isHealthy,
      listened: (service, failures) => {
        const problems = failures.map(text => ({ subject: `Service ${service}`, text, reason: NOT_LISTENING }));
        const found = new Map([[`health checks ${service}`, problems]]);
        options.report(found);
        this.complaints.take(found);
        this.events?.take(found, true);
      },
    });
    this.view = { backend: 'none', frontends: () => [], service: () => Promise.resolve(undefined) };
  }

  async open(): Promise<void> {
    const backend = await this.options.open(event => this.take(event));
    this.backend = backend;
    this.view = createProxyView({
      proxy: () => this.proxy,
      backend,
      isProgrammed: key => this.programmed.has(key),
      failures: this.failures,
      problems: service => this.complaints.of(service),
    });
  }

  attach(ordering: Pick<Ordering<unknown>, 'register'>): void {
    this.plane = ordering.register('proxy', keys => {
      // Keys are prefix texts; the addresses before the slash are what was retired.
      this.write(this.retirement.release(keys.map(key => key.slice(0, key.lastIndexOf('/')))));
    });
  }

  update({ outcome, settings, isComplete, isEligible, triggers, proxy }: ProxyUpdate): void {
    this.proxy = proxy;
    this.options.health.setEligible(isEligible);
    this.complaints.take(outcome.problems);
    this.events?.take(outcome.problems, false);
    if (settings !== undefined) {
      this.backend?.configure(settings);
      this.serviceHealth.listenOn(healthAddresses(settings));
    }
    const { delta, retiring } = this.retirement.hold(outcome.delta);
    this.latency.wanted(triggers, delta, proxy);
    this.write(delta);
    this.serviceHealth.apply(outcome.healthChecks);
    if (isComplete && !this.hasBegun) {
      this.hasBegun = true;
      this.backend?.begin();
      this.watchIdle(() => this.plane?.synced());
    }
    // Last: permission may come at once.
    const keys = retiring.map(address => announcementKey({ address, family: address.includes(':') ? 6 : 4 }));
    if (this.plane !== undefined) this.plane.retire(keys);
    else this.write(this.retirement.release(retiring));
  }

  async scrape(): Promise<void> {
    const { clock } = this.options;
    const begun = clock.now();
    const counters = (await this.backend?.counters()) ?? new Map();
    const now = clock.now();
    const { proxy } = this;
    const frontends = [...(proxy?.frontends.values() ?? [])].map(frontend => ({
      kind: frontend.kind,
      verdict: verdictOf(frontend, proxy?.backends.get(frontend.servicePort)),
    }));
    this.options.metrics.show({
      services: proxy === undefined ? new Map() : placedCounters(counters, proxy),
      withoutLocal: noLocalOf(frontends),
      ipvsFrontends: this.backend?.kind === 'ipvs' ? frontends.length : 0,
      seconds: (now - begun) / 1000,
      now,
    });
  }

  async stop(): Promise<void> {
    this.hasEnded = true;
    this.lookTimer?.cancel();
    this.events?.stop();
    await this.serviceHealth.close();
    await this.backend?.stop();
  }

  private write(delta: ProxyDelta): void {
    if (isEmptyDelta(delta)) return;
    const { health, metrics } = this.options;
    health.queued();
    metrics.queued(delta);
    this.backend?.apply(delta);
    // What is not wanted any more cannot be refused.
    const forgotten = [...delta.frontends.removed].filter(key => this.failures.delete(key));
    if (forgotten.length > 0) this.reportFailures();
    this.tell(this.programmed.want(delta.frontends));
    if (this.hasBegun) this.watchIdle();
  }

  private tell({ programmed, lost }: ProgrammedChange): void {
    if (lost.length > 0) this.plane?.lost(lost);
    if (programmed.length > 0) this.plane?.programmed(programmed);
  }

  private get isBroken(): boolean {
    return this.brokenAt !== undefined && this.options.clock.now() - this.brokenAt < FORGIVEN_AFTER;
  }

  /** @param then when all that can be written is written */
  private watchIdle(then: () => void = () => undefined): void {
    this.waiting.push(then);
    void this.backend?.idle().then(() => {
      if (!this.hasEnded) this.tellIdle();
    });
  }

  private tellIdle(): void {
    if (this.isBroken) {
      this.lookTimer ??= this.options.clock.setTimeout(() => {
        this.lookTimer = undefined;
        this.watchIdle();
      }, LOOK_AGAIN);
      return;
    }
    const { waiting } = this;
    this.waiting = [];
    this.options.health.written();
    for (const then of waiting) then();
  }

  private take(event: ProxyEvent): void {
    const { logger, metrics } = this.options;
    metrics.event(event, this.backend?.kind);
    switch (event.kind) {
      case 'programmed':
        this.tell(this.programmed.acknowledged(event.frontends));
        this.measure(event.frontends);
        return;
      case 'removed':
        this.tell(this.programmed.lost(event.frontends));
        return;
      case 'failed':
        for (const [key, text] of event.failures) this.failures.set(key, text);
        this.reportFailures();
        return;
      case 'recovered':
        for (const key of event.frontends) this.failures.delete(key);
        this.reportFailures();
        return;
      case 'adopted':
        if (event.count > 0) logger.info({ frontends: event.count }, 'services of a former life are in the kernel');
        return;
      case 'drift':
        logger.warn({ what: event.what.slice(0, 10), count: event.what.length }, 'services in the kernel were changed');
        return;
      case 'error':
        this.brokenAt = this.options.clock.now();
        this.options.report(new Map([['proxy', [{ subject: 'service proxy', text: event.text }]]]));
        return;
      case 'committed':
        this.brokenAt = undefined;
        this.options.report(new Map([['proxy', []]]));
        return;
      case 'conntrack':
        if (event.deleted > 0) logger.debug({ flows: event.deleted }, 'stale UDP flows deleted');
    }
  }

  private measure(frontends: readonly FrontendKey[]): void {
    const { proxy, wallClock } = this;
    if (proxy === undefined) return;
    // Clocks of two machines differ: nothing is served before it changed.
    for (const at of this.latency.acknowledged(frontends, proxy))
      this.options.metrics.programmed(Math.max(0, wallClock() - at) / 1000);
  }

  private reportFailures(): void {
    const problems = [...this.failures].map(([key, text]) => {
      const service = this.proxy?.frontends.get(key)?.service;
      return { subject: service === undefined ? 'service proxy' : `Service ${service}`, text: `${key}: ${text}` };
    });
    this.options.report(new Map([['proxy frontends', problems]]));
  }
}

/** Where balancers outside ask: the addresses of this machine that serve node ports. @returns undefined: all */
function healthAddresses({ nodePortAddresses: prefixes }: ProxySettings): readonly string[] | undefined {
  if (prefixes === 'all') return undefined;
  const own = Object.values(networkInterfaces()).flatMap(list => (list ?? []).map(({ address }) => address));
  return own.flatMap(text => {
    const address = parseAddress(text);
    if (!address.ok || isLoopback(address.value)) return [];
    return prefixes.some(prefix => prefixContains(prefix, address.value)) ? [formatAddress(address.value)] : [];
  });
}
