import { describe, expect, test } from '@jest/globals';
import { failuresOf, mergeReports, tally, type Report, type TestFile } from '../../../scripts/testReport.js';

/** `a` passed, `-b` failed, `~c` was skipped. */
function file(name: string, ...tests: readonly string[]): TestFile {
  const assertionResults = tests.map(text => ({
    status: text.startsWith('-') ? 'failed' : text.startsWith('~') ? 'pending' : 'passed',
    fullName: text.replace(/^[-~]/, ''),
    ancestorTitles: [],
    failureMessages: text.startsWith('-') ? [`\u001b[31mno\u001b[0m\n  ${text}`] : [],
  }));
  const status = assertionResults.some(result => result.status === 'failed') ? 'failed' : 'passed';
  return { name, status, message: '', assertionResults };
}

const broken = (name: string): TestFile => ({ ...file(name), status: 'failed', message: 'does not compile' });
const report = (...testResults: readonly TestFile[]): Report => ({ testResults });

describe('what a report comes to', () => {
  test.each([
    ['all passed', report(file('f', 'a', 'b')), { passed: 2, failed: 0 }],
    ['one failed', report(file('f', 'a', '-b')), { passed: 1, failed: 1 }],
    ['a skipped test is a failure', report(file('f', 'a', '~b')), { passed: 1, failed: 1 }],
    ['a file that cannot run is a failure', report(file('f', 'a'), broken('g')), { passed: 1, failed: 1 }],
    [
      'a file whose surroundings failed is one',
      report({ ...file('f', 'a'), status: 'failed' }),
      { passed: 1, failed: 1 },
    ],
  ])('%s', (_name, given, wanted) => {
    expect(tally(given)).toEqual(wanted);
  });

  test('failures are said in a line each', () => {
    expect(failuresOf(report(file('f', 'a', '-b', '~c'), broken('g')))).toEqual([
      'b: no -b',
      'c: pending',
      'g: does not compile',
    ]);
  });
});

describe('a second attempt', () => {
  const first = report(file('f', 'a', '-b', 'c'), file('g', 'd'));
  test.each([
    ['that passes counts', first, report(file('f', 'a', 'b', 'c')), { passed: 4, failed: 0 }],
    ['that fails again fails', first, report(file('f', 'a', '-b', 'c')), { passed: 3, failed: 1 }],
    ['that fails elsewhere fails', first, report(file('f', 'a', 'b', '-c')), { passed: 3, failed: 1 }],
    ['of one part keeps the other results', first, report(file('f', 'b')), { passed: 4, failed: 0 }],
    ['without the file changes nothing', first, report(), { passed: 3, failed: 1 }],
    ['that cannot run fails', first, report(broken('f')), { passed: 1, failed: 1 }],
    ['of what could not run counts whole', report(broken('f')), report(file('f', 'a', 'b')), { passed: 2, failed: 0 }],
    [
      'hides none of two by one name',
      report(file('f', '-b', 'b')),
      report(file('f', '-b', 'b')),
      { passed: 0, failed: 2 },
    ],
  ])('%s', (_name, before, after, wanted) => {
    expect(tally(mergeReports(before, after))).toEqual(wanted);
  });
});
