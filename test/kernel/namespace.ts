/** Network namespaces for tests: made with ip(8), entered for a moment to open sockets that then stay in them. */

import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { lastErrno, libc, SyscallError } from '../../src/kernel/libc.js';

const setns = libc.func('int setns(int, int)');
const CLONE_NEWNET = 0x4000_0000;

export interface Namespace {
  readonly name: string;
  /** `ip -n NAME ARGS`; answers its output. */
  ip(args: string): string;
  /** Runs `open` with this thread in the namespace. Only sockets opened before it returns are in it: no promises. */
  inside<T>(open: () => T): T;
  remove(): void;
}

/** Makes it anew, with its loopback up. Needs root. */
export function makeNamespace(name: string): Namespace {
  const ip = (args: string): string =>
    execFileSync('ip', args.split(' '), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
  const remove = (): void => {
    try {
      ip(`netns del ${name}`);
    } catch {
      // It was not there.
    }
  };
  remove();
  ip(`netns add ${name}`);
  ip(`-n ${name} link set lo up`);
  return { name, ip: args => ip(`-n ${name} ${args}`), inside: open => inside(`/run/netns/${name}`, open), remove };
}

function inside<T>(path: string, open: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(path, 'r');
  try {
    enter(there);
    try {
      return open();
    } finally {
      enter(home);
    }
  } finally {
    closeSync(there);
    closeSync(home);
  }
}

function enter(fd: number): void {
  if (Number(setns(fd, CLONE_NEWNET)) < 0) throw new SyscallError('setns', lastErrno());
}
