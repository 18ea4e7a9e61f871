/** The CNI configuration as a file: merged and written where it changes, made where it is missing, restored at the end. Impure. */

import { existsSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import type { IpPrefix } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import { deleteIfThere, readIfThere, writeAtomically } from './atomicFile.js';
import { mergeCniConf, newCniConf, rangesOfCniConf, restoreCniConf, type CniWish } from './cniConf.js';

export interface CniFileOutcome {
  readonly done: 'made' | 'changed' | 'kept';
  /** Sentences that follow the file's name. */
  readonly complaints: readonly string[];
}

/** @returns a sentence that follows the file's name on a file that cannot be understood. @throws the system's error */
export function syncCniFile(path: string, wish: CniWish): Result<CniFileOutcome, string> {
  // Without a folder there is no container runtime to read the file.
  if (!existsSync(dirname(path))) return err('is not written: its folder is not there');
  const text = readIfThere(path);
  if (text === undefined || text.trim() === '') {
    writeAtomically(path, newCniConf(extname(path) === '.conflist', wish));
    return ok({ done: 'made', complaints: [] });
  }
  const merged = mergeCniConf(text, wish);
  if (!merged.ok) return merged;
  if (merged.value.text === text) return ok({ done: 'kept', complaints: merged.value.complaints });
  writeAtomically(path, merged.value.text);
  return ok({ done: 'changed', complaints: merged.value.complaints });
}

/** Undoes what `syncCniFile` did. @throws the system's error */
export function restoreCniFile(path: string): Result<'deleted' | 'restored' | 'untouched', string> {
  const text = readIfThere(path);
  if (text === undefined) return ok('untouched');
  const restored = restoreCniConf(text);
  if (!restored.ok) return restored;
  switch (restored.value.kind) {
    case 'delete':
      deleteIfThere(path);
      return ok('deleted');
    case 'restored':
      writeAtomically(path, restored.value.text);
      return ok('restored');
    case 'untouched':
      return ok('untouched');
  }
}

/** Networks that pods get their addresses of, before anybody else has said so. @returns none where that cannot be read */
export function rangesOfCniFile(path: string): readonly IpPrefix[] {
  try {
    return rangesOfCniConf(readIfThere(path) ?? '');
  } catch {
    return [];
  }
}
