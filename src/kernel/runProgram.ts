/** Runs a program of the system to its end. Impure: in the network namespace of this process. */

import { execFile } from 'node:child_process';

/** It cannot be run, or says that it failed. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
  constructor(
    message: string,
    /** It is not installed. */
    readonly isMissing: boolean,
  ) {
    super(message);
  }
}

/** A table of 5,000 nodes in two families is about half a megabyte. */
const LARGEST_ANSWER = 64 << 20;
/** Milliseconds. */
const TIME_LIMIT = 30_000;

/**
 * @param command the program, perhaps behind others such as `ip netns exec NAME`  @param input for its standard input
 * @returns what it printed; rejects with ProgramError
 */
export function runProgram(command: readonly string[], args: readonly string[], input = ''): Promise<string> {
  const [program = '', ...first] = command;
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, LC_ALL: 'C' }, maxBuffer: LARGEST_ANSWER, timeout: TIME_LIMIT };
    const child = execFile(program, [...first, ...args], options, (error, out, complaint) => {
      if (error === null) resolve(out);
      else reject(failure(program, error, complaint));
    });
    // A program that cannot be run, or that ends early, closes the pipe: its own error says why.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

function failure(program: string, error: Error & { readonly code?: unknown }, complaint: string): ProgramError {
  if (error.code === 'ENOENT') return new ProgramError(`${program} is not installed on this machine`, true);
  const [first = '', second = ''] = complaint.split('\n');
  const detail = second.trim() === '' ? '' : ` (${second.trim().slice(0, 100)})`;
  return new ProgramError(complaint === '' ? error.message : `${first.slice(0, 300)}${detail}`, false);
}
