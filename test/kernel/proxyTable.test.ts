/** The proxy's table as others meet it: restart, drift, refusals, other settings, random histories. Needs root. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { stat } from 'node:fs/promises';
import fc from 'fast-check';
import { z } from 'zod';
import { openChannel } from '../../src/kernel/netlink/channel.js';
import { openNft } from '../../src/kernel/nft.js';
import { readElements } from '../../src/kernel/nftables/dump.js';
import { NETLINK_NETFILTER } from '../../src/kernel/nftables/numbers.js';
import { endpointOctets } from '../../src/kernel/nftables/elements.js';
import { fanName } from '../../src/proxy/nftables/fanChains.js';
import { backendsSet, SETS, setShapes } from '../../src/proxy/nftables/layout.js';
import { identityOctets, shardOf } from '../../src/proxy/nftables/serviceIdentity.js';
import type { IpText } from '../../src/kube/objectTypes.js';
import { openNftablesProxy } from '../../src/proxy/nftables/nftablesProxy.js';
import type { ProxyBackend, ProxyEvent, TrafficCounters } from '../../src/proxy/proxyBackend.js';
import { servicePortKey } from '../../src/proxy/proxyTypes.js';
import { makeNamespace, type Namespace } from './namespace.js';
import { ADDRESSES, backendOn, deltaOf, prefixOf, SETTINGS, type ServiceShape } from './proxyRig.js';
import { until } from './tcpNamespaces.js';

/** Where the first service's backends are, and the chain that chooses among two of them. */
const SHARD = shardOf(identityOctets(endpointOctets('\x0a\x60\x01\x01', 'TCP', 80), 4));
const FAN = fanName({ by: 'address', list: 'cluster', slots: 2, shard: SHARD, affinity: undefined });

let ns: Namespace;
let proxy: ProxyBackend;
let events: ProxyEvent[];
beforeEach(() => {
  ns = makeNamespace('pknt');
  proxy = open();
});
afterEach(async () => {
  await proxy.stop();
  ns.remove();
});

function open(readBackInterval = 60_000): ProxyBackend {
  events = [];
  const told = events;
  return ns.inside(() => openNftablesProxy(event => told.push(event), { readBackInterval }));
}

function nft(...args: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', ns.name, 'nft', ...args], {
    encoding: 'utf8',
    stdio: 'pipe',
    maxBuffer: 64 << 20,
  });
}

const Listing = z.object({ nftables: z.array(z.record(z.string(), z.looseObject({}))) });
const Placed = z.looseObject({ name: z.string().default(''), chain: z.string().optional() });

/** Both tables, with elements and chains in one order; rules of a chain are in theirs. */
function listing(): string {
  const lists = ['ip', 'ip6'].map(family => nft('-j', 'list', 'table', family, 'peerage-proxy'));
  return lists
    .map(text => {
      const { nftables } = Listing.parse(JSON.parse(text));
      const placed = nftables.map(object => {
        const [kind, thing] = Object.entries(object)[0] ?? ['', {}];
        const { name, chain } = Placed.parse(thing);
        return { place: `${kind} ${chain ?? name}`, object };
      });
      const ordered = placed.sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0));
      return JSON.stringify(ordered, (key, value: unknown) => {
        if (key === 'handle') return undefined;
        return key === 'elem' && Array.isArray(value) ? value.map(v => JSON.stringify(v)).sort() : value;
      });
    })
    .join('\n');
}

const service = (n: number, more: Partial<ServiceShape> = {}): ServiceShape => ({
  family: 4,
  name: `s${n}`,
  cluster: [backendOn(4, 'b'), backendOn(4, 'c')],
  frontends: [{ address: `10.96.1.${n}` }, { address: undefined, kind: 'nodePort', port: 30000 + n }],
  ...more,
});

async function start(services: readonly ServiceShape[], settings = SETTINGS): Promise<void> {
  proxy.configure(settings);
  proxy.apply(deltaOf(services));
  proxy.begin();
  await proxy.idle();
}
const kinds = (): readonly string[] => events.map(({ kind }) => kind);

