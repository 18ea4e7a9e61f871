/**
 * Runs one suite with jest and counts its results.
 *
 * A few files of a suite that meets the world outside (kernels, daemons, a machine with other work) that fail are run once more,
 * by themselves. What passes then counts as passed and is named UNSTEADY at the end, with its first error: a bug to be found,
 * of the test or of the program, but no reason to distrust everything else. Pure tests have no second attempt.
 */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { failuresOf, mergeReports, readReport, tally, type Report, type TestFile } from './testReport.js';

export interface Suite {
  readonly name: string;
  /** Runs only when asked for by name: it needs what `make test` does not set up. */
  readonly onRequest?: boolean;
  /** Has real kernels, daemons and time in it: see above. */
  readonly meetsTheWorld?: boolean;
  /** The variable of the environment that chooses some of its outermost `describe`s, by their names. */
  readonly partsBy?: string;
  /** Jest's arguments besides the project. */
  readonly arguments: readonly string[];
  /** A program to run behind it, such as one that prints a table. */
  readonly epilogue?: string;
}

export interface Count {
  readonly passed: number;
  readonly failed: number;
  /** A line or two for each failure, to be printed again at the very end. */
  readonly failures: readonly string[];
  /** What failed first and passed when it was run again. */
  readonly unsteady: readonly string[];
}

export const RESULTS = 'test-results';
/** With more of them failing, something is broken, and running them again would only cost time. */
const MOST_FILES_AGAIN = 2;

export function runSuite(suite: Suite): Count {
  console.log(`\n=== ${suite.name}`);
  const { report: first, ended } = jest(suite, suite.name, suite.arguments);
  if (first === undefined) {
    console.log(`${suite.name}: jest ended with ${ended} and left no report`);
    return { passed: 0, failed: 1, failures: [`${suite.name}: no report`], unsteady: [] };
  }
  const second = again(suite, first);
  const report = second === undefined ? first : mergeReports(first, second);
  if (suite.epilogue !== undefined) spawnSync(process.execPath, [suite.epilogue], { stdio: 'inherit' });
  const { passed, failed } = tally(report);
  const failures = failuresOf(report);
  const unsteady = second === undefined ? [] : failuresOf(first).filter(text => !failures.includes(text));
  const name = (text: string): string => `${suite.name}: ${text}`;
  return {
    passed,
    failed: failed === 0 && second === undefined && ended !== 0 ? 1 : failed,
    failures: failures.map(name),
    unsteady: failed === 0 ? unsteady.map(name) : [],
  };
}

/** The second attempt, if there is one to be made and it left a report. */
function again(suite: Suite, { testResults }: Report): Report | undefined {
  const files = testResults.filter(({ status }) => status === 'failed');
  if (suite.meetsTheWorld !== true || files.length === 0 || files.length > MOST_FILES_AGAIN) return undefined;
  console.log(`\n=== ${suite.name}, again: ${files.map(({ name }) => name).join(', ')}`);
  const paths = ['--runInBand', '--runTestsByPath', ...files.map(({ name }) => name)];
  return jest(suite, `${suite.name}-again`, paths, partsOf(suite, files)).report;
}

function partsOf({ partsBy }: Suite, files: readonly TestFile[]): Readonly<Record<string, string>> {
  const failed = files.flatMap(({ assertionResults }) => assertionResults.filter(({ status }) => status !== 'passed'));
  const parts = new Set(failed.flatMap(({ ancestorTitles }) => ancestorTitles.slice(0, 1)));
  return partsBy === undefined || parts.size === 0 ? {} : { [partsBy]: [...parts].join(',') };
}

function jest(
  { name }: Suite,
  resultsName: string,
  more: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): { readonly report: Report | undefined; readonly ended: number | string } {
  const file = join(RESULTS, `${resultsName}.json`);
  const { status, signal } = spawnSync(
    process.execPath,
    [
      'node_modules/jest/bin/jest.js',
      `--selectProjects=${name}`,
      '--json',
      `--outputFile=${file}`,
      '--forceExit',
      ...more,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...environment } },
  );
  return { report: readReport(file), ended: status ?? signal ?? 'nothing' };
}
