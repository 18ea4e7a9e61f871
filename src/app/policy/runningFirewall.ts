/**
 * The firewall at work: what the derivation wants goes to the kernel, and what the kernel says comes back as order at the
 * start, problems, health and metrics. Impure.
 */

import type { Logger } from 'pino';
import type { PoliciesView } from '../../api/policyView.js';
import type { Clock } from '../../core/clock.js';
import type { ProblemReport } from '../../kube/problems.js';
import type { FlowCutter } from '../../policy/flows/flowCutter.js';
import type { FirewallEvent, FirewallSettings, PolicyFirewall } from '../../policy/policyFirewall.js';
import type { PolicyDelta } from '../../policy/policyTypes.js';
import type { Ordering, StartGate } from '../ordering.js';
import { createDenialLog, type DenialLog, type DenialLogOptions } from './denialLog.js';
import { createPodStates } from './podStates.js';
import { createPoliciesView } from './policiesView.js';
import type { PolicyMetrics } from './policyMetrics.js';
import type { PolicyUpdate } from './policyStage.js';

export interface RunningFirewallOptions {
  readonly open: (onEvent: (event: FirewallEvent) => void) => PolicyFirewall | Promise<PolicyFirewall>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: PolicyMetrics;
  readonly report: (found: ProblemReport) => void;
  /** Ends connections that a change forbids. */
  readonly cutter: FlowCutter;
  /** Joins a group of logged packets. @throws Error when that is not possible now */
  readonly listen: DenialLogOptions['listen'];
}

export interface RunningFirewall {
  readonly view: PoliciesView;
  readonly firewall: PolicyFirewall;
  /** BGP begins when policies are in the kernel. Called once, before the first update. */
  attach(ordering: Pick<Ordering<unknown>, 'gate'>): void;
  update(update: PolicyUpdate): void;
  /** Refreshes what metrics show. */
  scrape(): Promise<void>;
  /** Everything that there was at the start is in the kernel. */
  readonly synced: Promise<void>;
  /** The kernel had policies of a former life, which are in force until then. Known when it has been read. */
  readonly hasFormer: boolean;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}

/** Milliseconds after a failure of the whole until it is looked whether it is over. */
const LOOK_AGAIN = 5000;

/** @throws Error when the kernel cannot be reached at all */
export async function startFirewall(options: RunningFirewallOptions): Promise<RunningFirewall> {
  const early: FirewallEvent[] = [];
  const listener = { take: (event: FirewallEvent): void => void early.push(event) };
  const firewall = await options.open(event => listener.take(event));
  const loop = new FirewallLoop(options, firewall);
  listener.take = event => loop.take(event);
  for (const event of early) loop.take(event);
  return loop;
}

class FirewallLoop implements RunningFirewall {
  readonly view: PoliciesView;
  readonly synced: Promise<void>;
  hasFormer = false;
  private readonly states = createPodStates();
  private readonly denialLog: DenialLog;
  private sayWhenSynced = (): void => undefined;
  private latest: PolicyUpdate | undefined;
  private gate: StartGate | undefined;
  private hasHeld = false;
  private hasBegun = false;
  private hasEnded = false;

  constructor(
    private readonly options: RunningFirewallOptions,
    readonly firewall: PolicyFirewall,
  ) {
    const { listen, clock, logger, report } = options;
    this.denialLog = createDenialLog({
      decisionOf: prefix => firewall.decisionOf(prefix),
      world: () => this.latest?.model,
      ...{ listen, clock, logger, report, now: Date.now },
    });
    this.view = createPoliciesView({
      known: () => this.latest,
      states: this.states,
      denials: () => this.denialLog.recent(),
    });
    this.synced = new Promise(resolve => (this.sayWhenSynced = resolve));
  }

  attach(ordering: Pick<Ordering<unknown>, 'gate'>): void {
    this.gate = ordering.gate();
  }

