/**
 * A history of services against the kernel's own IPVS: after each step it has exactly what a backend that starts from nothing
 * would write, whatever was there before and whoever had a hand in it. The numbers are drawn from a seed, the same every time.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { systemClock } from '../../../src/core/clock.js';
import { formatAddress } from '../../../src/core/ip.js';
import { openIpvs, type Ipvs } from '../../../src/kernel/ipvs/ipvs.js';
import { openChannel, openRouteChannel } from '../../../src/kernel/netlink/channel.js';
import { NETLINK_NETFILTER } from '../../../src/kernel/nftables/numbers.js';
import { openTransactions } from '../../../src/kernel/nftables/transaction.js';
import { createIpvsServers, type IpvsServers } from '../../../src/proxy/ipvs/ipvsServers.js';
import { createServerClaims, type ServerClaims } from '../../../src/proxy/ipvs/serverClaims.js';
import { createServiceLink, type ServiceLink } from '../../../src/proxy/ipvs/serviceLink.js';
import { destinationKey, serverKey } from '../../../src/proxy/ipvs/virtualServers.js';
import type { ProxyEvent } from '../../../src/proxy/proxyBackend.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { FakeIpvsKernel } from '../../../test/unit/proxy/ipvs/fakeIpvsKernel.js';
import {
  address,
  deltaBetween,
  NOTHING,
  settings,
  stateOf,
  type SomeService,
  type State,
} from '../../../test/unit/proxy/ipvs/ipvsWorld.js';
import { vmSuite } from '../suite.js';

const NAME = 'ipvs-history';
const STEPS = 40;
const SEED = 20_261_121;
const SETTINGS = settings({ gracefulPeriod: 0 });
const LOCAL = ['127.0.0.1', '192.168.9.1', 'fd99::1'].map(address);

interface Kernel {
  readonly node: Namespace;
  readonly ipvs: Ipvs;
  readonly link: ServiceLink;
  readonly claims: ServerClaims;
  readonly close: () => void;
}

let opened: Kernel | undefined;

function kernel(): Kernel {
  if (opened === undefined) throw new Error('the namespace does not stand');
  return opened;
}

async function openKernel(): Promise<Kernel> {
  const node = makeNamespace(NAME);
  node.ip('link add up0 type dummy');
  node.ip('link set up0 up');
  node.ip('addr add 192.168.9.1/24 dev up0');
  node.ip('addr add fd99::1/64 dev up0 nodad');
  const sockets = node.inside(() => ({
    opening: openIpvs(),
    routes: openRouteChannel(),
    netfilter: openChannel(NETLINK_NETFILTER),
    transactions: openTransactions(),
  }));
  const ipvs = await sockets.opening;
  if (typeof ipvs === 'string') throw new Error(ipvs);
  const { routes, netfilter, transactions } = sockets;
  return {
    node,
    ipvs,
    link: createServiceLink(routes),
    claims: createServerClaims(netfilter, transactions),
    close: () => [ipvs, routes, netfilter, transactions].forEach(socket => socket.close()),
  };
}

interface Life {
  readonly servers: IpvsServers;
  readonly problems: string[];
}

function openLife(on: Pick<Kernel, 'ipvs' | 'link' | 'claims'> | FakeIpvsKernel, state: State): Life {
  const problems: string[] = [];
  const servers = createIpvsServers({
    ipvs: on.ipvs,
    link: on.link,
    claims: on.claims,
    clock: systemClock,
    readBackInterval: 3_600_000,
    local: LOCAL,
    onEvent: (event: ProxyEvent) => {
      if (event.kind === 'failed') problems.push(...event.failures.values());
      if (event.kind === 'error') problems.push(event.text);
    },
    onSettled: () => undefined,
  });
  servers.configure(SETTINGS);
  servers.apply(deltaBetween(NOTHING, state));
  servers.begin();
  return { servers, problems };
}

/** What the kernel has, in the words of the one in memory. */
async function linesOf({ ipvs, link, claims }: Kernel): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const server of await ipvs.servers()) {
    const key = serverKey(server);
    lines.push(`${key} ${server.scheduler} ${server.flags} ${server.timeout}`);
    for (const one of await ipvs.destinations(server))
      lines.push(`${key} -> ${destinationKey(one)} ${one.weight} ${one.method}`);
  }
  for (const { address: vip, source } of (await link.read())?.vips ?? [])
    lines.push(`vip ${formatAddress(vip)} ${source === undefined ? '-' : formatAddress(source)}`);
  for (const server of await claims.read()) lines.push(`written ${serverKey(server)}`);
  return lines.sort();
}

