/**
 * `make bench-proxy`: the nftables backend alone; then the whole agent beside the real kube-proxy (mode nftables) on the same
 * objects of one API server; and the agent alone at the full size, if kube-proxy was compared at a smaller one.
 */

import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { PROGRAM } from '../../lab/kube/controlPlane.js';
import { positive } from '../run/options.js';
import type { TrialResult } from './apiTrial.js';
import { benchBackend } from './backendBench.js';
import { percentile, print } from './lines.js';
import { runSideBySide, type Proxy, type SideBySide } from './sideBySide.js';

interface Options {
  readonly services: number;
  readonly endpoints: number;
  readonly changes: number;
  readonly compared: number;
  readonly comparedChanges: number;
  readonly starts: number;
  readonly limit: number;
  readonly comparison: boolean;
  readonly backend: boolean;
}

const { services, endpoints, changes, ...options } = new Command('bench-proxy')
  .description('the service proxy (nftables): cold start, one change, many changes, restart')
  .option('--services <N>', 'services', positive, 10_000)
  .option('--endpoints <N>', 'endpoints of each', positive, 10)
  .option('--changes <N>', 'endpoints changed one after the other, in the backend alone', positive, 500)
  .option('--compared <N>', 'services for kube-proxy too, whose start takes longer and longer', positive, 10_000)
  .option('--compared-changes <N>', 'endpoints changed one after the other, through the API server', positive, 20)
  .option('--starts <N>', 'cold starts of each, of which the middle one counts', positive, 3)
  .option('--limit <SECONDS>', 'for one start', positive, 200)
  .option('--no-comparison', 'the backend alone')
  .option('--no-backend', 'without the backend alone')
  .parse()
  .opts<Options>();

async function compare(): Promise<void> {
  if (!existsSync(PROGRAM))
    throw new Error('the real kube-proxy is not built: run scripts/buildKube.sh, which needs Go');
  const size = { endpoints, changes: options.comparedChanges, starts: options.starts, limit: options.limit };
  const both: readonly Proxy[] = ['kube-proxy', 'ours'];
  await trials({ ...size, services: options.compared, proxies: both });
  if (services > options.compared) await trials({ ...size, services, proxies: ['ours'] });
}

async function trials(size: SideBySide): Promise<void> {
  console.log(`through the API server: ${size.services} services of ${size.endpoints} endpoints`);
  const results = await runSideBySide(size);
  const [ours, theirs] = [results.get('ours'), results.get('kube-proxy')];
  for (const [what, value] of ROWS) {
    const [a, b] = [ours, theirs].map(result => (result === undefined ? undefined : value(result)));
    const ratio = a === undefined || b === undefined ? '' : `, ratio ${(b / a).toPrecision(3)}`;
    const text = `${format(a)}${theirs === undefined ? '' : ` : ${format(b)}${ratio}`}`;
    print(theirs === undefined ? what : `${what} (ours : kube-proxy)`, text);
  }
}

/** Undefined: not in time. */
const ROWS: readonly (readonly [what: string, value: (result: TrialResult) => number | undefined])[] = [
  ['cold start, s', result => result.coldSeconds],
  ['of that, synchronising rules with the kernel, s', result => result.syncSeconds],
  ['cold start, CPU s', result => result.coldCpuSeconds],
  ['one change, request to packets, ms: p50', result => percentile(result.changes, 0.5)],
  ['one change, request to packets, ms: p99', result => percentile(result.changes, 0.99)],
  ["of that, the API server's answer, ms: p50", result => percentile(result.written, 0.5)],
  ['restart, until a change made meanwhile is served, s', result => result.restartSeconds],
  ['peak resident memory, MB', result => result.peakMegabytes],
];

function format(value: number | undefined): string {
  return value === undefined ? 'not in time' : value.toPrecision(3);
}

if (options.backend) await benchBackend({ services, endpoints, changes });
if (options.comparison) await compare();
