/** Entering another network namespace with this thread, for the moment in which sockets are opened or switches are set. Impure. */

import { closeSync, openSync } from 'node:fs';
import { lastErrno, libc, SyscallError } from './libc.js';

const CLONE_NEWNET = 0x40000000;
const setns = libc.func('int setns(int fd, int type)');

/**
 * Runs there, and comes back: sockets opened meanwhile belong to that namespace for good. No promises: whatever runs later
 * runs at home.
 * @param path such as `/run/netns/NAME`, or `/proc/PID/ns/net`
 * @throws the system's error when the path cannot be opened; SyscallError when it cannot be entered
 */
export function insideNamespace<T>(path: string, act: () => T): T {
  const there = openSync(path, 'r');
  try {
    const home = openSync('/proc/thread-self/ns/net', 'r');
    try {
      enterNamespace(there);
      try {
        return act();
      } finally {
        enterNamespace(home);
      }
    } finally {
      closeSync(home);
    }
  } finally {
    closeSync(there);
  }
}

/** Makes a namespace, given as an open file, this thread's own. @throws SyscallError */
export function enterNamespace(fd: number): void {
  if (setns(fd, CLONE_NEWNET) !== 0) throw new SyscallError('setns', lastErrno());
}
