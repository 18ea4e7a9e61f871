/**
 * Runs every suite in turn and ends with one plain line over all of them: `N passed, M failed`.
 *
 * Whole programs are tested one file at a time; unit tests share the processors, and tests of the kernel, each in namespaces
 * of its own, and of interoperability, which mostly wait, run two files at once.
 * Usage: node build/scripts/testAll.js [suite …]
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

interface Suite {
  readonly name: string;
  /** Runs only when asked for by name: it needs what `make test` does not set up. */
  readonly onRequest?: boolean;
  /** Jest's arguments besides the project. */
  readonly arguments: readonly string[];
  /** A program to run behind it, such as one that prints a table. */
  readonly epilogue?: string;
}

interface Count {
  readonly passed: number;
  readonly failed: number;
  /** A line or two for each failure, to be printed again at the very end. */
  readonly failures: readonly string[];
}

const RESULTS = 'test-results';
const SUITES: readonly Suite[] = [
  { name: 'unit', arguments: ['--maxWorkers=2'] },
  { name: 'kernel', arguments: ['--maxWorkers=2'] },
  { name: 'fuzz', arguments: ['--runInBand'] },
  { name: 'system', arguments: ['--runInBand'] },
  { name: 'interop', arguments: ['--maxWorkers=2'], epilogue: 'build/interop/printMatrix.js' },
  { name: 'kube', arguments: ['--runInBand'], onRequest: true },
  { name: 'vm', arguments: ['--runInBand'], onRequest: true },
];

/** The part of jest's JSON report that is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
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
    return { passed: 0, failed: 1, failures: [`${suite.name}: no report`] };
  }
  if (suite.epilogue !== undefined) spawnSync(process.execPath, [suite.epilogue], { stdio: 'inherit' });
  // A file that cannot run, and a test that was skipped, count as failures: nothing is passed over silently.
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites + report.numPendingTests;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && jest.status !== 0 ? 1 : failed,
    failures: failuresOf(report).map(text => `${suite.name}: ${text}`),
  };
}

/** Characters of an error that are enough to recognise it. */
const ERROR_LENGTH = 300;

function failuresOf({ testResults }: Report): readonly string[] {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults.filter(({ status }) => status !== 'passed');
    if (failed.length === 0 && assertionResults.length === 0) return [`${name}: ${brief(message)}`];
    return failed.map(({ fullName, status, failureMessages }) => `${fullName}: ${brief(failureMessages[0] ?? status)}`);
  });
}

function brief(error: string): string {
  return stripVTControlCharacters(error).replace(/\s+/g, ' ').slice(0, ERROR_LENGTH);
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
  for (const { count } of counts) for (const failure of count.failures) console.log(`FAILED ${failure}`);
  const passed = counts.reduce((sum, { count }) => sum + count.passed, 0);
  const failed = counts.reduce((sum, { count }) => sum + count.failed, 0);
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

main();
