/**
 * Health-check node ports: a balancer outside asks each node over HTTP whether it has endpoints of a service, so that it
 * sends traffic (externalTrafficPolicy Local) to no node in vain. Answers are those of kube-proxy. Impure.
 */

import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { HealthCheck } from '../../proxy/proxy.js';
import type { KeyedChange } from '../../proxy/proxyTypes.js';

export interface ServiceHealthOptions {
  readonly clock: Clock;
  /** Whether the proxy keeps up with what it is told. */
  readonly isHealthy: () => boolean;
  /** Told when a port cannot be listened on, or can again. @param failures of a service, all of them */
  readonly listened: (service: string, failures: readonly string[]) => void;
}

export interface ServiceHealth {
  apply(checks: KeyedChange<string, HealthCheck>): void;
  /** Listens on these addresses from now on. @param addresses undefined: on all */
  listenOn(addresses: readonly string[] | undefined): void;
  /** Listening sockets, for tests: address and port. */
  readonly sockets: readonly string[];
  close(): Promise<void>;
}

/** Milliseconds until a port that was taken is tried again. */
const RETRY = 15_000;

interface Entry {
  check: HealthCheck;
  readonly servers: Set<Server>;
  readonly retries: Set<TimerHandle>;
  /** By address. */
  readonly failures: Map<string, string>;
}

export function createServiceHealth(options: ServiceHealthOptions): ServiceHealth {
  const entries = new Map<string, Entry>();
  let addresses: readonly string[] | undefined;
  const open = (check: HealthCheck): void => {
    const entry: Entry = { check, servers: new Set(), retries: new Set(), failures: new Map() };
    entries.set(check.service, entry);
    listen(entry, addresses, options);
  };
  return {
    apply: ({ set, removed }) => {
      for (const service of removed) shut(entries, service, options);
      const moved: HealthCheck[] = [];
      for (const [service, check] of set) {
        const entry = entries.get(service);
        if (entry?.check.port === check.port) entry.check = check;
        else moved.push(check);
      }
      // First all that close: one may take the port of another.
      for (const { service } of moved) shut(entries, service, options);
      for (const check of moved) open(check);
    },
    listenOn: next => {
      if (next?.join() === addresses?.join() && (next === undefined) === (addresses === undefined)) return;
      addresses = next;
      const checks = [...entries.values()].map(({ check }) => check);
      for (const { service } of checks) shut(entries, service, options);
      for (const check of checks) open(check);
    },
    get sockets() {
      return [...entries.values()].flatMap(({ servers }) => [...servers].flatMap(socketText));
    },
    close: async () => {
      const servers = [...entries.values()].flatMap(entry => [...entry.servers]);
      const closed = servers.map(server => new Promise<void>(resolve => server.once('close', resolve)));
      for (const service of [...entries.keys()]) shut(entries, service, options);
      await Promise.all(closed);
    },
  };
}

function listen(entry: Entry, addresses: readonly string[] | undefined, options: ServiceHealthOptions): void {
  for (const address of addresses ?? [undefined]) listenAt(entry, address, options);
}

function listenAt(entry: Entry, address: string | undefined, options: ServiceHealthOptions): void {
  const { service, port } = entry.check;
  const place = address === undefined ? `port ${port}` : `${address}, port ${port}`;
  const server = createServer((_, response) => answer(response, entry.check, options.isHealthy()));
  const tell = (failure: string | undefined): void => {
    if (failure === undefined) entry.failures.delete(place);
    else entry.failures.set(place, failure);
    options.listened(service, [...entry.failures.values()]);
  };
  entry.servers.add(server);
  server.on('error', error => {
    // One that was shut meanwhile is missed by nobody.
    if (!entry.servers.delete(server)) return;
    // It may listen already, and fail to accept: the next one needs its port.
    server.close();
    tell(`health checks cannot be answered on ${place}: ${error.message}`);
    const retry = options.clock.setTimeout(() => {
      entry.retries.delete(retry);
      listenAt(entry, address, options);
    }, RETRY);
    entry.retries.add(retry);
  });
  server.listen({ port, ...(address === undefined ? {} : { host: address }) }, () => tell(undefined));
}

function shut(entries: Map<string, Entry>, service: string, options: ServiceHealthOptions): void {
  const entry = entries.get(service);
  if (entry === undefined) return;
  entries.delete(service);
  for (const retry of entry.retries) retry.cancel();
  const { servers } = entry;
  const all = [...servers];
  servers.clear();
  for (const server of all) {
    server.closeAllConnections();
    server.close();
  }
  if (entry.failures.size > 0) options.listened(service, []);
}

function answer(response: ServerResponse, { service, localEndpoints }: HealthCheck, isHealthy: boolean): void {
  const [namespace, name] = service.split('/');
  response.writeHead(localEndpoints > 0 && isHealthy ? 200 : 503, {
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
    'x-load-balancing-endpoint-weight': String(localEndpoints),
  });
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: isHealthy };
  response.end(JSON.stringify(body));
}

function socketText(server: Server): readonly string[] {
  const at = server.address();
  return at === null || typeof at === 'string' ? [] : [`${at.address} ${at.port}`];
}
