/** The policy table of one family: plan, reconciler and target together, and what happened told in terms of pods. */

import type { Clock } from '../../core/clock.js';
import { createReconciler, type Reconciler, type ReconcilerEvent } from '../../core/reconciler.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import { elementKey, keyOctets, setOf, type ElementKey } from '../../kernel/nftables/elements.js';
import { readStructure } from '../../kernel/nftables/dump.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import type { TableMonitor } from '../../kernel/nftables/tableMonitor.js';
import type { Transactions } from '../../kernel/nftables/transaction.js';
import type { Denial, FirewallEvent, FirewallSettings } from '../policyFirewall.js';
import type { PodName, PolicyDelta } from '../policyTypes.js';
import { closeWaiting, writeApart } from './apart.js';
import type { Decision } from './chains.js';
import { readDenials } from './denials.js';
import { fingerprintOf, layoutOf, SETS, type Layout } from './layout.js';
import { CHAINS, createPolicyPlan, NAMED_SETS, type PolicyPlan, type WantedElements } from './plan.js';
import { createPolicyTarget, STRUCTURE, type PolicyDifference, type PolicyTarget } from './policyTarget.js';

export interface FamilyFirewallOptions {
  readonly family: Family;
  readonly channel: NetlinkChannel;
  readonly transactions: Transactions;
  readonly monitor: TableMonitor;
  readonly clock: Clock;
  readonly readBackInterval: number;
  onEvent(event: FirewallEvent): void;
}

export interface FamilyFirewall {
  configure(settings: FirewallSettings): void;
  apply(delta: PolicyDelta): void;
  hold(): Promise<void>;
  begin(): void;
  readonly isSettled: boolean;
  /** Whether the kernel covers the pod, or it is not wanted. */
  isProgrammed(pod: PodName): boolean;
  denials(): Promise<readonly Denial[]>;
  decision(digest: string): Decision | undefined;
  idle(): Promise<void>;
  stop(): Promise<void>;
}

export function createFamilyFirewall(options: FamilyFirewallOptions): FamilyFirewall {
  return new PlannedFirewall(options);
}

class PlannedFirewall implements FamilyFirewall {
  private readonly plan: PolicyPlan;
  private readonly target: PolicyTarget;
  private readonly reconciler: Reconciler<ElementKey, string>;
  private readonly closed = new Map<PodName, string>();
  private layout: Layout | undefined;
  private fingerprint = '';
  private log = '';
  private defaultDeny = false;
  private wishedAt: number | undefined;

  constructor(private readonly options: FamilyFirewallOptions) {
    const { family, channel, transactions, clock, readBackInterval, monitor } = options;
    this.plan = createPolicyPlan(family);
    this.target = createPolicyTarget({
      family,
      channel,
      transactions,
      contents: this.plan,
      commitApart: (delta, text, write) => this.commitApart(delta, text, write),
    });
    this.reconciler = createReconciler<ElementKey, string>({
      target: { read: () => this.target.read(), commit: delta => this.commit(delta) },
      clock,
      equal: (a, b) => a === b,
      readBackInterval,
      onEvent: event => this.onEvent(event),
    });
    monitor.watch(this.target.table, () => this.reconciler.readSoon());
  }

  get isSettled(): boolean {
    return this.reconciler.isAllSettled && this.closed.size === 0;
  }

  configure(settings: FirewallSettings): void {
    const layout = layoutOf(this.options.family, settings);
    const fingerprint = fingerprintOf(layout, settings);
    this.defaultDeny = settings.defaultDeny;
    if (fingerprint === this.fingerprint) return;
    const outdated = [...(this.layout?.elements.keys() ?? [])].filter(key => !layout.elements.has(key));
    [this.layout, this.fingerprint] = [layout, fingerprint];
    this.target.setLayout(layout, fingerprint);
    // The table is replaced whole, with all that is in it: that begins with a reading that finds another structure.
    this.reconciler.readFirst();
    const log = JSON.stringify(settings.log ?? null);
    if (log !== this.log) this.want(this.plan.setLog(settings.log));
    this.log = log;
    this.reconciler.apply([[STRUCTURE, fingerprint], ...layout.elements]);
    this.reconciler.apply(outdated.map(key => [key, undefined]));
  }

  apply(delta: PolicyDelta): void {
    this.want(this.plan.apply(delta));
  }

  async hold(): Promise<void> {
    if (!this.defaultDeny || this.layout === undefined) return;
    const found = await readStructure(this.options.channel, this.target.table);
    if (found !== undefined) return;
    const structure = [[STRUCTURE, this.fingerprint] as const, ...this.layout.elements];
    const set = new Map(structure.map(([key, value]) => [key, { value, before: undefined }]));
    const [failure] = (await this.target.commit({ set, removed: new Map() })).values();
    if (failure !== undefined) throw new Error(`the policy table could not be written: ${failure}`);
  }

  begin(): void {
    this.reconciler.begin();
  }

  isProgrammed(pod: PodName): boolean {
    if (this.reconciler.isAllSettled) return !this.closed.has(pod);
    const { reconciler, plan } = this;
    if (!reconciler.isSettled(STRUCTURE)) return false;
    const own = plan.addressesOf(pod).map(address => elementKey(SETS.pods, address));
    const { keys, sets } = plan.needs(pod);
    const named = [...sets].map(set => elementKey(NAMED_SETS, set));
    return [...own, ...keys, ...named].every(key => reconciler.isSettled(key));
  }

