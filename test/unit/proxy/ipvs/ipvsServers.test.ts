/** Virtual servers kept as wanted, on a kernel in memory: adoption, order, connections that run out, repair, refusals. */

import { describe, expect, test } from '@jest/globals';
import { frontendKey } from '../../../../src/proxy/proxyTypes.js';
import { FakeIpvsKernel } from './fakeIpvsKernel.js';
import {
  address,
  ipText,
  LOCAL,
  openWorld,
  prefix,
  serving,
  settings,
  type IpvsWorld,
  type SomeService,
} from './ipvsWorld.js';

const WEB: SomeService = { name: 'w', pods: [1, 2] };
const KEY = frontendKey(4, ipText('10.96.0.119'), 'TCP', 80);
const PLACE = '10.96.0.119 6 80';

describe('what is written', () => {
  test('nothing before the sources are complete', async () => {
    const world = openWorld();
    world.want([WEB]);
    await world.pass(5000);
    expect(world.kernel.commands).toBe(0);
  });

  test('address, server and destinations, and then it is programmed', async () => {
    const world = await serving([WEB]);
    expect(world.kernel.lines).toEqual([
      `${PLACE} -> 10.244.0.1 8080 1 0`,
      `${PLACE} -> 10.244.0.2 8080 1 0`,
      `${PLACE} rr 0 0`,
      'vip 10.96.0.119 192.168.9.1',
    ]);
    expect(world.events.filter(({ kind }) => kind === 'programmed')).toEqual([
      { kind: 'programmed', frontends: [KEY] },
    ]);
  });

  test('a new server waits for its firewall, but not for ever; other changes do not wait', async () => {
    let release: () => void = () => undefined;
    const guarded = (): Promise<void> =>
      new Promise(resolve => {
        release = resolve;
      });
    const world = openWorld(undefined, settings(), LOCAL, { guarded });
    const servers = (): readonly string[] => world.kernel.lines.filter(line => / rr 0 0$/.test(line));
    world.want([WEB]);
    world.servers.begin();
    await world.pass();
    expect(servers()).toEqual([]);
    release();
    await world.pass();
    expect(servers()).toEqual([`${PLACE} rr 0 0`]);
    world.want([{ ...WEB, pods: [1, 2, 3] }]);
    await world.pass();
    expect(world.kernel.lines).toContain(`${PLACE} -> 10.244.0.3 8080 1 0`);
    world.want([WEB, { name: 'x', pods: [4] }]);
    await world.pass();
    expect(servers()).toHaveLength(1);
    await world.pass(2000);
    expect(servers()).toHaveLength(2);
  });

  test('a server with source ranges is not made before the firewall has them, however long that takes', async () => {
    let isGuarded = false;
    const world = openWorld(undefined, settings(), LOCAL, { isGuarded: () => isGuarded });
    world.want([
      { ...WEB, sourceRanges: [prefix('192.0.2.0/24')] },
      { name: 'x', pods: [4] },
    ]);
    world.servers.begin();
    await world.pass(60_000);
    expect(world.kernel.lines.filter(line => line.startsWith(PLACE))).toEqual([]);
    expect(world.kernel.lines).toContain('10.96.0.120 6 80 rr 0 0');
    expect(world.events.flatMap(event => (event.kind === 'failed' ? [...event.failures.keys()] : []))).toEqual([KEY]);
    isGuarded = true;
    await world.pass(60_000);
    expect(world.kernel.lines.filter(line => line.startsWith(PLACE))).toHaveLength(3);
    expect(world.kinds().slice(-3)).toEqual(['programmed', 'recovered', 'committed']);
  });

  test('a node port is at every address of its family but loopback and link-local ones, and written down', async () => {
    const world = await serving([
      { ...WEB, nodePort: 30080 },
      { ...WEB, family: 6, nodePort: 30080 },
    ]);
    const servers = world.kernel.lines.filter(line => line.includes('30080') && !line.includes('->'));
    expect(servers).toEqual([
      '192.168.9.1 6 30080 rr 0 0',
      'fd99::1 6 30080 rr 0 0',
      'written 192.168.9.1 6 30080',
      'written fd99::1 6 30080',
    ]);
  });

  test('node ports follow the addresses of the machine, and so do sources', async () => {
    const world = await serving([{ ...WEB, nodePort: 30080 }]);
    world.servers.setLocal([...LOCAL.filter(({ version }) => version === 6), address('192.168.7.7')]);
    await world.pass();
    const places = world.kernel.lines.filter(line => line.includes('30080 rr'));
    expect(places).toEqual(['192.168.7.7 6 30080 rr 0 0']);
    expect(world.kernel.lines).toContain('vip 10.96.0.119 -');
  });

  test('an address that the machine has elsewhere stays there', async () => {
    const world = await serving([{ ...WEB, external: '192.168.9.1' }]);
    expect(world.kernel.vips.has('192.168.9.1')).toBe(false);
    expect(world.kernel.lines).toContain('written 192.168.9.1 6 80');
  });

  test('a server at an address that is not on the link is written down, until the address comes', async () => {
    const world = await serving([{ ...WEB, external: '203.0.113.1' }]);
    const text = ipText('203.0.113.1');
    const none = { set: new Map(), removed: new Set<never>() };
    const leave = { ...none, removed: new Set([text]) };
    world.servers.apply({ frontends: none, backends: none, addresses: leave });
    await world.pass();
    expect(world.kernel.lines).toContain('written 203.0.113.1 6 80');
    const come = { ...none, set: new Map([[text, { address: text, family: 4 as const, isClusterIp: false }]]) };
    world.servers.apply({ frontends: none, backends: none, addresses: come });
    await world.pass();
    expect(world.kernel.lines.filter(line => line.startsWith('written'))).toEqual([]);
    expect(world.kernel.vips.has('203.0.113.1')).toBe(true);
  });

  test('timeouts are set where they are given', async () => {
    const world = openWorld(undefined, settings({ tcpTimeout: 700 }));
    world.servers.begin();
    await world.pass();
    expect(world.kernel.setTimeouts.tcp).toBe(700);
    expect(world.kinds()).toContain('committed');
  });
});

