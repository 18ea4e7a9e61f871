/**
 * `make bench-kube`: how fast the agent's graph takes in a large cluster, what that costs, and how soon one changed endpoint
 * reaches the engine's configuration; and whether the whole agent's keepalives are on time meanwhile. Against the real API
 * server where it was built (scripts/buildKube.sh). ARGS: `--generated` for a quick one of our own that speaks JSON, `--url
 * URL` of some other's, `--changes N`.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { Topology } from '../../lab/topology/topology.js';
import { HOLD_TIME, runAgentTrial, type AgentResult } from './agentTrial.js';
import { ENDPOINTS_PER_SLICE, FULL_SIZE } from './cluster.js';
import { PROGRAM } from '../../lab/kube/controlPlane.js';
import { startRealServer } from './realServer.js';
import type { SubjectResult } from './subject.js';

const ROOT = new URL('../../../', import.meta.url);
const { nodes, services, pods } = FULL_SIZE;
const SEED = fileURLToPath(new URL('seed.js', import.meta.url));
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

function agentLines(agent: AgentResult): readonly Line[] {
  return [
    measured('agent: start → every address at the router', 's', agent.startSeconds),
    measured('agent: CPU until quiet', 's', agent.startCpuSeconds),
    measured('agent: peak RSS, also over a second list', 'MB', agent.peakMegabytes, 400),
    measured('agent: longest silence, start', 's', agent.startSilence, HOLD_TIME),
    measured('agent: longest silence, second list', 's', agent.againSilence, HOLD_TIME),
    measured('agent: sessions lost', '', agent.sessionLost === undefined ? 0 : 1, 0),
  ];
}

function script(name: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, fileURLToPath(new URL(name, import.meta.url)), ...args];
}

function start([program = '', ...args]: readonly string[]): ChildProcess {
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the process has no output');
  const reader = createInterface(child.stdout);
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${child.spawnargs.join(' ')} ended with ${String(code)}`);
  });
  const [line] = (await Promise.race([once(reader, 'line'), ended])) as [string];
  return line;
}

interface Outcome {
  readonly result: SubjectResult;
  readonly agent?: AgentResult;
}

async function againstGenerated(changes: string): Promise<Outcome> {
  const server = start(script('server.js', String(nodes), String(services), String(pods)));
  try {
    const url = `http://127.0.0.1:${await firstLine(server)}`;
    return { result: await subject([], '--url', url, '--changes', changes) };
  } finally {
    server.kill();
  }
}

/** The last is what the cluster knows the node by. */
const [API, NODE, NODE_IP] = ['10.9.0.1', '10.9.0.2', '172.16.0.1'];

async function againstReal(changes: string): Promise<Outcome> {
  const topology = await Topology.open('pgkb');
  try {
    await topology.host('api');
    const inside = ['ip', 'netns', 'exec', await topology.host('node')];
    await topology.cable(
      { host: 'api', link: 'eth0', addresses: [`${API}/24`] },
      { host: 'node', link: 'eth0', addresses: [`${NODE}/24`, `${NODE_IP}/32`] },
    );
    await topology.ip('api', 'route', 'add', `${NODE_IP}/32`, 'via', NODE);
    const server = await startRealServer(topology, 'api', API, [SEED, String(nodes), String(services), String(pods)]);
    const result = await subject(inside, '--kubeconfig', server.kubeconfig, '--changes', changes);
    const agent = await runAgentTrial(
      {
        topology,
        agent: { host: 'node', address: NODE_IP },
        router: { host: 'api', address: API },
        nodeName: 'node-1',
        networks: result.networks,
      },
      server,
    );
    return { result, agent };
  } finally {
    await topology.close();
  }
}

async function subject(prefix: readonly string[], ...args: readonly string[]): Promise<SubjectResult> {
  return JSON.parse(await firstLine(start([...prefix, ...script('subject.js', ...args)]))) as SubjectResult;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      generated: { type: 'boolean', default: false },
      changes: { type: 'string', default: '200' },
    },
  });
  const [load = 0] = loadavg();
  const isReal = !values.generated && existsSync(PROGRAM);
  const { result, agent } =
    values.url === undefined
      ? await (isReal ? againstReal : againstGenerated)(values.changes)
      : { result: await subject([], '--url', values.url, '--changes', values.changes) };
  const rows = [...lines(result), ...(agent === undefined ? [] : agentLines(agent))];
  const table = new Table({ head: ['', 'measured', '', 'target', ''], style: { head: [], border: [] } });
  for (const { name, ours, unit, target, ok } of rows)
    table.push([name, ours, unit, target ?? '', ok === null ? '' : ok ? 'met' : 'missed']);
  process.stdout.write(`${table.toString()}\n`);
  const counts = `${nodes} nodes, ${services} services, ${services * ENDPOINTS_PER_SLICE} endpoints, ${pods} pods`;
  const whose = values.url ?? (isReal ? 'kube-apiserver' : 'a server that generates them');
  process.stdout.write(`${counts}, from ${whose}; ${result.peers} sessions, ${result.networks} networks\n`);
  if (load > 0.7) process.stdout.write(`load ${load.toFixed(1)} before the start: times are too long\n`);
  mkdirSync(fileURLToPath(new URL('bench/results/', ROOT)), { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify(rows, null, 2)}\n`);
}

await main();
