/** Entering a network namespace with this thread, for the moment in which a socket is made. Impure. */

import { closeSync, openSync } from 'node:fs';
import { libc, lastErrno, SyscallError } from '../../src/kernel/libc.js';

const CLONE_NEWNET = 0x40000000;
const setns = libc.func('int setns(int fd, int type)');

/** Runs in another network namespace: sockets made meanwhile belong to it for good. @param name as `ip netns` knows it */
export function inNamespace<T>(name: string, act: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(`/var/run/netns/${name}`, 'r');
  try {
    enter(there);
    return act();
  } finally {
    enter(home);
    closeSync(there);
    closeSync(home);
  }
}

/** Makes a namespace, given as an open file, this thread's own. */
export function enter(fd: number): void {
  if (setns(fd, CLONE_NEWNET) !== 0) throw new SyscallError('setns', lastErrno());
}
