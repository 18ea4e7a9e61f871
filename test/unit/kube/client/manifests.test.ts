import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Subscription } from 'rxjs';
import { manifests } from '../../../../src/kube/client/manifests.js';
import { createProblemSet } from '../../../../src/kube/problems.js';

/** A reader of the source: what it holds to be in force, and every change it was told. */
interface Reader {
  readonly objects: Map<string, string>;
  readonly told: string[];
  problems(): readonly string[];
  synced(): boolean;
  readonly errors: unknown[];
  readonly subscription: Subscription;
}

let directory = '';
const readers: Reader[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'peerage-manifests-'));
});
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.subscription.unsubscribe();
  await rm(directory, { recursive: true, force: true });
});

function read(rescanTime = 60_000, folder = directory): Reader {
  const set = createProblemSet();
  const objects = new Map<string, string>();
  const told: string[] = [];
  const errors: unknown[] = [];
  let synced = false;
  const subscription = manifests({ directory: folder, settleTime: 60, rescanTime }).subscribe({
    next: ({ batch, problems }) => {
      set.report(problems);
      synced ||= batch.synced;
      for (const [key, { change, object }] of batch.changes) {
        told.push(`${change} ${key}`);
        if (change === 'deleted') objects.delete(key);
        else objects.set(key, object.labels['v'] ?? '');
      }
    },
    error: (error: unknown) => errors.push(error),
  });
  const problems = (): readonly string[] => set.list().map(({ subject, text }) => `${subject} ${text}`);
  const reader = { objects, told, problems, synced: () => synced, errors, subscription };
  readers.push(reader);
  return reader;
}

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; waited < 4500 && !condition(); waited += 10)
    await new Promise(resolve => setTimeout(resolve, 10));
  expect(condition()).toBe(true);
}

const node = (name: string, v = '1'): string =>
  `apiVersion: v1\nkind: Node\nmetadata:\n  name: ${name}\n  labels: { v: '${v}' }\n`;
const put = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text);

test('tells everything first, then changes, deletions and new folders', async () => {
  await put('a.yaml', `${node('a')}---\n${node('b')}`);
  await mkdir(join(directory, 'deeper'));
  await put('deeper/c.json', JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'c' } }));
  await put('notes.txt', 'not a manifest');
  const reader = read();
  await until(() => reader.synced());
  expect([...reader.objects.keys()].sort()).toEqual(['Node/a', 'Node/b', 'Node/c']);

  await put('a.yaml', `${node('a', '2')}---\n${node('b')}`);
  await until(() => reader.objects.get('Node/a') === '2');
  expect(reader.told.slice(3)).toEqual(['changed Node/a']);

  await rm(join(directory, 'deeper/c.json'));
  await until(() => !reader.objects.has('Node/c'));
  await mkdir(join(directory, 'new'));
  await put('new/d.yml', node('d'));
  await until(() => reader.objects.has('Node/d'));
  expect(reader.told.slice(3)).toEqual(['changed Node/a', 'deleted Node/c', 'added Node/d']);
  expect(reader.problems()).toEqual([]);
});

test('an atomic rename changes without deleting, and moving a file tells nothing at all', async () => {
  await put('a.yaml', node('a'));
  const reader = read();
  await until(() => reader.synced());
  await put('.a.yaml.tmp', node('a', '2'));
  await rename(join(directory, '.a.yaml.tmp'), join(directory, 'a.yaml'));
  await until(() => reader.objects.get('Node/a') === '2');
  await rename(join(directory, 'a.yaml'), join(directory, 'z.yaml'));
  await put('b.yaml', node('b'));
  await until(() => reader.objects.has('Node/b'));
  expect(reader.told).toEqual(['added Node/a', 'changed Node/a', 'added Node/b']);
});

test('a file that is cut off or emptied keeps its objects in force until it is whole again', async () => {
  await put('a.yaml', `${node('a')}---\n${node('b')}`);
  const reader = read();
  await until(() => reader.synced());
  await put('a.yaml', `${node('a', '2')}---\napiVersion: v1\nkind: {No`);
  await until(() => reader.problems().length > 0);
  expect(reader.problems()).toEqual([expect.stringMatching(/^a\.yaml:8 .*; its 2 earlier objects stay in force$/)]);
  await put('a.yaml', '');
  await until(() => reader.problems().some(text => text.includes('empty')));
  expect(reader.problems()).toHaveLength(1);
  expect(reader.told).toHaveLength(2);
  await put('a.yaml', `${node('a', '3')}---\n${node('b')}`);
  await until(() => reader.objects.get('Node/a') === '3');
  expect(reader.problems()).toEqual([]);
  expect(reader.told.slice(2)).toEqual(['changed Node/a']);
});

