/**
 * In place of the real kube-proxy, under load: it is swapped for Peerage, pods are replaced by the real controllers, the API
 * server is away, and kube-proxy is swapped in again. No connection fails.
 */

import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { TOR } from '../../lab/cluster.js';
import { startKube, type KubeCluster } from '../../lab/kube/kubeCluster.js';
import { pathOf, type KubeManifest } from '../../lab/kube/kubeClient.js';
import { sleep, waitFor } from '../../lab/topology/commands.js';
import type { Program } from '../../lab/topology/topology.js';
import { Callers, failuresOf, moreAnswers, type CallPlan } from '../../lab/traffic/callers.js';
import {
  agentConfig,
  CLUSTER_IP,
  NODE_PORT,
  NODES,
  PATIENCE,
  PLACES,
  podAddress,
  ProxyWorld,
  WEB,
  type NodeName,
} from '../../test/system/proxyWorld.js';

const REPLICAS = 4;
const REPLACEMENTS = 8;
const PACE = 2000;
/** Milliseconds from the end of readiness to the end of a pod. */
const GRACE = 15_000;
/** Milliseconds that the API server is away. */
const AWAY = 12_000;

interface RunningPod {
  readonly object: KubeManifest;
  readonly node: NodeName;
  readonly address: string;
}

let world: ProxyWorld;
let kube: KubeCluster;
let callers: readonly Callers[] = [];
/** Ready ones, in the order of their age. */
let pods: readonly RunningPod[] = [];
let created = 0;
const kubeProxies = new Map<NodeName, Program>();

beforeAll(async () => {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo' } };
  world = await ProxyWorld.build('pgswp', [namespace, WEB_OF_PODS]);
  kube = await startKube(world.topology, join(world.topology.folder, 'objects'));
  for (let i = 0; i < REPLICAS; i++) await addPod();
  for (const node of NODES) {
    // The routes that the agents will give them: kube-proxy has none.
    const other = NODES.find(name => name !== node)!;
    await world.topology.forward(node);
    await world.topology.ip(
      node,
      'route',
      'add',
      PLACES[other].podCidr,
      'via',
      PLACES[other].address,
      'metric',
      '4096',
    );
    await startKubeProxy(node);
  }
}, 600_000);
afterAll(async () => {
  await Promise.all(callers.map(caller => caller.end()));
  await world.close();
}, PATIENCE);

const WEB_OF_PODS = { ...WEB, spec: { ...(WEB as { readonly spec: object }).spec, selector: { app: 'web' } } };

