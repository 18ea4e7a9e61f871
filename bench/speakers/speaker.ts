/** A BGP speaker under test: how it is configured and started, the same job for each. */

import { spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Family } from '../../src/bgp/families.js';
import { spawnIn } from '../measure/netns.js';

/** A route reflector: feeders are ordinary iBGP peers, clients are reflected to. It never connects, only accepts. */
export interface SpeakerJob {
  readonly address: string;
  readonly asn: number;
  readonly feeders: readonly string[];
  readonly clients: readonly string[];
  /** Clients that speak only the other family and are sent nothing but keepalives. */
  readonly watchers: readonly string[];
  readonly family: Family;
  /** Seconds. */
  readonly holdTime: number;
  /** Prefixes that will be announced. */
  readonly prefixes: number;
  /** Put the best routes into the kernel's main table. */
  readonly install: boolean;
}

export interface SpeakerProgram {
  /** `name` heads a column; `key` is what --only and file names use. */
  readonly key: 'peerage' | 'bird' | 'gobgp';
  /** Name with version, as the program itself reports it. Undefined when it is not installed. */
  version(): string | undefined;
  /** @returns the command line, and files to write beside each other in `folder` first */
  prepare(job: SpeakerJob, folder: string): { command: readonly string[]; files: Readonly<Record<string, string>> };
}

export interface RunningSpeaker {
  readonly pid: number;
  readonly folder: string;
  exited(): boolean;
  /** The end of what it wrote, for error messages. */
  log(): string;
  /** @param signal SIGTERM lets it end in order */
  stop(): Promise<void>;
}

const KILL_AFTER_MS = 5000;

export function startSpeaker(program: SpeakerProgram, job: SpeakerJob, namespace: string): RunningSpeaker {
  const folder = mkdtempSync(join(tmpdir(), `peerage-bench-${program.key}-`));
  const { command, files } = program.prepare(job, folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'a');
  const child = spawnIn(namespace, command, ['ignore', log, log]);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command.join(' ')} did not start`);
  return {
    pid,
    folder,
    exited: () => child.exitCode !== null || child.signalCode !== null,
    log: () => readFileSync(logFile, 'utf8').slice(-2000),
    stop: async () => {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await gone;
  clearTimeout(kill);
}

/** First match of `pattern` in what the command prints, on either stream. */
export function versionOf(command: readonly string[], pattern: RegExp): string | undefined {
  const [program, ...args] = command;
  if (program === undefined) return undefined;
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return pattern.exec(`${stdout}${stderr}`)?.[1];
}