test('a bad object costs only itself, and keeps its last good state', async () => {
  await put('a.yaml', `${node('a')}---\n${node('b')}`);
  const reader = read();
  await until(() => reader.synced());
  await put('a.yaml', `${node('a', '2')}spec: { podCIDR: nonsense }\n---\n${node('b', '2')}`);
  await until(() => reader.objects.get('Node/b') === '2');
  expect(reader.objects.get('Node/a')).toBe('1');
  expect(reader.problems()).toEqual([
    'a.yaml:1 Node a: spec.podCIDR: "nonsense" is not a prefix, such as 10.0.0.0/8; its last good state stays in force',
  ]);
});

test('of two files with one object the first by name wins, and the other takes over when it goes', async () => {
  await put('b.yaml', node('x', 'b'));
  const reader = read();
  await until(() => reader.synced());
  await put('a.yaml', node('x', 'a'));
  await until(() => reader.objects.get('Node/x') === 'a');
  expect(reader.problems()).toEqual(['Node x is in b.yaml:1 as well as in a.yaml:1, which is the one in force']);
  await rm(join(directory, 'a.yaml'));
  await until(() => reader.objects.get('Node/x') === 'b');
  expect(reader.problems()).toEqual([]);
  expect(reader.told).toEqual(['added Node/x', 'changed Node/x', 'changed Node/x']);
});

test('an empty folder is whole, and says so', async () => {
  const reader = read();
  await until(() => reader.synced());
  expect(reader.problems()).toEqual([`folder ${directory} has no *.yaml, *.yml or *.json`]);
  await put('a.yaml', node('a'));
  await until(() => reader.objects.has('Node/a'));
  expect(reader.problems()).toEqual([]);
});

test('a missing folder is an error at the start, and a problem when it vanishes later', async () => {
  const missing = read(60_000, join(directory, 'missing'));
  await until(() => missing.errors.length > 0);
  expect(String(missing.errors[0])).toMatch(/ENOENT.*missing/);

  const folder = join(directory, 'folder');
  await mkdir(folder);
  await put('folder/a.yaml', node('a'));
  const reader = read(50, folder);
  await until(() => reader.synced());
  await rename(folder, `${folder}-away`);
  await until(() => reader.problems().length > 0);
  expect(reader.problems()[0]).toMatch(/ENOENT.*all objects stay in force/);
  expect(reader.objects.has('Node/a')).toBe(true);
  await rename(`${folder}-away`, folder);
  await until(() => reader.problems().length === 0);
  expect(reader.told).toEqual(['added Node/a']);
});

test('files that are links swapped beneath, as in a mounted ConfigMap', async () => {
  await mkdir(join(directory, '..1'));
  await mkdir(join(directory, '..2'));
  await put('..1/a.yaml', node('a', '1'));
  await put('..2/a.yaml', node('a', '2'));
  await symlink('..1', join(directory, '..data'));
  await symlink('..data/a.yaml', join(directory, 'a.yaml'));
  const reader = read(50);
  await until(() => reader.objects.get('Node/a') === '1');
  await symlink('..2', join(directory, '..data_tmp'));
  await rename(join(directory, '..data_tmp'), join(directory, '..data'));
  await until(() => reader.objects.get('Node/a') === '2');
  expect(reader.problems()).toEqual([]);
});

test('a file that is always being written does not keep others waiting', async () => {
  await put('busy.yaml', node('busy'));
  const reader = read();
  await until(() => reader.synced());
  let writing = true;
  const writer = (async () => {
    for (let i = 0; writing; i++) {
      await put('busy.yaml', `${node('busy')}# ${i}\n`);
      await new Promise(resolve => setTimeout(resolve, 3));
    }
  })();
  await put('calm.yaml', node('calm'));
  await until(() => reader.objects.has('Node/calm'));
  writing = false;
  await writer;
});
