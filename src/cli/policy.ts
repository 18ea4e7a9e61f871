/** `peerage explain policy` and `peerage policy …`: questions about network policies, answered from manifests or by a running agent. */

import { Option, type Command } from 'commander';
import { controlOption } from './controlOption.js';

interface ExplainOptions {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly manifests?: string;
  readonly control: string;
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
    .option('--manifests <folder>', 'folder of Kubernetes objects to ask, *.yaml and *.json, in place of the agent')
    .addOption(controlOption())
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'))
    .addHelpText('after', EXPLAIN_EXAMPLES)
    .action(async ({ output, from, to, port, ...asked }: ExplainOptions) => {
      // Loaded on demand: most commands need neither schemas nor policies.
      const { explainPolicy } = await import('./policyQuestions.js');
      await explainPolicy(asked, { from, to, port }, output);
    });
}

interface MatrixOptions {
  readonly manifests?: string;
  readonly control: string;
  readonly namespace?: string;
  readonly port?: string;
  readonly output: 'table' | 'json';
}

interface TestOptions {
  readonly manifests?: string;
  readonly output: 'table' | 'json';
}

export function addPolicyCommands(program: Command): void {
  const policy = program
    .command('policy')
    .helpCommand(false)
    .description('who reaches whom, and whether it comes out as expected');
  policy
    .command('matrix')
    .description('who can reach whom, on which ports')
    .option('--manifests <folder>', 'folder of Kubernetes objects to ask, *.yaml and *.json, in place of the agent')
    .addOption(controlOption())
    .option('--namespace <namespace>', 'only what pods of this namespace receive')
    .option('--port <port/protocol>', 'only whether this port is open, as a grid')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'))
    .addHelpText('after', MATRIX_EXAMPLES)
    .action(async ({ output, manifests, control, ...scope }: MatrixOptions) => {
      const { printMatrix } = await import('./policyTrials.js');
      await printMatrix({ control, ...(manifests === undefined ? {} : { manifests }) }, scope, output);
    });
  policy
    .command('test <file>')
    .description('try expectations written in YAML (docs/network-policy.md)')
    .option('--manifests <folder>', 'folder of Kubernetes objects, in place of the one the file names')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'))
    .addHelpText('after', TEST_EXAMPLES)
    .action(async (file: string, { output, manifests }: TestOptions) => {
      const { testPolicies } = await import('./policyTrials.js');
      process.exitCode = await testPolicies(file, manifests, output);
    });
}

const MATRIX_EXAMPLES = `
Asks the running agent, or with --manifests a folder. Of a large cluster, say
--namespace: there is a line for every two pods.

Examples:
  peerage policy matrix --namespace demo
  peerage policy matrix --manifests ./cluster
  peerage policy matrix --manifests ./cluster --namespace demo --port 80/tcp`;

const TEST_EXAMPLES = `
Exit code: 0 when all came out as expected and all manifests could be read, 1
otherwise.

Examples:
  peerage policy test expectations.yaml
  peerage policy test expectations.yaml --manifests ./rendered`;

const EXPLAIN_EXAMPLES = `
Asks the running agent, which runs the firewall (--run-firewall) and knows the
whole cluster; it adds what its kernel has for pods of its own node. With
--manifests, a folder is asked: there a Deployment or another workload stands
for its pods where these are not in the folder. Where a name is ambiguous, say
namespace/service/name and the like.

Examples:
  peerage explain policy --from demo/client --to demo/web --port 80/tcp
  peerage explain policy --from demo/client --to demo/web --port 80/tcp --manifests ./cluster
  peerage explain policy --from 203.0.113.7 --to demo/pod/web-0 --port 53/udp --manifests ./cluster`;
