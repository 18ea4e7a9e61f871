/** What `make lab` proves of network policies: a pod is shut out, is told why, and is let in again. Impure. */

import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { DenialView, PolicyView } from '../src/api/policyView.js';
import type { Check, Lab, Step } from './checks.js';
import type { LabPod } from './cluster.js';
import type { KubeManifest } from './kube/kubeClient.js';
import { waitFor } from './topology/commands.js';
import type { PeerageProcess } from './topology/peerage.js';
import { askEchoes } from './topology/probes.js';

const PATIENCE = 60_000;
/** Where every pod repeats what it is sent, since the step that has all pods talk. */
const PORT = 7000;
const NAMESPACE = 'demo';
/** What can be tried by hand, too. */
export const POLICY_FILE = 'examples/policy/web-only.yaml';
const MAIN = resolve('dist/cli/main.js');

export const POLICY_STEPS: readonly Step[] = [
  { what: 'network policy: a pod is shut out, told why, and let in again', run: shutOut },
];

interface Scene {
  /** Whom the policy protects. */
  readonly web: LabPod;
  /** Of other nodes than the one that is protected. */
  readonly client: LabPod;
  readonly friend: LabPod;
  /** Of the node of `web`: it enforces the policy. */
  readonly agent: PeerageProcess;
}

async function shutOut(lab: Lab): Promise<Omit<Check, 'what'>> {
  const scene = sceneOf(lab);
  const { web, client, friend } = scene;
  const all = web.addresses.length;
  await reach(lab, client, web, all);
  const made = performance.now();
  await applyPolicy(lab);
  let shows: readonly string[];
  try {
    await waitFor('the policy in the kernel', PATIENCE, () => isInForce(scene));
    const closed = since(made);
    await reach(lab, client, web, 0);
    await reach(lab, friend, web, all);
    const denial = await denialOf(scene);
    shows = await told(lab, scene, denial);
    await removePolicy(lab);
    const removed = performance.now();
    await reach(lab, client, web, all);
    const isNamed = denial.from === nameOf(client) && denial.reason.includes('NetworkPolicy demo/web-only');
    return {
      ok: isNamed,
      measured: `in force ${closed} after it was made: ${nameOf(client)} gets no answer, ${nameOf(friend)} does; answered again ${since(removed)} after its end`,
      shows,
    };
  } finally {
    await removePolicy(lab);
  }
}

function sceneOf({ cluster, agents }: Lab): Scene {
  const [first, second] = cluster.nodes;
  const pod = (node: typeof first, kind: string): LabPod => {
    const found = node?.pods.find(({ name }) => name.startsWith(`${kind}-`));
    if (found === undefined) throw new Error(`${node?.name ?? 'the cluster'} has no pod ${kind}`);
    return found;
  };
  const web = pod(second, 'web');
  return { web, client: pod(first, 'client'), friend: pod(first, 'web'), agent: agents.get(web.node)! };
}

/** Waits until so many addresses of a pod answer another; silence is believed when it was heard twice. */
async function reach(lab: Lab, from: LabPod, to: LabPod, wanted: number): Promise<void> {
  const ask = (): Promise<number> => askEchoes(lab.topology, from.name, to.addresses);
  await waitFor(`${wanted} answers of ${to.name} to ${from.name}`, PATIENCE, async () =>
    (await ask()) === wanted && (wanted > 0 || (await ask()) === wanted) ? true : undefined,
  );
}

/** As `kubectl apply` does, or as who edits the folder of manifests. */
async function applyPolicy({ kube, cluster }: Lab): Promise<void> {
  if (kube === undefined) copyFileSync(POLICY_FILE, join(cluster.manifests, 'web-only.yaml'));
  else await kube.plane.admin.apply(policyObject());
}

async function removePolicy({ kube, cluster }: Lab): Promise<void> {
  if (kube === undefined) rmSync(join(cluster.manifests, 'web-only.yaml'), { force: true });
  else await kube.plane.admin.delete(policyObject());
}

function policyObject(): KubeManifest {
  return parse(readFileSync(POLICY_FILE, 'utf8')) as KubeManifest;
}

async function isInForce({ agent }: Scene): Promise<true | undefined> {
  for await (const item of agent.client.list('/v1/policies')) {
    const { policy, state } = item as PolicyView;
    if (policy === 'NetworkPolicy demo/web-only' && state === 'programmed') return true;
  }
  return undefined;
}

/** What the agent has to say of the connections that were denied just now. */
async function denialOf({ agent, client, web }: Scene): Promise<DenialView> {
  return waitFor('a denial by name', PATIENCE, async () => {
    for await (const item of agent.client.list('/v1/denials')) {
      const denial = item as DenialView;
      if (denial.from === nameOf(client) && denial.to === nameOf(web)) return denial;
    }
    return undefined;
  });
}

/** The commands that somebody would type, and what they print. */
async function told(lab: Lab, { agent, client, web }: Scene, { from, to }: DenialView): Promise<readonly string[]> {
  const explain = ['explain', 'policy', '--from', nameOf(client), '--to', nameOf(web), '--port', `${PORT}/tcp`];
  const denials = await peerage(lab, agent, ['show', 'denials']);
  return [
    `$ peerage ${explain.join(' ')}`,
    ...(await peerage(lab, agent, explain)),
    '$ peerage show denials',
    ...denials.filter((line, i) => i === 0 || (line.includes(from) && line.includes(to))),
  ];
}

async function peerage({ topology }: Lab, agent: PeerageProcess, words: readonly string[]): Promise<readonly string[]> {
  const args = [MAIN, ...words, '--control', agent.control];
  const { stdout, stderr, code } = await topology.exec(agent.host, process.execPath, args, PATIENCE);
  if (code !== 0) throw new Error(`peerage ${words.join(' ')}: ${stderr}`);
  return stdout.trimEnd().split('\n');
}

function nameOf({ name }: LabPod): string {
  return `${NAMESPACE}/${name}`;
}

function since(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}
