/** What the lab proves, step by step: each step measures something and says whether it is as it should be. Impure. */

import { readFileSync, writeFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { TOR, type LabCluster, type LabNode, type LabPod } from './cluster.js';
import type { KubeCluster } from './kube/kubeCluster.js';
import type { WebPods } from './kube/webPods.js';
import type { Tor } from './tor.js';
import { sleep, waitFor } from './topology/commands.js';
import type { PeerageProcess } from './topology/peerage.js';
import { askEchoes, ping, PingStream, RouteMonitor, startEcho } from './topology/probes.js';
import type { Topology } from './topology/topology.js';

export interface Check {
  readonly what: string;
  readonly ok: boolean;
  readonly measured: string;
  /** Commands that were run for it and what they printed, for people to read. */
  readonly shows?: readonly string[];
}

/** The running lab. */
export interface Lab {
  readonly topology: Topology;
  readonly cluster: LabCluster;
  readonly tor: Tor;
  /** By node name. */
  readonly agents: ReadonlyMap<string, PeerageProcess>;
  /** The API server behind the agents; absent: they are fed by the manifests. */
  readonly kube?: KubeCluster;
  /** What answers behind its services. */
  readonly web?: WebPods;
  /** When the agents were started, as performance.now() counts. */
  readonly startedAt: number;
}

/** Seconds a step may take before it counts as failed. */
const PATIENCE = 60_000;

export interface Step {
  readonly what: string;
  /** What it throws is its failure. */
  readonly run: (lab: Lab) => Promise<Omit<Check, 'what'>>;
}

export const STEPS: readonly Step[] = [
  { what: 'all sessions up (node mesh and ToR)', run: sessionsUp },
  { what: 'pod routes in the kernels of all nodes and of the ToR', run: routesInstalled },
  { what: 'pod to pod across nodes, every pair (ping)', run: podsPing },
  { what: 'pod to pod across nodes, every pair (TCP)', run: podsTalk },
  { what: 'ToR to every pod (ping and TCP)', run: torReachesPods },
  { what: 'agent killed and restarted under traffic: no packet lost, no route touched', run: restartUnnoticed },
  { what: 'node removed from the cluster: its routes vanish from the others', run: nodeLeaves },
];

export async function runStep(step: Step, lab: Lab): Promise<Check> {
  try {
    return { what: step.what, ...(await step.run(lab)) };
  } catch (error) {
    return { what: step.what, ok: false, measured: error instanceof Error ? error.message : String(error) };
  }
}

async function sessionsUp({ agents, tor, cluster, startedAt }: Lab): Promise<Omit<Check, 'what'>> {
  const wanted = cluster.nodes.length;
  await waitFor('all sessions', PATIENCE, async () => {
    const counts = await Promise.all([...agents.values()].map(established));
    return counts.every(count => count === wanted) && (await tor.sessions()) === wanted ? true : undefined;
  });
  return {
    ok: true,
    measured: `${(wanted * (wanted - 1)) / 2 + wanted} sessions, ${since(startedAt)} after the start of the agents`,
  };
}

/** Each node peers with every other and with the ToR. */
async function established(agent: PeerageProcess): Promise<number> {
  return (await agent.peers()).filter(peer => peer.state === 'Established').length;
}

async function routesInstalled(lab: Lab): Promise<Omit<Check, 'what'>> {
  const { cluster, startedAt } = lab;
  let count = 0;
  for (const host of [...cluster.nodes.map(node => node.name), TOR]) {
    const wanted = cluster.nodes.filter(node => node.name !== host).flatMap(node => node.podCidrs);
    await waitFor(`routes to ${wanted.join(' ')} on ${host}`, PATIENCE, async () => {
      const routes = await routesOf(lab, host);
      return wanted.every(prefix => routes.includes(`${prefix} via`)) ? true : undefined;
    });
    count += wanted.length;
  }
  return { ok: true, measured: `${count} routes, ${since(startedAt)} after the start of the agents` };
}

async function routesOf({ topology }: Lab, host: string): Promise<string> {
  return (await topology.ip(host, '-4', 'route')) + (await topology.ip(host, '-6', 'route'));
}

async function podsPing({ topology, cluster }: Lab): Promise<Omit<Check, 'what'>> {
  const results = await Promise.all(
    pairs(cluster.nodes).flatMap(([from, to]) => to.addresses.map(address => ping(topology, from.name, address, 2))),
  );
  const sent = results.reduce((sum, result) => sum + result.sent, 0);
  const received = results.reduce((sum, result) => sum + result.received, 0);
  const average = results.reduce((sum, result) => sum + result.averageMs, 0) / results.length;
  return {
    ok: sent > 0 && sent === received,
    measured: `${received} of ${sent} answered over ${results.length} paths, ${average.toFixed(2)} ms on average`,
  };
}

async function podsTalk({ topology, cluster }: Lab): Promise<Omit<Check, 'what'>> {
  const pods = cluster.nodes.flatMap(node => node.pods);
  for (const pod of pods) startEcho(topology, pod.name, pod.addresses);
  let good = 0;
  let all = 0;
  for (const from of pods) {
    const targets = pods.filter(pod => pod.node !== from.node).flatMap(pod => pod.addresses);
    good += await askAll(topology, from.name, targets);
    all += targets.length;
  }
  return { ok: good === all, measured: `${good} of ${all} connections, IPv4 and IPv6` };
}

/** Asks until all answer: the services may have only just been started. @returns how many did in the end */
async function askAll(topology: Topology, from: string, targets: readonly string[]): Promise<number> {
  let good = 0;
  for (let tries = 0; tries < 10 && good < targets.length; tries++) good = await askEchoes(topology, from, targets);
  return good;
}

async function torReachesPods({ topology, cluster }: Lab): Promise<Omit<Check, 'what'>> {
  const targets = cluster.nodes.flatMap(node => node.pods).flatMap(pod => pod.addresses);
  const pings = await Promise.all(targets.map(address => ping(topology, TOR, address, 2)));
  const answered = pings.filter(result => result.received === 2).length;
  const talked = await askAll(topology, TOR, targets);
  return {
    ok: answered === targets.length && talked === targets.length,
    measured: `${answered} pings and ${talked} connections to ${targets.length} addresses`,
  };
}

/** Acceptance of graceful restart: kill -9 of one agent while packets flow between its pods and another node's. */
async function restartUnnoticed({ topology, cluster, agents }: Lab): Promise<Omit<Check, 'what'>> {
  const [victim, other] = cluster.nodes;
  if (victim === undefined || other === undefined) throw new Error('the lab needs two nodes');
  const agent = agents.get(victim.name)!;
  const foreign = cluster.nodes.filter(node => node !== victim).flatMap(node => node.podCidrs);
  const monitors = [
    { monitor: RouteMonitor.start(topology, victim.name), prefixes: foreign },
    { monitor: RouteMonitor.start(topology, other.name), prefixes: victim.podCidrs },
    { monitor: RouteMonitor.start(topology, TOR), prefixes: victim.podCidrs },
  ];
  const streams = other.pods[0]!.addresses.map(address =>
    PingStream.start(topology, victim.pods[0]!.name, address, 0.02),
  );
  streams.push(...victim.pods[0]!.addresses.map(address => PingStream.start(topology, TOR, address, 0.02)));
  await sleep(500);
  await agent.program.end('SIGKILL');
  await sleep(1000);
  const killed = performance.now();
  agent.restart();
  await waitFor('the sessions of the restarted agent', PATIENCE, async () =>
    (await established(agent)) === cluster.nodes.length ? true : undefined,
  );
  const back = since(killed);
  // Stale paths are swept, and kernel routes settled, in the seconds after.
  await waitFor('the end of the restart', PATIENCE, async () => {
    const peers = await Promise.all((await agent.peers()).map(peer => agent.peer(peer.name)));
    const told = peers.every(peer => Object.values(peer.received).some(n => n > 0));
    return told && peers.every(peer => peer.gracefulRestart.stalePaths === 0) ? true : undefined;
  });
  await sleep(3500);
  const results = await Promise.all(streams.map(stream => stream.stop()));
  const lost = results.reduce((sum, result) => sum + result.sent - result.received, 0);
  const sent = results.reduce((sum, result) => sum + result.sent, 0);
  const touched = monitors.flatMap(({ monitor, prefixes }) => monitor.changes(prefixes));
  await Promise.all(monitors.map(({ monitor }) => monitor.stop()));
  return {
    ok: sent > 0 && lost === 0 && touched.length === 0,
    measured: `${lost} of ${sent} packets lost, ${touched.length} routes touched${touched.length === 0 ? '' : ` (${touched[0]!.trim()})`}; sessions back in ${back}`,
  };
}

async function nodeLeaves(lab: Lab): Promise<Omit<Check, 'what'>> {
  const { cluster } = lab;
  const leaving = cluster.nodes.at(-1)!;
  const staying = cluster.nodes.filter(node => node !== leaving);
  const started = performance.now();
  if (lab.kube === undefined) removeNode(cluster.manifests, leaving.name);
  else await lab.kube.plane.admin.delete({ apiVersion: 'v1', kind: 'Node', metadata: { name: leaving.name } });
  for (const node of staying) {
    await waitFor(`the routes of ${leaving.name} to vanish from ${node.name}`, PATIENCE, async () => {
      const routes = await routesOf(lab, node.name);
      return leaving.podCidrs.some(prefix => routes.includes(`${prefix} via`)) ? undefined : true;
    });
  }
  return { ok: true, measured: `gone from ${staying.length} nodes ${since(started)} after kubectl's view changed` };
}

/** Rewrites the manifests without one node, as if it had been deleted. */
function removeNode(folder: string, name: string): void {
  for (const file of readdirSync(folder)) {
    const path = join(folder, file);
    const documents = parseAllDocuments(readFileSync(path, 'utf8')).map(document => document.toJS() as ManifestObject);
    if (!documents.some(document => isNode(document, name) || document.items?.some(item => isNode(item, name))))
      continue;
    const kept = documents
      .filter(document => !isNode(document, name))
      .map(document =>
        document.items === undefined
          ? document
          : { ...document, items: document.items.filter(item => !isNode(item, name)) },
      );
    writeFileSync(path, kept.map(document => stringify(document)).join('---\n'));
  }
}

interface ManifestObject {
  readonly kind?: string;
  readonly metadata?: { readonly name?: string };
  readonly items?: readonly ManifestObject[];
}

function isNode(object: ManifestObject, name: string): boolean {
  return object.kind === 'Node' && object.metadata?.name === name;
}

/** Every pod with every pod of another node. */
function pairs(nodes: readonly LabNode[]): (readonly [LabPod, LabPod])[] {
  const pods = nodes.flatMap(node => node.pods);
  return pods.flatMap(from => pods.filter(to => to.node !== from.node).map(to => [from, to] as const));
}

function since(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}
