/**
 * The service proxy against the real kube-proxy (mode nftables): a few hundred generated services on one API server, a world
 * for each proxy, the same connections in both, and the same answers. PEERAGE_ORACLE_SEED and PEERAGE_ORACLE_SERVICES choose
 * others; with PEERAGE_ORACLE_MASQUERADE_ALL=1 both masquerade whatever goes to a service.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { KubeManifest } from '../../lab/kube/kubeClient.js';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import * as at from './proxyOracle/addresses.js';
import { isLetGo, keptTo, plainService, stickySpec, type Connect } from './proxyOracle/affinity.js';
import { caseOf, NAMESPACE, type Case } from './proxyOracle/cases.js';
import { CLIENTS, type Client } from './proxyOracle/clients.js';
import { DIVERGENCES } from './proxyOracle/divergences.js';
import { describeDifference, differencesOf, judge, toAskAgain, type Difference } from './proxyOracle/outcomes.js';
import { questionsOf, unusedQuestions, type Question } from './proxyOracle/questions.js';
import { askAll, buildWorld, hostIn, type WorldName } from './proxyOracle/world.js';

const SEED = Number(process.env['PEERAGE_ORACLE_SEED'] ?? 1);
const SERVICES = Number(process.env['PEERAGE_ORACLE_SERVICES'] ?? 240);
const MASQUERADE_ALL = process.env['PEERAGE_ORACLE_MASQUERADE_ALL'] === '1';
const WORLDS: readonly WorldName[] = ['theirs', 'ours'];
const PATIENCE = 120_000;
/** For as many tries as it takes to be in time, on a machine with other work. */
const AFFINITY_PATIENCE = 600_000;
const CHANGED = 3;
/** Of all, every so many is asked for again, changed or not. */
const STAYING = 6;
/** Requests to the API server at the same time. */
const AT_ONCE = 8;
/** The first round, and one for what differs: an endpoint at random may not have come up yet, and silence may have been slowness. */
const FIRST = { tries: 8, patience: 4000 };
const AGAIN = { tries: 50, patience: 12_000 };
const ROUNDS_AGAIN = 2;

let topology: Topology;
let plane: ControlPlane;
let cases: Case[];
/** Names of divergences that were met. */
const seen = new Set<string>();
/** Protocols over which endpoints have answered. */
const answered = new Set<string>();

beforeAll(async () => {
  topology = await Topology.open('pgko');
  await topology.host('api');
  await topology.ip('api', 'address', 'add', `${at.API}/32`, 'dev', 'lo');
  await topology.forward('api');
  for (const [i, world] of WORLDS.entries()) await buildWorld(topology, world, i + 1);
  plane = await ControlPlane.start(topology, 'api', at.API);
  await plane.admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  await plane.admin.apply(nodeObject());
  cases = Array.from({ length: SERVICES }, (_, index) => caseOf(SEED, index, 0));
  const objects = cases.flatMap(({ service, slices }) => [service, ...slices]);
  await each(objects, object => plane.admin.apply(object));
  startProxies();
}, 600_000);
afterAll(async () => {
  await topology.close();
}, 120_000);

function nodeObject(): KubeManifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: at.NODE_NAME, labels: { 'topology.kubernetes.io/zone': at.OWN_ZONE } },
    spec: { podCIDR: at.OWN_POD_PREFIX[4], podCIDRs: [at.OWN_POD_PREFIX[4], at.OWN_POD_PREFIX[6]] },
    status: {
      addresses: [
        { type: 'InternalIP', address: at.NODE[4] },
        { type: 'InternalIP', address: at.NODE[6] },
      ],
    },
  };
}

function startProxies(): void {
  const file = join(topology.folder, 'kube-proxy.yaml');
  writeFileSync(file, stringify(kubeProxyConfig()));
  const program = resolve('.cache/kube/control-plane');
  topology.start(hostIn('theirs', 'node'), 'kube-proxy', program, ['kube-proxy', '--config', file]);
  PeerageProcess.agent(topology, hostIn('ours', 'node'), { node: at.NODE_NAME, config: stringify(agentConfig(file)) });
}

/** Both read it. */
function kubeProxyConfig(): object {
  const none = { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' };
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: plane.adminConfig },
    hostnameOverride: at.NODE_NAME,
    detectLocalMode: 'ClusterCIDR',
    clusterCIDR: `${at.POD_PREFIXES[4]},${at.POD_PREFIXES[6]}`,
    conntrack: none,
    nftables: { masqueradeAll: MASQUERADE_ALL },
  };
}

function agentConfig(kubeProxyFile: string): object {
  const both = (place: at.Place): readonly string[] => [place[4], place[6]];
  return {
    kubernetes: {
      kubeconfig: plane.adminConfig,
      run: { serviceProxy: true },
      cni: { enabled: false, forward: 'off' },
      egress: { enabled: false },
      proxy: { kubeProxyConfig: kubeProxyFile },
      services: {
        clusterIpRanges: both(at.SERVICE_PREFIXES),
        externalIpRanges: both(at.EXTERNAL_PREFIXES),
        loadBalancerIpRanges: both(at.BALANCER_PREFIXES),
        settleTime: 0,
      },
    },
  };
}

