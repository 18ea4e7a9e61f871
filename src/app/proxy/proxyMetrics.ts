/**
 * The proxy's metrics by the names that kube-proxy has for them, and counters of services by kube-router's, so that
 * dashboards keep working.
 */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ProxyBackend, ProxyEvent } from '../../proxy/proxyBackend.js';
import type { ProxyDelta, Verdict } from '../../proxy/proxyTypes.js';
import { createTrafficMetrics, type CountedServices } from './trafficMetrics.js';

export interface ProxyMetrics {
  /** @param backend whose it is */
  event(event: ProxyEvent, backend: ProxyBackend['kind'] | undefined): void;
  queued(delta: ProxyDelta): void;
  healthAnswered(kind: 'healthz' | 'livez', status: number): void;
  /** @param seconds from the change of a pod or service until the kernel served by it */
  programmed(seconds: number): void;
  /** For a scrape. */
  show(scrape: ProxyScrape): void;
}

export interface ProxyScrape {
  readonly services: CountedServices;
  /** Frontends that drop, by traffic policy. */
  readonly withoutLocal: NoLocal;
  /** Frontends that IPVS serves. */
  readonly ipvsFrontends: number;
  /** Seconds that it took to read counters. */
  readonly seconds: number;
  /** Milliseconds that never go back. */
  readonly now: number;
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

/** kube-proxy's for its service level, in seconds. */
const PROGRAMMING_BUCKETS = [0.25, 0.5, ...range(1, 59, 1), ...range(60, 115, 5), ...range(120, 300, 30)];

function range(first: number, last: number, step: number): readonly number[] {
  return Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step);
}

export function createProxyMetrics(registers: Registry[]): ProxyMetrics {
  const histogram = (name: string, help: string, buckets = SYNC_BUCKETS): Histogram =>
    new Histogram({ name: `kubeproxy_${name}`, help, buckets, registers });
  const gauge = (name: string, help: string, labelNames: readonly string[] = []): Gauge =>
    new Gauge({ name: `kubeproxy_${name}`, help, labelNames, registers });
  const counter = (name: string, help: string, labelNames: readonly string[] = []): Counter =>
    new Counter({ name: `kubeproxy_${name}`, help, labelNames, registers });
  const sync = histogram('sync_proxy_rules_duration_seconds', 'From a change to the kernel saying so');
  const full = histogram('sync_full_proxy_rules_duration_seconds', 'The same, of everything at once');
  const partial = histogram('sync_partial_proxy_rules_duration_seconds', 'The same, of what changed only');
  const programming = histogram(
    'network_programming_duration_seconds',
    'From a change of a pod or service to the kernel saying that it serves by it',
    PROGRAMMING_BUCKETS,
  );
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
  const traffic = createTrafficMetrics(registers);
  const ipvs = ipvsMetrics(registers);
  return {
    event: (event, backend) => {
      if (event.kind === 'committed') {
        sync.observe(event.seconds);
        if (backend === 'ipvs') ipvs.syncTime.observe(event.seconds);
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
    programmed: seconds => programming.observe(seconds),
    show: ({ services, withoutLocal, ipvsFrontends, seconds, now }) => {
      noLocal.set({ traffic_policy: 'internal' }, withoutLocal.internal);
      noLocal.set({ traffic_policy: 'external' }, withoutLocal.external);
      ipvs.services.set(ipvsFrontends);
      ipvs.exportTime.observe(seconds);
      traffic.show(services, now);
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

/** kube-router's, by its names. */
function ipvsMetrics(registers: Registry[]) {
  const histogram = (name: string, help: string): Histogram =>
    new Histogram({ name: `kube_router_controller_ipvs_${name}`, help, buckets: SYNC_BUCKETS, registers });
  return {
    services: new Gauge({
      name: 'kube_router_controller_ipvs_services',
      help: 'Frontends of services that IPVS serves',
      registers,
    }),
    syncTime: histogram('services_sync_time', 'From a change to IPVS saying so'),
    exportTime: histogram('metrics_export_time', 'Reading the counters of services'),
  };
}
