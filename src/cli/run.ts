/** `peerage speaker` and `peerage agent`: commands that run until a signal ends them. */

import { Option, type Command } from 'commander';
import type { AgentOptions } from '../app/agent.js';
import type { SpeakerOptions } from '../app/speaker.js';
import { keepYoungGenerationSmall } from '../app/youngGeneration.js';

export function addRunCommands(program: Command): void {
  common(
    program
      .command('speaker')
      .description('run the BGP engine alone: a router, or a route reflector')
      .requiredOption('-c, --config <file>', 'YAML or JSON configuration (docs/configuration.md); watched for changes')
      .addHelpText('after', SPEAKER_EXAMPLES),
  ).action(async (options: SpeakerOptions) => {
    // Loaded on demand: `show` needs neither kernel nor BGP.
    keepYoungGenerationSmall();
    const { runSpeaker } = await import('../app/speaker.js');
    process.exitCode = await runSpeaker(options);
  });
  common(
    program
      .command('agent')
      .description('run on a Kubernetes node: peer, advertise pod CIDRs, install routes')
      .optionsGroup('Cluster:')
      .option(
        '--manifests <dir>',
        'folder of Kubernetes objects as kubectl prints them, instead of an API server; watched for changes',
      )
      .addOption(new Option('--node-name <name>', 'this node').env('NODE_NAME'))
      .optionsGroup('BGP:')
      .option('-c, --config <file>', 'YAML or JSON configuration (docs/configuration.md); watched for changes')
      .optionsGroup('Process:')
      .option('--cleanup-config', 'take off this node what an agent put there, and end: as peerage cleanup', false)
      .addHelpText('after', AGENT_EXAMPLES),
  ).action(async ({ cleanupConfig, ...options }: AgentOptions & { readonly cleanupConfig: boolean }) => {
    if (cleanupConfig) {
      const { runCleanup } = await import('../app/cleanupRun.js');
      process.exitCode = await runCleanup(options);
      return;
    }
    const { runAgent } = await import('../app/agent.js');
    process.exitCode = await runAgent(options);
  });
}

const SPEAKER_EXAMPLES = `
SIGHUP reads the configuration again; SIGTERM ends. With graceful restart on,
kernel routes and the peers' routes stay in place over a restart.

Examples:
  peerage check --config rr.yaml && peerage speaker --config rr.yaml
  peerage show peers`;

const AGENT_EXAMPLES = `
Examples:
  peerage agent --manifests ./examples/cluster --node-name node-1
  kubectl get nodes,pods,services,endpointslices -A -o yaml > state/all.yaml
  peerage agent --manifests ./state --config agent.yaml`;

function common(command: Command): Command {
  return command
    .optionsGroup('Process:')
    .addOption(
      new Option(
        '--control <path>',
        'control socket (default: from the configuration, or /run/peerage/control.sock)',
      ).env('PEERAGE_CONTROL'),
    )
    .option(
      '--withdraw-on-exit',
      'on SIGTERM end all sessions with Cease and remove our kernel routes, even with graceful restart',
      false,
    )
    .addOption(
      new Option('--log-level <level>', 'log level (default: from the configuration, or info)').choices([
        'fatal',
        'error',
        'warn',
        'info',
        'debug',
        'trace',
      ]),
    )
    .addOption(
      new Option('--log-format <format>', 'log format (default: pretty on a terminal, else json)').choices([
        'json',
        'pretty',
      ]),
    );
}
