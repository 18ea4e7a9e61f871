/**
 * One node with an agent that enforces network policies, and pods of both families on its bridge: one serves, others call it
 * without a pause, so that every instant of a change is seen from inside.
 */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { buildCluster, type LabCluster } from '../../lab/cluster.js';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { Callers, moreAnswers } from '../../lab/traffic/callers.js';
import { PodServers } from '../../lab/traffic/podServers.js';

export const PATIENCE = 180_000;
export const PORT = 8080;
const NODE = 'one';
const GATEWAYS = ['10.244.1.1', 'fd00:10:244:1::1'] as const;
const NETWORKS = ['10.244.1.0/24', 'fd00:10:244:1::/64'] as const;

/** The hosts of pods, by the last part of their addresses. */
const PODS = { server: 10, friend: 11, stranger: 12, newcomer: 13 } as const;
export type PodHost = keyof typeof PODS;

export function addressesOf(pod: PodHost): readonly [string, string] {
  return [`10.244.1.${PODS[pod]}`, `fd00:10:244:1::${PODS[pod]}`];
}

export function podObject(name: PodHost, labels: object = { app: name }): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo', labels },
    spec: {
      nodeName: NODE,
      containers: [{ name: 'pod', image: 'none', ports: [{ name: 'http', containerPort: PORT }] }],
    },
    status: { phase: 'Running', podIPs: addressesOf(name).map(ip => ({ ip })) },
  };
}

/** Pods labelled app=server receive on their port `http` from pods with one of these values of the label app, and nothing else. */
export function onlyFrom(...apps: readonly string[]): object {
  const from = [{ podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: apps }] } }];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'server', namespace: 'demo' },
    spec: {
      podSelector: { matchLabels: { app: 'server' } },
      policyTypes: ['Ingress'],
      ingress: [{ from, ports: [{ port: 'http' }] }],
    },
  };
}

const NODE_OBJECT = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: NODE },
  spec: { podCIDR: NETWORKS[0], podCIDRs: NETWORKS },
  status: {
    addresses: [
      { type: 'InternalIP', address: '10.0.0.11' },
      { type: 'InternalIP', address: 'fd00:10::11' },
    ],
  },
};

function agentConfig(kubernetes: object): string {
  return stringify({
    kubernetes: {
      run: { firewall: true },
      cni: { enabled: false, forward: 'off' },
      egress: { enabled: false },
      ...kubernetes,
    },
  });
}

/** Nobody answers there. */
const NO_CLUSTER = {
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'none', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'nobody', user: { token: 'none' } }],
  contexts: [{ name: 'none', context: { cluster: 'none', user: 'nobody' } }],
  'current-context': 'none',
};

export class PolicyWorld {
  private readonly callers: Callers[] = [];

  private constructor(
    readonly topology: Topology,
    private readonly cluster: LabCluster,
    private readonly servers: PodServers,
    readonly agent: PeerageProcess,
  ) {}

  /** @param kubernetes more of this section of the agent's configuration */
  static async build(prefix: string, kubernetes: object = {}): Promise<PolicyWorld> {
    const topology = await Topology.open(prefix);
    try {
      const source = join(topology.folder, 'objects');
      mkdirSync(source);
      const write = (name: string, object: object): void =>
        writeFileSync(join(source, `${name}.yaml`), stringify(object));
      write('node', NODE_OBJECT);
      for (const pod of podHosts()) write(pod, podObject(pod));
      const cluster = await buildCluster(topology, source);
      await topology.sysctl(NODE, 'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.cni0.send_redirects=0');
      for (const pod of podHosts()) await byTheNode(topology, pod);
      const servers = new PodServers(topology.name('server'));
      for (const address of addressesOf('server')) await servers.open(address);
      const options = { node: NODE, config: agentConfig(kubernetes), manifests: cluster.manifests };
      return new PolicyWorld(topology, cluster, servers, PeerageProcess.agent(topology, NODE, options));
    } catch (error) {
      await topology.close();
      throw error;
    }
  }

  /** Puts objects into a file of the folder that the agent watches, at once. */
  write(file: string, ...objects: readonly object[]): void {
    const path = join(this.cluster.manifests, `${file}.yaml`);
    writeFileSync(`${path}.new`, objects.map(object => stringify(object)).join('---\n'));
    renameSync(`${path}.new`, path);
  }

  remove(file: string): void {
    rmSync(join(this.cluster.manifests, `${file}.yaml`));
  }

  /** Who calls the server in both families all the time, at its own addresses or others. */
  calls(from: PodHost | typeof NODE, hosts: readonly string[] = addressesOf('server'), port = PORT): Callers {
    // Who is denied waits in vain: a few of those are enough.
    const plans = hosts.map(host => ({ host, port, rate: 20, most: 40, patience: 60_000 }));
    const caller = new Callers(`${from} to ${hosts.join(' and ')}`, this.topology.name(from), plans);
    this.callers.push(caller);
    return caller;
  }

  /** Ends whoever still calls. */
  async endCalls(): Promise<void> {
    await Promise.all(this.callers.map(caller => caller.end()));
    this.callers.length = 0;
  }

  /** An agent in place of the other, which has ended: it has networks of pods from the CNI configuration, and no cluster. */
  startCutOff(kubernetes: object): PeerageProcess {
    const kubeconfig = join(this.topology.folder, 'kubeconfig');
    writeFileSync(kubeconfig, stringify(NO_CLUSTER));
    const file = join(this.topology.folder, 'cni.conf');
    const ranges = NETWORKS.map(subnet => [{ subnet }]);
    writeFileSync(file, JSON.stringify({ type: 'bridge', bridge: 'cni0', ipam: { type: 'host-local', ranges } }));
    const config = agentConfig({ ...kubernetes, kubeconfig, cni: { enabled: false, forward: 'off', file } });
    return PeerageProcess.agent(this.topology, NODE, { node: NODE, config });
  }

  /** What the command line says, asked inside the node. */
  async peerage(...args: readonly string[]): Promise<string> {
    const words = ['dist/cli/main.js', ...args, '--control', this.agent.control];
    const { stdout, stderr, code } = await this.topology.exec(NODE, process.execPath, words);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  }

  /** Resolves when the log has had a text so many times. */
  async logged(text: string, times = 1): Promise<void> {
    await waitFor(`${text} (${times})`, PATIENCE, () =>
      this.agent.program.log().split(text).length > times ? true : undefined,
    );
  }

  async close(): Promise<void> {
    await this.servers.end();
    await this.topology.close();
  }
}

function podHosts(): readonly PodHost[] {
  return ['server', 'friend', 'stranger', 'newcomer'];
}

/** Between pods of one bridge packets would not come by the node, unless the kernel shows it what is bridged. */
async function byTheNode(topology: Topology, pod: PodHost): Promise<void> {
  for (const [i, gateway] of GATEWAYS.entries()) {
    const family = i === 0 ? '-4' : '-6';
    await topology.ip(pod, family, 'route', 'add', gateway, 'dev', 'eth0');
    await topology.ip(pod, family, 'route', 'del', NETWORKS[i]!, 'dev', 'eth0');
  }
}

/**
 * Resolves when nobody answers one of them any more, while the other is answered: in the time of 40 answers.
 * @returns answers that the denied one ever got
 */
export async function whenDenied(denied: Callers, allowed: Callers): Promise<number> {
  return waitFor(`silence for ${denied.name}`, PATIENCE, async () => {
    const before = (await denied.count()).answered;
    await moreAnswers([allowed], 40, PATIENCE);
    const { answered } = await denied.count();
    return answered === before ? answered : undefined;
  });
}
