/** The C library through koffi: the one place that loads it. Callers declare the functions they need beside their use. */

import koffi, { type LibraryHandle } from 'koffi';

export const libc: LibraryHandle = koffi.load('libc.so.6');

/** A system call that failed, with the call and the symbolic errno in its message. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  constructor(
    readonly call: string,
    readonly errno: number,
  ) {
    super(`${call}: ${errnoName(errno)}`);
  }
}

/** errno of the last koffi call on this thread. */
export function lastErrno(): number {
  return koffi.errno();
}

/** `EEXIST` and the like; the number itself for one without a name. */
export function errnoName(errno: number): string {
  const found = Object.entries(koffi.os.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `errno ${errno}`;
}
