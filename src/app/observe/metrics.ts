/**
 * The router's metrics for Prometheus: kube-router's by their names, so that dashboards keep working, and our own.
 * Values of sessions are asked for when somebody scrapes; the rest is counted as it happens.
 */

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { FAMILIES } from '../../bgp/families.js';
import { VERSION } from '../../core/version.js';
import type { EngineEvent } from '../../engine/engineTypes.js';
import type { PeerSummary } from '../../engine/view.js';
import type { FibEvent, WrittenBatch } from '../../fib/fibTypes.js';
import type { Kind } from '../../kube/objectTypes.js';

export interface Metrics {
  readonly contentType: string;
  /** For parts that have metrics of their own. */
  readonly registry: Registry;
  /** @param peers of this moment @returns the text of an answer to a scrape */
  text(peers: readonly PeerSummary[], problems: number): Promise<string>;
  engineEvent(event: EngineEvent): void;
  fibEvent(event: FibEvent): void;
  routesWritten(batch: WrittenBatch): void;
  /** So many prefixes have another best path, or none any more. */
  bestPathsChanged(count: number): void;
  /** Networks of our own that were announced, or announced otherwise: pods' and services'. */
  announced(networks: { readonly pods: number; readonly services: number }): void;
  /** Kinds were listed anew, or could not be followed. */
  listed(kind: Kind): void;
  hindered(kind: Kind): void;
  /** @param seconds a derivation took */
  derived(seconds: number): void;
  /** @param seconds until the engine had a configuration */
  applied(seconds: number): void;
}

