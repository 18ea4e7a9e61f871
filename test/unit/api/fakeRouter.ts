/** A RouterView with two peers and as many routes as a test asks for, and a server on a socket of its own. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createControlServer } from '../../../src/api/server.js';
import type {
  FibRouteView,
  PeerDetail,
  PeerSummary,
  ProblemView,
  RouterView,
  RouteView,
} from '../../../src/api/view.js';

const NONE = { 'ipv4-unicast': 0, 'ipv6-unicast': 0 } as const;

export const TOR: PeerSummary = {
  name: 'tor-1',
  address: '10.0.0.254',
  port: 179,
  remoteAsn: 64999,
  localAsn: 65000,
  kind: 'ebgp',
  state: 'Established',
  // A day, two hours and some minutes ago.
  since: new Date(Date.now() - 93_784_000).toISOString(),
  received: { 'ipv4-unicast': 950_000, 'ipv6-unicast': 200_000 },
  advertised: { 'ipv4-unicast': 3, 'ipv6-unicast': 1 },
  dynamic: false,
  lastError: null,
};

export const CLIENT: PeerSummary = {
  ...TOR,
  name: 'clients@10.0.0.7',
  address: '10.0.0.7',
  remoteAsn: null,
  kind: null,
  state: 'Idle',
  since: null,
  received: NONE,
  advertised: NONE,
  dynamic: true,
  lastError: { at: '2026-01-01T00:00:00.000Z', text: 'connection refused' },
};

export const TOR_DETAIL: PeerDetail = {
  ...TOR,
  localAddress: '10.0.0.1',
  localPort: 40_000,
  remotePort: 179,
  remoteId: '10.0.0.254',
  localId: '10.0.0.1',
  hostname: 'tor-1.example',
  holdTime: 90,
  keepaliveTime: 30,
  configuredHoldTime: 180,
  families: ['ipv4-unicast', 'ipv6-unicast'],
  capabilities: ['4-octet-as', 'route-refresh'],
  authentication: 'tcp-md5',
  hops: 'direct',
  passive: false,
  routeReflectorClient: false,
  nextHopSelf: true,
  gracefulRestart: { restartTime: 90, peerRestartTime: 120, stalePaths: 7, staleFor: 42 },
  messages: { received: { open: 1, update: 5 }, sent: { open: 1, update: 2 } },
  octets: { received: 1000, sent: 200 },
  timesEstablished: 1,
  updateGroup: 2,
  policies: { import: [], export: [] },
  maxPrefixes: { 'ipv4-unicast': null, 'ipv6-unicast': null },
  sendQueue: 0,
};

/** The `n`th route: 10.0.0.0/24, 10.0.1.0/24 … */
export function route(n: number, changes: Partial<RouteView> = {}): RouteView {
  return {
    prefix: `10.${(n >> 8) & 255}.${n & 255}.0/24`,
    family: 'ipv4-unicast',
    nextHop: '10.0.0.254',
    from: 'tor-1',
    best: true,
    multipath: true,
    stale: false,
    reason: null,
    origin: 'igp',
    asPath: '64999 64998',
    localPref: null,
    med: 5,
    communities: ['64999:1', 'no-export'],
    extendedCommunities: [],
    largeCommunities: [],
    originatorId: null,
    clusterList: [],
    other: {},
    pathId: null,
    ...changes,
  };
}

export const FIB_ROUTE: FibRouteView = {
  prefix: '10.0.0.0/24',
  nextHops: [
    { gateway: '10.0.0.254', device: 'eth0' },
    { gateway: '10.0.0.253', device: 'eth0' },
  ],
  state: 'failed',
  error: 'ENETUNREACH',
};

export const PROBLEM: ProblemView = {
  subject: 'Node node-2',
  text: 'spec.podCIDR: not a prefix',
  // Two hours and some seconds ago.
  since: new Date(Date.now() - 7_205_000).toISOString(),
};

export interface FakeRouter {
  readonly view: RouterView;
  /** Calls that change something, and queries, as text in order. */
  readonly calls: string[];
  /** How many routes the listing in progress has been asked for. */
  taken(): number;
}

export function createFakeRouter(routes: readonly RouteView[] | number): FakeRouter {
  const calls: string[] = [];
  let taken = 0;
  function* list(what: string, query: object): Iterable<RouteView> {
    calls.push(`${what} ${JSON.stringify(query)}`);
    taken = 0;
    const count = typeof routes === 'number' ? routes : routes.length;
    for (let i = 0; i < count; i++) {
      taken++;
      yield typeof routes === 'number' ? route(i) : routes[i]!;
    }
  }
  const known = (name: string, call: string): boolean => {
    calls.push(`${call} ${name}`);
    return name === TOR.name || name === CLIENT.name;
  };
  const view: RouterView = {
    summary: () => ({
      asn: 65000,
      routerId: '10.0.0.1',
      clusterId: null,
      uptimeSeconds: 93_784,
      version: '0.1.0',
      listen: ['10.0.0.1:179', '[fd00::1]:179'],
      prefixes: { 'ipv4-unicast': 950_000, 'ipv6-unicast': 200_000 },
      paths: { 'ipv4-unicast': 950_001, 'ipv6-unicast': 200_001 },
      attributes: 77,
      problems: [],
    }),
    peers: () => [TOR, CLIENT],
    peer: name => (name === TOR.name ? TOR_DETAIL : undefined),
    routes: query => list('routes', query),
    adjIn: (name, query) => (name === TOR.name ? list(`adj-in ${name}`, query) : undefined),
    adjOut: (name, query) => (name === TOR.name ? list(`adj-out ${name}`, query) : undefined),
    fib: () => [FIB_ROUTE],
    problems: () => [PROBLEM, { subject: 'router', text: 'cannot listen', since: null }],
    drain: isOn => void calls.push(`drain ${isOn ? 'on' : 'off'}`),
    disablePeer: (name, message) => known(name, `disable ${message ?? '-'}`),
    enablePeer: name => known(name, 'enable'),
    resetPeer: (name, message) => known(name, `reset ${message ?? '-'}`),
    refreshPeer: (name, direction) => known(name, `refresh ${direction}`),
  };
  return { view, calls, taken: () => taken };
}

/** Runs `use` with a server on a socket in a folder of its own. */
export async function withServer(view: RouterView, use: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'peerage-api-'));
  const path = join(folder, 'run', 'control.sock');
  try {
    const server = await createControlServer({ path, view });
    try {
      await use(path);
    } finally {
      await server.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
