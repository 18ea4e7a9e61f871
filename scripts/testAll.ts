/**
 * Runs every suite in turn and ends with one plain line over all of them: `N passed, M failed`.
 *
 * Suites that use namespaces or timing run one test file at a time; only the unit tests share the processors.
 * Usage: node build/scripts/testAll.js [suite …]
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

interface Suite {
  readonly name: string;
  /** Runs only when asked for by name: it needs what `make test` does not set up. */
  readonly onRequest?: boolean;
  /** Jest's arguments besides the project. */
  readonly arguments: readonly string[];
}

interface Count {
  readonly passed: number;
  readonly failed: number;
}

const RESULTS = 'test-results';
const SUITES: readonly Suite[] = [
  { name: 'unit', arguments: ['--maxWorkers=2'] },
  { name: 'kernel', arguments: ['--runInBand'] },
  { name: 'fuzz', arguments: ['--runInBand'] },
  { name: 'system', arguments: ['--runInBand'] },
  { name: 'interop', arguments: ['--runInBand'] },
  { name: 'kube', arguments: ['--runInBand'], onRequest: true },
  { name: 'vm', arguments: ['--runInBand'], onRequest: true },
];

/** The part of jest's JSON report that is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

function run(suite: Suite): Count {
  const file = join(RESULTS, `${suite.name}.json`);
  console.log(`\n=== ${suite.name}`);
  const jest = spawnSync(
    process.execPath,
    [
      'node_modules/jest/bin/jest.js',
      `--selectProjects=${suite.name}`,
      '--json',
      `--outputFile=${file}`,
      '--forceExit',
      ...suite.arguments,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'], env: process.env },
  );
  const report = read(file);
  if (report === undefined) {
    console.log(`${suite.name}: jest ended with ${jest.status ?? jest.signal ?? 'nothing'} and left no report`);
    return { passed: 0, failed: 1 };
  }
  // A file that cannot run, and a test that was skipped, count as failures: nothing is passed over silently.
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites + report.numPendingTests;
  return { passed: report.numPassedTests, failed: failed === 0 && jest.status !== 0 ? 1 : failed };
}

function read(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}

function main(): void {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter(name => !SUITES.some(suite => suite.name === name));
  if (unknown.length > 0) {
    console.error(`no suite is called ${unknown.join(', ')}; there are ${SUITES.map(suite => suite.name).join(', ')}`);
    process.exit(2);
  }
  rmSync(RESULTS, { recursive: true, force: true });
  mkdirSync(RESULTS, { recursive: true });
  const counts = SUITES.filter(suite =>
    wanted.length === 0 ? suite.onRequest !== true : wanted.includes(suite.name),
  ).map(suite => ({
    suite,
    count: run(suite),
  }));
  console.log('');
  for (const { suite, count } of counts)
    console.log(`${suite.name.padEnd(8)} ${count.passed} passed, ${count.failed} failed`);
  const passed = counts.reduce((sum, { count }) => sum + count.passed, 0);
  const failed = counts.reduce((sum, { count }) => sum + count.failed, 0);
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

main();
