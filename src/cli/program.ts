/** The command line as a whole. */

import { Command } from 'commander';
import { VERSION } from '../core/version.js';
import { addCheckCommand } from './check.js';
import { addCleanupCommand } from './cleanup.js';
import { addDrainCommand } from './drain.js';
import { addPeerCommands } from './peer.js';
import { addExplainCommand, addPolicyCommands } from './policy.js';
import { addRunCommands } from './run.js';
import { addShowCommands } from './show.js';
import { addTenantCommands } from './tenants.js';

/** Every command, ready to parse; nothing of the router is loaded before one runs. */
export function createProgram(): Command {
  const program = new Command('peerage')
    .description('A BGP router for Kubernetes: sessions, routes, and what is known of them.')
    .version(VERSION, '-V, --version')
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false })
    .showHelpAfterError('(peerage --help tells what there is)')
    .showSuggestionAfterError()
    .helpCommand(false)
    .addHelpText('after', EXAMPLES);
  program.commandsGroup('Run:');
  addRunCommands(program);
  program.commandsGroup('Look:');
  addShowCommands(program);
  addCheckCommand(program);
  addExplainCommand(program);
  addPolicyCommands(program);
  program.commandsGroup('Act:');
  addPeerCommands(program);
  addTenantCommands(program);
  addDrainCommand(program);
  addCleanupCommand(program);
  return program;
}

const EXAMPLES = `
Examples:
  peerage speaker --config tor.yaml
  peerage agent --manifests ./examples/cluster --node-name node-1
  peerage show peers
  peerage show routes 10.244.1.7 -o wide

Exit codes: 0 done, 1 refused or invalid, 2 wrong usage, 3 no router reachable.`;
