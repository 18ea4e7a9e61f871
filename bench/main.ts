/** `make bench`: our speaker and others, side by side, under the load of a full Internet table. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { createNetwork } from './measure/netns.js';
import { markdownReport } from './report/markdown.js';
import { GENERATOR_NOTE, resultLines, terminalTable } from './report/render.js';
import type { Row } from './report/rows.js';
import { parseOptions, type BenchOptions } from './run/options.js';
import { scenarios, type Scenario } from './run/scenarios.js';
import { runAll } from './run/session.js';
import { bird } from './speakers/bird.js';
import { gobgp } from './speakers/gobgp.js';
import { loadTable } from './workload/tables.js';

const ROOT = new URL('../../', import.meta.url);
const QUICK_SIZE = 100_000;
/** Load average above which the machine is not ours alone. */
const BUSY_LOAD = 0.7;

/** @param name bench/results/NAME.json */
function writeResults(name: string, rows: readonly Row[]): string {
  const file = fileURLToPath(new URL(`bench/results/${name}.json`, ROOT));
  mkdirSync(fileURLToPath(new URL('bench/results/', ROOT)), { recursive: true });
  writeFileSync(file, `${JSON.stringify(resultLines(rows), null, 2)}\n`);
  return file;
}

/** With a real table the numbers of prefixes are the file's, and two feeders and IPv6 need what a file may not have. */
function chosen(options: BenchOptions): Scenario[] {
  let size = options.quick ? Math.min(options.size, QUICK_SIZE) : options.size;
  if (options.mrt !== undefined)
    size = Math.min(size, loadTable({ kind: 'mrt', family: 'ipv4-unicast', file: options.mrt, size }).table.size);
  const all = scenarios(size);
  if (options.only) return all.filter(s => options.only?.includes(s.key));
  if (options.quick) return all.filter(s => s.key === 'one');
  if (options.mrt !== undefined) return all.filter(s => s.family === 'ipv4-unicast' && s.kind !== 'twoFeeders');
  return [...all];
}

/** Other work on the machine lengthens wall times, of whoever runs just then. */
function busyNote(): string | undefined {
  const [load = 0] = loadavg();
  if (load < BUSY_LOAD) return undefined;
  return `other work was running on the machine (load ${load.toFixed(1)} before the start): trust the ratios of CPU more than those of time`;
}

async function main(): Promise<number> {
  const options = parseOptions(
    process.argv.slice(2),
    scenarios(1).map(s => s.key),
  );
  const problems: string[] = [];
  const note = (text: string): void => void process.stderr.write(`${text}\n`);
  const busy = busyNote();
  const network = createNetwork(50);
  const stop = (): void => {
    network.remove();
    process.exit(130);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  let rows: Row[];
  try {
    rows = await runAll(chosen(options), options, network, {
      progress: note,
      problem: text => {
        problems.push(text);
        note(`problem: ${text}`);
      },
    });
  } finally {
    network.remove();
  }
  process.stdout.write(`${terminalTable(rows)}\n`);
  process.stdout.write('ratio = theirs / ours; absolute numbers drift from day to day, ratios of one run much less\n');
  if (rows.some(r => r.generatorBound)) process.stdout.write(`${GENERATOR_NOTE}\n`);
  if (busy !== undefined) process.stdout.write(`${busy}\n`);
  for (const problem of problems) process.stdout.write(`not measured: ${problem}\n`);
  process.stdout.write(`written: ${writeResults('router', rows)}\n`);
  if (options.md)
    writeMarkdown(rows, options, [
      ...problems.map(p => `Not measured: ${p.split('\n')[0] ?? ''}`),
      ...(busy === undefined ? [] : [busy]),
    ]);
  // A missed target is said in the table; only what could not be measured is a failure of the run.
  return problems.length > 0 ? 1 : 0;
}

/** The section about `make bench-kube`, which stays. */
function ofCluster(file: string): string {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const at = text.indexOf('\n## Cluster scale\n');
  return at < 0 ? '' : text.slice(at);
}

function writeMarkdown(rows: readonly Row[], options: BenchOptions, notes: readonly string[]): void {
  const file = fileURLToPath(new URL('docs/benchmarks.md', ROOT));
  mkdirSync(fileURLToPath(new URL('docs/', ROOT)), { recursive: true });
  const speakers = ['Peerage', ...[bird, gobgp].flatMap(p => p.version() ?? [])];
  const table =
    options.mrt === undefined
      ? "prefix lengths as in today's Internet table, one attribute set (and one UPDATE) for six prefixes, AS paths of 2 to 10 hops, communities on most routes"
      : 'the table of an MRT file';
  const report = markdownReport(rows, { speakers, runs: options.runs, table, isPlain: options.plain, notes });
  writeFileSync(file, `${report.trimEnd()}\n${ofCluster(file)}`);
  process.stdout.write(`written: ${file}\n`);
}

process.exitCode = await main();
