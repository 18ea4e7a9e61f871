/**
 * `make bench-proxy`: the nftables backend in a namespace of its own, from desired state to the kernel's acknowledgement,
 * beside kube-proxy's layout programmed by nft(8).
 */

import { execFileSync } from 'node:child_process';
import { Command } from 'commander';
import { inNamespace } from '../../lab/topology/inNamespace.js';
import { openNftablesProxy } from '../../src/proxy/nftables/nftablesProxy.js';
import type { ProxyBackend, ProxyEvent } from '../../src/proxy/proxyBackend.js';
import type { ProxySettings } from '../../src/proxy/proxyTypes.js';
import { positive } from '../run/options.js';
import { chainPerServiceScript, serviceDelta } from './services.js';

const NAMESPACE = 'peerage-bench-proxy';
/** How large the other layout is made at most: it takes time that grows with the square of the services. */
const MOST_COMPARED = 20_000;

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

interface Options {
  readonly services: number;
  readonly endpoints: number;
  readonly changes: number;
  readonly comparison: boolean;
}

const options = new Command('bench-proxy')
  .description('the nftables backend of the service proxy: cold start, one change, restart')
  .option('--services <N>', 'services', positive, 10_000)
  .option('--endpoints <N>', 'endpoints of each', positive, 2)
  .option('--changes <N>', 'endpoints changed one after the other', positive, 500)
  .option('--no-comparison', "leave out kube-proxy's layout")
  .parse()
  .opts<Options>();

try {
  ip('netns', 'add', NAMESPACE);
  const { services, endpoints, changes, comparison } = options;
  await measure(services, endpoints, changes);
  if (comparison && services * endpoints <= MOST_COMPARED) compare(services, endpoints);
} finally {
  ip('netns', 'del', NAMESPACE);
}

async function measure(count: number, size: number, rounds: number): Promise<void> {
  console.log(`${count} services of ${size} endpoints`);
  const all = Array.from({ length: count }, (_, index) => index);
  const events: ProxyEvent[] = [];
  const proxy = open(events);
  const delta = serviceDelta(all, size);
  print('cold start, s', await seconds(() => begin(proxy, delta)));
  const times: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const change = serviceDelta([(round * 7919) % count], size, round);
    times.push(1000 * (await seconds(() => apply(proxy, change))));
  }
  times.sort((a, b) => a - b);
  print('one endpoint changed, ms: p50', times[Math.floor(times.length / 2)] ?? 0);
  print('one endpoint changed, ms: p99', times[Math.floor(times.length * 0.99)] ?? 0);
  print('resident memory, MB', process.memoryUsage.rss() / 1e6);
  // The same again, so that the next life finds everything in place.
  await apply(proxy, delta);
  await proxy.stop();
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

async function begin(proxy: ProxyBackend, delta: Parameters<ProxyBackend['apply']>[0]): Promise<void> {
  proxy.configure(SETTINGS);
  proxy.apply(delta);
  proxy.begin();
  await proxy.idle();
}

async function apply(proxy: ProxyBackend, delta: Parameters<ProxyBackend['apply']>[0]): Promise<void> {
  proxy.apply(delta);
  await proxy.idle();
}

/** The script is made beforehand, so what is measured is nft(8) and the kernel alone: kube-proxy's own work is not in it. */
function compare(count: number, size: number): void {
  const script = chainPerServiceScript(count, size);
  const start = performance.now();
  execFileSync('ip', ['netns', 'exec', NAMESPACE, 'nft', '-f', '-'], { input: script });
  print('a chain per service and endpoint through nft(8), cold, s', (performance.now() - start) / 1000);
}

async function seconds(act: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await act();
  return (performance.now() - start) / 1000;
}

function print(what: string, value: number): void {
  console.log(`  ${what.padEnd(60)} ${Number.isInteger(value) ? value : value.toFixed(2)}`);
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'ignore' });
}
