/** `peerage agent --print-config`: what file and flags say, as a configuration file, without keys. */

import { stringify } from 'yaml';
import { formatConfigErrors } from './config/configError.js';
import type { GivenFlags } from './flags/flag.js';
import { loadAgentConfig } from './kubeConfigFile.js';

/** Stands for every key. It is no valid one: a printed file must be completed before it is used. */
const HIDDEN = 'HIDDEN: name a file or a variable here';

/** Prints to standard output. @returns the exit code */
export function printConfig(file: string | undefined, flags: GivenFlags): number {
  const loaded = loadAgentConfig(file, flags);
  if (!loaded.ok) {
    process.stderr.write(`${formatConfigErrors(loaded.error)}\n`);
    return 1;
  }
  process.stdout.write(configText(loaded.value.said));
  return 0;
}

/** A configuration as YAML with every key hidden. Empty where nothing was said. */
export function configText(said: unknown): string {
  if (typeof said !== 'object' || said === null || Object.keys(said).length === 0) return '';
  return stringify(said, (key, value: unknown) => (key === 'password' && value !== undefined ? HIDDEN : value));
}