/** Numbers from 0 to below `bound`, the same row for the same seed (a linear congruence of 32 bits). */
function drawFrom(seed: number): (bound: number) => number {
  let state = seed;
  return bound => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % bound;
  };
}

function draw<T>(next: (bound: number) => number, values: readonly T[]): T {
  return values[next(values.length)]!;
}

function someServices(next: (bound: number) => number): readonly SomeService[] {
  return ['a', 'b', 'c'].flatMap((name): readonly SomeService[] => {
    if (next(4) === 0) return [];
    const family = draw(next, [4, 6] as const);
    return [
      {
        name,
        family,
        protocol: draw(next, ['TCP', 'UDP', 'SCTP'] as const),
        pods: [1, 2, 3, 4].filter(() => next(2) === 0),
        weight: draw(next, [1, 1, 7]),
        external: family === 4 ? draw(next, [undefined, '203.0.113.1', '192.168.9.1']) : undefined,
        nodePort: draw(next, [undefined, 80, 30001]),
        affinity: draw(next, [undefined, 60]),
        scheduler: draw(next, ['rr', 'sh', 'mh'] as const),
      },
    ];
  });
}

/** Somebody else takes a thing away. */
function meddle(next: (bound: number) => number, { node }: Kernel): void {
  const run = (...command: readonly string[]): string =>
    execFileSync('ip', ['netns', 'exec', NAME, ...command], { encoding: 'utf8' });
  const servers = run('ipvsadm', '-Sn')
    .split('\n')
    .filter(line => line.startsWith('-A'))
    .map(line => line.split(' ').slice(1, 3));
  const kind = next(3);
  if (kind === 0 && servers.length > 0) run('ipvsadm', '-D', ...draw(next, servers));
  else if (kind === 1) node.ip('link del kube-dummy-if');
  else run('ipvsadm', '-C');
}

export const ipvsHistory = vmSuite('ipvsHistory', 1800, ({ check, prepare, cleanup }) => {
  prepare('a node with IPVS', async () => {
    opened = await openKernel();
  });
  check(`${STEPS} steps of a history leave what would be written anew`, async () => {
    const next = drawFrom(SEED);
    let state = NOTHING;
    let life = openLife(kernel(), state);
    for (let step = 0; step < STEPS; step++) {
      const before = state;
      const kind = next(8);
      if (kind === 0) {
        await life.servers.stop();
        state = stateOf(someServices(next));
        life = openLife(kernel(), state);
      } else if (kind === 1) {
        await life.servers.idle();
        meddle(next, kernel());
        await life.servers.stop();
        life = openLife(kernel(), state);
      } else {
        state = stateOf(someServices(next));
        life.servers.apply(deltaBetween(before, state));
      }
      await life.servers.idle();
      const fake = new FakeIpvsKernel();
      const fresh = openLife(fake, state);
      await fresh.servers.idle();
      await fresh.servers.stop();
      assert.deepEqual(await linesOf(kernel()), fake.lines, `after step ${step}`);
      assert.deepEqual(life.problems, [], `in step ${step}`);
    }
    await life.servers.stop();
  });
  cleanup('remove the namespace', () => {
    opened?.close();
    opened?.node.remove();
  });
});
