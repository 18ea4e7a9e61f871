/** Files that are written in one step, and the CNI file among them. */

import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { deleteIfThere, readIfThere, writeAtomically } from '../../../../src/app/plumbing/atomicFile.js';
import { restoreCniFile, syncCniFile } from '../../../../src/app/plumbing/cniFile.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'peerage-files-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('writing', () => {
  test('keeps the file’s mode, and leaves no draft', () => {
    const file = join(folder, 'a.conf');
    writeFileSync(file, 'old');
    chmodSync(file, 0o600);
    const before = statSync(file).ino;
    writeAtomically(file, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    // Another file in its place, not the same one written over.
    expect(statSync(file).ino).not.toBe(before);
    expect(readdirSync(folder)).toEqual(['a.conf']);
  });

  test('goes through a symbolic link', () => {
    writeFileSync(join(folder, 'real'), 'old');
    symlinkSync('real', join(folder, 'link'));
    writeAtomically(join(folder, 'link'), 'new');
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(folder, 'real'), 'utf8')).toBe('new');
  });

  test('that fails leaves nothing behind', () => {
    // A folder stands where the file should go.
    expect(() => writeAtomically(folder, 'text')).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(
      readdirSync(join(folder, '..')).filter(name => name.startsWith(`.${folder.split('/').at(-1) ?? ''}`)),
    ).toEqual([]);
  });

  test('absent files are no error', () => {
    expect(readIfThere(join(folder, 'none'))).toBeUndefined();
    expect(deleteIfThere(join(folder, 'none'))).toBe(false);
  });
});

describe('the CNI file', () => {
  const wish = { podCidrs: ['10.244.1.0/24'], mtu: 1480, bridge: 'kube-bridge' };

  test.each(['10-net.conf', '10-net.conflist'])('%s is made, kept, changed and deleted again', name => {
    const file = join(folder, name);
    expect(syncCniFile(file, wish)).toMatchObject({ ok: true, value: { done: 'made' } });
    expect('plugins' in (JSON.parse(readFileSync(file, 'utf8')) as object)).toBe(name.endsWith('list'));
    expect(syncCniFile(file, wish)).toMatchObject({ ok: true, value: { done: 'kept' } });
    expect(syncCniFile(file, { ...wish, mtu: 1400 })).toMatchObject({ ok: true, value: { done: 'changed' } });
    expect(restoreCniFile(file)).toEqual({ ok: true, value: 'deleted' });
    expect(readdirSync(folder)).toEqual([]);
    expect(restoreCniFile(file)).toEqual({ ok: true, value: 'untouched' });
  });

  test('is not made where no container runtime looks', () => {
    expect(syncCniFile(join(folder, 'net.d', '10-net.conf'), wish)).toEqual({
      ok: false,
      error: 'is not written: its folder is not there',
    });
  });

  test('an empty file is as good as none', () => {
    writeFileSync(join(folder, 'a.conf'), '\n');
    expect(syncCniFile(join(folder, 'a.conf'), wish)).toMatchObject({ ok: true, value: { done: 'made' } });
  });
});
