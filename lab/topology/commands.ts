/** Running programs to their end, with errors that say which program and what it printed. Impure. */

import { execFile } from 'node:child_process';

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code; -1 when a signal ended it. */
  readonly code: number;
}

/** Runs a program; a failure is an answer, not an exception. @param input text for its standard input */
export function attempt(program: string, args: readonly string[], timeoutMs = 30_000, input?: string): Promise<Output> {
  return new Promise(resolve => {
    const child = execFile(
      program,
      [...args],
      { timeout: timeoutMs, maxBuffer: 256 << 20 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ stdout, stderr: stderr === '' && error !== null ? error.message : stderr, code });
      },
    );
    if (input !== undefined) child.stdin?.end(input);
  });
}

/** Runs a program. @throws Error naming the command and what it wrote to standard error @returns standard output */
export async function run(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr, code } = await attempt(program, args);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.trim() || `exit code ${code}`}`);
  return stdout;
}

export function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

/** Asks until the answer is not undefined. @throws Error naming `what` after `timeoutMs` */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const until = performance.now() + timeoutMs;
  let problem = '';
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      problem = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() >= until) throw new Error(`${what} did not happen within ${timeoutMs / 1000} s${problem}`);
    await sleep(50);
  }
}
