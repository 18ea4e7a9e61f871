/**
 * `make bench-kube`: how fast the agent's graph takes in a large cluster, what that costs, and how soon one changed endpoint
 * reaches the engine's configuration. ARGS: `--url URL` of a cluster's API server in place of our own, `--changes N`.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { ENDPOINTS_PER_SLICE, FULL_SIZE } from './cluster.js';
import type { SubjectResult } from './subject.js';

const ROOT = new URL('../../../', import.meta.url);
const RESULTS = fileURLToPath(new URL('bench/results/kube.json', ROOT));

interface Line {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: null;
  readonly theirs: null;
  readonly ratio: null;
  readonly target: string | null;
  readonly ok: boolean | null;
}

function measured(name: string, unit: string, value: number, most?: number): Line {
  const ours = Number(value.toPrecision(4));
  const target = most === undefined ? null : `≤ ${most} ${unit}`;
  return {
    name,
    unit,
    ours,
    peer: null,
    theirs: null,
    ratio: null,
    target,
    ok: most === undefined ? null : ours <= most,
  };
}

/** @param share 0 to 1 */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

function lines(result: SubjectResult): readonly Line[] {
  return [
    measured('initial sync', 's', result.syncSeconds, 15),
    measured('initial sync, CPU', 's', result.cpuSeconds),
    measured('peak RSS', 'MB', result.peakMegabytes, 400),
    measured('RSS afterwards', 'MB', result.steadyMegabytes),
    measured('one endpoint change → engine configuration, p50', 'ms', percentile(result.latencies, 0.5)),
    measured('one endpoint change → engine configuration, p99', 'ms', percentile(result.latencies, 0.99), 5),
    measured('the same with HTTP both ways, p50', 'ms', percentile(result.roundTrips, 0.5)),
    measured('the same with HTTP both ways, p99', 'ms', percentile(result.roundTrips, 0.99)),
    measured("loop delay of the graph's thread during the sync, p99", 'ms', result.loopDelay.p99),
    measured("loop delay of the graph's thread during the sync, most", 'ms', result.loopDelay.max),
  ];
}

function start(script: string, ...args: readonly string[]): ChildProcess {
  const file = fileURLToPath(new URL(script, import.meta.url));
  return spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the process has no output');
  const reader = createInterface(child.stdout);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${child.spawnargs[1] ?? ''} ended with ${String(code)}`);
  });
  const [line] = (await Promise.race([once(reader, 'line'), ended])) as [string];
  return line;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { url: { type: 'string' }, changes: { type: 'string', default: '200' } } });
  const { nodes, services, pods } = FULL_SIZE;
  const server =
    values.url === undefined ? start('server.js', String(nodes), String(services), String(pods)) : undefined;
  const [load = 0] = loadavg();
  try {
    const url = values.url ?? `http://127.0.0.1:${server === undefined ? '' : await firstLine(server)}`;
    const subject = start('subject.js', '--url', url, '--changes', values.changes);
    const result = JSON.parse(await firstLine(subject)) as SubjectResult;
    const rows = lines(result);
    const table = new Table({ head: ['', 'measured', '', 'target', ''], style: { head: [], border: [] } });
    for (const { name, ours, unit, target, ok } of rows)
      table.push([name, ours, unit, target ?? '', ok === null ? '' : ok ? 'met' : 'missed']);
    process.stdout.write(`${table.toString()}\n`);
    const counts = `${nodes} nodes, ${services} services, ${services * ENDPOINTS_PER_SLICE} endpoints, ${pods} pods`;
    process.stdout.write(`${counts}; ${result.peers} sessions, ${result.networks} networks\n`);
    if (load > 0.7) process.stdout.write(`load ${load.toFixed(1)} before the start: times are too long\n`);
    mkdirSync(fileURLToPath(new URL('bench/results/', ROOT)), { recursive: true });
    writeFileSync(RESULTS, `${JSON.stringify(rows, null, 2)}\n`);
  } finally {
    server?.kill();
  }
}

await main();
