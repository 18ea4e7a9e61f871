/**
 * One service proxy, ours or kube-proxy, on a node of its own with the API server beside it: how long until every service is
 * served, until a change is, and until both are after a restart. What counts is connections that the kernel turns to an
 * endpoint, of both in the same way. Impure.
 */

import type { Program, Topology } from '../../lab/topology/topology.js';
import type { ControlPlane } from '../../lab/kube/controlPlane.js';
import { peakMegabytes, settled, sleep, totalCpuSeconds } from '../measure/processUsage.js';
import { heard } from './caller.js';
import { change, serviceAddress, TARGETS } from './cluster.js';

export interface ColdStart {
  /** From the start of the process until every service that is looked at is served. Undefined: not in time. */
  readonly coldSeconds: number | undefined;
  /** Of the process and the programs it has run, until it is quiet. */
  readonly coldCpuSeconds: number;
  /** Of the cold start: seconds of synchronising rules with the kernel, by the program's own metric. */
  readonly syncSeconds: number | undefined;
}

export interface TrialResult extends ColdStart {
  /** Milliseconds from the request for a change until a connection meets it. */
  readonly changes: readonly number[];
  /** Of those, until the server has answered the request. */
  readonly written: readonly number[];
  /** From the second start until a change that was made meanwhile is served. */
  readonly restartSeconds: number | undefined;
  /** Of the process without its children. */
  readonly peakMegabytes: number;
}

export interface Trial {
  readonly topology: Topology;
  readonly plane: ControlPlane;
  /** Of the node. */
  readonly host: string;
  readonly services: number;
  readonly changes: number;
  /** Seconds that the cold start, and then the restart, may take. */
  readonly limit: number;
  readonly start: () => Program;
  /** What trials before have changed: rounds go on from here. */
  readonly firstRound: number;
}

/** Services that are looked at, spread over all. */
const LOOKED_AT = 64;
/** Milliseconds between changes: longer than kube-proxy waits between two synchronisations. */
const BETWEEN = 1200;
const MERGE = 'application/merge-patch+json';
/** Milliseconds until it counts as quiet, whatever it does. */
const AFTERWARDS = 10_000;
/** Milliseconds for one change. */
const PATIENCE = 60_000;
export const METRICS_PORT = 10249;

/** A start alone, on a node of its own. */
export async function runColdStart(trial: Trial): Promise<ColdStart> {
  const program = trial.start();
  const cold = await coldStart(trial, program);
  await program.end('SIGKILL');
  return cold;
}

export async function runTrial(trial: Trial): Promise<TrialResult> {
  let program = trial.start();
  const cold = await coldStart(trial, program);
  if (cold.coldSeconds === undefined) {
    const peak = peakMegabytes(program.pid);
    await program.end('SIGKILL');
    return { ...cold, changes: [], written: [], restartSeconds: undefined, peakMegabytes: peak };
  }
  const changes: number[] = [];
  const written: number[] = [];
  let round = trial.firstRound;
  for (; round < trial.firstRound + trial.changes; round++) {
    await sleep(BETWEEN);
    const begun = performance.now();
    const answered = write(trial, round).then(() => written.push(performance.now() - begun));
    if (!(await met(trial, round, PATIENCE))) throw new Error(`a change was not served: ${program.log().slice(-500)}`);
    changes.push(performance.now() - begun);
    await answered;
  }
  const peak = peakMegabytes(program.pid);
  await program.end('SIGKILL');
  await write(trial, round);
  const begun = performance.now();
  program = trial.start();
  const isBack = await met(trial, round, trial.limit * 1000);
  const restartSeconds = isBack ? (performance.now() - begun) / 1000 : undefined;
  await program.end();
  return { ...cold, changes, written, restartSeconds, peakMegabytes: peak };
}

async function coldStart(trial: Trial, program: Program): Promise<ColdStart> {
  const coldSeconds = await untilServed(trial);
  // A program it runs counts once it has ended.
  await settled(program.pid, AFTERWARDS);
  return { coldSeconds, coldCpuSeconds: totalCpuSeconds(program.pid), syncSeconds: await syncTime(trial) };
}

/** Both programs have kube-proxy's metric, at the port that kube-proxy has for it. */
async function syncTime({ topology, host }: Trial): Promise<number | undefined> {
  const program = `fetch('http://127.0.0.1:${METRICS_PORT}/metrics').then(answer => answer.text()).then(text => console.log(text))`;
  const { stdout } = await topology.exec(host, process.execPath, ['-e', program], PATIENCE);
  const sums = [...stdout.matchAll(/^kubeproxy_sync_proxy_rules_duration_seconds_sum(?:\{[^}]*\})? (\S+)$/gm)];
  return sums.length === 0 ? undefined : sums.reduce((total, [, value]) => total + Number(value), 0);
}

/** Seconds until each of the services looked at is served; none of them goes back. */
async function untilServed({ topology, host, services, limit }: Trial): Promise<number | undefined> {
  const begun = performance.now();
  const until = begun + limit * 1000;
  const namespace = topology.name(host);
  for (let i = 0; i < LOOKED_AT; i++) {
    const address = serviceAddress(Math.floor((i * (services - 1)) / (LOOKED_AT - 1)));
    if (!(await heard(namespace, address, undefined, until - performance.now()))) return undefined;
  }
  return (performance.now() - begun) / 1000;
}

function serviceOf({ services }: Trial, round: number): number {
  return (round * 7919) % services;
}

async function write(trial: Trial, round: number): Promise<void> {
  const { path, body } = change(serviceOf(trial, round), round);
  const { status } = await trial.plane.admin.ask('PATCH', path, body, MERGE);
  if (status >= 300) throw new Error(`the server refused a change: ${status}`);
}

/** A connection to the service that round changes meets its endpoint. */
function met(trial: Trial, round: number, limit: number): Promise<boolean> {
  const namespace = trial.topology.name(trial.host);
  return heard(namespace, serviceAddress(serviceOf(trial, round)), String(TARGETS[1]), limit);
}