/** A pod that listens, and that its kubelet calls ready. */
async function addPod(): Promise<void> {
  const number = created++;
  const node = NODES[number % NODES.length]!;
  const address = podAddress(node, number);
  await world.pods(node).open(address);
  const object: KubeManifest = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${number}`, namespace: 'demo', labels: { app: 'web' } },
    spec: { nodeName: node, containers: [{ name: 'web', image: 'web' }] },
    status: {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
  await kube.plane.admin.apply(object);
  pods = [...pods, { object, node, address }];
}

/** As `kubectl delete pod` and the kubelet do: it ends, serves on, and is gone. @returns connections that were cut */
async function retireOldest(): Promise<number> {
  const [oldest] = pods;
  pods = pods.slice(1);
  const { object, node, address } = oldest!;
  await kube.plane.admin.ask('DELETE', `${pathOf(object)}?gracePeriodSeconds=30`);
  await sleep(GRACE);
  const { cut } = await world.pods(node).close(address);
  await kube.plane.admin.delete(object);
  return cut;
}

/** Resolves when it has programmed the service. */
async function startKubeProxy(node: NodeName): Promise<void> {
  const file = join(world.topology.folder, `kube-proxy-${node}.yaml`);
  const none = { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' };
  const config = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: kube.plane.adminConfig },
    hostnameOverride: node,
    detectLocalMode: 'ClusterCIDR',
    clusterCIDR: '10.244.0.0/16',
    conntrack: none,
  };
  writeFileSync(file, stringify(config));
  const program = world.topology.start(node, `kube-proxy-${node}`, resolve('.cache/kube/control-plane'), [
    'kube-proxy',
    '--config',
    file,
  ]);
  kubeProxies.set(node, program);
  await waitFor(`kube-proxy on ${node}`, PATIENCE, async () => {
    if (!program.running()) throw new Error(program.log().slice(-500));
    const { stdout } = await world.topology.exec(node, 'nft', ['list', 'table', 'ip', 'kube-proxy']);
    return pods.every(({ address }) => stdout.includes(`${address} . 8080`) || stdout.includes(`${address}:8080`))
      ? true
      : undefined;
  });
}

function startCallers(): void {
  const at = (host: string, port: number): CallPlan => ({ host, port, rate: 40, kept: 4, keepFor: 5000 });
  const from = (name: string, host: string, plan: CallPlan): Callers =>
    new Callers(name, world.topology.name(host), [plan]);
  callers = [
    from('pod to cluster IP', 'client-one', at(CLUSTER_IP, 80)),
    from('node to cluster IP', 'two', at(CLUSTER_IP, 80)),
    from('outside to node port', TOR, at(PLACES.one.address, NODE_PORT)),
  ];
}

const goOn = (more = 200): Promise<void> => moreAnswers(callers, more, PATIENCE);
const failures = (event: string): Promise<readonly string[]> => failuresOf(callers, event);

async function tables(node: NodeName): Promise<string> {
  return (await world.topology.exec(node, 'nft', ['list', 'tables'])).stdout;
}

test('kube-proxy is swapped for Peerage', async () => {
  startCallers();
  await goOn();
  // Both at once: a connection is translated by whichever comes first, to pods that both know.
  const config = agentConfig({
    kubeconfig: kube.plane.adminConfig,
    proxy: { kubeProxyConfig: join(world.topology.folder, 'kube-proxy-one.yaml') },
  });
  world.startAgents({ config, isFedByServer: true });
  await world.serves('web', REPLICAS);
  for (const node of NODES) await world.reachesTor(PLACES[node].podCidr);
  await goOn();
  for (const node of NODES) {
    await kubeProxies.get(node)!.end();
    // What it leaves would go on leading connections to pods that are gone.
    for (const family of ['ip', 'ip6'])
      await world.topology.exec(node, 'nft', ['delete', 'table', family, 'kube-proxy']);
    expect(await tables(node)).not.toContain('kube-proxy');
  }
  await goOn();
  expect(await failures('kube-proxy swapped for Peerage')).toEqual([]);
}, 600_000);

test(`the real controllers replace ${REPLACEMENTS} pods`, async () => {
  startCallers();
  await goOn(50);
  const ends: Promise<number>[] = [];
  for (let i = 0; i < REPLACEMENTS; i++) {
    await addPod();
    ends.push(retireOldest());
    await sleep(PACE);
  }
  expect((await Promise.all(ends)).reduce((sum, cut) => sum + cut, 0)).toBe(0);
  await world.serves('web', REPLICAS);
  for (const node of NODES) expect(await world.kernelPods(node)).toEqual(pods.map(({ address }) => address).sort());
  expect(await failures('rolling update')).toEqual([]);
}, 600_000);

test(`the API server is away for ${AWAY / 1000} s, and a pod ends when it is back`, async () => {
  startCallers();
  await kube.plane.stopServer();
  await sleep(AWAY);
  await goOn();
  await kube.plane.restartServer();
  await addPod();
  // Now controllers and agents watch again: they all take their time before they ask a server that was away.
  await waitFor('the new pod in the kernels', PATIENCE, async () => {
    const all = await Promise.all(NODES.map(node => world.kernelPods(node)));
    return all.every(there => there.includes(pods.at(-1)!.address)) ? true : undefined;
  });
  expect(await retireOldest()).toBe(0);
  await goOn();
  expect(await failures('API server away')).toEqual([]);
}, 600_000);

test('Peerage is swapped for kube-proxy again', async () => {
  startCallers();
  await goOn();
  for (const node of NODES) await startKubeProxy(node);
  for (const node of NODES) {
    const agent = world.agent(node);
    await agent.program.end();
    const args = ['dist/cli/main.js', 'cleanup', '--config', join(world.topology.folder, `${node}.yaml`)];
    const { code, stderr } = await world.topology.exec(node, process.execPath, [...args, '--control', agent.control]);
    expect([code, stderr]).toEqual([0, '']);
    expect(await tables(node)).not.toContain('peerage-proxy');
  }
  await goOn();
  expect(await failures('Peerage swapped for kube-proxy')).toEqual([]);
}, 600_000);
