/** `peerage cleanup`: takes what is ours off a node. */

import { Option, type Command } from 'commander';
import type { CleanupOptions } from '../app/cleanupRun.js';

export function addCleanupCommand(program: Command): void {
  program
    .command('cleanup')
    .description("take off this node what an agent put there: routes, tunnels, rules, egress, the pods' bridge, …")
    .option('-c, --config <file>', "the agent's configuration, where it has one")
    .addOption(
      new Option(
        '--control <path>',
        'control socket (default: from the configuration, or /run/peerage/control.sock)',
      ).env('PEERAGE_CONTROL'),
    )
    .addHelpText('after', EXAMPLES)
    .action(async (options: CleanupOptions) => {
      // Loaded on demand: `show` needs no kernel.
      const { runCleanup } = await import('../app/cleanupRun.js');
      process.exitCode = await runCleanup(options);
    });
}

const EXAMPLES = `
Refuses while a router runs. Removes routes of our protocol in our table,
tunnels and rules of the overlay, the nftables table peerage_egress, our rules
in FORWARD, and the bridge if we made it and no pod is on it; what serves
services, and what keeps pods apart or limits them; puts the CNI configuration
and kernel switches back. Nothing of others is touched. What had to be left is
told on standard error, with exit code 1.

Examples:
  peerage cleanup
  peerage cleanup --config agent.yaml`;
