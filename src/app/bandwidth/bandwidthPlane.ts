/**
 * Bandwidth at work: which links lead to the pods with a limit is looked up when pods or links change, and what those
 * links shall have is kept so. Impure.
 */

import type { Logger } from 'pino';
import type { Clock } from '../../core/clock.js';
import { createPasses } from '../../core/passes.js';
import { createReconciler, type Reconciler, type ReconcilerEvent } from '../../core/reconciler.js';
import type { Problem, ProblemReport } from '../../kube/problems.js';
import type { KernelEvent, KernelMonitor } from '../../kernel/monitor.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { readPodLinks } from '../../kernel/podLinkReading.js';
import type { PodLinks } from '../../kernel/podLinks.js';
import { createBandwidthTarget } from '../../policy/bandwidth/bandwidthTarget.js';
import {
  planLinks,
  sameShape,
  shapeKey,
  type LinkPlan,
  type Shape,
  type ShapeKey,
} from '../../policy/bandwidth/linkPlan.js';
import { linkOfIfb } from '../../policy/bandwidth/linkState.js';
import { annotationOf, DIRECTIONS, type PodLimits } from '../../policy/bandwidth/podLimits.js';

export interface BandwidthDeps {
  readonly channel: NetlinkChannel;
  /** Of links; what the channel causes is not told. */
  readonly monitor: KernelMonitor;
  readonly clock: Clock;
  readonly logger: Logger;
  report(problems: ProblemReport): void;
}

export interface BandwidthState {
  readonly pods: ReadonlyMap<string, PodLimits>;
  readonly plan: LinkPlan;
  /** Why something is not in force. */
  readonly failures: ReadonlyMap<ShapeKey, string>;
  isInForce(key: ShapeKey): boolean;
}

export interface BandwidthPlane {
  /** @param isComplete all pods have been told of once: what is not wanted is taken out from now on */
  update(changes: ReadonlyMap<string, PodLimits | undefined>, isComplete: boolean): void;
  readonly state: BandwidthState;
  /** @returns resolves when what was asked for is done or was refused */
  idle(): Promise<void>;
  /** What is in the kernel stays, and works on without us. */
  stop(): Promise<void>;
}

/** Gathers a burst of changes of links, in milliseconds. */
const GATHER = 200;
/** Between two readings of what is in the kernel, in milliseconds. */
const READ_BACK = 60_000;
/** Between two looks for links when nothing happens, and after one that missed some, in milliseconds. */
const LOOK_AGAIN = 60_000;
const FIRST_RETRY = 500;
/** Looks that may miss a pod's link before it is a problem: the address is known before all is in place. */
const PATIENCE = 5;

export function createBandwidthPlane(deps: BandwidthDeps): BandwidthPlane {
  return new RunningBandwidth(deps);
}

class RunningBandwidth implements BandwidthPlane {
  private readonly pods = new Map<string, PodLimits>();
  private links: PodLinks = new Map();
  private plan: LinkPlan = { shapes: new Map(), links: new Map(), missing: [] };
  private readonly reconciler: Reconciler<ShapeKey, Shape>;
  private readonly unsubscribe: () => void;
  private readonly passes;
  private isComplete = false;
  /** Looks in a row that missed the link of some pod. */
  private misses = 0;
  private breakdown: string | undefined;

  constructor(private readonly deps: BandwidthDeps) {
    this.reconciler = createReconciler<ShapeKey, Shape>({
      target: createBandwidthTarget(deps.channel),
      clock: deps.clock,
      equal: sameShape,
      readBackInterval: READ_BACK,
      onEvent: event => this.heard(event),
    });
    this.passes = createPasses({ clock: deps.clock, gather: GATHER, run: () => this.look() });
    this.unsubscribe = deps.monitor.subscribe(events => this.linksChanged(events));
  }

  get state(): BandwidthState {
    const { pods, plan, reconciler } = this;
    return { pods, plan, failures: reconciler.failures, isInForce: key => reconciler.isSettled(key) };
  }