describe('another life', () => {
  test('finds all in place and writes nothing', async () => {
    const { kernel, servers } = await serving([{ ...WEB, nodePort: 30080, affinity: 60 }]);
    await servers.stop();
    const before = kernel.commands;
    const next = await serving([{ ...WEB, nodePort: 30080, affinity: 60 }], kernel);
    expect(kernel.commands).toBe(before);
    expect(next.kinds()).toEqual(['adopted', 'programmed']);
  });

  test('removes what is not wanted any more, and nothing foreign', async () => {
    const { kernel, servers } = await serving([
      { ...WEB, nodePort: 30080 },
      { name: 'x', pods: [3] },
    ]);
    await servers.stop();
    const foreign = {
      address: address('192.168.9.1'),
      protocol: 6,
      port: 9999,
      scheduler: 'wlc',
      flags: 0,
      timeout: 0,
    };
    await kernel.ipvs.run([{ kind: 'server', command: 'add', server: foreign }]);
    await serving([], kernel);
    expect(kernel.lines).toEqual(['192.168.9.1 6 9999 wlc 0 0']);
  });

  test('leaves alone what is excluded', async () => {
    const { kernel, servers } = await serving([WEB]);
    await servers.stop();
    const world = openWorld(kernel, settings({ excludedCidrs: [prefix('10.96.0.0/16')] }));
    world.servers.begin();
    await world.pass();
    expect(kernel.lines.filter(line => !line.startsWith('vip'))).toHaveLength(3);
  });

  test('takes addresses off the link that somebody else had there, once their routes stand', async () => {
    const kernel = new FakeIpvsKernel();
    kernel.hasLink = true;
    kernel.addresses = [{ ifindex: 9, address: address('10.96.0.119'), length: 32, scope: 0, flags: 0 }];
    await serving([WEB], kernel);
    expect(kernel.addresses).toEqual([]);
    expect(kernel.vips.has('10.96.0.119')).toBe(true);
  });
});

