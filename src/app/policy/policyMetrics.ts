/** The firewall's metrics: kube-router's by their names, so that dashboards keep working, and our own. */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { policyTitleOf } from '../../policy/policyText.js';
import type { FlowCutEvent } from '../../policy/flows/flowCutter.js';
import type { Denial, FirewallEvent } from '../../policy/policyFirewall.js';
import type { PolicyModel } from '../../policy/policyModel.js';

export interface PolicyMetrics {
  event(event: FirewallEvent): void;
  /** Connections that were ended, and looks that failed. */
  flows(event: FlowCutEvent): void;
  /** @param seconds that a derivation took */
  derived(seconds: number): void;
  /** For a scrape. */
  show(scrape: PolicyScrape): void;
}

export interface PolicyScrape {
  readonly model: Pick<PolicyModel, 'policies' | 'localPods' | 'groups'>;
  /** Pods whose policies the kernel refused. */
  readonly failures: number;
  /** Undefined: they could not be read. */
  readonly denials: readonly Denial[] | undefined;
}

/** From a millisecond by doubling. */
const SYNC_BUCKETS = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);

/** Rows of denials by pod and reason: whoever has more is told the largest, and the rest as one. */
const MOST_ROWS = 1000;

export function createPolicyMetrics(registers: Registry[]): PolicyMetrics {
  const gauge = (name: string, help: string, labelNames: readonly string[] = []): Gauge =>
    new Gauge({ name, help, labelNames, registers });
  const histogram = (name: string, help: string): Histogram =>
    new Histogram({ name, help, buckets: SYNC_BUCKETS, registers });
  const sync = histogram(
    'kube_router_controller_iptables_sync_time',
    'From a change of policies to the kernel saying so',
  );
  const derivation = histogram('peerage_policy_derivation_seconds', 'From changed objects to changed policies');
  const chains = gauge('kube_router_controller_policy_chains', 'Policies that govern pods of this node');
  const sets = gauge('kube_router_controller_policy_ipsets', 'Sets of addresses that their rules share');
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
  const refused = counter('peerage_policy_refusals_total', 'Transactions of policies that failed');
  const repaired = counter('peerage_policy_repairs_total', 'Times that others changed them in the kernel');
  const cut = counter('peerage_policy_cut_connections_total', 'Connections ended since policies forbid them now');
  const looks = histogram('peerage_policy_connections_look_seconds', 'Looking for connections to end');
  const policies = gauge('peerage_policy_policies', 'Policies that govern pods of this node', ['tier']);
  const pods = gauge('peerage_policy_pods', 'Pods of this node that the firewall covers');
  const addresses = gauge('peerage_policy_group_addresses', 'Addresses in the sets that rules share');
  const failures = gauge('peerage_policy_failed_pods', 'Pods whose policies the kernel refused: they are closed');
  const denied = gauge(
    'peerage_policy_denied_packets',
    'Packets denied since the table was made, by pod, direction and what denies; what is gone is forgotten',
    ['namespace', 'pod', 'direction', 'cause'],
  );
  return {
    event: event => {
      if (event.kind === 'committed') {
        sync.observe(event.seconds);
      }
      if (event.kind === 'failed' || event.kind === 'error') refused.inc();
      if (event.kind === 'drift') repaired.inc();
    },
    flows: event => {
      if (event.kind !== 'looked') return;
      cut.inc(event.cut);
      looks.observe(event.seconds);
    },
    derived: seconds => derivation.observe(seconds),
    show: ({ model, failures: failed, denials }) => {
      for (const tier of ['admin', 'namespace', 'baseline'] as const)
        policies.set({ tier }, [...model.policies.values()].filter(policy => policy.tier === tier).length);
      pods.set(model.localPods.size);
      chains.set(model.policies.size);
      sets.set(model.groups.size);
      addresses.set([...model.groups.values()].reduce((sum, group) => sum + group.size, 0));
      failures.set(failed);
      if (denials === undefined) return;
      denied.reset();
      for (const { labels, packets } of denialRows(denials, MOST_ROWS)) denied.set(labels, packets);
    },
  };
}

interface DenialRow {
  readonly labels: Readonly<Record<'namespace' | 'pod' | 'direction' | 'cause', string>>;
  readonly packets: number;
}

/** A row for each pod and reason, the largest first; what is beyond the limit is one row of pod `other`. */
export function denialRows(denials: readonly Denial[], limit: number): readonly DenialRow[] {
  const byLabels = new Map<string, DenialRow>();
  for (const { labels, packets } of denials.map(rowOf)) {
    const key = JSON.stringify(labels);
    byLabels.set(key, { labels, packets: packets + (byLabels.get(key)?.packets ?? 0) });
  }
  const rows = [...byLabels.values()].sort((a, b) => b.packets - a.packets);
  if (rows.length <= limit) return rows;
  const rest = rows.slice(limit).reduce((sum, { packets }) => sum + packets, 0);
  const labels = { namespace: '', pod: 'other', direction: '', cause: '' };
  return [...rows.slice(0, limit), { labels, packets: rest }];
}

/** Addresses that no known pod has are as many as a sender likes: they count as one. */
function rowOf({ pod, direction, cause, packets }: Denial): DenialRow {
  const [namespace = '', name = ''] = pod?.split('/') ?? [];
  return { labels: { namespace, pod: name, direction, cause: causeLabel(cause) }, packets: Number(packets) };
}

function causeLabel(cause: Denial['cause']): string {
  switch (cause.kind) {
    case 'rule':
      return policyTitleOf(cause.policy);
    case 'isolated':
      return cause.policies.map(policyTitleOf).join(', ');
    case 'closed':
      return 'closed';
    case 'unknown':
      return 'unknown';
  }
}
