/**
 * The proxy's metrics by the names that kube-proxy has for them, and counters of services by kube-router's, so that
 * dashboards keep working.
 */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ProxyDelta, ServicePortKey, Verdict } from '../../proxy/proxyTypes.js';
import type { ProxyEvent, TrafficCounters } from '../../proxy/proxyBackend.js';

export interface ProxyMetrics {
  event(event: ProxyEvent): void;
  queued(delta: ProxyDelta): void;
  healthAnswered(kind: 'healthz' | 'livez', status: number): void;
  /** For a scrape. @param withoutLocal frontends that drop, by traffic policy */
  show(counters: ReadonlyMap<ServicePortKey, TrafficCounters>, withoutLocal: NoLocal): void;
}

export interface NoLocal {
  readonly internal: number;
  readonly external: number;
}

/** Which policy's metric a frontend counts in. */
export function noLocalOf(frontends: Iterable<{ readonly kind: string; readonly verdict: Verdict }>): NoLocal {
  const count = { internal: 0, external: 0 };
  for (const { kind, verdict } of frontends)
    if (verdict === 'drop') count[kind === 'clusterIp' ? 'internal' : 'external'] += 1;
  return count;
}

/** kube-proxy's for synchronisation, from a millisecond by doubling; ours are at the low end. */
const SYNC_BUCKETS = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);

export function createProxyMetrics(registers: Registry[]): ProxyMetrics {
  const histogram = (name: string, help: string): Histogram =>
    new Histogram({ name: `kubeproxy_${name}`, help, buckets: SYNC_BUCKETS, registers });
  const gauge = (name: string, help: string, labelNames: readonly string[] = []): Gauge =>
    new Gauge({ name: `kubeproxy_${name}`, help, labelNames, registers });
  const counter = (name: string, help: string, labelNames: readonly string[] = []): Counter =>
    new Counter({ name: `kubeproxy_${name}`, help, labelNames, registers });
  const sync = histogram('sync_proxy_rules_duration_seconds', 'From a change to the kernel saying so');
  const full = histogram('sync_full_proxy_rules_duration_seconds', 'The same, of everything at once');
  const partial = histogram('sync_partial_proxy_rules_duration_seconds', 'The same, of what changed only');
  const last = gauge('sync_proxy_rules_last_timestamp_seconds', 'When the kernel last said so');
  const lastQueued = gauge('sync_proxy_rules_last_queued_timestamp_seconds', 'When something was last to be written');
  const endpoints = counter('sync_proxy_rules_endpoint_changes_total', 'Backend lists that changed');
  const services = counter('sync_proxy_rules_service_changes_total', 'Frontends that changed');
  const endpointsPending = gauge('sync_proxy_rules_endpoint_changes_pending', 'Backend lists on their way');
  const servicesPending = gauge('sync_proxy_rules_service_changes_pending', 'Frontends on their way');
  const refused = counter('sync_proxy_rules_nftables_sync_failures_total', 'Transactions that failed');
  const noLocal = gauge(
    'sync_proxy_rules_no_local_endpoints_total',
    'Frontends of policy Local without an endpoint on this node, while there are some elsewhere',
    ['traffic_policy'],
  );
  const reconciled = histogram('conntrack_reconciler_sync_duration_seconds', 'Looking for stale UDP flows');
  const deleted = counter('conntrack_reconciler_deleted_entries_total', 'Stale UDP flows that were deleted');
  const health = {
    healthz: counter('proxy_healthz_total', 'Answers of /healthz', ['code']),
    livez: counter('proxy_livez_total', 'Answers of /livez', ['code']),
  };
  const traffic = trafficMetrics(registers);
  return {
    event: event => {
      if (event.kind === 'committed') {
        sync.observe(event.seconds);
        (event.full ? full : partial).observe(event.seconds);
        last.setToCurrentTime();
        endpointsPending.set(0);
        servicesPending.set(0);
      }
      if (event.kind === 'failed' || event.kind === 'error') refused.inc();
      if (event.kind === 'conntrack') {
        reconciled.observe(event.seconds);
        deleted.inc(event.deleted);
      }
    },
    queued: ({ frontends, backends }) => {
      const changes = { services: sizeOf(frontends), endpoints: sizeOf(backends) };
      services.inc(changes.services);
      endpoints.inc(changes.endpoints);
      servicesPending.inc(changes.services);
      endpointsPending.inc(changes.endpoints);
      lastQueued.setToCurrentTime();
    },
    healthAnswered: (kind, status) => health[kind].inc({ code: String(status) }),
    show: (counters, { internal, external }) => {
      noLocal.set({ traffic_policy: 'internal' }, internal);
      noLocal.set({ traffic_policy: 'external' }, external);
      traffic.show(counters);
    },
  };
}

function sizeOf({
  set,
  removed,
}: {
  readonly set: { readonly size: number };
  readonly removed: { readonly size: number };
}) {
  return set.size + removed.size;
}

function trafficMetrics(registers: Registry[]): { show(counters: ReadonlyMap<ServicePortKey, TrafficCounters>): void } {
  const labelNames = ['namespace', 'service_name', 'protocol', 'port', 'family'];
  const gauge = (name: string, help: string): Gauge =>
    new Gauge({ name: `kube_router_service_${name}`, help, labelNames, registers });
  const total = gauge('total_connections', 'Connections so far');
  const packetsIn = gauge('packets_in', 'Packets of clients');
  const packetsOut = gauge('packets_out', 'Packets to clients');
  const bytesIn = gauge('bytes_in', 'Octets of clients');
  const bytesOut = gauge('bytes_out', 'Octets to clients');
  return {
    show: counters => {
      // Services that are gone leave no series behind.
      for (const each of [total, packetsIn, packetsOut, bytesIn, bytesOut]) each.reset();
      for (const [key, count] of counters) {
        const labels = labelsOf(key);
        total.set(labels, Number(count.connections));
        packetsIn.set(labels, Number(count.packetsIn));
        bytesIn.set(labels, Number(count.bytesIn));
        if (count.packetsOut !== undefined) packetsOut.set(labels, Number(count.packetsOut));
        if (count.bytesOut !== undefined) bytesOut.set(labels, Number(count.bytesOut));
      }
    },
  };
}

function labelsOf(key: ServicePortKey): Readonly<Record<string, string>> {
  const [family = '', service = '', port = '', protocol = ''] = key.split('|');
  const [namespace = '', name = ''] = service.split('/');
  return { namespace, service_name: name, protocol: protocol.toLowerCase(), port, family: `IPv${family}` };
}
