/** Jest's JSON report: what is read of it, what it comes to, and one laid over another. */

import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

export interface TestResult {
  readonly status: string;
  readonly fullName: string;
  readonly ancestorTitles: readonly string[];
  readonly failureMessages: readonly string[];
}

export interface TestFile {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly assertionResults: readonly TestResult[];
}

/** The part of jest's JSON report that is read here. */
export interface Report {
  readonly testResults: readonly TestFile[];
}

export function readReport(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}

/** A file that cannot run, and a test that was skipped, count as failures: nothing is passed over silently. */
export function tally({ testResults }: Report): { readonly passed: number; readonly failed: number } {
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const passed = tests.filter(({ status }) => status === 'passed').length;
  return { passed, failed: tests.length - passed + testResults.filter(couldNotRun).length };
}

/** Failed as a whole: it did not compile, or what surrounds its tests failed while none of them did. */
function couldNotRun({ status, assertionResults }: TestFile): boolean {
  return status === 'failed' && assertionResults.every(result => result.status === 'passed');
}

/** Characters of an error that are enough to recognise it. */
const ERROR_LENGTH = 300;

/** A line or two for each failure. */
export function failuresOf({ testResults }: Report): readonly string[] {
  return testResults.flatMap(file => {
    if (couldNotRun(file)) return [`${file.name}: ${brief(file.message)}`];
    const failed = file.assertionResults.filter(({ status }) => status !== 'passed');
    return failed.map(({ fullName, status, failureMessages }) => `${fullName}: ${brief(failureMessages[0] ?? status)}`);
  });
}

function brief(error: string): string {
  return stripVTControlCharacters(error).replace(/\s+/g, ' ').slice(0, ERROR_LENGTH);
}

/**
 * The first attempt with what a second has to say of some of its files. A test that the second did not run keeps its first
 * result; of a file that could not run, all is the second's.
 */
export function mergeReports(first: Report, second: Report): Report {
  const later = new Map(second.testResults.map(file => [file.name, file]));
  return {
    testResults: first.testResults.map(file => {
      const newer = later.get(file.name);
      return newer === undefined ? file : mergeFiles(file, newer);
    }),
  };
}

function mergeFiles(first: TestFile, second: TestFile): TestFile {
  if (couldNotRun(first) || couldNotRun(second)) return second;
  // Of tests with one name, the worst stands for all: none may hide behind another.
  const worstLast = [...second.assertionResults].sort((a, b) => Number(isPassed(b)) - Number(isPassed(a)));
  const later = new Map(worstLast.map(result => [result.fullName, result]));
  const assertionResults = first.assertionResults.map(result => later.get(result.fullName) ?? result);
  return { ...first, assertionResults, status: assertionResults.every(isPassed) ? 'passed' : 'failed' };
}

function isPassed({ status }: TestResult): boolean {
  return status === 'passed';
}
