/**
 * IPVS with ten thousand services of ten endpoints each: how long a start takes, one change, a reading of everything, and a
 * restart. On request only (PEERAGE_VM_SUITES=ipvsScale, with PEERAGE_VM_CONSOLE=1 for the figures): the guest is emulated, and
 * takes some minutes. Each figure is printed beside that of a loop that a reader can time on his own machine.
 */

import assert from 'node:assert/strict';
import { openIpvs } from '../../../src/kernel/ipvs/ipvs.js';
import { openIpvsProxy } from '../../../src/proxy/ipvs/ipvsProxy.js';
import type { ProxyBackend, ProxyEvent } from '../../../src/proxy/proxyBackend.js';
import { frontendKey, servicePortKey, type Backend, type ProxyDelta } from '../../../src/proxy/proxyTypes.js';
import { makeNamespace, type Namespace } from '../../../test/kernel/namespace.js';
import { SETTINGS } from '../../../test/kernel/proxyRig.js';
import { frontend, ipText } from '../../../test/unit/proxy/ipvs/ipvsWorld.js';
import { vmSuite } from '../suite.js';

const SERVICES = 10_000;
const ENDPOINTS = 10;
const CHANGES = 20;
/** No reading but those that are asked for. */
const NEVER = 86_400_000;

const octets = (n: number): string => `${n >> 8}.${n & 255}`;
const vip = (service: number): string => `10.96.${octets(service + 1)}`;

/** @param shift other endpoints than those of shift 0 */
function backendsOf(service: number, shift: number): readonly Backend[] {
  return Array.from({ length: ENDPOINTS }, (_, i): Backend => ({
    address: ipText(
      `10.${128 + ((service * ENDPOINTS + i) >> 16)}.${octets((service * ENDPOINTS + i + shift) & 65535)}`,
    ),
    port: 8080,
    weight: 1,
    isLocal: false,
    state: 'ready',
  }));
}

/** Services first … last-1, as they all are or with other endpoints. */
function deltaOf(first: number, last: number, shift = 0): ProxyDelta {
  const numbers = Array.from({ length: last - first }, (_, i) => first + i);
  const portOf = (n: number) => servicePortKey(4, `demo/s${n}`, '', 'TCP');
  const frontends = numbers.map(n => {
    const address = ipText(vip(n));
    const key = frontendKey(4, address, 'TCP', 80);
    return frontend({ key, address, service: `demo/s${n}`, servicePort: portOf(n) });
  });
  const lists = numbers.map(n => {
    const all = backendsOf(n, shift);
    return { servicePort: portOf(n), cluster: all, local: [], serving: all };
  });
  const addresses = numbers.map(n => ({ address: ipText(vip(n)), family: 4 as const, isClusterIp: true }));
  return {
    frontends: { set: new Map(frontends.map(one => [one.key, one])), removed: new Set() },
    backends: { set: new Map(lists.map(one => [one.servicePort, one])), removed: new Set() },
    addresses: { set: new Map(addresses.map(one => [one.address, one])), removed: new Set() },
  };
}

interface World {
  readonly node: Namespace;
  readonly events: ProxyEvent[];
  proxy: ProxyBackend;
}

let opened: World | undefined;

function world(): World {
  if (opened === undefined) throw new Error('the namespace does not stand');
  return opened;
}

async function open(node: Namespace, events: ProxyEvent[]): Promise<ProxyBackend> {
  const proxy = await node.inside(() => openIpvsProxy(event => events.push(event), { readBackInterval: NEVER }));
  if (typeof proxy === 'string') throw new Error(proxy);
  proxy.configure({ ...SETTINGS, ipv6: false });
  return proxy;
}

async function timed(what: string, work: () => Promise<void> | void): Promise<number> {
  const begun = performance.now();
  await work();
  const milliseconds = performance.now() - begun;
  console.log(`${what}: ${milliseconds.toFixed(1)} ms`);
  return milliseconds;
}

/** Some work of the kind that all this is made of: `node -e` with this loop tells how much slower a guest is. */
function yardstick(): void {
  const map = new Map<string, number>();
  for (let i = 0; i < 200_000; i++) map.set(`destination 10.96.${i >> 8}.${i & 255} 6 80`, i);
  assert.equal(map.size, 200_000);
}

async function start(what: string): Promise<void> {
  const { proxy } = world();
  await timed(what, async () => {
    proxy.apply(deltaOf(0, SERVICES));
    proxy.begin();
    await proxy.idle();
  });
}

function failures(): readonly ProxyEvent[] {
  return world().events.filter(({ kind }) => kind === 'failed' || kind === 'error');
}

export const ipvsScale = vmSuite('ipvsScale', 3600, ({ check, prepare, cleanup }) => {
  prepare('a node', async () => {
    const node = makeNamespace('ipvs-scale');
    node.ip('link add up0 type dummy');
    node.ip('link set up0 up');
    node.ip('addr add 192.168.9.1/24 dev up0');
    const events: ProxyEvent[] = [];
    opened = { node, events, proxy: await open(node, events) };
    await timed('the yardstick', yardstick);
  });
  check(`${SERVICES} services of ${ENDPOINTS} endpoints are there`, async () => {
    await start('start from nothing');
    assert.deepEqual(failures(), []);
    const [first] = await world().proxy.read([frontendKey(4, ipText(vip(SERVICES - 1)), 'TCP', 80)]);
    assert.equal(first?.backends.length, ENDPOINTS);
  });
  check('an endpoint changes', async () => {
    const times: number[] = [];
    for (let i = 0; i < CHANGES; i++) {
      const begun = performance.now();
      world().proxy.apply(deltaOf(i, i + 1, 1));
      await world().proxy.idle();
      times.push(performance.now() - begun);
    }
    times.sort((a, b) => a - b);
    console.log(`one change: median ${times[CHANGES >> 1]?.toFixed(1)} ms, longest ${times.at(-1)?.toFixed(1)} ms`);
    assert.deepEqual(failures(), []);
  });
  check('all of it is read', async () => {
    const { node } = world();
    const ipvs = await node.inside(() => openIpvs());
    if (typeof ipvs === 'string') throw new Error(ipvs);
    let destinations = 0;
    await timed('virtual servers, by netlink', async () => assert.equal((await ipvs.servers()).length, SERVICES));
    const servers = await ipvs.servers();
    await timed('destinations, server by server', async () => {
      for (const server of servers) destinations += (await ipvs.destinations(server)).length;
    });
    assert.equal(destinations, SERVICES * ENDPOINTS);
    await timed('destinations, by the list of all', async () => {
      const listed = (await ipvs.listing()) ?? [];
      assert.equal(listed.length, SERVICES);
      assert.equal(
        listed.reduce((sum, one) => sum + one.destinations.length, 0),
        destinations,
      );
    });
    ipvs.close();
    await timed('counters of all services', async () => assert.equal((await world().proxy.counters()).size, SERVICES));
  });
  check('a restart with everything in place', async () => {
    const here = world();
    // As it was, so that there is nothing to do.
    here.proxy.apply(deltaOf(0, CHANGES));
    await here.proxy.idle();
    await here.proxy.stop();
    here.events.length = 0;
    here.proxy = await open(here.node, here.events);
    await start('restart');
    assert.deepEqual(failures(), []);
    assert.deepEqual(
      here.events.filter(({ kind }) => kind === 'committed'),
      [],
    );
  });
  cleanup('the node', async () => {
    await opened?.proxy.stop();
    opened?.node.remove();
  });
});