async function each<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items].reverse();
  const work = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await act(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Once a service that was made last is served, all that was made before it is. */
async function settled(index: number): Promise<void> {
  const address = at.clusterIp(index)[4];
  const name = `last-${index}`;
  for (const object of plainService({ name, namespace: NAMESPACE }, address, at.REMOTE.pods.slice(0, 1)))
    await plane.admin.apply(object);
  const question: Question = { name, protocol: 'TCP', address, port: 80, of: undefined };
  const asked = new Map([[CLIENTS.find(({ host }) => host === 'node')!, [question]]]);
  for (const world of WORLDS)
    await waitFor(`${name} served by ${world}`, PATIENCE, async () => {
      const [answers] = [...(await askAll(topology, world, asked, { tries: 1, patience: 1000 })).values()];
      return answers?.[0]?.some(answer => answer.startsWith(at.REMOTE.pods[0]![4])) ? true : undefined;
    });
}

/** Asks in both worlds; what differs is asked again, more often and with more patience. @returns what nobody explains, as text */
async function unexplained(about: readonly Case[]): Promise<readonly string[]> {
  const questions = [...about.flatMap(questionsOf), ...unusedQuestions()];
  let asked: ReadonlyMap<Client, readonly Question[]> = new Map(CLIENTS.map(client => [client, questions]));
  let left = note(await ask(asked, FIRST));
  for (let round = 0; round < ROUNDS_AGAIN && left.length > 0; round++) {
    asked = toAskAgain(left);
    left = note(await ask(asked, AGAIN));
  }
  return left.map(describeDifference);
}

function note(differences: readonly Difference[]): readonly Difference[] {
  const { explained, unexplained: left } = judge(differences, DIVERGENCES);
  for (const name of explained) seen.add(name);
  return left;
}

async function ask(
  asked: ReadonlyMap<Client, readonly Question[]>,
  order: { readonly tries: number; readonly patience: number },
): Promise<readonly Difference[]> {
  const [theirs, ours] = await Promise.all([
    askAll(topology, 'theirs', asked, order),
    askAll(topology, 'ours', asked, order),
  ]);
  for (const [client, questions] of asked)
    for (const [i, { protocol }] of questions.entries())
      if (ours.get(client)?.[i]?.some(answer => answer.startsWith(at.REMOTE.pods[0]![4]))) answered.add(protocol);
  return differencesOf(asked, theirs, ours);
}

test(`${SERVICES} services of seed ${SEED}: the same answers as kube-proxy's`, async () => {
  await settled(5000);
  expect(await unexplained(cases)).toEqual([]);
}, 900_000);

test('after every third service has changed and some are gone: the same answers again', async () => {
  const old = cases.filter((_, index) => index % CHANGED === 0);
  const asked = cases.filter((_, index) => index % STAYING === 1);
  const gone: KubeManifest[] = [];
  const made: KubeManifest[] = [];
  for (const [i, { service, slices }] of old.entries()) {
    const next = caseOf(SEED, i * CHANGED, 1);
    const kept = i % 4 === 0 ? [] : [next.service, ...next.slices];
    const isKept = ({ metadata: { name } }: KubeManifest): boolean =>
      kept.some(({ metadata }) => metadata.name === name);
    gone.push(...[service, ...slices].filter(object => !isKept(object)));
    made.push(...kept);
    asked.push(next);
  }
  await each(gone, object => plane.admin.delete(object));
  await each(made, object => plane.admin.apply(object));
  await settled(5001);
  expect(await unexplained(asked)).toEqual([]);
}, 900_000);

/** Of a pod's, one after the other, to the cluster IP with this number. */
function connections(world: WorldName, index: number): Connect {
  const client = CLIENTS.find(({ host }) => host === 'pod1')!;
  const question: Question = {
    name: `${index}`,
    protocol: 'TCP',
    address: at.clusterIp(index)[4],
    port: 80,
    of: undefined,
  };
  return async () => {
    const heard = await askAll(topology, world, new Map([[client, [question]]]), { ...AGAIN, tries: 1 });
    const [endpoint, port] = heard.get(client)?.[0]?.[0]?.split(' ') ?? [];
    return port === undefined ? undefined : endpoint;
  };
}

test('a client is kept to its endpoint from each connection on, and then let go', async () => {
  const [brief, long] = [
    { index: 6000, seconds: 2 },
    { index: 6001, seconds: 8 },
  ];
  for (const { index, seconds } of [brief, long]) {
    const name = { name: `sticky-${seconds}`, namespace: NAMESPACE };
    const objects = plainService(name, at.clusterIp(index)[4], at.REMOTE.pods, stickySpec(seconds));
    for (const object of objects) await plane.admin.apply(object);
  }
  await settled(5002);
  const until = Date.now() + AFFINITY_PATIENCE;
  const inBoth = <T>(ask: (world: WorldName) => Promise<T>): Promise<readonly T[]> => Promise.all(WORLDS.map(ask));
  const kept = inBoth(world => keptTo(long.seconds, connections(world, long.index), until));
  const letGo = inBoth(world => isLetGo(brief.seconds, connections(world, brief.index), until));
  expect(await letGo).toEqual([true, true]);
  expect((await kept).map(endpoints => endpoints.length)).toEqual([1, 1]);
}, 900_000);

test('endpoints have answered over every protocol, and every divergence that is named was met', () => {
  expect([...answered].sort()).toEqual(['SCTP', 'TCP', 'UDP']);
  expect([...seen].sort()).toEqual(DIVERGENCES.map(({ name }) => name).sort());
});

test('the divergences are documented', () => {
  const document = readFileSync('docs/proxy-modes.md', 'utf8').replaceAll(/\s+/g, ' ');
  for (const { text } of DIVERGENCES) expect(document).toContain(text);
});
