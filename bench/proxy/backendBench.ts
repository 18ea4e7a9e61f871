/** The nftables backend in a namespace of its own, from desired state to the kernel's acknowledgement. Impure. */

import { execFileSync } from 'node:child_process';
import { inNamespace } from '../../lab/topology/inNamespace.js';
import { openNftablesProxy } from '../../src/proxy/nftables/nftablesProxy.js';
import type { ProxyBackend, ProxyEvent } from '../../src/proxy/proxyBackend.js';
import type { ProxyDelta, ProxySettings } from '../../src/proxy/proxyTypes.js';
import { sleep } from '../measure/processUsage.js';
import { percentile, print, seconds } from './lines.js';
import { serviceDelta } from './services.js';

const NAMESPACE = 'peerage-bench-proxy';
/** How many changes a second, how they are spread, and for how long. */
const [PER_SECOND, TICK, SUSTAINED_SECONDS] = [1000, 10, 10];

const SETTINGS: ProxySettings = {
  ipv4: true,
  ipv6: false,
  podDetector: { kind: 'none' },
  nodePortAddresses: 'all',
  nodeAddresses: [],
  serviceCidrs: [],
  masqueradeAll: false,
  masqueradeBit: 14,
  countTraffic: true,
  ipvs: {
    tcpTimeout: 0,
    tcpFinTimeout: 0,
    udpTimeout: 0,
    gracefulPeriod: 0,
    excludedCidrs: [],
    guardAddresses: false,
    strictArp: false,
    runtimeEndpoint: undefined,
  },
};

export interface BackendSize {
  readonly services: number;
  readonly endpoints: number;
  /** Endpoints changed one after the other. */
  readonly changes: number;
}

/** @throws Error when the kernel refuses something */
export async function benchBackend({ services, endpoints, changes }: BackendSize): Promise<void> {
  execFileSync('ip', ['netns', 'add', NAMESPACE], { stdio: 'ignore' });
  try {
    console.log(`the backend alone: ${services} services of ${endpoints} endpoints`);
    const delta = serviceDelta(
      Array.from({ length: services }, (_, index) => index),
      endpoints,
    );
    const events: ProxyEvent[] = [];
    const proxy = open(events);
    print('cold start, s', await seconds(() => begin(proxy, delta)));
    await changeOneByOne(proxy, services, endpoints, changes);
    await changeSteadily(proxy, services, endpoints);
    print('resident memory, MB', process.memoryUsage.rss() / 1e6);
    // The same again, so that the next life finds everything in place.
    await apply(proxy, delta);
    await proxy.stop();
    await restart(delta, events);
  } finally {
    execFileSync('ip', ['netns', 'del', NAMESPACE], { stdio: 'ignore' });
  }
}

async function changeOneByOne(proxy: ProxyBackend, services: number, endpoints: number, rounds: number): Promise<void> {
  const times: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const change = serviceDelta([(round * 7919) % services], endpoints, round);
    times.push(1000 * (await seconds(() => apply(proxy, change))));
  }
  print('one endpoint changed, ms: p50', percentile(times, 0.5));
  print('one endpoint changed, ms: p99', percentile(times, 0.99));
}

/** Changes come whether or not those before are in the kernel; a time is that from a change until all so far is. */
async function changeSteadily(proxy: ProxyBackend, services: number, endpoints: number): Promise<void> {
  const [times, waits]: [number[], Promise<unknown>[]] = [[], []];
  const atOnce = (PER_SECOND * TICK) / 1000;
  const before = process.cpuUsage();
  const begun = performance.now();
  for (let tick = 0; tick < (SUSTAINED_SECONDS * 1000) / TICK; tick++) {
    const late = begun + tick * TICK - performance.now();
    if (late > 0) await sleep(late);
    const indices = Array.from({ length: atOnce }, (_, i) => ((tick * atOnce + i) * 7919) % services);
    const change = serviceDelta(indices, endpoints, 100_000 + tick);
    waits.push(seconds(() => apply(proxy, change)).then(time => times.push(1000 * time)));
  }
  const fed = (performance.now() - begun) / 1000;
  await Promise.all(waits);
  const { user, system } = process.cpuUsage(before);
  print(`${PER_SECOND} changes a second: taken, a second`, (SUSTAINED_SECONDS * PER_SECOND) / fed);
  print(`${PER_SECOND} changes a second, ms until in the kernel: p50`, percentile(times, 0.5));
  print(`${PER_SECOND} changes a second, ms until in the kernel: p99`, percentile(times, 0.99));
  print(`${PER_SECOND} changes a second: CPU, s a second`, (user + system) / 1e6 / fed);
}

async function restart(delta: ProxyDelta, events: ProxyEvent[]): Promise<void> {
  events.length = 0;
  const next = open(events);
  print('restart with everything in place, s', await seconds(() => begin(next, delta)));
  print('transactions after the restart', events.filter(({ kind }) => kind === 'committed').length);
  const failures = events.filter(({ kind }) => kind === 'failed' || kind === 'error');
  if (failures.length > 0) throw new Error(JSON.stringify(failures));
  await next.stop();
}

function open(events: ProxyEvent[]): ProxyBackend {
  return inNamespace(NAMESPACE, () => openNftablesProxy(event => events.push(event)));
}

async function begin(proxy: ProxyBackend, delta: ProxyDelta): Promise<void> {
  proxy.configure(SETTINGS);
  proxy.apply(delta);
  proxy.begin();
  await proxy.idle();
}

async function apply(proxy: ProxyBackend, delta: ProxyDelta): Promise<void> {
  proxy.apply(delta);
  await proxy.idle();
}
