import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseManifest } from '../../../../src/kube/client/manifestFile.js';
import { createManifestSet, type ManifestSet } from '../../../../src/kube/client/manifestSet.js';
import { createProblemSet } from '../../../../src/kube/problems.js';

/** Replays what the set tells, as a reader of the source would. */
function replayed(steps: readonly (readonly [path: string, text: string | undefined])[]): {
  readonly objects: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
} {
  const set: ManifestSet = createManifestSet();
  const objects = new Map<string, string>();
  const problems = createProblemSet(() => new Date(0));
  for (const [path, text] of steps) {
    const delta = set.replace(path, text === undefined ? undefined : parseManifest(text));
    problems.report(delta.problems);
    for (const [key, { change, object }] of delta.changes) {
      // Each change must fit what a reader holds.
      expect([key, objects.has(key)]).toEqual([key, change !== 'added']);
      if (change === 'deleted') objects.delete(key);
      else objects.set(key, object.labels['v'] ?? '');
    }
  }
  return {
    objects: Object.fromEntries([...objects].sort()),
    problems: problems
      .list()
      .map(({ subject, text }) => `${subject} ${text}`)
      .sort(),
  };
}

const object = fc
  .record({ name: fc.constantFrom('a', 'b', 'c'), v: fc.constantFrom('1', '2') })
  .map(({ name, v }) => `apiVersion: v1\nkind: Node\nmetadata: { name: ${name}, labels: { v: '${v}' } }\n`);
const fileText = fc.array(object, { minLength: 1, maxLength: 3 }).map(documents => documents.join('---\n'));
const path = fc.constantFrom('1.yaml', '2.yaml', '3.yaml');
const broken = fc.constantFrom('', 'kind: [', 'apiVersion: v1\nkind: Node\nmetadata: { name: a, labels: 7 }\n');

test('any sequence of file states ends as reading the last states from scratch', () => {
  const step = fc.tuple(path, fc.oneof({ weight: 3, arbitrary: fileText }, broken, fc.constant(undefined)));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.array(fc.tuple(path, fileText)), (steps, repairs) => {
      // What cannot be read keeps what was before, so the last state of a file has to be one that can be read, or none.
      const last = new Map<string, string | undefined>([...steps, ...repairs]);
      const ends = [...last].map(([file, text]) => [file, isWhole(text) ? text : undefined] as const);
      const fresh = ends.filter(([, text]) => text !== undefined);
      expect(replayed([...steps, ...repairs, ...ends])).toEqual(replayed(fresh));
      expect(replayed([...steps, ...repairs, ...ends])).toEqual(replayed([...fresh].reverse()));
    }),
    { numRuns: 400 },
  );
});

function isWhole(text: string | undefined): boolean {
  const parsed = parseManifest(text ?? '');
  return parsed.ok && parsed.value.bad.length === 0;
}

test('an object twice in one file: the first is in force', () => {
  const text = (v: string): string => `apiVersion: v1\nkind: Node\nmetadata: { name: a, labels: { v: '${v}' } }\n`;
  expect(replayed([['f.yaml', `${text('1')}---\n${text('2')}`]])).toEqual({
    objects: { 'Node/a': '1' },
    problems: ['Node a is in f.yaml:5 as well as in f.yaml:1, which is the one in force'],
  });
});

test('a policy that never could be read is in force as far as it can be, until it can be read', () => {
  const policy = (v: string, ingress: string): string =>
    `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: a, labels: { v: '${v}' } }\nspec: { ingress: ${ingress} }\n`;
  const bad = '[from: [{}]]';
  const closed = expect.stringMatching(/^f\.yaml:1 .*; it governs what it selects/) as unknown;
  const key = 'NetworkPolicy/default/a';
  const states: (readonly [string, string])[] = [['f.yaml', policy('1', bad)]];
  expect(replayed(states)).toEqual({ objects: { [key]: '1' }, problems: [closed] });
  states.push(['f.yaml', policy('2', bad)]);
  expect(replayed(states)).toEqual({ objects: { [key]: '2' }, problems: [closed] });
  states.push(['f.yaml', policy('3', '[]')]);
  expect(replayed(states)).toEqual({ objects: { [key]: '3' }, problems: [] });
  states.push(['f.yaml', policy('4', bad)]);
  const kept = expect.stringContaining('; its last good state stays in force') as unknown;
  expect(replayed(states)).toEqual({ objects: { [key]: '3' }, problems: [kept] });
});
