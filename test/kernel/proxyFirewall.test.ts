/** The firewall's table beside IPVS as the kernel and others meet it: restart, drift, refusals. Needs root, and no IPVS. */

import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { systemClock } from '../../src/core/clock.js';
import { openChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import { NETLINK_NETFILTER } from '../../src/kernel/nftables/numbers.js';
import { openTransactions, type Transactions } from '../../src/kernel/nftables/transaction.js';
import { createIpvsFirewall } from '../../src/proxy/ipvs/firewall.js';
import type { FamilyTable } from '../../src/proxy/nftables/familyTable.js';
import type { ProxyEvent } from '../../src/proxy/proxyBackend.js';
import type { Family } from '../../src/proxy/proxyTypes.js';
import { makeNamespace, type Namespace } from './namespace.js';
import { backendOn, deltaOf, prefixOf, SETTINGS, type ServiceShape } from './proxyRig.js';
import { until } from './tcpNamespaces.js';

interface Life {
  readonly table: FamilyTable;
  readonly events: readonly ProxyEvent[];
  end(): Promise<void>;
}

let ns: Namespace;
let lives: Life[] = [];
beforeEach(() => {
  ns = makeNamespace('pkfw');
});
afterEach(async () => {
  for (const life of lives) await life.end();
  lives = [];
  ns.remove();
});

function open(family: Family = 4, readBackInterval = 60_000): Life {
  const events: ProxyEvent[] = [];
  const sockets = ns.inside((): { channel: NetlinkChannel; transactions: Transactions } => ({
    channel: openChannel(NETLINK_NETFILTER),
    transactions: openTransactions(),
  }));
  const onEvent = (event: ProxyEvent): void => void events.push(event);
  const table = createIpvsFirewall({ family, ...sockets, clock: systemClock, readBackInterval, onEvent });
  let isOver = false;
  const end = async (): Promise<void> => {
    if (isOver) return;
    isOver = true;
    await table.stop();
    sockets.channel.close();
    sockets.transactions.close();
  };
  const life = { table, events, end };
  lives.push(life);
  return life;
}

/** A service in every set: served, closed, restricted, short-circuited. */
function services(family: Family): readonly ServiceShape[] {
  const [vip, outer] = family === 4 ? ['10.96.1.', '203.0.113.'] : ['fd96::1:', 'fdcc::1:'];
  const local = { policy: 'local', shortCircuit: true, masquerade: 'never' } as const;
  return [
    {
      family,
      name: 'web',
      cluster: [backendOn(family, 'b'), backendOn(family, 'c')],
      frontends: [
        { address: `${vip}1` },
        {
          address: `${outer}1`,
          kind: 'loadBalancer',
          sourceRanges: [prefixOf(family === 4 ? '192.168.0.0/16' : 'fd99::/16')],
        },
        { address: undefined, kind: 'nodePort', port: 30080, masquerade: 'always' },
      ],
    },
    {
      family,
      name: 'elsewhere',
      cluster: [backendOn(family, 'c')],
      frontends: [{ address: `${vip}2` }, { address: `${outer}2`, kind: 'externalIp', ...local }],
    },
    { family, name: 'nobody', cluster: [], frontends: [{ address: `${vip}3` }] },
  ];
}

async function start(life: Life, wanted: readonly ServiceShape[]): Promise<void> {
  life.table.configure(SETTINGS);
  life.table.apply(deltaOf(wanted));
  life.table.begin();
  await life.table.idle();
}

function nft(...args: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', ns.name, 'nft', ...args], { encoding: 'utf8', stdio: 'pipe' });
}

/** With elements in one order. */
function listing(family: Family): string {
  const text = nft('-j', 'list', 'table', family === 4 ? 'ip' : 'ip6', 'peerage-ipvs');
  return JSON.stringify(JSON.parse(text), (key, value: unknown) => {
    if (key === 'handle') return undefined;
    return key === 'elem' && Array.isArray(value) ? value.map(v => JSON.stringify(v)).sort() : value;
  });
}

const kinds = ({ events }: Life): readonly string[] => events.map(({ kind }) => kind);

test.each([4, 6] as const)('IPv%i: nft(8) can list it, and it has what is wanted', async family => {
  const life = open(family);
  await start(life, services(family));
  expect(kinds(life)).not.toContain('failed');
  expect(kinds(life)).not.toContain('error');
  const text = nft('list', 'table', family === 4 ? 'ip' : 'ip6', 'peerage-ipvs');
  const [vip, outer] = family === 4 ? ['10.96.1.', '203.0.113.'] : ['fd96::1:', 'fdcc::1:'];
  expect(text).toContain(`${vip}3 . tcp . 80`);
  expect(text).toContain(`${outer}2 . tcp . 80 : ${vip}2 . 80`);
  const programmed = life.events.flatMap(event => (event.kind === 'programmed' ? event.frontends : []));
  expect(new Set(programmed)).toEqual(new Set(deltaOf(services(family)).frontends.set.keys()));
});

test('a restart with everything in place writes nothing', async () => {
  const first = open();
  await start(first, services(4));
  const before = listing(4);
  await first.end();
  const second = open();
  await start(second, services(4));
  expect(kinds(second)).toContain('adopted');
  expect(kinds(second)).not.toContain('committed');
  expect(kinds(second)).not.toContain('drift');
  expect(listing(4)).toBe(before);
});

test('what a former life wanted and nobody wants goes', async () => {
  const first = open();
  await start(first, services(4));
  await first.end();
  const second = open();
  const wanted = services(4).slice(2);
  await start(second, wanted);
  const fresh = listing(4);
  second.table.apply(deltaOf(services(4)));
  await second.table.idle();
  second.table.apply(deltaOf([], services(4).slice(0, 2)));
  await second.table.idle();
  expect(listing(4)).toBe(fresh);
  expect(fresh).not.toContain('10.96.1.1"');
});

test('elements and rules that somebody takes out are put back', async () => {
  const life = open(4, 300);
  await start(life, services(4));
  const before = listing(4);
  nft('delete element ip peerage-ipvs refused { 10.96.1.3 . tcp . 80 }');
  nft('flush chain ip peerage-ipvs unserved');
  await until('the table as it was', () => listing(4) === before);
  expect(kinds(life)).toContain('drift');
});

test('other tables are left alone, and other settings replace the rules with all elements', async () => {
  nft('add table ip theirs; add chain ip theirs x');
  const life = open();
  await start(life, services(4));
  const guarded = listing(4);
  life.table.configure({ ...SETTINGS, ipvs: { ...SETTINGS.ipvs, guardAddresses: false } });
  await life.table.idle();
  expect(listing(4)).not.toBe(guarded);
  expect(nft('list', 'set', 'ip', 'peerage-ipvs', 'refused')).toContain('10.96.1.3');
  life.table.configure(SETTINGS);
  await life.table.idle();
  expect(JSON.parse(listing(4))).toEqual(JSON.parse(guarded));
  expect(nft('list', 'table', 'ip', 'theirs')).toContain('chain x');
});