test('nft(8) lists the whole ruleset, session affinity and all, and takes our tables off', async () => {
  const ports = { address: undefined, kind: 'nodePort', port: 30001, policy: 'local', shortCircuit: true } as const;
  const six = [backendOn(6, 'b'), backendOn(6, 'c')];
  await start([
    service(1, {
      frontends: [
        { address: '10.96.1.1', affinity: 60 },
        { ...ports, affinity: 60 },
      ],
    }),
    {
      family: 6,
      name: 's1',
      cluster: six,
      frontends: [
        { address: 'fd96::1', affinity: 60 },
        { ...ports, affinity: 60 },
      ],
    },
  ]);
  expect(nft('list', 'ruleset')).toContain('update @affinity');
  expect(nft('-j', 'list', 'ruleset')).toContain('affinity');
  const chains = await openNft(['ip', 'netns', 'exec', ns.name, 'nft']).chains();
  const ours = chains.filter(({ table }) => table === 'peerage-proxy').map(({ family }) => family);
  expect(new Set(ours)).toEqual(new Set(['ip', 'ip6']));
  nft('delete table ip peerage-proxy; delete table ip6 peerage-proxy');
  expect(nft('list', 'ruleset')).not.toContain('peerage');
});

describe('life', () => {
  test('a restart with everything in place writes nothing, and says that all is served', async () => {
    await start([service(1), service(2)]);
    const before = listing();
    await proxy.stop();
    proxy = open();
    await start([service(1), service(2)]);
    expect(kinds()).not.toContain('committed');
    expect(events).toContainEqual({ kind: 'adopted', count: 4 });
    const programmed = events.flatMap(event => (event.kind === 'programmed' ? event.frontends : []));
    expect(programmed).toHaveLength(4);
    expect(listing()).toBe(before);
  });

  test('a table of many transactions is the same as one that grew', async () => {
    const many = Array.from({ length: 2500 }, (_, i): ServiceShape => ({
      family: 4,
      name: `s${i}`,
      cluster: Array.from({ length: 10 }, (__, k) => ({
        ...backendOn(4, 'b'),
        address: `10.200.${i >> 4}.${((i & 15) << 4) + k}` as IpText,
      })),
      frontends: [{ address: `10.97.${i >> 8}.${i & 255}` }],
    }));
    await start(many);
    const whole = listing();
    nft('delete', 'table', 'ip', 'peerage-proxy');
    await proxy.stop();
    proxy = open();
    await start(many.slice(0, 100));
    proxy.apply(deltaOf(many.slice(100)));
    await proxy.idle();
    expect(listing()).toBe(whole);
  });

  test('what is left of a former life goes, what changed is changed', async () => {
    await start([service(1), service(2)]);
    await proxy.stop();
    proxy = open();
    await start([service(2, { cluster: [backendOn(4, 'a')] })]);
    const after = listing();
    nft('delete', 'table', 'ip', 'peerage-proxy');
    await proxy.stop();
    proxy = open();
    await start([service(2, { cluster: [backendOn(4, 'a')] })]);
    expect(after).toBe(listing());
  });

  test('frontends are told of when they are served and when they are gone', async () => {
    await start([service(1)]);
    expect(events.find(({ kind }) => kind === 'programmed')).toEqual({
      kind: 'programmed',
      frontends: ['4|10.96.1.1|TCP|80', '4|nodeport|TCP|30001'],
    });
    proxy.apply(deltaOf([], [service(1)]));
    await proxy.idle();
    expect(events.at(-1)).toEqual({ kind: 'removed', frontends: ['4|10.96.1.1|TCP|80', '4|nodeport|TCP|30001'] });
  });

  test('other settings replace the rules and keep the services', async () => {
    await start([service(1)]);
    proxy.configure({ ...SETTINGS, masqueradeBit: 20, serviceCidrs: [prefixOf('10.97.0.0/16')] });
    await proxy.idle();
    await until('the rules are replaced', () => listing().includes('10.97'));
    await proxy.idle();
    const changed = listing();
    await proxy.stop();
    nft('delete', 'table', 'ip', 'peerage-proxy');
    nft('delete', 'table', 'ip6', 'peerage-proxy');
    proxy = open();
    await start([service(1)], { ...SETTINGS, masqueradeBit: 20, serviceCidrs: [prefixOf('10.97.0.0/16')] });
    expect(changed).toBe(listing());
  });
});

