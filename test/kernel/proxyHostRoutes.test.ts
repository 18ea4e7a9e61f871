/** This machine's own connections to cluster IPs, without any other route that would lead there. Needs root. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '../../src/core/clock.js';
import type { ReconcilerEvent } from '../../src/core/reconciler.js';
import { openRouteChannel } from '../../src/kernel/netlink/channel.js';
import type { IpText } from '../../src/kube/objectTypes.js';
import { openHostRoutes, type HostRoutes } from '../../src/proxy/hostRoutes/hostRoutes.js';
import { removeHostRoutes } from '../../src/proxy/hostRoutes/hostRouteTarget.js';
import type { ProxyDelta } from '../../src/proxy/proxyTypes.js';
import { ADDRESSES, backendOn, deltaOf, openProxyRig, prefixOf, SETTINGS, type ProxyRig } from './proxyRig.js';
import { until } from './tcpNamespaces.js';

let rig: ProxyRig;
let routes: HostRoutes;
const events: ReconcilerEvent<string>[] = [];

beforeAll(async () => {
  rig = await openProxyRig('pkhr');
  rig.node.ip('route del default');
  rig.node.ip('-6 route del default');
  rig.proxy.configure(SETTINGS);
  rig.proxy.begin();
  await rig.proxy.idle();
  await rig.actors.node.serve('host', 2222);
});
afterAll(() => rig.close());

beforeEach(async () => {
  open();
  routes.configure(SETTINGS);
  routes.begin();
  await routes.idle();
});
afterEach(() => routes.stop());

function open(): void {
  events.length = 0;
  routes = rig.node.inside(() =>
    openHostRoutes({ clock: systemClock, readBackInterval: 300, onEvent: event => events.push(event) }),
  );
}

/** How long nothing has to come until it is taken for dropped, in milliseconds. */
const SILENCE = 1500;

/** Routes of ours, as ip(8) shows them. */
function shown(): readonly string[] {
  const lines = ['route show proto 206', '-6 route show proto 206'].flatMap(args => rig.node.ip(args).split('\n'));
  return lines.map(line => line.trim().replace(/ +/g, ' ')).filter(line => line !== '');
}

const FOUR = '10.96.0.0/16 dev to-client src 192.168.9.1 metric 4096';
const SIX = 'fd96::/64 dev to-client src fd99::1 metric 4096 pref medium';

function clusterIps(...texts: readonly string[]): ProxyDelta['addresses']['set'] {
  return new Map(
    texts.map(text => {
      const address = text as IpText;
      return [address, { address, family: text.includes(':') ? 6 : 4, isClusterIp: true }] as const;
    }),
  );
}

test('there is one route for each network of services, by the link with the node’s address', () => {
  expect(shown()).toEqual([FOUR, SIX]);
});

describe.each([4, 6] as const)('IPv%i', family => {
  const vip = family === 4 ? '10.96.0.1' : 'fd96::1';
  const lonely = family === 4 ? '10.96.7.7' : 'fd96::77';
  const ask = (actor: 'node' | 'a' | 'client', address: string, port = 80, patience = 30_000): Promise<string> =>
    rig.actors[actor].ask({ protocol: 'tcp', address, port, patience });
  /** The address of the node that packets to c have in the end: masquerading takes that of the link they leave by. */
  const nodeOnC = family === 4 ? '10.1.3.1' : 'fdee:3::1';

  test('the machine reaches a pod elsewhere through a cluster IP, refused ports are refused, nobody is silence', async () => {
    const service = { family, name: 'web', cluster: [backendOn(family, 'c')], frontends: [{ address: vip }] } as const;
    const delta = deltaOf([service]);
    rig.proxy.apply({ ...delta, addresses: { set: clusterIps(vip), removed: new Set() } });
    await rig.proxy.idle();
    expect(await ask('node', vip)).toBe(`c ${nodeOnC}`);
    expect(await ask('a', vip)).toBe(`c ${ADDRESSES[family].a}`);
    // What listens on the host answers at the node's address and not at the service's.
    expect(await ask('client', ADDRESSES[family].node, 2222)).toBe(`host ${ADDRESSES[family].client}`);
    for (const actor of ['node', 'a', 'client'] as const)
      expect([actor, await ask(actor, vip, 2222)]).toEqual([actor, 'refused']);
    const silent = (['node', 'a', 'client'] as const).map(actor => ask(actor, lonely, 2222, SILENCE));
    expect(await Promise.all(silent)).toEqual(['silence', 'silence', 'silence']);
  });

  test('the source of the machine’s own packets is the node’s address', () => {
    const line = rig.node.ip(`${family === 4 ? '' : '-6 '}route get ${vip}`);
    expect(line).toContain(`dev to-client`);
    expect(line).toContain(`src ${ADDRESSES[family].node} `);
  });
});

