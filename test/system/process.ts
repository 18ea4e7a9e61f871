/** Runs the built command (`npm run build`) as processes of its own, and gathers everything they write. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const ENTRY = 'dist/cli/main.js';

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command to its end. */
export async function peerage(...args: readonly string[]): Promise<Finished> {
  const child = spawn(process.execPath, [ENTRY, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const written = gather(child);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...written() };
}

export interface Running {
  /** What it wrote so far, logs included. */
  log(): string;
  /** @throws Error with the log when the text has not come after a minute */
  logged(text: string, times?: number): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** @returns the exit code */
  ended(): Promise<number | null>;
}

/** Starts a command that runs until it is told to end. */
export function start(...args: readonly string[]): Running {
  return follow(spawn(process.execPath, [ENTRY, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** The same in a network namespace, as root. */
export function startIn(namespace: string, ...args: readonly string[]): Running {
  const command = ['netns', 'exec', namespace, process.execPath, ENTRY, ...args];
  return follow(spawn('ip', command, { stdio: ['ignore', 'pipe', 'pipe'] }));
}

function follow(child: ChildProcess): Running {
  const written = gather(child);
  const log = (): string => written().out + written().err;
  const end = once(child, 'close').then(([code]) => code as number | null);
  return {
    log,
    logged: (text, times = 1) =>
      eventually(
        () => log().split(text).length > times,
        () => `no "${text}" (${times}) in:\n${log()}`,
      ),
    signal: name => child.kill(name),
    ended: () => end,
  };
}

/** Asks again and again until it is so. @throws Error after a minute: the machine may have other work */
export async function eventually(isSo: () => boolean | Promise<boolean>, complaint: () => string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    if (await isSo()) return;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error(complaint());
}

function gather(child: ChildProcess): () => { readonly out: string; readonly err: string } {
  const written = { out: '', err: '' };
  child.stdout?.on('data', data => (written.out += String(data)));
  child.stderr?.on('data', data => (written.err += String(data)));
  return () => written;
}
