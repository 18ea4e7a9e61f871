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
    const news: News = { events: [], committed: () => undefined };
    const proxy = open(news);
    print('cold start, s', await seconds(() => begin(proxy, delta)));
    await changeOneByOne(proxy, services, endpoints, changes);
    await changeSteadily(proxy, services, endpoints, news);
    print('resident memory, MB', process.memoryUsage.rss() / 1e6);
    // The same again, so that the next life finds everything in place.
    await apply(proxy, delta);
    await proxy.stop();
    await restart(delta, news);
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

/**
 * Changes come whether or not those before are in the kernel. A time is that until the transaction that has the change in it is
 * acknowledged: the next one, or the one after it where another is on its way already.
 */
async function changeSteadily(proxy: ProxyBackend, services: number, endpoints: number, news: News): Promise<void> {
  const times: number[] = [];
  let waiting: { readonly since: number; left: number }[] = [];
  news.committed = () => {
    for (const change of waiting) if (--change.left === 0) times.push(performance.now() - change.since);
    waiting = waiting.filter(({ left }) => left > 0);
  };
  const atOnce = (PER_SECOND * TICK) / 1000;
  const before = process.cpuUsage();
  const begun = performance.now();
  for (let tick = 0; tick < (SUSTAINED_SECONDS * 1000) / TICK; tick++) {
    const early = begun + tick * TICK - performance.now();
    if (early > 0) await sleep(early);
    const indices = Array.from({ length: atOnce }, (_, i) => ((tick * atOnce + i) * 7919) % services);
    waiting.push({ since: performance.now(), left: waiting.length === 0 ? 1 : 2 });
    proxy.apply(serviceDelta(indices, endpoints, 100_000 + tick));
  }
  const fed = (performance.now() - begun) / 1000;
  await proxy.idle();
  news.committed = () => undefined;
  for (const { since } of waiting) times.push(performance.now() - since);
  const { user, system } = process.cpuUsage(before);
  print(`${PER_SECOND} changes a second: taken, a second`, (SUSTAINED_SECONDS * PER_SECOND) / fed);
  print(`${PER_SECOND} changes a second, ms until in the kernel: p50`, percentile(times, 0.5));
  print(`${PER_SECOND} changes a second, ms until in the kernel: p99`, percentile(times, 0.99));
  print(`${PER_SECOND} changes a second: CPU, s a second`, (user + system) / 1e6 / fed);
}

async function restart(delta: ProxyDelta, news: News): Promise<void> {
  const { events } = news;
  events.length = 0;
  const next = open(news);
  print('restart with everything in place, s', await seconds(() => begin(next, delta)));
  print('transactions after the restart', events.filter(({ kind }) => kind === 'committed').length);
  const failures = events.filter(({ kind }) => kind === 'failed' || kind === 'error');
  if (failures.length > 0) throw new Error(JSON.stringify(failures));
  await next.stop();
}

/** What the backend says. */
interface News {
  readonly events: ProxyEvent[];
  committed: () => void;
}

function open(news: News): ProxyBackend {
  return inNamespace(NAMESPACE, () =>
    openNftablesProxy(event => {
      news.events.push(event);
      if (event.kind === 'committed') news.committed();
    }),
  );
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