  async denials(): Promise<readonly Denial[]> {
    if (!this.reconciler.isSettled(STRUCTURE)) return [];
    const { channel, transactions, family } = this.options;
    return readDenials({ channel, transactions, table: this.target.table, family, plan: this.plan, firewall: this });
  }

  decision(digest: string): Decision | undefined {
    return this.plan.decision(digest) ?? this.layout?.decisions.find(decision => decision.digest === digest);
  }

  idle(): Promise<void> {
    return this.reconciler.idle();
  }

  stop(): Promise<void> {
    return this.reconciler.stop();
  }

  private want(changes: WantedElements): void {
    if (changes.size === 0) return;
    this.wishedAt ??= this.options.clock.now();
    this.reconciler.apply(changes);
  }

  private async commit(delta: PolicyDifference): Promise<ReadonlyMap<ElementKey, string>> {
    const { plan, reconciler } = this;
    const refused = reconciler.failures;
    if (refused.size === 0) return this.target.commit(delta);
    const waiting = closeWaiting({
      delta,
      refused,
      pods: plan.pods,
      addressesOf: pod => plan.addressesOf(pod),
      needs: pod => plan.needs(pod),
    });
    const failures = await this.target.commit(waiting.delta);
    this.close(waiting.closed);
    return new Map([...waiting.failures, ...failures]);
  }

  private async commitApart(
    delta: PolicyDifference,
    text: string,
    write: (part: PolicyDifference) => Promise<void>,
  ): Promise<ReadonlyMap<ElementKey, string>> {
    const { plan, reconciler } = this;
    const { failures, closed } = await writeApart({
      delta,
      text,
      write,
      pods: plan.pods,
      addressesOf: pod => plan.addressesOf(pod),
      needs: pod => plan.needs(pod),
      present: reconciler.present,
    });
    this.close(closed);
    return failures;
  }

  private close(pods: ReadonlyMap<PodName, string>): void {
    const news = [...pods].filter(([pod, reason]) => this.closed.get(pod) !== reason);
    for (const [pod, reason] of pods) this.closed.set(pod, reason);
    if (news.length > 0) this.options.onEvent({ kind: 'failed', failures: new Map(news) });
  }

  private onEvent(event: ReconcilerEvent<ElementKey>): void {
    const tell = this.options.onEvent.bind(this.options);
    switch (event.kind) {
      case 'adopted':
        tell({ kind: 'adopted', count: this.countPods() });
        return;
      case 'written':
        this.tellCommitted(event.set.includes(STRUCTURE));
        this.reopen(event.set);
        return;
      case 'failed':
        // Those that cost pods were told with their pods.
        if (this.closed.size === 0) tell({ kind: 'error', text: [...new Set(event.failures.values())].join('; ') });
        return;
      case 'recovered':
        this.reopen(event.keys);
        return;
      case 'drift': {
        // That a pod is closed was our own doing.
        const ours = new Set([...this.closed.keys()].flatMap(pod => this.podKeys(pod)));
        const what = event.keys.filter(key => !ours.has(key)).map(describe);
        if (what.length > 0) tell({ kind: 'drift', what });
        return;
      }
      case 'error': {
        tell({ kind: 'error', text: event.text });
        return;
      }
    }
  }

  private podKeys(pod: PodName): readonly ElementKey[] {
    return this.plan.addressesOf(pod).map(address => elementKey(SETS.pods, address));
  }

  private tellCommitted(full: boolean): void {
    const now = this.options.clock.now();
    const seconds = (now - (this.wishedAt ?? now)) / 1000;
    this.wishedAt = undefined;
    this.options.onEvent({ kind: 'committed', seconds, full });
  }

  /** Pods that were closed are not any more once what leads to their profiles has been written. */
  private reopen(keys: readonly ElementKey[]): void {
    if (this.closed.size === 0) return;
    const done = new Set(keys);
    const { failures } = this.reconciler;
    const recovered = [...this.closed.keys()].filter(pod => {
      const own = this.podKeys(pod);
      return own.every(key => (done.has(key) || this.reconciler.isSettled(key)) && !failures.has(key));
    });
    const open = recovered.filter(pod => this.isOpenAgain(pod));
    for (const pod of open) this.closed.delete(pod);
    if (open.length > 0) this.options.onEvent({ kind: 'recovered', pods: open });
  }

  private isOpenAgain(pod: PodName): boolean {
    const { keys, sets } = this.plan.needs(pod);
    const { failures } = this.reconciler;
    for (const key of failures.keys()) if (keys.has(key) || sets.has(setOf(key))) return false;
    return true;
  }

  private countPods(): number {
    let count = 0;
    for (const key of this.reconciler.present.keys()) if (setOf(key) === SETS.pods) count += 1;
    return count;
  }
}

function describe(key: ElementKey): string {
  if (key === STRUCTURE) return 'rules';
  const set = setOf(key);
  if (set === CHAINS) return `chain ${keyOctets(key)}`;
  if (set === NAMED_SETS) return `set ${keyOctets(key)}`;
  return `an element of ${set}`;
}
