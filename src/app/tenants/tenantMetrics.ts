/** Metrics of tenants. */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { TenantEvent } from '../../policy/tenants/tenantKernel.js';
import type { TenantModel } from '../../policy/tenants/tenantModel.js';
import { CLOSED } from '../../policy/tenants/tenantNumber.js';
import type { DeniedPackets } from './denied.js';

export interface TenantMetrics {
  event(event: TenantEvent): void;
  /** For a scrape. @param denied packets more than at the last one, by namespace */
  show(model: TenantModel, denied: ReadonlyMap<string, DeniedPackets>): void;
}

/** From a millisecond by doubling. */
const SYNC_BUCKETS = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);

export function createTenantMetrics(registers: Registry[]): TenantMetrics {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers });
  const counter = (name: string, help: string, labelNames: readonly string[] = []): Counter =>
    new Counter({ name, help, labelNames, registers });
  const sync = new Histogram({
    name: 'peerage_tenants_sync_seconds',
    help: 'From a change of pods or namespaces to the kernel saying so',
    buckets: SYNC_BUCKETS,
    registers,
  });
  const refused = counter('peerage_tenants_refusals_total', 'Transactions of tenants that failed');
  const repaired = counter(
    'peerage_tenants_repairs_total',
    'Times that others changed what is ours, and it was put right',
  );
  const networks = gauge('peerage_tenants_networks', 'Networks that namespaces have, the global one not counted');
  const namespaces = gauge('peerage_tenants_namespaces', 'Namespaces that are known, or have pods');
  const closed = gauge(
    'peerage_tenants_closed_namespaces',
    'Namespaces without a number that can be used: nobody reaches them',
  );
  const addresses = gauge('peerage_tenants_addresses', 'Addresses of pods in the kernel, of the whole cluster');
  const denied = counter('peerage_tenants_denied_packets_total', 'Packets of pods of this node that were dropped', [
    'namespace',
    'direction',
  ]);
  return {
    event: event => {
      if (event.kind === 'written') sync.observe(event.seconds);
      if (event.kind === 'failed' || event.kind === 'error') refused.inc();
      if (event.kind === 'drift') repaired.inc();
    },
    show: (model, news) => {
      const numbers = [...model.namespaces.values()].map(({ number }) => number);
      networks.set(new Set(numbers.filter(number => number > CLOSED)).size);
      namespaces.set(numbers.length);
      closed.set(numbers.filter(number => number === CLOSED).length);
      addresses.set(model.addresses.size);
      for (const [namespace, { to, from }] of news) {
        if (to > 0) denied.inc({ namespace, direction: 'to' }, to);
        if (from > 0) denied.inc({ namespace, direction: 'from' }, from);
      }
    },
  };
}
