/** What the `peerage` command does from its arguments to its exit code. Impure. */

import { CommanderError } from 'commander';
import { RouterUnreachable } from '../api/client.js';
import { createProgram } from './program.js';

const NEGATIVE = 1;
const USAGE = 2;
const UNREACHABLE = 3;

/** Runs what the command line asks for, to its end. */
export async function runCommand(): Promise<void> {
  // Commander's help is written to the same stream, so this stands before everything.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  const program = createProgram();
  for (const command of [program, ...program.commands.flatMap(c => [c, ...c.commands])]) command.exitOverride();
  try {
    await program.parseAsync();
  } catch (error) {
    // At once: parts of a router that could not start as a whole would keep the process alive, and look healthy.
    process.exit(report(error));
  }
}

function report(error: unknown): number {
  if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return 0;
  // Commander has printed its own message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  process.stderr.write(`peerage: ${error instanceof Error ? error.message : String(error)}\n`);
  return error instanceof RouterUnreachable ? UNREACHABLE : NEGATIVE;
}
