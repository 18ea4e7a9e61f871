/** Counters of services for Prometheus, by the names and labels that kube-router gives them. */

import { Gauge, type Registry } from 'prom-client';
import type { TrafficCounters } from '../../proxy/proxyBackend.js';
import type { ServicePortKey } from '../../proxy/proxyTypes.js';

/** Where a service port is known to be. */
export interface ServicePlace {
  readonly namespace: string;
  readonly name: string;
  /** Its cluster IP, and the port there. What its other frontends carried is in the same counters. */
  readonly address: string;
  readonly protocol: string;
  readonly port: number;
}

export interface CountedService {
  readonly place: ServicePlace;
  readonly counters: TrafficCounters;
}

export type CountedServices = ReadonlyMap<ServicePortKey, CountedService>;

export interface TrafficMetrics {
  /** @param now milliseconds that never go back */
  show(services: CountedServices, now: number): void;
}

/** Milliseconds that rates are taken over at least: a second scraper must not make them jump. */
const SHORTEST = 1000;

const COLUMNS = [
  { count: 'connections', total: 'total_connections', rate: 'cps', help: 'Connections' },
  { count: 'packetsIn', total: 'packets_in', rate: 'pps_in', help: 'Packets of clients' },
  { count: 'packetsOut', total: 'packets_out', rate: 'pps_out', help: 'Packets to clients' },
  { count: 'bytesIn', total: 'bytes_in', rate: 'bps_in', help: 'Octets of clients' },
  { count: 'bytesOut', total: 'bytes_out', rate: 'bps_out', help: 'Octets to clients' },
] as const;

interface Sample {
  readonly at: number;
  readonly counters: TrafficCounters;
}

/** Rates are those since `older`. */
interface Samples {
  readonly older: Sample;
  readonly newer: Sample;
}

export function createTrafficMetrics(registers: Registry[]): TrafficMetrics {
  const labelNames = ['svc_namespace', 'service_name', 'service_vip', 'protocol', 'port'];
  const gauge = (name: string, help: string): Gauge =>
    new Gauge({ name: `kube_router_service_${name}`, help, labelNames, registers });
  const columns = COLUMNS.map(({ count, total, rate, help }) => ({
    count,
    total: gauge(total, `${help} so far`),
    rate: gauge(rate, `${help} a second, since the scrape before`),
  }));
  let known: ReadonlyMap<ServicePortKey, Samples> = new Map();
  return {
    show: (services, now) => {
      const next = new Map<ServicePortKey, Samples>();
      // Services that are gone leave no series behind.
      for (const { total, rate } of columns) for (const each of [total, rate]) each.reset();
      for (const [key, { place, counters }] of services) {
        const labels = labelsOf(place);
        const samples = withSample(known.get(key), { at: now, counters });
        next.set(key, samples);
        for (const { count, total, rate } of columns) {
          const value = counters[count];
          if (value === undefined) continue;
          total.set(labels, Number(value));
          rate.set(labels, perSecond(value, samples.older.counters[count], now - samples.older.at));
        }
      }
      known = next;
    },
  };
}

function withSample(former: Samples | undefined, sample: Sample): Samples {
  if (former === undefined) return { older: sample, newer: sample };
  return sample.at - former.newer.at < SHORTEST ? former : { older: former.newer, newer: sample };
}

/** Counters that went back were begun anew: then nothing is known of the time before. */
function perSecond(now: bigint, before: bigint | undefined, milliseconds: number): number {
  if (before === undefined || now < before || milliseconds <= 0) return 0;
  return (Number(now - before) * 1000) / milliseconds;
}

function labelsOf({
  namespace,
  name,
  address,
  protocol,
  port,
}: ServicePlace): Readonly<Record<string, string | number>> {
  return {
    svc_namespace: namespace,
    service_name: name,
    service_vip: address,
    protocol: protocol.toLowerCase(),
    port,
  };
}
