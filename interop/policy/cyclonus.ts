/**
 * Cyclonus' simulator of NetworkPolicy, an implementation that shares nothing with ours: the program of ./cyclonus, built by
 * scripts/buildCyclonus.sh. Impure.
 */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Cluster } from './cluster.js';

const PROGRAM = resolve('.cache/cyclonus/cyclonus');
/** Octets of output: every case with its objects and tables. */
const OUTPUT = 1 << 30;

/** What is denied, as `x/a y/b TCP 80`: the rest is allowed, but for what a pod says to itself, of which nothing is said. */
export type DeniedCells = readonly string[];

/** The cluster after a step, and what is denied at each of its pods' addresses: the first ones, the second ones. */
export type Step = Cluster & { readonly denied: readonly DeniedCells[] };

export interface TestCase {
  readonly name: string;
  readonly tags: readonly string[];
  readonly steps: readonly Step[];
}

/**
 * Every case that Cyclonus generates.
 * @param cluster what is there before each @param block an address that blocks are made around
 * @param spare addresses of pods that cases make, by `namespace/name`
 */
export function generateCases(
  cluster: Cluster,
  block: string,
  spare: Readonly<Record<string, readonly string[]>>,
): readonly TestCase[] {
  return run('cases', JSON.stringify({ ...cluster, block, spare })).map(line => JSON.parse(line) as TestCase);
}

/** @returns for each cluster what is denied at each of its pods' addresses */
export function judgeAll(clusters: readonly Cluster[]): readonly (readonly DeniedCells[])[] {
  const lines = run('judge', clusters.map(cluster => JSON.stringify(cluster)).join('\n'));
  return lines.map(line => JSON.parse(line) as readonly DeniedCells[]);
}

function run(mode: 'cases' | 'judge', input: string): readonly string[] {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: run scripts/buildCyclonus.sh`);
  const { status, signal, stdout, stderr } = spawnSync(PROGRAM, [mode], { input, encoding: 'utf8', maxBuffer: OUTPUT });
  if (status !== 0) throw new Error(`cyclonus ${mode} ended with ${status ?? signal ?? 'nothing'}: ${stderr}`);
  return stdout.trimEnd().split('\n');
}
