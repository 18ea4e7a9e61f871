/** Writes small files so that a reader finds the old text or the new one, also after a loss of power. Impure. */

import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** @returns undefined when there is no such file. @throws the system's error */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Another name beside the file, then its name: with the file's mode, and through symbolic links. @throws the system's error */
export function writeAtomically(path: string, text: string): void {
  const { target, mode } = placeOf(path);
  const folder = dirname(target);
  // No extension that a container runtime would read.
  const draft = join(folder, `.${basename(target)}.peerage-${process.pid}`);
  try {
    const file = openSync(draft, 'w', mode);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, target);
  } catch (error) {
    deleteIfThere(draft);
    throw error;
  }
  syncFolder(folder);
}

/** @returns whether there was one. @throws the system's error */
export function deleteIfThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function placeOf(path: string): { readonly target: string; readonly mode: number } {
  try {
    const target = realpathSync(path);
    return { target, mode: statSync(target).mode & 0o777 };
  } catch (error) {
    if (isMissing(error)) return { target: path, mode: 0o644 };
    throw error;
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
