/** `peerage drain`: asks a running router to let traffic turn away from it, and to take it back. */

import type { Command } from 'commander';
import { createControlClient } from '../api/client.js';
import { controlOption } from './controlOption.js';

export function addDrainCommand(program: Command): void {
  program
    .command('drain')
    .description('let traffic turn away: routes carry GRACEFUL_SHUTDOWN (RFC 8326)')
    .option('--off', 'take traffic back')
    .addOption(controlOption())
    .addHelpText(
      'after',
      `
Sessions and routes stay; peers that honour the community prefer other routers.
It ends with --off, or with the router.

Examples:
  peerage drain          before work on this node
  peerage drain --off    when it is done`,
    )
    .action(async ({ off, control }: { readonly off?: boolean; readonly control: string }) => {
      await createControlClient(control).post('/v1/drain', { on: off !== true });
    });
}
