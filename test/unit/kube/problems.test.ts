import { expect, test } from '@jest/globals';
import { createProblemSet, type Problem } from '../../../src/kube/problems.js';

const bad = (text: string): Problem => ({ subject: 'file a.yaml', text });
const report = (owner: string, ...problems: readonly Problem[]): Map<string, readonly Problem[]> =>
  new Map([[owner, problems]]);

test('tells once that a problem appears and once that it clears', () => {
  const set = createProblemSet();
  expect(set.report(report('a', bad('1'), bad('2')))).toEqual({ appeared: [bad('1'), bad('2')], cleared: [] });
  expect(set.report(report('a', bad('2'), bad('1')))).toEqual({ appeared: [], cleared: [] });
  expect(set.report(report('a', bad('2'), bad('3')))).toMatchObject({ appeared: [bad('3')], cleared: [bad('1')] });
  expect(set.report(report('a'))).toMatchObject({ appeared: [], cleared: [bad('2'), bad('3')] });
  expect(set.list()).toEqual([]);
});

test('owners do not clear each other, and the list begins with the oldest', () => {
  let minute = 0;
  const set = createProblemSet(() => new Date(minute++ * 60_000));
  set.report(report('b', bad('b')));
  set.report(report('a', bad('a')));
  set.report(report('b', bad('b')));
  expect(set.list().map(problem => [problem.text, problem.since.getTime()])).toEqual([
    ['b', 0],
    ['a', 60_000],
  ]);
});
