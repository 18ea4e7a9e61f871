/** The lab's rack, made from Kubernetes objects: nodes on a switch with a ToR, pods on bridges of their nodes. Impure. */

import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatAddress, formatPrefix, parseAddress, prefixContains, type IpPrefix } from '../src/core/ip.js';
import { parseManifest } from '../src/kube/client/manifestFile.js';
import type { KubeObject, Node, Pod } from '../src/kube/objectTypes.js';
import type { Topology } from './topology/topology.js';

export interface LabPod {
  /** Name of the pod and, in the topology, of its host. */
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

export interface LabNode {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  readonly pods: readonly LabPod[];
}

export interface LabCluster {
  readonly nodes: readonly LabNode[];
  /** Copy of the manifests, for the agents to watch and for the lab to change. */
  readonly manifests: string;
}

/** The ToR's own addresses on the rack, IPv4 and IPv6, with their prefix lengths. */
export const TOR_ADDRESSES = ['10.0.0.1/24', 'fd00:10::1/64'] as const;
export const TOR = 'tor';
const RACK = 'rack';

/** Makes switch, ToR, nodes and pods, with all addresses; nothing knows a route beyond its own links yet. */
export async function buildCluster(topology: Topology, source: string): Promise<LabCluster> {
  const manifests = join(topology.folder, 'manifests');
  mkdirSync(manifests);
  for (const file of readdirSync(source)) copyFileSync(join(source, file), join(manifests, file));
  const nodes = readCluster(manifests);
  await topology.bridge(RACK);
  await topology.host(TOR);
  await topology.forward(TOR);
  await topology.attach({ host: TOR, link: 'rack0', addresses: TOR_ADDRESSES }, RACK);
  for (const node of nodes) await buildNode(topology, node);
  return { nodes: nodes.map(({ cidrs, ...node }) => ({ ...node, podCidrs: cidrs.map(formatPrefix) })), manifests };
}

interface PlannedNode {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly cidrs: readonly IpPrefix[];
  readonly pods: readonly LabPod[];
}

function readCluster(folder: string): PlannedNode[] {
  const objects = readdirSync(folder).flatMap((file): KubeObject[] => {
    const parsed = parseManifest(readFileSync(join(folder, file), 'utf8'));
    if (!parsed.ok) throw new Error(`${file}:${parsed.error.line}: ${parsed.error.text}`);
    return parsed.value.objects.map(({ object }) => object);
  });
  const pods = objects.filter((object): object is Pod => object.kind === 'Pod' && !object.hostNetwork);
  return objects
    .filter((object): object is Node => object.kind === 'Node')
    .map(node => ({
      name: node.name,
      addresses: node.internalIps.map(formatAddress),
      cidrs: node.podCidrs,
      pods: pods
        .filter(pod => pod.nodeName === node.name)
        .map(pod => ({ name: pod.name, node: node.name, addresses: pod.ips })),
    }));
}

async function buildNode(topology: Topology, node: PlannedNode): Promise<void> {
  await topology.host(node.name);
  const onRack = node.addresses.map(address => `${address}${address.includes(':') ? '/64' : '/24'}`);
  await topology.attach({ host: node.name, link: 'rack0', addresses: onRack }, RACK);
  await topology.ip(node.name, 'link', 'add', 'cni0', 'type', 'bridge');
  for (const cidr of node.cidrs)
    await topology.ip(
      node.name,
      'address',
      'add',
      gatewayOf(cidr),
      'dev',
      'cni0',
      ...(cidr.address.version === 6 ? ['nodad'] : []),
    );
  await topology.ip(node.name, 'link', 'set', 'cni0', 'up');
  for (const [i, pod] of node.pods.entries()) await buildPod(topology, node, pod, `pod${i}`);
}

async function buildPod(topology: Topology, node: PlannedNode, pod: LabPod, port: string): Promise<void> {
  await topology.host(pod.name);
  const addresses = pod.addresses.map(address => `${address}/${cidrOf(node, address).length}`);
  await topology.cable({ host: pod.name, link: 'eth0', addresses }, { host: node.name, link: port, addresses: [] });
  await topology.ip(node.name, 'link', 'set', port, 'master', 'cni0');
  for (const address of pod.addresses) {
    const gateway = gatewayOf(cidrOf(node, address)).replace(/\/\d+$/, '');
    await topology.ip(pod.name, 'route', 'add', 'default', 'via', gateway);
  }
}

function cidrOf(node: PlannedNode, address: string): IpPrefix {
  const parsed = parseAddress(address);
  const cidr = parsed.ok ? node.cidrs.find(prefix => prefixContains(prefix, parsed.value)) : undefined;
  if (cidr === undefined) throw new Error(`${address} is in no pod CIDR of ${node.name}`);
  return cidr;
}

/** The first address of a pod CIDR, for the node's bridge, with the prefix length. */
function gatewayOf({ address, length }: IpPrefix): string {
  if (address.version === 4)
    return `${formatAddress({ version: 4, value: (address.value + 1) as typeof address.value })}/${length}`;
  const [a, b, c, d] = address.words;
  return `${formatAddress({ version: 6, words: [a, b, c, d + 1] })}/${length}`;
}
