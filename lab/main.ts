/** `make lab`: a cluster of namespaces with a ToR, real sessions, real routes and real packets. Impure. */

import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { runStep, STEPS, type Check, type Lab } from './checks.js';
import { buildCluster, TOR } from './cluster.js';
import { startKube, type KubeCluster } from './kube/kubeCluster.js';
import { KUBE_STEPS } from './kube/kubeSteps.js';
import { PROXY_STEPS, SHOP } from './kube/proxySteps.js';
import { WebPods } from './kube/webPods.js';
import { POLICY_FILE, POLICY_STEPS } from './policySteps.js';
import { Screen } from './screen.js';
import { startTor } from './tor.js';
import { PeerageProcess } from './topology/peerage.js';
import { Topology } from './topology/topology.js';

interface Options {
  readonly tor: 'bird' | 'peerage';
  readonly check: boolean;
  readonly kube: boolean;
}

const MANIFESTS = 'examples/cluster';
const AGENT_CONFIG = 'examples/agent.yaml';
const REDRAW = 250;

async function main(): Promise<number> {
  const options = new Command('lab')
    .description('a cluster in network namespaces: three nodes on a rack, two pods each, a ToR')
    .addOption(new Option('--tor <kind>', "what plays the rack's switch").choices(['bird', 'peerage']).default('bird'))
    .option('--kube', 'feed the agents from a real API server (scripts/buildKube.sh), not from manifests', false)
    .option('--check', 'prove it, print what was measured, remove everything and exit', false)
    .parse()
    .opts<Options>();
  const screen = new Screen();
  const topology = await Topology.open('pglab');
  const interrupted = new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  try {
    const staying = screen.interactive && !options.check;
    const work = runLab(topology, options, screen, staying);
    const checks = await Promise.race([work, interrupted.then(() => undefined)]);
    if (checks === undefined) return 130;
    if (!staying) printResult(checks);
    else await interrupted;
    return checks.every(check => check.ok) ? 0 : 1;
  } finally {
    await topology.close();
    if (screen.interactive) console.log('everything is removed');
  }
}

async function runLab(topology: Topology, options: Options, screen: Screen, staying: boolean): Promise<Check[]> {
  console.log('building three nodes, six pods and a ToR from examples/cluster …');
  const cluster = await buildCluster(topology, MANIFESTS);
  const tor = startTor(options.tor, topology, cluster.nodes);
  const kube = options.kube ? await startKube(topology, MANIFESTS) : undefined;
  const web = kube === undefined ? undefined : await WebPods.start(topology, cluster);
  const config = agentConfig(kube);
  const startedAt = performance.now();
  const agents = new Map(
    cluster.nodes.map(node => [
      node.name,
      PeerageProcess.agent(topology, node.name, {
        node: node.name,
        config,
        ...(kube === undefined ? { manifests: cluster.manifests } : {}),
      }),
    ]),
  );
  const lab: Lab = {
    topology,
    cluster,
    tor,
    agents,
    startedAt,
    ...(kube === undefined ? {} : { kube }),
    ...(web === undefined ? {} : { web }),
  };
  const checks: Check[] = [];
  let now: readonly string[] = [];
  screen.begin();
  const redraw = setInterval(() => void drawNow(lab, checks, now, screen), REDRAW);
  // Somebody who stays goes on looking until everything is removed.
  redraw.unref();
  // The last step takes a node away: not what somebody who stays wants to look at.
  const steps = [
    ...STEPS.slice(0, -1),
    ...POLICY_STEPS,
    ...(kube === undefined ? [] : [...KUBE_STEPS, ...PROXY_STEPS]),
    ...STEPS.slice(-1),
  ];
  for (const step of staying ? steps.slice(0, -1) : steps) {
    now = [`…  ${step.what}`];
    checks.push(await runStep(step, lab));
    if (!screen.interactive) console.log(lines(checks.at(-1)!));
  }
  now = hints(lab);
  if (!staying) clearInterval(redraw);
  return checks;
}

