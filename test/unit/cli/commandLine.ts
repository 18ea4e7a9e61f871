/** Runs a command line inside this process, and gathers what it writes. */

import { createProgram } from '../../../src/cli/program.js';

export interface Run {
  readonly out: string;
  readonly err: string;
  /** What the command set or threw; the process itself maps the latter (main.ts). */
  readonly exitCode: number;
  readonly error: unknown;
}

export async function run(...args: readonly string[]): Promise<Run> {
  const written = { out: '', err: '' };
  const original = { out: process.stdout.write, err: process.stderr.write };
  const capture =
    (to: 'out' | 'err') =>
    (text: string | Uint8Array, ...rest: readonly unknown[]) => {
      written[to] += String(text);
      const done = rest.at(-1);
      if (typeof done === 'function') (done as () => void)();
      return true;
    };
  process.stdout.write = capture('out');
  process.stderr.write = capture('err');
  let error: unknown;
  try {
    const program = createProgram();
    for (const command of [program, ...program.commands.flatMap(c => [c, ...c.commands])]) command.exitOverride();
    await program.parseAsync(args, { from: 'user' });
  } catch (thrown) {
    error = thrown;
  } finally {
    process.stdout.write = original.out;
    process.stderr.write = original.err;
  }
  const exitCode = Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return { ...written, exitCode, error };
}