describe('connections to a backend that goes', () => {
  const OLD = `${PLACE} -> 10.244.0.1 8080`;

  async function withConnection(): Promise<IpvsWorld> {
    const world = await serving([WEB]);
    world.kernel.connections.set(`${PLACE} 10.244.0.1 8080`, 1);
    world.want([{ ...WEB, pods: [2] }]);
    await world.pass();
    return world;
  }

  test('it gets no new ones, and goes when they have ended', async () => {
    const world = await withConnection();
    expect(world.kernel.lines).toContain(`${OLD} 0 0`);
    await world.pass(5000);
    expect(world.kernel.lines).toContain(`${OLD} 0 0`);
    world.kernel.connections.clear();
    await world.pass(2000);
    expect(world.kernel.lines.filter(line => line.startsWith(OLD))).toEqual([]);
  });

  test('it goes when its time is up', async () => {
    const world = await withConnection();
    await world.pass(31_000);
    expect(world.kernel.lines.filter(line => line.startsWith(OLD))).toEqual([]);
  });

  test('it comes back with its weight', async () => {
    const world = await withConnection();
    world.want([WEB]);
    await world.pass(60_000);
    expect(world.kernel.lines).toContain(`${OLD} 1 0`);
    expect(world.kinds()).not.toContain('failed');
  });

  test('readings in between find nothing odd', async () => {
    const world = await withConnection();
    world.servers.readSoon();
    await world.pass(5000);
    expect(world.kinds()).not.toContain('drift');
  });

  test('another life lets it run out too', async () => {
    const { kernel, servers } = await withConnection();
    await servers.stop();
    const world = await serving([{ ...WEB, pods: [2] }], kernel);
    await world.pass(10_000);
    expect(kernel.lines).toContain(`${OLD} 0 0`);
    await world.pass(25_000);
    expect(kernel.lines.filter(line => line.startsWith(OLD))).toEqual([]);
  });

  test('the last one keeps its server for so long', async () => {
    const world = await withConnection();
    world.want([{ ...WEB, pods: [] }]);
    await world.pass();
    expect(world.kernel.lines).toContain(`${PLACE} rr 0 0`);
    world.kernel.connections.clear();
    await world.pass(2000);
    expect(world.kernel.lines).toEqual(['vip 10.96.0.119 192.168.9.1']);
  });

  test('a service that goes takes all with it at once', async () => {
    const world = await withConnection();
    world.want([]);
    await world.pass();
    expect(world.kernel.lines).toEqual([]);
    expect(world.kinds()).toContain('removed');
  });

  test('UDP has no connections to wait for', async () => {
    const udp: SomeService = { ...WEB, protocol: 'UDP' };
    const world = await serving([udp]);
    world.kernel.connections.set('10.96.0.119 17 80 10.244.0.1 8080', 1);
    world.want([{ ...udp, pods: [2] }]);
    await world.pass();
    expect(world.kernel.lines.some(line => line.includes('10.244.0.1'))).toBe(false);
  });
});

describe('drift and refusals', () => {
  test('of many servers a part is asked for destinations, and drift is found in the end', async () => {
    const names = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
    const kernel = new FakeIpvsKernel();
    const world = openWorld(kernel, settings(), LOCAL, { readingPart: 5 });
    world.want(names.map((name): SomeService => ({ name, pods: [1, 2] })));
    world.servers.begin();
    await world.pass(1000);
    const before = kernel.lines;
    kernel.asked = 0;
    await world.pass(60_000);
    expect(kernel.asked).toBeGreaterThan(0);
    expect(kernel.asked).toBeLessThan(15);
    expect(world.kinds()).not.toContain('drift');
    for (const { destinations } of kernel.standing.values()) destinations.clear();
    await world.pass(400_000);
    expect(kernel.lines).toEqual(before);
  });
  test('what takes long to read is read less often', async () => {
    const world = openWorld();
    let readings = 0;
    world.want([{ name: 'a', pods: [1] }]);
    world.kernel.onReading = () => {
      readings += 1;
      world.clock.advance(2000);
    };
    world.servers.begin();
    await world.pass(10_000);
    expect(readings).toBe(1);
    await world.pass(60_000);
    expect(readings).toBe(2);
    await world.pass(180_000);
    expect(readings).toBe(2);
    await world.pass(30_000);
    expect(readings).toBe(3);
  });
  test('what is taken away by hand is put back', async () => {
    const world = await serving([WEB]);
    const before = world.kernel.lines;
    world.kernel.standing.clear();
    world.kernel.vips.clear();
    await world.pass(61_000);
    expect(world.kernel.lines).toEqual(before);
    expect(world.kinds()).toContain('drift');
  });

  test('a backend that is refused costs its own frontend only, and is tried again', async () => {
    const kernel = new FakeIpvsKernel();
    kernel.refused.add('10.244.0.1');
    const world = await serving([WEB, { name: 'x', pods: [3] }], kernel);
    const programmed = world.events.flatMap(event => (event.kind === 'programmed' ? event.frontends : []));
    expect(programmed).toEqual([frontendKey(4, ipText('10.96.0.120'), 'TCP', 80)]);
    const failed = world.events.flatMap(event => (event.kind === 'failed' ? [...event.failures] : []));
    expect(failed).toEqual([[KEY, `destination ${PLACE} 10.244.0.1 8080: EINVAL`]]);
    kernel.refused.clear();
    await world.pass(10_000);
    expect(world.kinds().slice(-3)).toEqual(['programmed', 'recovered', 'committed']);
  });
});

test('who looks at one service asks for its servers only', async () => {
  const world = await serving([
    { ...WEB, nodePort: 30080 },
    { name: 'x', pods: [3] },
  ]);
  let readings = 0;
  world.kernel.onReading = () => {
    readings += 1;
  };
  const [found] = await world.servers.read([KEY]);
  expect(found?.backends.map(backend => backend.address)).toEqual(['10.244.0.1', '10.244.0.2']);
  world.kernel.standing.delete(PLACE);
  expect(await world.servers.read([KEY])).toEqual([]);
  expect(readings).toBe(0);
});