describe('others', () => {
  test.each([
    ['an element', ['delete', 'element', 'ip', 'peerage-proxy', 'frontends', '{ 10.96.1.1 . tcp . 80 }']],
    ['a stranger’s element', ['add', 'element', 'ip', 'peerage-proxy', 'cluster-ips', '{ 10.9.9.9 }']],
    ['all elements of a map', ['flush', 'map', 'ip', 'peerage-proxy', backendsSet(SHARD)]],
    ['the rules of a chain', ['flush', 'chain', 'ip', 'peerage-proxy', 'services']],
    ['the rules of a fan chain', ['flush', 'chain', 'ip', 'peerage-proxy', FAN]],
    ['a rule too many', ['insert', 'rule', 'ip', 'peerage-proxy', 'nat-output', 'accept']],
    ['the table', ['delete', 'table', 'ip', 'peerage-proxy']],
    ['a table put to sleep', ['add table ip peerage-proxy { flags dormant; }']],
    ['what becomes of others', ['add chain ip peerage-proxy filter-forward { policy drop; }']],
    ['a chain too many', ['add chain ip peerage-proxy mine { type filter hook forward priority 0; policy drop; }']],
  ])('%s changed by hand is put right', async (_name, command) => {
    await proxy.stop();
    // No reading comes by itself.
    proxy = open(3_600_000);
    await start([service(1), service(2)]);
    const before = listing();
    nft(...command);
    await until('drift is seen', () => kinds().includes('drift'));
    await until('the table is as it was', () => {
      try {
        return listing() === before;
      } catch {
        return false;
      }
    });
  });

  test('another table is not touched', async () => {
    nft('add', 'table', 'ip', 'foreign');
    nft('add', 'chain', 'ip', 'foreign', 'mine');
    await start([service(1)]);
    proxy.apply(deltaOf([], [service(1)]));
    await proxy.idle();
    expect(nft('list', 'table', 'ip', 'foreign')).toContain('chain mine');
  });

  test('a service that the kernel refuses stands alone, and comes when it is accepted', async () => {
    await start([service(1)]);
    // Behind an answer from the file system, what is asked for is done before news of the kernel is heard (libuv's phases).
    await stat('/');
    // A stranger's range overlaps the one we want, which the kernel refuses; nothing else is held up by it.
    nft('add', 'element', 'ip', 'peerage-proxy', 'ranges', '{ 10.96.1.3 . tcp . 80 . 10.0.0.0/8 }');
    const bad = service(3, { frontends: [{ address: '10.96.1.3', sourceRanges: [prefixOf('10.1.0.0/16')] }] });
    proxy.apply(deltaOf([service(2), bad, service(4)]));
    await proxy.idle();
    const failure = events.find(({ kind }) => kind === 'failed');
    expect(failure?.kind === 'failed' && [...failure.failures.keys()]).toEqual(['4|10.96.1.3|TCP|80']);
    const list = nft('list', 'map', 'ip', 'peerage-proxy', 'frontends');
    expect(list).toContain('10.96.1.2 . tcp . 80');
    expect(list).toContain('10.96.1.4 . tcp . 80');
    // The next try reads first, finds the stranger's range, and takes it out.
    await until('it recovers', () => kinds().includes('recovered'));
    await proxy.idle();
    expect(nft('list', 'map', 'ip', 'peerage-proxy', 'frontends')).toContain('10.96.1.3 . tcp . 80');
  });
});

describe('counters', () => {
  const KEY = servicePortKey(4, 'demo/s1', '', 'TCP');
  /** Opens a connection to a backend on this machine that listens to nobody: SYN there, RST back. */
  const knock = (address: string, port: number): unknown => {
    const connect = `timeout 20 bash -c 'echo > /dev/tcp/${address}/${port}' 2> /dev/null || true`;
    return execFileSync('ip', ['netns', 'exec', ns.name, 'sh', '-c', connect]);
  };
  const times = (n: bigint): TrafficCounters => ({
    connections: n,
    packetsIn: n,
    packetsOut: n,
    bytesIn: n * 60n,
    bytesOut: n * 40n,
  });

  beforeEach(() => {
    for (const address of ['192.168.9.1', ADDRESSES[4].b, ADDRESSES[4].c]) ns.ip(`addr add ${address}/32 dev lo`);
    ns.ip('route add default dev lo');
  });

  test('every frontend counts what clients sent and got; neither other endpoints nor a restart begin anew', async () => {
    await start([service(1), service(2)]);
    expect((await proxy.counters()).get(KEY)).toEqual(times(0n));
    knock('10.96.1.1', 80);
    knock('192.168.9.1', 30001);
    // Of no service: whoever reads all there is takes it out.
    const stranger = '10.9.9.9 . tcp . 80';
    nft('add', 'element', 'ip', 'peerage-proxy', SETS.packetsIn, `{ ${stranger} }`);
    const frontends = await proxy.read([...deltaOf([service(1)]).frontends.set.keys()]);
    expect(frontends.map(({ counters }) => counters)).toEqual([times(1n), times(1n)]);
    expect(nft('list', 'set', 'ip', 'peerage-proxy', SETS.packetsIn)).toContain(stranger);
    await proxy.counters();
    expect(nft('list', 'set', 'ip', 'peerage-proxy', SETS.packetsIn)).not.toContain(stranger);
    const fewer = service(1, { cluster: [backendOn(4, 'b')] });
    proxy.apply(deltaOf([fewer]));
    await proxy.idle();
    knock('10.96.1.1', 80);
    expect((await proxy.counters()).get(KEY)).toEqual(times(3n));
    await proxy.stop();
    proxy = open();
    await start([fewer, service(2)]);
    expect((await proxy.counters()).get(KEY)).toEqual(times(3n));
    expect((await proxy.counters()).get(servicePortKey(4, 'demo/s2', '', 'TCP'))).toEqual(times(0n));
    // A service that goes takes its count along.
    proxy.apply(deltaOf([], [fewer]));
    await proxy.idle();
    expect((await proxy.counters()).has(KEY)).toBe(false);
    proxy.apply(deltaOf([fewer]));
    await proxy.idle();
    expect((await proxy.counters()).get(KEY)).toEqual(times(0n));
  });

  test('nothing is counted if the settings say so', async () => {
    await start([service(1)], { ...SETTINGS, countTraffic: false });
    knock('10.96.1.1', 80);
    expect(await proxy.counters()).toEqual(new Map());
    proxy.configure(SETTINGS);
    await until(
      'the rules are replaced',
      () => listing().includes('"packets-in"') && listing().includes('{"jump":{"target":"count"}}'),
    );
    await proxy.idle();
    knock('10.96.1.1', 80);
    await until('it counts', () => nft('list', 'set', 'ip', 'peerage-proxy', 'connections').includes('packets 1 '));
  });
});

