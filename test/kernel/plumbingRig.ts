/**
 * A node with a pod and the world, and the node's plumbing at work in it.
 *
 *   pod 10.244.1.5 ── node (10.0.0.1) ── world (10.0.0.2, 192.168.7.1)
 *       fd00:10:244:1::5    fd00::1            fd00::2
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { watchFiles } from '../../src/app/config/watchFiles.js';
import { createPlumbing, type Plumbing } from '../../src/app/plumbing/plumbing.js';
import { DEFAULT_PLUMBING, type NodePlumbingOptions } from '../../src/app/plumbing/plumbingOptions.js';
import { systemClock } from '../../src/core/clock.js';
import type { Problem } from '../../src/kube/problems.js';
import { openLegacyIptables, type LegacyIptables } from '../../src/kernel/legacyForward.js';
import { openMonitor } from '../../src/kernel/monitor.js';
import { openRouteChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { openNft, type Nft } from '../../src/kernel/nft.js';
import { kernelSwitches, type Switches } from '../../src/kernel/sysctl.js';
import { makeNamespace, slimNft, type Namespace } from './namespace.js';

export interface PlumbingRig {
  readonly node: Namespace;
  readonly world: Namespace;
  readonly pod: Namespace;
  /** Folder of the test's own, with the CNI file in `net.d`. */
  readonly folder: string;
  readonly options: NodePlumbingOptions;
  readonly channel: NetlinkChannel;
  readonly nft: Nft;
  readonly legacyIptables: LegacyIptables;
  readonly switches: Switches;
  /** What is wrong now. */
  problems(): readonly Problem[];
  /** Messages of the log since it was last asked. */
  log(): readonly string[];
  /** Starts a process, as it were. */
  start(): Plumbing;
  close(): Promise<void>;
}

/** @param prefix of the namespaces' names */
export function buildPlumbingRig(prefix: string): PlumbingRig {
  const [node, world, pod] = ['n', 'w', 'p'].map(name => makeNamespace(`${prefix}${name}`)) as [
    Namespace,
    Namespace,
    Namespace,
  ];
  node.ip(`link add eth0 type veth peer name eth0 netns ${world.name}`);
  for (const command of [
    'link set eth0 up',
    'addr add 10.0.0.1/24 dev eth0',
    'addr add fd00::1/64 dev eth0 nodad',
    'route add default via 10.0.0.2',
  ])
    node.ip(command);
  for (const command of [
    'link set eth0 up',
    'addr add 10.0.0.2/24 dev eth0',
    'addr add fd00::2/64 dev eth0 nodad',
    'addr add 192.168.7.1/32 dev lo',
  ])
    world.ip(command);
  const folder = mkdtempSync(join(tmpdir(), 'peerage-plumbing-'));
  execFileSync('mkdir', [join(folder, 'net.d')]);
  const options: NodePlumbingOptions = {
    ...DEFAULT_PLUMBING,
    cni: { enabled: true, file: join(folder, 'net.d', '10-kuberouter.conflist') },
    stateDirectory: join(folder, 'state'),
  };
  const channel = node.inside(openRouteChannel);
  const nft = openNft(slimNft(node.name));
  const legacyIptables = openLegacyIptables(['ip', 'netns', 'exec', node.name], version => {
    const file = version === 4 ? 'ip_tables_names' : 'ip6_tables_names';
    return inside(node, `cat /proc/net/${file}`);
  });
  const switches: Switches = {
    read: name => node.inside(() => kernelSwitches.read(name)),
    write: (name, value) => node.inside(() => kernelSwitches.write(name, value)),
  };
  let problems: readonly Problem[] = [];
  let messages: string[] = [];
  const running: { readonly plumbing: Plumbing; readonly close: () => void }[] = [];
  const start = (): Plumbing => {
    const monitor = node.inside(() => openMonitor({ topics: ['link', 'address'] }));
    const logger = pino(
      { level: 'info' },
      { write: line => void messages.push((JSON.parse(line) as { msg: string }).msg) },
    );
    const report = (found: ReadonlyMap<string, readonly Problem[]>): void => {
      problems = [...found.values()].flat();
    };
    const plumbing = createPlumbing({
      nodeName: 'n1',
      logger,
      clock: systemClock,
      channel,
      monitor,
      nft,
      legacyIptables,
      switches,
      report,
      watchFiles,
    });
    running.push({ plumbing, close: () => monitor.close() });
    return plumbing;
  };
  return {
    node,
    world,
    pod,
    folder,
    options,
    channel,
    nft,
    legacyIptables,
    switches,
    problems: () => problems,
    log: () => {
      const told = messages;
      messages = [];
      return told;
    },
    start,
    close: async () => {
      for (const { plumbing, close } of running) {
        await plumbing.stop();
        close();
      }
      channel.close();
      for (const ns of [node, world, pod]) ns.remove();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Runs a command in a namespace. @returns what it printed; throws when it fails */
export function inside(ns: Namespace, command: string): string {
  return execFileSync('ip', ['netns', 'exec', ns.name, ...command.split(' ')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The pod's link on the bridge, with addresses, as a CNI plugin would make it. */
export function attachPod({ node, pod }: PlumbingRig): void {
  node.ip(`link add veth1 type veth peer name eth0 netns ${pod.name}`);
  node.ip('link set veth1 master kube-bridge up');
  node.ip('addr add 10.244.1.1/24 dev kube-bridge');
  node.ip('addr add fd00:10:244:1::1/64 dev kube-bridge nodad');
  for (const command of [
    'link set eth0 up',
    'addr add 10.244.1.5/24 dev eth0',
    'addr add fd00:10:244:1::5/64 dev eth0 nodad',
    'route add default via 10.244.1.1',
    '-6 route add default via fd00:10:244:1::1',
  ])
    pod.ip(command);
}
