/**
 * A node with pods, some on its bridge and some on links of their own, and the world behind it.
 *
 *   pod 10.244.1.5 … ── node (10.0.0.1) ── world (10.0.0.2)
 *       fd00:10:244:1::5    fd00::1            fd00::2
 */

import { execFileSync } from 'node:child_process';
import { pino } from 'pino';
import { waitFor } from '../../lab/topology/commands.js';
import { createBandwidthPlane, type BandwidthPlane } from '../../src/app/bandwidth/bandwidthPlane.js';
import { systemClock } from '../../src/core/clock.js';
import type { Problem } from '../../src/kube/problems.js';
import { openMonitor } from '../../src/kernel/monitor.js';
import { openRouteChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { makeNamespace, type Namespace } from './namespace.js';

export interface BandwidthRig {
  readonly node: Namespace;
  readonly world: Namespace;
  readonly channel: NetlinkChannel;
  /** What is wrong now. */
  problems(): readonly string[];
  /** A pod with the addresses .N and ::N, on the bridge or routed. Its host's end is `vethN`. */
  addPod(n: number, way: 'bridge' | 'routed'): Namespace;
  /** Starts a process, as it were. */
  start(): BandwidthPlane;
  /** What tc(8) says of a link. */
  tc(args: string): string;
  /** Waits for a state of affairs. */
  until(what: string, holds: () => boolean | Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

/** @param prefix of the namespaces' names */
export function buildBandwidthRig(prefix: string): BandwidthRig {
  const node = makeNamespace(`${prefix}n`);
  const world = makeNamespace(`${prefix}w`);
  const pods: Namespace[] = [];
  wire(node, world);
  const channel = node.inside(openRouteChannel);
  const running: { readonly plane: BandwidthPlane; readonly close: () => void }[] = [];
  let problems: readonly Problem[] = [];
  return {
    node,
    world,
    channel,
    problems: () => problems.map(({ subject, text }) => `${subject}: ${text}`),
    addPod: (n, way) => {
      const pod = attach(node, prefix, n, way);
      pods.push(pod);
      return pod;
    },
    start: () => {
      const monitor = node.inside(() => openMonitor({ topics: ['link'], ignoreCausedBy: channel.portId }));
      const report = (found: ReadonlyMap<string, readonly Problem[]>): void => {
        problems = [...found.values()].flat();
      };
      const logger = pino({ level: 'silent' });
      const plane = createBandwidthPlane({ channel, monitor, clock: systemClock, logger, report });
      running.push({ plane, close: () => monitor.close() });
      return plane;
    },
    tc: args => execFileSync('tc', ['-n', node.name, ...args.split(' ')], { encoding: 'utf8' }),
    until: async (what, holds) => {
      await waitFor(what, 60_000, async () => ((await holds()) ? true : undefined));
    },
    close: async () => {
      for (const { plane, close } of running) {
        await plane.stop();
        close();
      }
      channel.close();
      for (const ns of [node, world, ...pods]) ns.remove();
    },
  };
}

function wire(node: Namespace, world: Namespace): void {
  node.ip(`link add eth0 type veth peer name eth0 netns ${world.name}`);
  for (const command of [
    'link set eth0 up',
    'addr add 10.0.0.1/24 dev eth0',
    'addr add fd00::1/64 dev eth0 nodad',
    'link add kube-bridge type bridge',
    'link set kube-bridge up',
    'addr add 10.244.1.1/24 dev kube-bridge',
    'addr add fd00:10:244:1::1/64 dev kube-bridge nodad',
  ])
    node.ip(command);
  for (const command of [
    'link set eth0 up',
    'addr add 10.0.0.2/24 dev eth0',
    'addr add fd00::2/64 dev eth0 nodad',
    'route add 10.244.0.0/16 via 10.0.0.1',
    '-6 route add fd00:10:244::/48 via fd00::1',
  ])
    world.ip(command);
  const settings = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
  execFileSync('ip', ['netns', 'exec', node.name, 'sysctl', '-qw', ...settings]);
}

function attach(node: Namespace, prefix: string, n: number, way: 'bridge' | 'routed'): Namespace {
  const pod = makeNamespace(`${prefix}p${n}`);
  node.ip(`link add veth${n} type veth peer name eth0 netns ${pod.name}`);
  node.ip(`link set veth${n} up`);
  pod.ip('link set eth0 up');
  if (way === 'bridge') {
    node.ip(`link set veth${n} master kube-bridge`);
    pod.ip(`addr add 10.244.1.${n}/24 dev eth0`);
    pod.ip(`addr add fd00:10:244:1::${n}/64 dev eth0 nodad`);
  } else {
    pod.ip(`addr add 10.244.1.${n}/32 dev eth0`);
    pod.ip(`addr add fd00:10:244:1::${n}/128 dev eth0 nodad`);
    node.ip(`route add 10.244.1.${n}/32 dev veth${n}`);
    node.ip(`-6 route add fd00:10:244:1::${n}/128 dev veth${n}`);
    // Of IPv6 addresses, a link answers for its own only.
    node.ip(`addr add fe80::1/64 dev veth${n} nodad`);
    pod.ip('route add 10.244.1.1/32 dev eth0');
  }
  pod.ip('route add default via 10.244.1.1');
  pod.ip(`-6 route add default via ${way === 'bridge' ? 'fd00:10:244:1::1' : 'fe80::1 dev eth0'}`);
  return pod;
}