describe('random histories', () => {
  const actor = fc.constantFrom('a', 'b', 'c');
  const frontendShape = fc.record({
    masquerade: fc.constantFrom('always', 'offCluster', 'never'),
    policy: fc.constantFrom('cluster', 'local'),
    shortCircuit: fc.boolean(),
    affinity: fc.constantFrom(undefined, 60, 10800),
    sourceRanges: fc.constantFrom(undefined, [], [prefixOf('10.0.0.0/8'), prefixOf('10.1.0.0/16')]),
  });
  const step = fc.record({
    n: fc.integer({ min: 1, max: 4 }),
    isRemoval: fc.boolean(),
    cluster: fc.uniqueArray(actor),
    frontends: fc.tuple(frontendShape, fc.option(frontendShape), fc.option(frontendShape)),
  });

  test('after each step the kernel has what a start from nothing would make', async () => {
    await start([]);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async steps => {
        const services = new Map<number, ServiceShape>();
        for (const { n, isRemoval, cluster, frontends } of steps) {
          const before = services.get(n);
          const [inner, outer, node] = frontends;
          const next = service(n, {
            cluster: [...cluster].sort().map(name => backendOn(4, name)),
            frontends: [
              { ...inner, address: `10.96.1.${n}` },
              ...(outer === null ? [] : [{ ...outer, kind: 'loadBalancer' as const, address: `203.0.113.${n}` }]),
              ...(node === null ? [] : [{ ...node, kind: 'nodePort' as const, address: undefined, port: 30000 + n }]),
            ],
          });
          const gone = before === undefined ? [] : [before];
          if (isRemoval) services.delete(n);
          else services.set(n, next);
          const delta = deltaOf(isRemoval ? [] : [next], gone);
          proxy.apply(delta);
          await proxy.idle();
        }
        const grown = await elements(proxy, services);
        expect(events.filter(({ kind }) => kind === 'failed' || kind === 'error' || kind === 'drift')).toEqual([]);
        await proxy.stop();
        proxy = open();
        // Adopting says whether anything has to be written: nothing may differ from the plan made at once.
        await start([...services.values()]);
        expect(events.filter(({ kind }) => kind === 'committed').length).toBeLessThanOrEqual(1);
        expect(await elements(proxy, services)).toEqual(grown);
        proxy.apply(deltaOf([], [...services.values()]));
        await proxy.idle();
      }),
      { numRuns: 25 },
    );
  });

  /** What a person would be shown of all frontends, and the elements themselves. */
  async function elements(of: ProxyBackend, services: ReadonlyMap<number, ServiceShape>): Promise<unknown> {
    const keys = [...deltaOf([...services.values()]).frontends.set.keys()];
    const channel = ns.inside(() => openChannel(NETLINK_NETFILTER));
    try {
      const table = { family: 'ip', name: 'peerage-proxy' } as const;
      const sets: string[][] = [];
      // Fan chains that nobody needs any more stay.
      for (const { name } of setShapes(4).filter(shape => shape.name !== SETS.fans))
        sets.push((await readElements(channel, table, name)).map(element => JSON.stringify(element)).sort());
      return [await of.read(keys), sets];
    } finally {
      channel.close();
    }
  }
});
