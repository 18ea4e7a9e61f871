import { describe, expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FLAGS } from '../../../../src/app/flags/flagTable.js';
import { ROUTER_FLAGS } from '../../../../src/app/flags/routerFlags.js';

const text = readFileSync('docs/migrating-from-kube-router.md', 'utf8');

/** Rows of the flag tables: name, default there, what it does here, place in the file. */
const rows = [...text.matchAll(/^\| `--([a-z0-9-]+)` \| (.*?) \| (.*?) \| (.*?) \|$/gm)].map(
  ([, name = '', there = '', here = '', target = '']) => ({ name, there, here, target }),
);

test('kube-router has 42 flags for its router', () => {
  expect(ROUTER_FLAGS).toHaveLength(42);
});

test('the tables list every flag once and no other', () => {
  expect(rows.map(({ name }) => name).sort()).toEqual(FLAGS.map(({ name }) => name).sort());
});

describe.each(rows)('--$name', ({ name, here, target }) => {
  const flag = FLAGS.find(one => one.name === name);

  test('is said to do what it does', () => {
    expect(here.startsWith(flag!.status)).toBe(true);
    expect(target).toBe(flag?.target === undefined ? '–' : `\`${flag.target}\``);
  });
});

/** Sources that read annotations, as one text. */
const sources = ['src/routing', 'src/routing/services', 'src/routing/loadBalancer', 'src/kube', 'src/proxy', 'src/app']
  .flatMap(folder => readdirSync(folder).map(file => join(folder, file)))
  .filter(file => file.endsWith('.ts'))
  .map(file => readFileSync(file, 'utf8'))
  .join('\n');
/** What it asks for is so without it. */
const NOT_READ = /service\.hairpin/;

test.each([...new Set([...text.matchAll(/`((?:kube-router|peerage)\.io\/[a-z.-]+)`/g)].map(([, key]) => key!))])(
  'the annotation %s is read, unless the page says it is not',
  key => {
    const short = key.slice(key.indexOf('/') + 1);
    expect(sources.includes(short)).toBe(!NOT_READ.test(key));
  },
);

test('every file the page names is there', () => {
  const files = [...text.matchAll(/`((?:test|interop|deploy)\/[\w./-]+\.(?:ts|yaml))`/g)].map(([, file]) => file!);
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) expect(existsSync(file) ? file : `${file} is missing`).toBe(file);
});
