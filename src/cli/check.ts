/** `peerage check`: is a configuration good, and what does it come to? */

import type { Command } from 'commander';

interface CheckOptions {
  readonly config: string;
  readonly agent: boolean;
}

export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description('check a configuration file and print what it comes to')
    .requiredOption('-c, --config <file>', 'YAML or JSON configuration (docs/configuration.md)')
    .option('--agent', 'the file is for peerage agent, not for peerage speaker', false)
    .addHelpText('after', EXAMPLES)
    .action(async ({ config, agent }: CheckOptions) => {
      // Loaded on demand: `show` needs no schema.
      const { checkConfig } = await import('./checkConfig.js');
      process.exitCode = await checkConfig(config, agent);
    });
}

const EXAMPLES = `
Exit code: 0 when the file is good, 1 when it has mistakes, each with its line.

Examples:
  peerage check --config rr.yaml
  peerage check --agent --config agent.yaml`;
