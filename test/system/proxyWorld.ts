/**
 * Two nodes with agents that serve services, a ToR, and pods by the hundred: each node has one host whose every address of a
 * range is local, so that a pod is a listener at one of them. Clients are a pod of each node, the ToR, and a node itself.
 */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { buildCluster, TOR, type LabCluster } from '../../lab/cluster.js';
import { startTor } from '../../lab/tor.js';
import { waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { Topology } from '../../lab/topology/topology.js';
import { PodServers } from '../../lab/traffic/podServers.js';
import type { ServiceDetail } from '../../src/api/serviceView.js';

export const PATIENCE = 120_000;
export const CLUSTER_IP = '10.96.0.10';
export const EXTERNAL_IP = '203.0.113.10';
export const NODE_PORT = 30080;
export const NODES = ['one', 'two'] as const;
export type NodeName = (typeof NODES)[number];

interface Place {
  readonly address: string;
  readonly podCidr: string;
  readonly gateway: string;
  /** The host that all pods of the range are on. */
  readonly servers: string;
  readonly client: string;
  /** `10.244.20.` … `10.244.23.`. */
  readonly range: string;
  readonly firstOfRange: number;
}

export const PLACES: Readonly<Record<NodeName, Place>> = {
  one: placeOf('10.0.0.11', 16),
  two: placeOf('10.0.0.12', 32),
};

function placeOf(address: string, third: number): Place {
  const start = `10.244.${third}`;
  const firstOfRange = third + 4;
  return {
    address,
    podCidr: `${start}.0/20`,
    gateway: `${start}.1`,
    servers: `${start}.2`,
    client: `${start}.3`,
    range: `10.244.${firstOfRange}.0/22`,
    firstOfRange,
  };
}

/** The n-th address for pods on a node: 0 … 999. */
export function podAddress(node: NodeName, n: number): string {
  return `10.244.${PLACES[node].firstOfRange + Math.floor(n / 250)}.${1 + (n % 250)}`;
}

export interface Endpoint {
  readonly address: string;
  readonly node: NodeName;
  readonly state: 'ready' | 'terminating';
}

export function sliceObject(service: string, name: string, endpoints: readonly Endpoint[]): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'demo', labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: endpoints.map(({ address, node, state }) => ({
      addresses: [address],
      nodeName: node,
      // As the controller says it of a pod that has been told to end and is still ready.
      conditions: { ready: state === 'ready', serving: true, terminating: state === 'terminating' },
    })),
  };
}

export function serviceObject(name: string, clusterIP: string, spec: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo' },
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: ['IPv4'],
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }],
      ...spec,
    },
  };
}

/** The service `web` with every kind of address. */
export const WEB = serviceObject('web', CLUSTER_IP, {
  type: 'NodePort',
  externalIPs: [EXTERNAL_IP],
  ports: [{ name: 'http', port: 80, nodePort: NODE_PORT, protocol: 'TCP', targetPort: 8080 }],
});

/** Nodes, and pods that have a host of their own. */
export const MACHINES: readonly object[] = NODES.flatMap(node => {
  const { address, podCidr, servers, client } = PLACES[node];
  return [
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: node },
      spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
      status: { addresses: [{ type: 'InternalIP', address }] },
    },
    podObject(`servers-${node}`, node, servers),
    podObject(`client-${node}`, node, client),
  ];
});

function podObject(name: string, nodeName: NodeName, ip: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo' },
    spec: { nodeName, containers: [{ name: 'pod', image: 'none' }] },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  };
}

/** @param kubernetes more of this section, such as a kubeconfig */
export function agentConfig(kubernetes: object = {}): string {
  return stringify({
    router: { asn: 64512 },
    peers: [{ name: 'tor', address: '10.0.0.1', asn: 64999, connectRetryTime: 1, idleHoldTime: { min: 1, max: 2 } }],
    kubernetes: {
      run: { serviceProxy: true },
      ipv6: false,
      cni: { enabled: false, forward: 'off' },
      egress: { enabled: false },
      advertise: { externalIp: true },
      services: { externalIpRanges: ['203.0.113.0/24'] },
      ...kubernetes,
    },
  });
}

export class ProxyWorld {
  readonly agents = new Map<NodeName, PeerageProcess>();
  private readonly servers = new Map<NodeName, PodServers>();

  private constructor(
    readonly topology: Topology,
    readonly cluster: LabCluster,
  ) {}

