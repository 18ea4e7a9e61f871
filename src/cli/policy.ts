/** `peerage explain policy` and `peerage policy …`: questions about network policies, answered from manifests. */

import { Option, type Command } from 'commander';

interface ExplainOptions {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly manifests: string;
  readonly output: 'table' | 'json';
}

export function addExplainCommand(program: Command): void {
  const explain = program.command('explain').helpCommand(false).description('say why something is as it is');
  explain
    .command('policy')
    .description('say whether a connection is allowed, and which rule of which policy decides')
    .requiredOption('--from <end>', 'who connects: namespace/pod, or an address')
    .requiredOption('--to <end>', 'to whom: namespace/pod, namespace/service, or an address')
    .requiredOption('--port <port/protocol>', 'such as 80/tcp')
    .requiredOption('--manifests <folder>', 'folder of Kubernetes objects, *.yaml and *.json')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'))
    .addHelpText('after', EXPLAIN_EXAMPLES)
    .action(async ({ output, ...question }: ExplainOptions) => {
      // Loaded on demand: most commands need neither schemas nor policies.
      const { explainPolicy } = await import('./policyQuestions.js');
      await explainPolicy(question, output);
    });
}

const EXPLAIN_EXAMPLES = `
A Deployment or another workload stands for its pods where these are not in the
folder. Where a name is ambiguous, say namespace/service/name and the like.

Examples:
  peerage explain policy --from demo/client --to demo/web --port 80/tcp --manifests ./cluster
  peerage explain policy --from 203.0.113.7 --to demo/pod/web-0 --port 53/udp --manifests ./cluster`;