test('a cluster IP outside of all known networks has a route of its own while it is there', async () => {
  routes.apply({ addresses: { set: clusterIps('10.200.0.1', '10.96.0.2', 'fd97::1'), removed: new Set() } });
  await routes.idle();
  const single = ['10.200.0.1 dev to-client src 192.168.9.1 metric 4096'];
  const singleSix = 'fd97::1 dev to-client src fd99::1 metric 4096 pref medium';
  expect([...shown()].sort()).toEqual([FOUR, SIX, ...single, singleSix].sort());
  routes.apply({ addresses: { set: new Map(), removed: new Set(['10.200.0.1' as IpText]) } });
  routes.configure({ ...SETTINGS, serviceCidrs: [...SETTINGS.serviceCidrs, prefixOf('fd97::/64')] });
  await routes.idle();
  expect([...shown()].sort()).toEqual([FOUR, SIX, SIX.replace('fd96', 'fd97')].sort());
});

test('what is there is adopted, what goes is put back, and another’s route stays', async () => {
  await routes.stop();
  rig.node.ip('route add 10.96.0.0/16 dev to-client metric 7');
  try {
    open();
    routes.configure(SETTINGS);
    routes.begin();
    await routes.idle();
    expect(events.filter(({ kind }) => kind !== 'adopted')).toEqual([]);
    expect(events).toContainEqual({ kind: 'adopted', count: 2 });
    rig.node.ip('route del 10.96.0.0/16 proto 206');
    await until('the route is back', () => shown().includes(FOUR));
    expect(rig.node.ip('route show 10.96.0.0/16 metric 7')).toContain('to-client');
  } finally {
    rig.node.ip('route del 10.96.0.0/16 metric 7');
  }
});

test('the node’s address moves to the loopback and its link goes: another link carries the routes', async () => {
  rig.node.ip('addr add 192.168.9.1/32 dev lo');
  rig.node.ip('addr add fd99::1/128 dev lo');
  try {
    rig.node.ip('link set to-client down');
    await until('routes by another link', () => shown().filter(line => line.includes('dev to-a ')).length === 2);
    expect(rig.node.ip('route get 10.96.0.1')).toContain('src 192.168.9.1');
  } finally {
    rig.node.ip('link set to-client up');
    rig.node.ip('addr del 192.168.9.1/32 dev lo');
    rig.node.ip('addr del fd99::1/128 dev lo');
    rig.node.ip('addr replace fd99::1/64 dev to-client nodad');
  }
  await until('routes as before', () => shown().filter(line => line.includes('dev to-client ')).length === 2);
});

test('a cleanup takes them all away, and nothing else', async () => {
  await routes.stop();
  const foreign = rig.node.ip('route show');
  const channel = rig.node.inside(() => openRouteChannel());
  try {
    expect(await removeHostRoutes(channel)).toEqual({ removed: 2, refused: [] });
  } finally {
    channel.close();
  }
  expect(shown()).toEqual([]);
  expect(rig.node.ip('route show')).toBe(foreign.replace(/^10\.96\.0\.0\/16 .*\n/m, ''));
});
