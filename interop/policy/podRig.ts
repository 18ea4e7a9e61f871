/**
 * One node and its pods, each in a network namespace: a veth pair for each pod, a host route on the node, everything else
 * by way of the node, both families. Impure: needs root.
 */

import { execFileSync } from 'node:child_process';
import { makeNamespace, type Namespace } from '../../test/kernel/namespace.js';
import type { ClusterPod } from './cluster.js';

/** On the node's end of every link. */
const GATEWAY = { 4: '169.254.1.1', 6: 'fe80::1' } as const;
const SYSCTLS = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];

export interface PodRig {
  readonly node: Namespace;
  /** By `namespace/name`. */
  readonly pods: ReadonlyMap<string, Namespace>;
  close(): void;
}

/** @param prefix of the namespaces' names */
export function openPodRig(prefix: string, pods: readonly Pick<ClusterPod, 'namespace' | 'name' | 'ips'>[]): PodRig {
  const node = makeNamespace(`${prefix}-node`);
  const spaces = new Map<string, Namespace>();
  const close = (): void => {
    for (const space of spaces.values()) space.remove();
    node.remove();
  };
  try {
    for (const sysctl of SYSCTLS) execFileSync('ip', ['netns', 'exec', node.name, 'sysctl', '-qw', sysctl]);
    for (const { namespace, name, ips } of pods) {
      const space = makeNamespace(`${prefix}-${namespace}-${name}`);
      spaces.set(`${namespace}/${name}`, space);
      join(node, space, `to-${namespace}-${name}`, ips);
    }
  } catch (error) {
    close();
    throw error;
  }
  return { node, pods: spaces, close };
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