  update(update: PolicyUpdate): void {
    const { delta, settings, isComplete, seconds } = update;
    this.latest = update;
    this.options.metrics.derived(seconds);
    if (settings !== undefined) this.configure(settings);
    this.options.cutter.note(delta, update.model);
    this.states.want(delta.pods);
    this.forgetFailures(delta);
    if (!isEmpty(delta)) this.firewall.apply(delta);
    if (!isComplete) this.hold();
    else if (!this.hasBegun) this.begin();
  }

  async scrape(): Promise<void> {
    const model = this.latest?.model;
    if (model === undefined) return;
    const denials = await this.firewall.denials().catch(() => undefined);
    this.options.metrics.show({ model, failures: this.states.failures.size, denials });
  }

  async stop(): Promise<void> {
    this.hasEnded = true;
    this.denialLog.stop();
    await this.options.cutter.stop();
    await this.firewall.stop();
  }

  take(event: FirewallEvent): void {
    const { logger, metrics, report } = this.options;
    metrics.event(event);
    switch (event.kind) {
      case 'adopted':
        this.hasFormer ||= event.count > 0;
        if (event.count > 0) logger.info({ pods: event.count }, 'policies of a former life are in the kernel');
        return;
      case 'programmed':
        this.states.programmed(event.pods);
        return;
      case 'failed':
        this.states.failed(event.failures);
        this.reportFailures();
        return;
      case 'recovered':
        this.states.recovered(event.pods);
        this.reportFailures();
        return;
      case 'drift':
        logger.warn({ what: event.what.slice(0, 10), count: event.what.length }, 'policies in the kernel were changed');
        return;
      case 'committed':
        report(new Map([['firewall', []]]));
        if (this.hasBegun) this.options.cutter.committed();
        return;
      case 'error':
        report(new Map([['firewall', [{ subject: 'firewall', text: event.text }]]]));
    }
  }

  private configure(settings: FirewallSettings): void {
    const { ipv4, ipv6, cutBit: bit } = settings;
    this.firewall.configure(settings);
    this.options.cutter.configure({ ipv4, ipv6, bit });
    this.denialLog.configure(settings.log);
  }

  /** Where there is no table of a former life, pods are closed if that is asked for. */
  private hold(): void {
    if (this.hasHeld) return;
    this.hasHeld = true;
    this.firewall.hold().catch((error: unknown) => {
      this.options.report(new Map([['firewall', [{ subject: 'firewall', text: textOf(error) }]]]));
    });
  }

  private begin(): void {
    this.hasBegun = true;
    this.firewall.begin();
    this.watchStart();
  }

  private watchStart(): void {
    void this.firewall.idle().then(() => {
      if (this.hasEnded) return;
      if (!this.firewall.isSettled && this.states.failures.size === 0) {
        this.options.clock.setTimeout(() => this.watchStart(), LOOK_AGAIN);
        return;
      }
      this.options.logger.info({ pods: this.latest?.model.localPods.size }, 'policies are in force');
      this.options.cutter.committed();
      this.gate?.open();
      this.sayWhenSynced();
    });
  }

  /** What is not wanted any more cannot be refused. */
  private forgetFailures({ pods }: PolicyDelta): void {
    if (pods.removed.size > 0) this.reportFailures();
  }

  private reportFailures(): void {
    const problems = [...this.states.failures].map(([pod, text]) => ({
      subject: `Pod ${pod}`,
      text: `its policies were refused by the kernel, and it is closed: ${text}`,
    }));
    this.options.report(new Map([['firewall pods', problems]]));
  }
}

function isEmpty({ groups, portSets, policies, pods }: PolicyDelta): boolean {
  const sizes = [groups.changed, groups.removed, portSets.changed, portSets.removed];
  return (
    sizes.every(({ size }) => size === 0) && [policies, pods].every(({ set, removed }) => set.size + removed.size === 0)
  );
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
