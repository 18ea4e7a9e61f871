/** Files that are written in one step, on a disk without room for them. Needs root. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { writeAtomically, writeAtomicallyAside } from '../../src/app/plumbing/atomicFile.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'peerage-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'peerage-full', folder]);
  file = join(folder, 'routing.json');
  writeFileSync(file, 'old');
});
afterEach(() => {
  execFileSync('umount', [folder]);
  rmdirSync(folder);
});

/** The kernel takes a part of it, and says so without an error. */
const TOO_MUCH = 'x'.repeat(30_000);

test.each([
  ['now', (text: string) => Promise.resolve().then(() => writeAtomically(file, text))],
  ['aside', (text: string) => writeAtomicallyAside(file, text)],
])('what finds no room for all of it keeps what was there: %s', async (_name, write) => {
  await expect(write(TOO_MUCH)).rejects.toThrow(/ENOSPC/);
  expect([readdirSync(folder), readFileSync(file, 'utf8')]).toEqual([['routing.json'], 'old']);
  await write('new');
  expect(readFileSync(file, 'utf8')).toBe('new');
});
