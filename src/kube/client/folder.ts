/** One look at a folder of manifests: which files changed since the last, read and turned into changes of objects. */

import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { err, type Result } from '../../core/result.js';
import { mergeBatches, type ObjectBatch } from '../objectBatch.js';
import type { ProblemReport } from '../problems.js';
import { parseManifest, type FileComplaint, type ParsedManifest } from './manifestFile.js';
import { createManifestSet, type ManifestDelta } from './manifestSet.js';

/** What every source of objects tells: changes, and what it found wrong on the way. */
export interface SourceEvent {
  readonly batch: ObjectBatch;
  readonly problems: ProblemReport;
}

export interface Look extends SourceEvent {
  /** Some file is being written at this moment: look again soon. */
  readonly unsettled: boolean;
}

export interface ManifestFolder {
  /**
   * Compares the tree with what is known and reads what is new.
   * @param quietTime milliseconds a file must have been left alone before it is read; 0 reads all at once
   * @throws the system's error when the folder itself cannot be read and never could
   */
  look(quietTime: number): Promise<Look>;
}

const MANIFEST = /\.(ya?ml|json)$/i;

export function openFolder(directory: string): ManifestFolder {
  const set = createManifestSet();
  /** Tells one state of a file from the next without reading it. */
  const stamps = new Map<string, string>();
  let known: readonly string[] = [];
  let readable = false;
  let lastFolderText = '';

  /** @returns undefined when the file is to be left for the next look */
  const lookAt = async (path: string, quietTime: number): Promise<ManifestDelta | undefined | 'unsettled'> => {
    const before = await stampOf(join(directory, path));
    if (before.stamp === stamps.get(path)) return undefined;
    const age = Date.now() - before.changedAt;
    // A time in the future (a clock that was set back) must not put the file off for ever.
    if (age >= 0 && age < quietTime) return 'unsettled';
    const parsed = await parseFile(join(directory, path));
    const after = await stampOf(join(directory, path));
    if (after.stamp !== before.stamp) return 'unsettled';
    // What could not be read is tried again at every look.
    if (before.stamp !== UNREADABLE) stamps.set(path, before.stamp);
    return set.replace(path, parsed);
  };

  /** The folder's own problem, when it is another than at the last look. */
  const folderReport = (text: string): ProblemReport => {
    if (text === lastFolderText) return new Map();
    lastFolderText = text;
    return new Map([['folder', text === '' ? [] : [{ subject: `folder ${directory}`, text }]]]);
  };

  return {
    look: async quietTime => {
      const listed = await listFiles(directory);
      if (!listed.ok) {
        if (!readable) throw listed.error;
        // A folder that vanished takes its objects along only when it comes back without them.
        return lookOf([], folderReport(`${listed.error.message}; all objects stay in force`), false);
      }
      readable = true;
      const paths = listed.value;
      const present = new Set(paths);
      const gone = known.filter(path => !present.has(path));
      known = paths;
      for (const path of gone) stamps.delete(path);
      const deltas: ManifestDelta[] = [];
      let unsettled = false;
      for (const path of paths) {
        const delta = await lookAt(path, quietTime);
        if (delta === 'unsettled') unsettled = true;
        else if (delta !== undefined) deltas.push(delta);
      }
      // After what is new, so that an object that moved to another file is there all along.
      deltas.push(...gone.map(path => set.replace(path, undefined)));
      return lookOf(deltas, folderReport(paths.length === 0 ? 'has no *.yaml, *.yml or *.json' : ''), unsettled);
    },
  };
}

function lookOf(deltas: readonly ManifestDelta[], folder: ProblemReport, unsettled: boolean): Look {
  return {
    batch: mergeBatches([
      { changes: new Map(), synced: true },
      ...deltas.map(({ changes }) => ({ changes, synced: true })),
    ]),
    problems: new Map([...folder, ...deltas.flatMap(delta => [...delta.problems])]),
    unsettled,
  };
}

/** Relative paths, sorted. What begins with a dot is an editor's or a ConfigMap's own business; linked files are followed. */
export async function listFiles(directory: string): Promise<Result<readonly string[], Error>> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter(entry => !entry.isDirectory() && MANIFEST.test(entry.name))
      .map(entry => relative(directory, join(entry.parentPath, entry.name)))
      .filter(path => !path.split('/').some(part => part.startsWith('.')));
    return { ok: true, value: paths.sort() };
  } catch (error) {
    return err(error instanceof Error ? error : new Error(String(error)));
  }
}

const UNREADABLE = 'unreadable';

async function stampOf(path: string): Promise<{ readonly stamp: string; readonly changedAt: number }> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return { stamp: `${ino} ${size} ${mtimeMs}`, changedAt: mtimeMs };
  } catch {
    return { stamp: UNREADABLE, changedAt: 0 };
  }
}

async function parseFile(path: string): Promise<Result<ParsedManifest, FileComplaint>> {
  try {
    return parseManifest(await readFile(path, 'utf8'));
  } catch (error) {
    return err({
      key: undefined,
      line: 1,
      text: `cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
}
