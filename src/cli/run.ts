/** `peerage speaker` and `peerage agent`: commands that run until a signal ends them. */

import { Option, type Command } from 'commander';
import type { AgentOptions } from '../app/agent.js';
import type { SpeakerOptions } from '../app/speaker.js';
import { readFlags } from '../app/flags/readFlags.js';
import { keepHeapsSmall } from '../app/heapGrowth.js';
import { goBeforeHelpers } from '../app/mainThread.js';
import { keepYoungGenerationSmall } from '../app/youngGeneration.js';
import { addAgentFlags, type FlagTexts } from './agentFlags.js';

const WRONG_USAGE = 2;

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
    goBeforeHelpers();
    const { runSpeaker } = await import('../app/speaker.js');
    process.exitCode = await runSpeaker(options);
  });
  const agent = common(
    program
      .command('agent')
      .description('run on a Kubernetes node: peer, announce pods and services, install routes')
      .optionsGroup('Cluster:')
      .option(
        '--manifests <dir>',
        'folder of Kubernetes objects as kubectl prints them, instead of an API server; watched for changes',
      )
      .option('--node-name <name>', 'this node (default: $NODE_NAME, or the host name)')
      .option('-c, --config <file>', 'YAML or JSON configuration (docs/configuration.md); watched for changes')
      .optionsGroup('Process:')
      .option('--print-config', 'print what file and flags say as a configuration file, without keys, and end', false)
      .option('--cleanup-config', 'take off this node what an agent put there, and end: as peerage cleanup', false)
      .addHelpText('after', AGENT_EXAMPLES),
  );
  const texts = addAgentFlags(agent);
  agent.action(async (options: AgentCommandOptions) => {
    process.exitCode = await runAgentCommand(options, texts);
  });
}

type AgentCommandOptions = AgentOptions & { readonly cleanupConfig: boolean; readonly printConfig: boolean };

async function runAgentCommand(
  { cleanupConfig, printConfig: isPrint, ...options }: AgentCommandOptions,
  texts: FlagTexts,
): Promise<number> {
  const flags = readFlags(texts);
  if (!flags.ok) {
    process.stderr.write(`${flags.error.map(error => `peerage: ${error.message}`).join('\n')}\n`);
    return WRONG_USAGE;
  }
  if (isPrint) {
    const { printConfig } = await import('../app/printConfig.js');
    return printConfig(options.config, flags.value);
  }
  if (cleanupConfig) {
    const { runCleanup } = await import('../app/cleanupRun.js');
    return runCleanup({ ...options, flags: flags.value });
  }
  keepHeapsSmall();
  goBeforeHelpers();
  const { runAgent } = await import('../app/agent.js');
  return runAgent({ ...options, flags: flags.value });
}

const SPEAKER_EXAMPLES = `
SIGHUP reads the configuration again; SIGTERM ends. With graceful restart on,
kernel routes and the peers' routes stay in place over a restart.

Examples:
  peerage check --config rr.yaml && peerage speaker --config rr.yaml
  peerage show peers`;

const AGENT_EXAMPLES = `
Flags go before the configuration file, which can say all they say and more.
They are kube-router's, by name and meaning; docs/migrating-from-kube-router.md
lists what differs. A switch can be turned off: --enable-overlay=false.

Examples:
  peerage agent --kubeconfig ~/.kube/config --advertise-cluster-ip
  peerage agent --peer-router-ips 10.0.0.1 --peer-router-asns 64999 --print-config
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