/** What every node runs with; behind an API server also where that is, and that services are served and announced. */
function agentConfig(kube: KubeCluster | undefined): string {
  const config = parse(readFileSync(AGENT_CONFIG, 'utf8')) as { readonly kubernetes: object };
  const own = { ...config.kubernetes, run: { firewall: true, serviceProxy: kube !== undefined } };
  if (kube === undefined) return stringify({ ...config, kubernetes: own });
  const { adminConfig: kubeconfig } = kube.plane;
  const kubernetes = {
    ...own,
    kubeconfig,
    advertise: { clusterIp: true, externalIp: true },
    services: { externalIpRanges: ['203.0.113.0/24'] },
  };
  return stringify({ ...config, kubernetes });
}

async function drawNow(
  { cluster, agents, tor }: Lab,
  checks: readonly Check[],
  now: readonly string[],
  screen: Screen,
): Promise<void> {
  if (!screen.interactive) return;
  const quiet = <T>(promise: Promise<T>, otherwise: T): Promise<T> => promise.catch(() => otherwise);
  const nodes = await Promise.all(
    cluster.nodes.map(async node => {
      const agent = agents.get(node.name)!;
      const routes = await quiet(agent.fib(), []);
      return {
        node,
        peers: await quiet(agent.peers(), []),
        routes: routes.filter(route => route.state === 'installed').length,
      };
    }),
  );
  screen.show({ torKind: tor.kind, torSessions: await quiet(tor.sessions(), 0), nodes, checks, now });
}

function hints(lab: Lab): string[] {
  const { topology, cluster, agents, tor, kube } = lab;
  const [node] = cluster.nodes;
  const pods = cluster.nodes.flatMap(n => n.pods);
  const control = agents.get(node!.name)!.control;
  return [
    'Try, in another terminal:',
    `  node dist/cli/main.js show peers --control ${control}`,
    `  node dist/cli/main.js show routes --control ${control}`,
    `  ${tor.hint}`,
    `  ip -n ${topology.name(node!.name)} route`,
    `  ip netns exec ${topology.name(pods[0]!.name)} ping ${pods.at(-1)!.addresses[0]!}`,
    ...(kube === undefined ? [] : serviceHints(topology, control)),
    ...policyHints(lab, control),
    kube === undefined
      ? `Manifests to edit: ${cluster.manifests}`
      : `  ip netns exec ${topology.name('api')} kubectl --kubeconfig ${kube.plane.adminConfig} get nodes,services -A`,
    'Ctrl-C removes everything.',
  ];
}

function serviceHints(topology: Topology, control: string): readonly string[] {
  return [
    `  node dist/cli/main.js show service demo/${SHOP.name} --control ${control}`,
    `  ip netns exec ${topology.name(TOR)} curl http://${SHOP.external}    (again and again: another pod)`,
  ];
}

/** Shuts clients out of the pods `web`; what denies them is asked of the node of the first. */
function policyHints({ topology, cluster, kube }: Lab, control: string): readonly string[] {
  const [to, from] = ['web', 'client'].map((kind, i) =>
    cluster.nodes[i]!.pods.find(({ name }) => name.startsWith(kind)),
  );
  if (to === undefined || from === undefined) return [];
  const apply =
    kube === undefined
      ? `cp ${POLICY_FILE} ${cluster.manifests}/`
      : `ip netns exec ${topology.name('api')} kubectl --kubeconfig ${kube.plane.adminConfig} apply -f ${POLICY_FILE}`;
  const ends = `--from demo/${from.name} --to demo/${to.name} --port 8080/tcp`;
  return [`  ${apply}    (shuts clients out)`, `  node dist/cli/main.js explain policy ${ends} --control ${control}`];
}

function printResult(checks: readonly Check[]): void {
  const table = new Table({
    head: ['', 'what', 'measured'],
    style: { head: [], border: [] },
    colWidths: [6, 48, 62],
    wordWrap: true,
  });
  for (const { ok, what, measured } of checks) table.push([ok ? 'pass' : 'FAIL', what, measured]);
  console.log(`\n${table.toString()}`);
  const failed = checks.filter(check => !check.ok).length;
  console.log(
    failed === 0 ? `the lab works: ${checks.length} of ${checks.length}` : `${failed} of ${checks.length} FAILED`,
  );
}

function lines({ ok, what, measured, shows = [] }: Check): string {
  return [`${ok ? 'pass' : 'FAIL'}  ${what}: ${measured}`, ...shows.map(text => `      ${text}`)].join('\n');
}

process.exitCode = await main();
