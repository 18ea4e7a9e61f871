/** A whole benchmark run: every workload, ours and the peers in turns, one after another. */

import { fileURLToPath } from 'node:url';
import type { BenchNetwork } from '../measure/netns.js';
import { ipv6Rows, keepaliveRows, reflectRows, unpreparedRows, type Row } from '../report/rows.js';
import { bird } from '../speakers/bird.js';
import { gobgp } from '../speakers/gobgp.js';
import { peerage } from '../speakers/peerage.js';
import type { SpeakerProgram } from '../speakers/speaker.js';
import type { TableSpec } from '../workload/tables.js';
import { runKeepaliveTrial, type KeepaliveResult } from './keepaliveTrial.js';
import type { BenchOptions } from './options.js';
import type { Scenario } from './scenarios.js';
import { prepareLoad, runTrial, type Load, type TrialResult } from './trial.js';

const PROBE = fileURLToPath(new URL('./loopDelayProbe.js', import.meta.url));

export interface RunLog {
  /** One line while it runs. */
  progress(text: string): void;
  /** Something failed; it is part of the report. */
  problem(text: string): void;
}

export function peersOf(scenario: Scenario, options: BenchOptions): SpeakerProgram[] {
  return [bird, gobgp].filter(
    program => scenario.peers.some(p => p === program.key) && (options.against?.includes(program.key) ?? true),
  );
}

/** @returns the rows of all workloads, as far as they could be measured */
export async function runAll(
  scenarios: readonly Scenario[],
  options: BenchOptions,
  network: BenchNetwork,
  log: RunLog,
): Promise<Row[]> {
  const rows: Row[] = [];
  const ownRuns = new Map<string, readonly TrialResult[]>();
  for (const scenario of scenarios) {
    const table = tableOf(scenario, options);
    log.progress(`${scenario.title}: encoding the table`);
    const load = await prepareLoad(scenario, table, network);
    try {
      if (scenario.kind === 'keepalives') rows.push(...(await keepalives(scenario, options, network, load, log)));
      else rows.push(...(await trials(scenario, table, options, network, load, log, ownRuns)));
    } finally {
      load.stop();
    }
  }
  const [four, six] = [ownRuns.get('one'), ownRuns.get('ipv6')];
  if (four?.length && six?.length) rows.push(...ipv6Rows(four, six));
  return rows;
}

async function trials(
  scenario: Scenario,
  table: TableSpec,
  options: BenchOptions,
  network: BenchNetwork,
  load: Load,
  log: RunLog,
  ownRuns: Map<string, readonly TrialResult[]>,
): Promise<Row[]> {
  const ours = peerage(profileOptions(options), !options.plain);
  const plain = peerage(profileOptions(options), false);
  const isCompared = scenario.key === 'one' && !options.plain;
  const peers = peersOf(scenario, options);
  const results = new Map<SpeakerProgram, TrialResult[]>();
  for (let run = 1; run <= options.runs; run++)
    for (const program of [ours, ...(isCompared ? [plain] : []), ...peers]) {
      const result = await attempt(program, scenario, log, () =>
        runTrial(scenario, program, network, load, { table, limit: options.limit }),
      );
      if (result === undefined) continue;
      if (options.verbose) log.progress(JSON.stringify({ speaker: program.key, ...result }));
      results.set(program, [...(results.get(program) ?? []), result]);
    }
  const own = results.get(ours) ?? [];
  ownRuns.set(scenario.key, own);
  const rowsAgainst = (name: string, theirs: readonly TrialResult[]): Row[] => [
    ...reflectRows(scenario, own, name, theirs),
    ...(isCompared ? unpreparedRows(scenario, results.get(plain) ?? [], name, theirs) : []),
  ];
  if (peers.length === 0) return rowsAgainst('–', []);
  return peers.flatMap(peer => rowsAgainst(peer.version() ?? peer.key, results.get(peer) ?? []));
}

async function keepalives(
  scenario: Scenario,
  options: BenchOptions,
  network: BenchNetwork,
  load: Load,
  log: RunLog,
): Promise<Row[]> {
  const ours = peerage([...profileOptions(options), '--import', PROBE], !options.plain);
  const measure = async (program: SpeakerProgram, probed: boolean): Promise<KeepaliveResult[]> => {
    const result = await attempt(program, scenario, log, () =>
      runKeepaliveTrial(scenario, program, network, load, probed),
    );
    if (options.verbose && result) log.progress(JSON.stringify({ speaker: program.key, ...result }));
    return result ? [result] : [];
  };
  const own = await measure(ours, true);
  const peers = peersOf(scenario, options);
  if (peers.length === 0) return keepaliveRows(scenario, own, '–', []);
  const rows: Row[] = [];
  for (const peer of peers)
    rows.push(...keepaliveRows(scenario, own, peer.version() ?? peer.key, await measure(peer, false)));
  return rows;
}

/** A speaker that is missing or fails costs its own numbers, not the run. */
async function attempt<T>(
  program: SpeakerProgram,
  scenario: Scenario,
  log: RunLog,
  measure: () => Promise<T>,
): Promise<T | undefined> {
  const version = program.version();
  if (version === undefined) {
    log.problem(`${program.key} is not installed`);
    return undefined;
  }
  log.progress(`${scenario.title}: ${version}`);
  try {
    return await measure();
  } catch (error) {
    log.problem(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

function tableOf(scenario: Scenario, options: BenchOptions): TableSpec {
  const { family, prefixes: size } = scenario;
  return options.mrt === undefined
    ? { kind: 'generated', family, size }
    : { kind: 'mrt', family, size, file: options.mrt };
}

function profileOptions(options: BenchOptions): string[] {
  return options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
}
