/** Keys from where the configuration says they are. Impure: files and environment. */

import { readFileSync } from 'node:fs';
import { err, ok, type Result } from '../../core/result.js';

export type PasswordSource = { readonly file: string } | { readonly env: string } | { readonly value: string };

/** TCP_MD5SIG_MAXKEYLEN of linux/tcp.h. */
const MAX_KEY = 80;

/** @returns the key, or a sentence that never contains it */
export function readPassword(source: PasswordSource): Result<string, string> {
  const read = raw(source);
  if (!read.ok) return read;
  const octets = Buffer.byteLength(read.value);
  if (octets === 0) return err(`${place(source)} is empty`);
  if (octets > MAX_KEY) return err(`the key in ${place(source)} is longer than ${MAX_KEY} octets`);
  return read;
}

function raw(source: PasswordSource): Result<string, string> {
  if ('value' in source) return ok(source.value);
  if ('env' in source) {
    const value = process.env[source.env];
    return value === undefined ? err(`environment variable ${source.env} is not set`) : ok(value);
  }
  try {
    return ok(readFileSync(source.file, 'utf8').replace(/\r?\n$/, ''));
  } catch (error) {
    return err(`cannot read ${source.file}: ${fileErrorText(error)}`);
  }
}

/** The system's message without the path, which it repeats: `ENOENT: no such file or directory, open '/path'`. */
export function fileErrorText(error: unknown): string {
  return String(error)
    .replace(/^Error: /, '')
    .replace(/, \w+( '.*')?$/, '');
}

function place(source: PasswordSource): string {
  return 'file' in source ? source.file : 'env' in source ? `environment variable ${source.env}` : 'the configuration';
}
