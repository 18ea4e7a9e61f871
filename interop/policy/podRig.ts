/**
 * Nodes and their pods, each in a network namespace: a veth pair for each pod, a host route on its node, everything else by
 * way of the node, both families; and a link between every two nodes. Impure: needs root.
 */

import { execFileSync } from 'node:child_process';
import { makeNamespace, type Namespace } from '../../test/kernel/namespace.js';
import { NODE_NAME, type ClusterPod } from './cluster.js';

/** On the node's end of every link. */
const GATEWAY = { 4: '169.254.1.1', 6: 'fe80::1' } as const;
const SYSCTLS = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];

export interface PodRig {
  /** The one that pods are on if nothing else is said. */
  readonly node: Namespace;
  /** By name. */
  readonly nodes: ReadonlyMap<string, Namespace>;
  /** By `namespace/name`. */
  readonly pods: ReadonlyMap<string, Namespace>;
  close(): void;
}

export interface RigPod extends Pick<ClusterPod, 'namespace' | 'name' | 'ips'> {
  /** Absent: the usual one. */
  readonly node?: string;
}

const nodeOf = ({ node = NODE_NAME }: RigPod): string => node;

/** @param prefix of the namespaces' names */
export function openPodRig(prefix: string, pods: readonly RigPod[]): PodRig {
  const nodes = new Map<string, Namespace>();
  const spaces = new Map<string, Namespace>();
  const close = (): void => {
    for (const space of [...spaces.values(), ...nodes.values()]) space.remove();
  };
  try {
    for (const name of new Set([NODE_NAME, ...pods.map(nodeOf)])) nodes.set(name, openNode(`${prefix}-${name}`));
    for (const pod of pods) {
      const { namespace, name, ips } = pod;
      const space = makeNamespace(`${prefix}-${namespace}-${name}`);
      spaces.set(`${namespace}/${name}`, space);
      join(nodes.get(nodeOf(pod))!, space, `to-${namespace}-${name}`, ips);
    }
    joinNodes([...nodes], pods);
  } catch (error) {
    close();
    throw error;
  }
  return { node: nodes.get(NODE_NAME)!, nodes, pods: spaces, close };
}

function openNode(name: string): Namespace {
  const node = makeNamespace(name);
  for (const sysctl of SYSCTLS) execFileSync('ip', ['netns', 'exec', name, 'sysctl', '-qw', sysctl]);
  return node;
}

/** Link-local addresses on links of their own, and routes to each other's pods. */
function joinNodes(nodes: readonly (readonly [name: string, space: Namespace])[], pods: readonly RigPod[]): void {
  for (const [i, [name, space]] of nodes.entries())
    for (const [otherName, other] of nodes.slice(i + 1)) {
      space.ip(`link add to-${otherName} type veth peer name to-${name} netns ${other.name}`);
      joinNode(
        space,
        `to-${otherName}`,
        1,
        pods.filter(pod => nodeOf(pod) === otherName),
      );
      joinNode(
        other,
        `to-${name}`,
        2,
        pods.filter(pod => nodeOf(pod) === name),
      );
    }
}

/** @param end 1 or 2 of the link @param others the pods behind it */
function joinNode(node: Namespace, link: string, end: 1 | 2, others: readonly RigPod[]): void {
  const ips = others.flatMap(pod => pod.ips);
  const [four, six] = [`169.254.2.${3 - end}`, `fe80::2:${3 - end}`];
  batch(node, [
    `addr add 169.254.2.${end}/30 dev ${link}`,
    `addr add fe80::2:${end}/64 dev ${link} nodad`,
    `link set ${link} up`,
    ...ips.map(ip => `route add ${ip} via ${ip.includes(':') ? six : four} dev ${link}`),
  ]);
}

function join(node: Namespace, pod: Namespace, link: string, ips: readonly string[]): void {
  node.ip(`link add ${link} type veth peer name eth0 netns ${pod.name}`);
  batch(node, [
    `addr add ${GATEWAY[4]}/32 dev ${link}`,
    `addr add ${GATEWAY[6]}/64 dev ${link} nodad`,
    `link set ${link} up`,
    ...ips.map(ip => `route add ${ip} dev ${link}`),
  ]);
  batch(pod, [
    ...ips.map(ip => `addr add ${ip} dev eth0${ip.includes(':') ? ' nodad' : ''}`),
    'link set eth0 up',
    `route add ${GATEWAY[4]} dev eth0`,
    `route add default via ${GATEWAY[4]}`,
    `-6 route add default via ${GATEWAY[6]} dev eth0`,
  ]);
}

/** `ip -batch` takes no family in a line. */
function batch(space: Namespace, lines: readonly string[]): void {
  for (const six of [false, true]) {
    const own = lines.filter(line => line.startsWith('-6 ') === six).map(line => line.replace(/^-6 /, ''));
    if (own.length === 0) continue;
    execFileSync('ip', [...(six ? ['-6'] : []), '-n', space.name, '-batch', '-'], { input: own.join('\n') });
  }
}