  update(changes: ReadonlyMap<string, PodLimits | undefined>, isComplete: boolean): void {
    for (const [pod, limits] of changes)
      if (limits === undefined) this.pods.delete(pod);
      else this.pods.set(pod, limits);
    const isNews = changes.size > 0 || isComplete !== this.isComplete;
    this.isComplete ||= isComplete;
    if (changes.size > 0) this.misses = 0;
    if (isNews) this.passes.wake(0);
  }

  async idle(): Promise<void> {
    await this.passes.idle();
    await this.reconciler.idle();
  }

  async stop(): Promise<void> {
    this.unsubscribe();
    await this.passes.stop();
    await this.reconciler.stop();
  }

  private linksChanged(events: readonly KernelEvent[]): void {
    const links = events.flatMap(event => (event.kind === 'link' ? [event.link] : []));
    const isOverrun = events.some(({ kind }) => kind === 'overrun');
    // A filter whose device is gone or down drops all that its pod sends.
    if (isOverrun || links.some(({ name }) => linkOfIfb({ name, kind: 'ifb' }) !== undefined))
      this.reconciler.readSoon();
    if (this.pods.size > 0 && (isOverrun || links.length > 0)) this.passes.wake(GATHER);
  }

  /** @returns milliseconds until the next */
  private async look(): Promise<number> {
    try {
      const pods = [...this.pods.values()];
      const addresses = pods.flatMap(limits => limits.addresses);
      // Who has no pod with a limit shall not pay for looking at all links.
      this.links = pods.length === 0 ? new Map() : await readPodLinks(this.deps.channel, addresses, this.links);
      this.plan = planLinks(pods, this.links);
      this.reconciler.replaceAll(this.plan.shapes);
      if (this.isComplete) this.reconciler.begin();
      this.misses = this.plan.missing.length > 0 ? this.misses + 1 : 0;
      this.breakdown = undefined;
    } catch (error) {
      this.misses += 1;
      this.breakdown = `links of pods cannot be looked up: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.tell();
    return this.misses === 0 ? LOOK_AGAIN : Math.min(FIRST_RETRY * 2 ** (this.misses - 1), LOOK_AGAIN);
  }

  private heard(event: ReconcilerEvent<ShapeKey>): void {
    const { logger } = this.deps;
    switch (event.kind) {
      case 'adopted':
        if (event.count > 0) logger.info({ limits: event.count }, 'bandwidth limits found in the kernel');
        return;
      case 'written':
        this.breakdown = undefined;
        logger.info({ set: event.set.length, removed: event.removed.length }, 'bandwidth limits written');
        this.tell();
        return;
      case 'drift':
        logger.warn({ links: event.keys.slice(0, 5) }, 'bandwidth limits were changed by somebody else; put right');
        return;
      case 'error':
        this.breakdown = `limits cannot be read or written: ${event.text}`;
        this.tell();
        return;
      case 'failed':
      case 'recovered':
        this.tell();
        return;
    }
  }

  private tell(): void {
    const whole = this.breakdown === undefined ? [] : [{ subject: 'bandwidth of pods', text: this.breakdown }];
    this.deps.report(new Map([['bandwidth', [...whole, ...this.missingProblems(), ...this.failureProblems()]]]));
  }

  private missingProblems(): readonly Problem[] {
    if (this.misses < PATIENCE) return [];
    return this.plan.missing.flatMap(pod => {
      const addresses = this.pods.get(pod)?.addresses.join(', ');
      const text = `no link of this node leads to ${addresses}: its bandwidth is not limited`;
      return addresses === undefined ? [] : [{ subject: `Pod ${pod}`, text }];
    });
  }

  private failureProblems(): readonly Problem[] {
    const { failures } = this.reconciler;
    if (failures.size === 0) return [];
    return [...this.plan.links].flatMap(([pod, { ifindex }]) =>
      DIRECTIONS.flatMap(direction => {
        const reason = failures.get(shapeKey(ifindex, direction));
        const text = `annotation ${annotationOf(direction)} is not in force: ${reason}`;
        return reason === undefined ? [] : [{ subject: `Pod ${pod}`, text }];
      }),
    );
  }
}