/** Seconds; derivations are far below, first ones and full tables above. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(): Metrics {
  const registers = [new Registry()];
  const [registry = new Registry()] = registers;
  // Event loop delay and garbage collection are among them.
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'kube_router_build_info',
    help: 'The program that took the place of kube-router, and the runtime it has',
    labelNames: ['goversion', 'version'],
    registers,
  }).set({ goversion: `node ${process.version}`, version: `peerage ${VERSION}` }, 1);
  const sessions = sessionMetrics(registers);
  const counted = countedMetrics(registers);
  const hostRoutes = hostRouteMetrics(registers);
  return {
    contentType: registry.contentType,
    registry,
    text: (peers, problems) => {
      sessions.show(peers);
      counted.problems.set(problems);
      return registry.metrics();
    },
    engineEvent: event => {
      if (event.kind === 'peerUp') sessions.up.inc({ peer: event.peer });
      if (event.kind === 'peerDown') sessions.down.inc({ peer: event.peer });
      if (event.kind === 'malformedUpdate') sessions.malformed.inc({ peer: event.peer });
    },
    fibEvent: event => {
      if ('routes' in event)
        counted.routes.inc({ event: event.kind }, typeof event.routes === 'number' ? event.routes : event.routes.count);
      if (event.kind === 'adopted') hostRoutes.installed(event.family, event.routes);
    },
    routesWritten: ({ family, added, removed, installed, seconds }) => {
      hostRoutes.added.inc(added);
      hostRoutes.removed.inc(removed);
      hostRoutes.syncTime.observe(seconds);
      hostRoutes.installed(family, installed);
    },
    bestPathsChanged: count => counted.received.inc(count),
    announced: ({ pods, services }) => {
      if (pods > 0) counted.sent.inc({ type: 'pod-route' }, pods);
      if (services > 0) counted.sent.inc({ type: 'advertise-vip' }, services);
    },
    listed: kind => counted.lists.inc({ kind }),
    hindered: kind => counted.hindrances.inc({ kind }),
    derived: seconds => counted.derivation.observe(seconds),
    applied: seconds => {
      counted.routesSync.observe(seconds);
      counted.peersSync.observe(seconds);
    },
  };
}

type Registers = Registry[];

function sessionMetrics(registers: Registers): {
  show(peers: readonly PeerSummary[]): void;
  readonly up: Counter;
  readonly down: Counter;
  readonly malformed: Counter;
} {
  const info = new Gauge({
    name: 'kube_router_bgp_peer_info',
    help: 'BGP peers: address, type (internal or external), AS and state',
    labelNames: ['address', 'type', 'asn', 'state'],
    registers,
  });
  const established = new Gauge({
    name: 'peerage_bgp_peer_established',
    help: '1 while the session is established',
    labelNames: ['peer'],
    registers,
  });
  const prefixes = new Gauge({
    name: 'peerage_bgp_peer_prefixes',
    help: 'Prefixes a peer has told us (received), and we have told it (advertised)',
    labelNames: ['peer', 'family', 'direction'],
    registers,
  });
  const counter = (name: string, help: string): Counter => new Counter({ name, help, labelNames: ['peer'], registers });
  return {
    up: counter('peerage_bgp_peer_up_total', 'Times a session was established'),
    down: counter('peerage_bgp_peer_down_total', 'Times an established session ended: flaps'),
    malformed: counter('peerage_bgp_malformed_updates_total', 'UPDATEs with errors that cost less than the session'),
    show: peers => {
      // Peers that are gone leave no series behind.
      for (const gauge of [info, established, prefixes]) gauge.reset();
      for (const peer of peers) {
        const { name, address, remoteAsn, state, kind } = peer;
        const type = kind === null ? 'unknown' : kind === 'ibgp' ? 'internal' : 'external';
        info.set({ address, type, asn: String(remoteAsn ?? ''), state: state.toUpperCase() }, 1);
        established.set({ peer: name }, state === 'Established' ? 1 : 0);
        for (const family of FAMILIES) {
          prefixes.set({ peer: name, family, direction: 'received' }, peer.received[family]);
          prefixes.set({ peer: name, family, direction: 'advertised' }, peer.advertised[family]);
        }
      }
    },
  };
}

function countedMetrics(registers: Registers): {
  readonly routes: Counter;
  readonly lists: Counter;
  readonly hindrances: Counter;
  readonly received: Counter;
  readonly sent: Counter;
  readonly problems: Gauge;
  readonly derivation: Histogram;
  readonly routesSync: Histogram;
  readonly peersSync: Histogram;
} {
  const counter = (name: string, label: string, help: string): Counter =>
    new Counter({ name, help, labelNames: [label], registers });
  const histogram = (name: string, help: string): Histogram =>
    new Histogram({ name, help, buckets: BUCKETS, registers });
  return {
    routes: counter('peerage_kernel_route_events_total', 'event', 'Routes adopted, swept, refused, repaired …'),
    lists: counter('peerage_reflector_lists_total', 'kind', 'Complete lists of a kind; more than one: relists'),
    hindrances: counter('peerage_reflector_failures_total', 'kind', 'Times the API server could not be followed'),
    received: new Counter({
      name: 'kube_router_controller_bgp_advertisements_received',
      help: 'Best paths that came, changed or went',
      registers,
    }),
    sent: counter(
      'kube_router_controller_bgp_advertisements_sent',
      'type',
      'Networks of our own that were announced, or announced otherwise',
    ),
    problems: new Gauge({ name: 'peerage_problems', help: 'Lines of `peerage show problems`', registers }),
    derivation: histogram('peerage_derivation_seconds', 'From changed objects to changed routing'),
    routesSync: histogram('kube_router_controller_routes_sync_time', 'Time until the engine has changed networks'),
    peersSync: histogram(
      'kube_router_controller_bgp_internal_peers_sync_time',
      'Time until the engine has changed sessions',
    ),
  };
}

/** Routes from BGP in the kernel, by kube-router's names. */
function hostRouteMetrics(registers: Registers): {
  readonly added: Counter;
  readonly removed: Counter;
  readonly syncTime: Histogram;
  installed(family: string, routes: number): void;
} {
  const byFamily = new Map<string, number>();
  const synced = new Gauge({ name: 'kube_router_host_routes_synced', help: 'Routes in the kernel', registers });
  return {
    added: new Counter({ name: 'kube_router_host_routes_added', help: 'Routes put into the kernel', registers }),
    removed: new Counter({
      name: 'kube_router_host_routes_removed',
      help: 'Routes taken out of the kernel',
      registers,
    }),
    syncTime: new Histogram({
      name: 'kube_router_host_routes_sync_time',
      help: 'Time to write a batch of routes into the kernel',
      buckets: BUCKETS,
      registers,
    }),
    installed: (family, routes) => {
      byFamily.set(family, routes);
      synced.set([...byFamily.values()].reduce((sum, count) => sum + count, 0));
    },
  };
}
