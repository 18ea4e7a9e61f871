/** A namespace with two links and a FIB in it, for tests that let the real kernel judge. */

import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { FibEvent } from '../../src/fib/fibTypes.js';
import { openKernelRouting, type KernelRouting } from '../../src/fib/kernelRouting.js';
import type { Ownership } from '../../src/fib/ownership.js';
import { makeNamespace, type Namespace } from './namespace.js';

const Hop = z.object({
  gateway: z.string().optional(),
  via: z.object({ host: z.string() }).optional(),
  dev: z.string().optional(),
});
/** Routes of `ip -j route`, as far as the tests look at them. */
const KernelRoutes = z.array(Hop.extend({ dst: z.string(), nexthops: z.array(Hop).optional() }));

export interface FibRig {
  readonly ns: Namespace;
  readonly events: FibEvent[];
  /** Opens a FIB and starts it; the one before must have been stopped. */
  open(owner?: Partial<Ownership>): Promise<Opened>;
  /** Our routes as `destination via hop,hop`, sorted. */
  ours(version?: 4 | 6, table?: string): readonly string[];
  /** Runs `ip monitor route` while `work` runs; answers its lines. */
  watching(work: () => Promise<void>): Promise<readonly string[]>;
  close(): Promise<void>;
}

export type Opened = KernelRouting & { readonly fib: NonNullable<KernelRouting['fib']> };

/** v0 has 192.168.0.1/24 and 2001:db8::1/64, w0 has 192.168.1.1/24 and 2001:db8:1::1/64; their other ends are v1 and w1. */
export function makeFibRig(name: string): FibRig {
  const ns = makeNamespace(name);
  for (const [link, v4, v6] of [
    ['v', '192.168.0.1/24', '2001:db8::1/64'],
    ['w', '192.168.1.1/24', '2001:db8:1::1/64'],
  ] as const) {
    ns.ip(`link add ${link}0 type veth peer name ${link}1`);
    ns.ip(`link set ${link}1 up`);
    ns.ip(`link set ${link}0 up`);
    ns.ip(`addr add ${v4} dev ${link}0`);
    ns.ip(`-6 addr add ${v6} dev ${link}0 nodad`);
  }
  const events: FibEvent[] = [];
  let opened: Opened | undefined;
  return {
    ns,
    events,
    open: async owner => {
      const routing = ns.inside(() =>
        openKernelRouting({
          install: true,
          onEvent: event => events.push(event),
          ...(owner === undefined ? {} : { owner }),
        }),
      );
      const { fib } = routing;
      if (fib === undefined) throw new Error('asked for a FIB and got none');
      opened = { ...routing, fib };
      await routing.start();
      return opened;
    },
    ours: (version = 4, table = 'main') => readOurs(ns, version, table),
    watching: work => watching(ns, work),
    close: async () => {
      await opened?.stop({ keepRoutes: true });
      ns.remove();
    },
  };
}

function readOurs(ns: Namespace, version: 4 | 6, table: string): readonly string[] {
  const text = ns.ip(`-j -${version} route show proto bgp table ${table}`);
  const routes = KernelRoutes.parse(JSON.parse(text || '[]'));
  const hop = (h: z.infer<typeof Hop>): string => h.gateway ?? h.via?.host ?? `dev ${h.dev ?? '?'}`;
  return routes.map(route => `${route.dst} via ${(route.nexthops ?? [route]).map(hop).sort().join(',')}`).sort();
}

/** Routes that say where in the monitor's output the work begins and ends; in a table of nobody's. */
const [BEGIN, END] = ['203.0.113.1', '203.0.113.2'];

async function watching(ns: Namespace, work: () => Promise<void>): Promise<readonly string[]> {
  const child = spawn('ip', ['-n', ns.name, 'monitor', 'route'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const mark = (act: 'add' | 'del', address: string): string =>
    ns.ip(`route ${act} ${address} dev v0 proto static table 4242`);
  try {
    for (let tries = 0; !text.includes(BEGIN); tries++) {
      mark(tries % 2 === 0 ? 'add' : 'del', BEGIN);
      await delay(20);
    }
    await work();
    mark('add', END);
    await until(() => text.includes(END));
  } finally {
    child.kill();
    ns.ip('route flush table 4242');
  }
  // The kernel's own routes come when it has found that nobody else has a link's address: in its time, not in ours.
  return text
    .split('\n')
    .filter(line => line.trim() !== '' && !/\b(local|multicast|anycast|fe80::|203\.0\.113\.\d)/.test(line));
}

/** Waits until it holds; fails with what `show` says after half a minute, since the machine may have other work. */
export async function until(holds: () => boolean, show: () => unknown = () => ''): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end;) {
    if (holds()) return;
    await delay(20);
  }
  throw new Error(`did not come true within 30 s: ${holds.toString()} ${JSON.stringify(show())}`);
}
