/**
 * Two nodes in two subnets with a router between them that knows nothing of pods, a pod on each, and on each node a FIB with
 * an overlay.
 *
 *   pod a ── node a ── router ── node b ── pod b
 *            10.1.0.10        10.2.0.20          (and 2001:db8:1::10, 2001:db8:2::20)
 *   10.244.1.5                        10.244.2.5 (and 2001:db8:f1::5, 2001:db8:f2::5)
 */

import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { FibEvent } from '../../src/fib/fibTypes.js';
import { openKernelRouting, type KernelRouting } from '../../src/fib/kernelRouting.js';
import type { OverlayEvent } from '../../src/fib/overlay/overlay.js';
import { DEFAULT_OVERLAY, type OverlayOptions } from '../../src/fib/overlay/overlayOptions.js';
import type { OverlayNode, OverlayOwnNode } from '../../src/fib/overlay/overlayTypes.js';
import { address, changes, nextHops, prefix } from '../unit/fib/routeText.js';
import { makeNamespace, type Namespace } from './namespace.js';

export const NODES = {
  a: { rack: 1, v4: '10.1.0.10', v6: '2001:db8:1::10' },
  b: { rack: 2, v4: '10.2.0.20', v6: '2001:db8:2::20' },
} as const;
export type NodeName = keyof typeof NODES;

/** Address of the pod on a node. */
export function podOf(name: NodeName, version: 4 | 6): string {
  const { rack } = NODES[name];
  return version === 4 ? `10.244.${rack}.5` : `2001:db8:f${rack}::5`;
}

export interface RackNode {
  readonly ns: Namespace;
  readonly pod: Namespace;
  readonly events: OverlayEvent[];
  readonly fibEvents: FibEvent[];
  readonly routing: KernelRouting;
  /** Starts a new process, as it were; the one before must have been stopped. */
  start(options?: Partial<OverlayOptions>): Promise<void>;
  configure(options: Partial<OverlayOptions>): void;
  /** Wants the other node's pod networks through its addresses. */
  route(): Promise<void>;
  stop(keepRoutes: boolean): Promise<void>;
}

export interface Racks {
  readonly router: Namespace;
  readonly a: RackNode;
  readonly b: RackNode;
  close(): Promise<void>;
}