  /** @param objects the cluster's at the start, besides {@link MACHINES} */
  static async build(prefix: string, objects: readonly object[]): Promise<ProxyWorld> {
    const topology = await Topology.open(prefix);
    try {
      const source = join(topology.folder, 'objects');
      mkdirSync(source);
      const documents = [...MACHINES, ...objects].map(object => stringify(object));
      writeFileSync(join(source, 'objects.yaml'), documents.join('---\n'));
      const world = new ProxyWorld(topology, await buildCluster(topology, source));
      for (const node of NODES) await world.furnish(node);
      startTor('bird', topology, world.cluster.nodes);
      return world;
    } catch (error) {
      await topology.close();
      throw error;
    }
  }

  /** Starts the agents of both nodes. @param options how they get objects, if not from the folder of manifests */
  startAgents(options: { readonly config?: string; readonly isFedByServer?: boolean } = {}): void {
    const source = options.isFedByServer === true ? {} : { manifests: this.cluster.manifests };
    const config = options.config ?? agentConfig();
    for (const node of NODES)
      this.agents.set(node, PeerageProcess.agent(this.topology, node, { node, config, ...source }));
  }

  agent(node: NodeName): PeerageProcess {
    const agent = this.agents.get(node);
    if (agent === undefined) throw new Error(`no agent runs on ${node}`);
    return agent;
  }

  pods(node: NodeName): PodServers {
    const servers = this.servers.get(node);
    if (servers === undefined) throw new Error(`no pods on ${node}`);
    return servers;
  }

  /** Writes objects into one file of the folder that agents watch, at once. */
  write(file: string, objects: readonly object[]): void {
    const path = join(this.cluster.manifests, file);
    writeFileSync(`${path}.new`, objects.map(object => stringify(object)).join('---\n'));
    renameSync(`${path}.new`, path);
  }

  remove(file: string): void {
    rmSync(join(this.cluster.manifests, file));
  }

  /** What an agent says of itself. @throws Error when it does not answer */
  async show(node: NodeName, ...what: readonly string[]): Promise<string> {
    const args = ['dist/cli/main.js', 'show', ...what, '--control', this.agent(node).control];
    const { stdout, stderr, code } = await this.topology.exec(node, process.execPath, args);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  }

  /** What an agent says of a service of the namespace demo, and of the kernel beside it. */
  async service(node: NodeName, name: string): Promise<ServiceDetail> {
    return (await this.agent(node).client.get(`/v1/services/${encodeURIComponent(`demo/${name}`)}`)) as ServiceDetail;
  }

  /** Resolves when the kernels of both nodes serve a service at all its addresses with so many backends. */
  async serves(service: string, backends: number): Promise<void> {
    for (const node of NODES)
      await waitFor(`${backends} backends of ${service} on ${node}`, PATIENCE, async () => {
        const { frontends } = await this.service(node, service);
        const isServed = ({ state, kernel }: ServiceDetail['frontends'][number]): boolean =>
          state === 'programmed' && kernel?.backends.length === backends;
        return frontends.length > 0 && frontends.every(isServed) ? true : undefined;
      });
  }

  /** Pods that connections may be led to, whatever the service, as nft(8) lists them: in their order. */
  async kernelPods(node: NodeName): Promise<readonly string[]> {
    const { stdout } = await this.topology.exec(node, 'nft', ['list', 'table', 'ip', 'peerage-proxy']);
    return [...new Set([...stdout.matchAll(/: ([\d.]+) \. 8080\b/g)].map(([, address]) => address!))].sort();
  }

  async reachesTor(prefix: string): Promise<void> {
    await waitFor(`${prefix} at the ToR`, PATIENCE, async () =>
      (await this.topology.ip(TOR, 'route')).includes(`${prefix} `) ? true : undefined,
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.servers.values()].map(servers => servers.end()));
    await this.topology.close();
  }

  /** What a node and its pods have besides what the rack gives them. */
  private async furnish(node: NodeName): Promise<void> {
    const { gateway, servers, range, podCidr } = PLACES[node];
    const { topology } = this;
    // As on a real node: without, its own packets to service addresses have no way out before they are turned round.
    await topology.ip(node, 'route', 'add', 'default', 'via', '10.0.0.1');
    await topology.ip(node, 'route', 'add', range, 'via', servers);
    await topology.sysctl(node, 'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.cni0.send_redirects=0');
    for (const pod of [`servers-${node}`, `client-${node}`]) {
      // Between pods of one bridge answers would not come by the node, unless the kernel shows it what is bridged.
      await topology.ip(pod, 'route', 'add', gateway, 'dev', 'eth0');
      await topology.ip(pod, 'route', 'del', podCidr);
    }
    await topology.ip(`servers-${node}`, 'route', 'add', 'local', range, 'dev', 'lo');
    this.servers.set(node, new PodServers(topology.name(`servers-${node}`)));
  }
}
