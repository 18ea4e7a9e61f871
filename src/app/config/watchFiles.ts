/**
 * Tells when files have other contents than were read from them. Impure.
 *
 * They are polled, because a mounted ConfigMap or Secret changes by a symbolic link on the way, of which the system tells
 * nothing; and against a state taken together with the reading, so that no change is lost between that and the first look.
 */

import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

/** What the system says of each file, in order; differs when a file was written, replaced or mounted anew. */
export type FileStates = readonly string[];

/** Milliseconds between looks. A change is told when two looks have found the same: editors write in steps. */
const LOOK_INTERVAL = 150;
/** Milliseconds after which contents that could not be used are told again. */
const RETRY = 5000;

/** To be taken together with reading the files. */
export function statesOf(files: readonly string[]): FileStates {
  return files.map(file => {
    const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
    return stats === undefined ? 'absent' : [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join();
  });
}

/**
 * Calls back when the contents of one of the files have changed and then been left alone for a moment.
 * @param changed answers false when they cannot be used, and are told again and again until they can: what they lack may be in files
 * that nobody knew of, as a key that is mounted after the file that names it
 * @param since when the contents were last read; what changed after that is told, too
 * @returns a function that ends the watch
 */
export function watchFiles(
  files: readonly string[],
  changed: () => unknown,
  since: FileStates = statesOf(files),
  retryTime = RETRY,
): () => Promise<void> {
  let seen = since.join(' ');
  let isSettled = true;
  let known = contentsOf(files);
  // The contents of then are lost: whatever is there now counts as other ones.
  if (statesOf(files).join(' ') !== seen) known = '';
  let retry: NodeJS.Timeout | undefined;
  let hasEnded = false;
  const tell = async (): Promise<void> => {
    clearTimeout(retry);
    if ((await changed()) === false && !hasEnded) retry = setTimeout(() => void tell(), retryTime);
  };
  const look = (): void => {
    const states = statesOf(files).join(' ');
    const isSame = states === seen;
    seen = states;
    if (!isSame || isSettled) {
      isSettled = isSame;
      return;
    }
    isSettled = true;
    const contents = contentsOf(files);
    if (contents === known) return;
    known = contents;
    void tell();
  };
  const timer = setInterval(look, LOOK_INTERVAL);
  return () => {
    hasEnded = true;
    clearInterval(timer);
    clearTimeout(retry);
    return Promise.resolve();
  };
}

/** Tells one state of the files from another; one that cannot be read counts as absent. */
function contentsOf(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) {
    try {
      hash.update('present').update(readFileSync(file));
    } catch {
      hash.update('absent');
    }
  }
  return hash.digest('hex');
}
