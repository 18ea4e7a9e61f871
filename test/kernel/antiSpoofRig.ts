/**
 * A node with pods on a bridge and one on a link of its own, each with what libcni would have written of it.
 *
 *   a 10.244.1.5, fd00:1::5 ─┐
 *   b 10.244.1.6, fd00:1::6 ─┴ kube-bridge 10.244.1.1, fd00:1::1   (node)   veth-c ─ c 10.244.1.9, fd00:1::9
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createAntiSpoof, type AntiSpoof, type AntiSpoofOptions } from '../../src/app/antiSpoof/antiSpoof.js';
import { watchAttachments } from '../../src/app/antiSpoof/attachments.js';
import { systemClock } from '../../src/core/clock.js';
import type { Problem } from '../../src/kube/problems.js';
import { openMonitor } from '../../src/kernel/monitor.js';
import { openRouteChannel } from '../../src/kernel/netlink/channel.js';
import { openNft } from '../../src/kernel/nft.js';
import { makeNamespace, slimNft, type Namespace } from './namespace.js';

export type PodLetter = 'a' | 'b' | 'c';

export interface AntiSpoofRig {
  readonly node: Namespace;
  readonly pods: Readonly<Record<PodLetter, Namespace>>;
  readonly folder: string;
  /** Starts a process, as it were. */
  start(mode: AntiSpoofOptions['mode']): AntiSpoof;
  problems(): readonly Problem[];
  /** Writes what libcni would, of one pod. */
  attach(pod: PodLetter): void;
  nft(...args: readonly string[]): string;
  close(): Promise<void>;
}

const NUMBERS: Readonly<Record<PodLetter, number>> = { a: 5, b: 6, c: 9 };
export const v4 = (pod: PodLetter): string => `10.244.1.${NUMBERS[pod]}`;
export const v6 = (pod: PodLetter): string => `fd00:1::${NUMBERS[pod]}`;
export const lladdr = (pod: PodLetter): string => `02:00:00:00:00:0${NUMBERS[pod]}`;

/** @param prefix of the namespaces' names */
export function buildAntiSpoofRig(prefix: string): AntiSpoofRig {
  const node = makeNamespace(`${prefix}n`);
  const pods = { a: makeNamespace(`${prefix}a`), b: makeNamespace(`${prefix}b`), c: makeNamespace(`${prefix}c`) };
  const all = [node, ...Object.values(pods)];
  node.ip('link add kube-bridge type bridge');
  node.ip('link set kube-bridge up');
  node.ip('addr add 10.244.1.1/24 dev kube-bridge');
  node.ip('addr add fd00:1::1/64 dev kube-bridge nodad');
  for (const letter of ['a', 'b', 'c'] as const) plug(node, pods[letter], letter);
  const folder = mkdtempSync(join(tmpdir(), 'peerage-antispoof-'));
  let problems: readonly Problem[] = [];
  const endings: (() => Promise<void>)[] = [];
  const start = (mode: AntiSpoofOptions['mode']): AntiSpoof => {
    const channel = node.inside(openRouteChannel);
    const monitor = node.inside(() => openMonitor({ topics: ['link'] }));
    const antiSpoof = createAntiSpoof({
      channel,
      monitor,
      nft: openNft(slimNft(node.name)),
      clock: systemClock,
      logger: pino({ level: 'silent' }),
      report: found => (problems = [...found.values()].flat()),
      watch: watchAttachments,
    });
    endings.push(async () => {
      await antiSpoof.stop();
      monitor.close();
      channel.close();
    });
    antiSpoof.configure({ mode, attachments: folder, bridge: 'kube-bridge' });
    return antiSpoof;
  };
  return {
    node,
    pods,
    folder,
    start,
    problems: () => problems,
    attach: pod => writeFileSync(join(folder, `net-${pod}-eth0`), JSON.stringify(cached(pod))),
    nft: (...args) => execFileSync('ip', ['netns', 'exec', node.name, 'nft', ...args], { encoding: 'utf8' }),
    close: async () => {
      for (const end of endings) await end();
      for (const ns of all) ns.remove();
      rmSync(folder, { recursive: true });
    },
  };
}

/** As a CNI plugin would: c is routed, the others hang on the bridge. */
function plug(node: Namespace, pod: Namespace, letter: PodLetter): void {
  node.ip(`link add veth-${letter} type veth peer name eth0 netns ${pod.name}`);
  for (const command of [
    `link set eth0 address ${lladdr(letter)} up`,
    `addr add ${v4(letter)}/24 dev eth0`,
    `addr add ${v6(letter)}/64 dev eth0 nodad`,
  ])
    pod.ip(command);
  if (letter !== 'c') {
    node.ip(`link set veth-${letter} master kube-bridge up`);
    return;
  }
  node.ip('link set veth-c up');
  node.ip('addr add 169.254.1.1/32 dev veth-c');
  node.ip('-6 addr add fd00:ff::1/128 dev veth-c nodad');
  node.ip(`route add ${v4('c')}/32 dev veth-c`);
  node.ip(`-6 route add ${v6('c')}/128 dev veth-c`);
  pod.ip('route add 169.254.1.1/32 dev eth0');
  pod.ip('-6 route add fd00:ff::1/128 dev eth0');
}

function cached(letter: PodLetter): object {
  const sandbox = `/var/run/netns/${letter}`;
  const bridge = letter === 'c' ? [] : [{ name: 'kube-bridge', mac: '0a:00:00:00:00:01' }];
  return {
    kind: 'cniCacheV1',
    containerId: letter,
    config: '',
    ifName: 'eth0',
    networkName: 'net',
    cniArgs: [
      ['IgnoreUnknown', '1'],
      ['K8S_POD_NAMESPACE', 'shop'],
      ['K8S_POD_NAME', letter],
    ],
    result: {
      cniVersion: '1.0.0',
      dns: {},
      interfaces: [
        ...bridge,
        { name: `veth-${letter}`, mac: '0a:00:00:00:00:02' },
        { name: 'eth0', mac: lladdr(letter), sandbox },
      ],
      ips: [
        { address: `${v4(letter)}/24`, gateway: '10.244.1.1', interface: bridge.length + 1 },
        { address: `${v6(letter)}/64`, gateway: 'fd00:1::1', interface: bridge.length + 1 },
      ],
    },
  };
}
