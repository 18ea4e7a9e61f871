/** Reads what libcni keeps of the pods it attached, and tells when that changes. Impure: files. */

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { watch } from 'chokidar';
import { parseCniResult } from '../../policy/antiSpoof/cniResult.js';
import type { DatedAttachment } from '../../policy/antiSpoof/podLinks.js';

export interface FoundAttachments {
  readonly attachments: readonly DatedAttachment[];
  /** Sentences: files that cannot be read, or the folder. */
  readonly complaints: readonly string[];
}

/** @returns what all files of the folder say; rejects when the folder cannot be read */
export async function readAttachments(folder: string): Promise<FoundAttachments> {
  const attachments: DatedAttachment[] = [];
  const complaints: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const file = join(folder, name);
    try {
      const writtenAt = (await stat(file)).mtimeMs;
      const parsed = parseCniResult(await readFile(file, 'utf8'));
      if (!parsed.ok) complaints.push(`${name} ${parsed.error}`);
      else if (parsed.value !== undefined) attachments.push({ ...parsed.value, writtenAt });
    } catch (error) {
      // Between listing and reading, a pod may have gone.
      if (!isAbsence(error)) complaints.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { attachments, complaints };
}

function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Calls back at every change of a file in the folder. @returns a function that ends the watch */
export function watchAttachments(folder: string, changed: () => void): () => Promise<void> {
  const watcher = watch(folder, { depth: 0, ignoreInitial: true });
  watcher.on('all', changed);
  // Where the system has no watches left, the look once a minute remains.
  watcher.on('error', () => undefined);
  return () => watcher.close();
}