/** Runs a command in a namespace. @returns what it printed, and whether it succeeded */
export function run(ns: Namespace, command: string): { readonly ok: boolean; readonly text: string } {
  const { status, stdout, stderr } = spawnSync('ip', ['netns', 'exec', ns.name, ...command.split(' ')], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { ok: status === 0, text: stdout + stderr };
}

/**
 * Pings once a try, not to be fragmented, with packets of so many octets with all headers. Several tries are for what is to
 * arrive: until all have been answered there is patience, since the machine may have other work.
 */
export function ping(from: Namespace, to: string, octets: number, tries = 3): boolean {
  const headers = to.includes(':') ? 48 : 28;
  const patience = tries === 1 ? '-W 1' : '-w 15';
  return run(from, `ping -M do -c ${tries} -i 0.2 ${patience} -s ${octets - headers} ${to}`).ok;
}

/** @param mtu of the links of rack 2 */
export function makeRacks(name: string, mtu = 1500): Racks {
  const router = freshNamespace(`${name}r`);
  run(router, 'sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1');
  const a = makeNode(name, 'a', router, 1500);
  const b = makeNode(name, 'b', router, mtu);
  return {
    router,
    a,
    b,
    close: async () => {
      for (const node of [a, b]) await node.stop(true);
      for (const ns of [a.pod, b.pod, a.ns, b.ns, router]) ns.remove();
    },
  };
}

/** Without duplicate address detection: for a second or two it would keep neighbours from answering. */
function freshNamespace(name: string): Namespace {
  const ns = makeNamespace(name);
  run(ns, 'sysctl -q -w net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0');
  return ns;
}

function makeNode(prefixName: string, name: NodeName, router: Namespace, mtu: number): RackNode {
  const { rack, v4, v6 } = NODES[name];
  const ns = freshNamespace(`${prefixName}${name}`);
  const pod = freshNamespace(`${prefixName}p${name}`);
  run(ns, 'sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=1');
  connect(
    ns,
    'eth0',
    [`${v4}/24`, `${v6}/64`],
    router,
    `r${rack}`,
    [`10.${rack}.0.1/24`, `2001:db8:${rack}::1/64`],
    mtu,
  );
  ns.ip(`route add default via 10.${rack}.0.1`);
  ns.ip(`-6 route add default via 2001:db8:${rack}::1`);
  const [podV4, podV6] = [podOf(name, 4), podOf(name, 6)];
  connect(
    ns,
    'pod0',
    [`10.244.${rack}.1/24`, `2001:db8:f${rack}::1/64`],
    pod,
    'eth0',
    [`${podV4}/24`, `${podV6}/64`],
    mtu,
  );
  pod.ip(`route add default via 10.244.${rack}.1`);
  pod.ip(`-6 route add default via 2001:db8:f${rack}::1`);
  return runningNode(name, ns, pod);
}

function runningNode(name: NodeName, ns: Namespace, pod: Namespace): RackNode {
  const { events, fibEvents } = { events: [] as OverlayEvent[], fibEvents: [] as FibEvent[] };
  let routing: KernelRouting | undefined;
  const running = (): KernelRouting => {
    if (routing === undefined) throw new Error(`node ${name} was not started`);
    return routing;
  };
  const other: NodeName = name === 'a' ? 'b' : 'a';
  return {
    ns,
    pod,
    events,
    fibEvents,
    get routing() {
      return running();
    },
    start: async options => {
      routing = ns.inside(() =>
        openKernelRouting({
          install: true,
          onEvent: event => fibEvents.push(event),
          onOverlayEvent: event => events.push(event),
        }),
      );
      await routing.start();
      routing.overlay?.configure({ ...DEFAULT_OVERLAY, encapsulation: 'vxlan', ...options });
      routing.overlay?.update(ownNode(name), { set: new Map([[other, nodeOf(other)]]), removed: new Set() });
    },
    configure: options => running().overlay?.configure({ ...DEFAULT_OVERLAY, encapsulation: 'vxlan', ...options }),
    route: async () => {
      const { rack, v4, v6 } = NODES[other];
      running().fib?.apply(changes({ [`10.244.${rack}.0/24`]: 1 }, [nextHops(1, v4)]));
      running().fib?.apply(changes({ [`2001:db8:f${rack}::/64`]: 2 }, [nextHops(2, v6)]));
      await running().overlay?.idle();
      await running().fib?.idle();
    },
    stop: async keepRoutes => {
      await routing?.stop({ keepRoutes });
      routing = undefined;
    },
  };
}

export function nodeOf(name: NodeName, mtu?: number): OverlayNode {
  const { v4, v6 } = NODES[name];
  return { name, v4: address(v4), v6: address(v6), mtu };
}

function ownNode(name: NodeName): OverlayOwnNode {
  const { rack } = NODES[name];
  return { ...nodeOf(name), podCidrs: [prefix(`10.244.${rack}.0/24`), prefix(`2001:db8:f${rack}::/64`)] };
}

function connect(
  a: Namespace,
  linkA: string,
  addressesA: readonly string[],
  b: Namespace,
  linkB: string,
  addressesB: readonly string[],
  mtu: number,
): void {
  a.ip(`link add ${linkA} mtu ${mtu} type veth peer name ${linkB} netns ${b.name}`);
  b.ip(`link set ${linkB} mtu ${mtu}`);
  for (const [ns, link, addresses] of [
    [a, linkA, addressesA],
    [b, linkB, addressesB],
  ] as const) {
    ns.ip(`link set ${link} up`);
    for (const text of addresses)
      ns.ip(`${text.includes(':') ? '-6 ' : ''}addr add ${text} dev ${link}${text.includes(':') ? ' nodad' : ''}`);
  }
}

/** Waits until it holds; fails after half a minute, since the machine may have other work. */
export async function eventually(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end;) {
    if (holds()) return;
    await delay(50);
  }
  throw new Error(`did not come true within 30 s: ${what}`);
}
