/** Namespaces for the TCP tests: made with ip(8), entered by this thread for the moment in which a socket is made. */

import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { enter } from '../../lab/topology/inNamespace.js';

export function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Runs in another network namespace for as long as the promise takes. */
export async function whileInNamespace(name: string, act: () => Promise<void>): Promise<void> {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(`/var/run/netns/${name}`, 'r');
  try {
    enter(there);
    await act();
  } finally {
    enter(home);
    closeSync(there);
    closeSync(home);
  }
}

/** Removes namespaces of an earlier run that was killed, or of this one. */
export function removeNamespaces(names: readonly string[]): void {
  for (const name of names) {
    try {
      ip('netns', 'del', name);
    } catch {
      // It was not there.
    }
  }
}

/** Two namespaces joined by a veth pair; the addresses are given with their prefix length. */
export function joinNamespaces(
  left: { readonly name: string; readonly link: string; readonly addresses: readonly string[] },
  right: { readonly name: string; readonly link: string; readonly addresses: readonly string[] },
): void {
  ip('link', 'add', left.link, 'netns', left.name, 'type', 'veth', 'peer', 'name', right.link, 'netns', right.name);
  for (const end of [left, right]) {
    for (const address of end.addresses) {
      const plain = address.includes(':') ? ['nodad'] : [];
      ip('-n', end.name, 'address', 'add', address, 'dev', end.link, ...plain);
    }
    ip('-n', end.name, 'link', 'set', end.link, 'up');
    ip('-n', end.name, 'link', 'set', 'lo', 'up');
  }
}

/** Waits until the condition holds. @throws Error that says what was waited for */
export async function until(what: string, holds: () => boolean, milliseconds = 60_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`timeout: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}
