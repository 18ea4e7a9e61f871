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
  writeFileSync,
} from 'node:fs';
import { open, rename } from 'node:fs/promises';
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
  const draft = draftOf(target, 'now');
  try {
    const file = openSync(draft, 'w', mode);
    try {
      // Not writeSync: on a full disk that writes a part, and is content.
      writeFileSync(file, text);
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

/** The same on threads of the pool: a disk may take half a second. @throws the system's error */
export async function writeAtomicallyAside(path: string, text: string): Promise<void> {
  const { target, mode } = placeOf(path);
  const draft = draftOf(target, 'aside');
  try {
    const file = await open(draft, 'w', mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, target);
  } catch (error) {
    deleteIfThere(draft);
    throw error;
  }
  const folder = await open(dirname(target), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Another name in the same folder. No extension that a container runtime would read. */
function draftOf(target: string, who: string): string {
  return join(dirname(target), `.${basename(target)}.peerage-${process.pid}-${who}`);
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
