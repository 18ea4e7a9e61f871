#!/usr/bin/env node
/** Entry of the `peerage` command. */

import { CommanderError } from 'commander';
import { RouterRefused, RouterUnreachable } from '../api/client.js';
import { createProgram } from './program.js';

const USAGE = 2;
const UNREACHABLE = 3;

async function main(): Promise<void> {
  const program = createProgram();
  for (const command of [program, ...program.commands.flatMap(c => [c, ...c.commands])]) command.exitOverride();
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  // Commander has printed its own message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  process.stderr.write(`peerage: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof RouterUnreachable) return UNREACHABLE;
  if (error instanceof RouterRefused || error instanceof Error) return 1;
  return 1;
}

await main();
