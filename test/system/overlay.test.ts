/**
 * Agents in two racks with a router between them that knows nothing of pods: VXLAN carries their packets. What counts is
 * what arrives.
 *
 *   n1 10.1.0.11 ┐                     ┌ n3 10.2.0.13
 *   n2 10.1.0.12 ┴ rack 1 ── router ── rack 2
 */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { sleep, waitFor } from '../../lab/topology/commands.js';
import { PeerageProcess } from '../../lab/topology/peerage.js';
import { PingStream, RouteMonitor } from '../../lab/topology/probes.js';
import { Topology } from '../../lab/topology/topology.js';

const NODES = [
  { name: 'n1', rack: 1, n: 11 },
  { name: 'n2', rack: 1, n: 12 },
  { name: 'n3', rack: 2, n: 13 },
] as const;
type RackNode = (typeof NODES)[number];
const [N1, N2, N3] = NODES;
const PATIENCE = 60_000;

const podOf = ({ n }: RackNode, version: 4 | 6): string => (version === 4 ? `10.244.${n}.5` : `fd00:244:${n}::5`);
const podHost = ({ name }: RackNode): string => `pod-${name}`;

let topology: Topology;
let manifests: string;
const agents = new Map<string, PeerageProcess>();

beforeAll(async () => {
  topology = await Topology.open('pgso');
  manifests = join(topology.folder, 'manifests');
  mkdirSync(manifests);
  await topology.host('router');
  await topology.forward('router');
  for (const rack of [1, 2]) {
    await topology.bridge(`rack${rack}`);
    const addresses = [`10.${rack}.0.1/24`, `fd00:${rack}::1/64`];
    await topology.attach({ host: 'router', link: `rack${rack}`, addresses }, `rack${rack}`);
  }
  for (const node of NODES) await buildNode(node);
  for (const { name } of NODES)
    agents.set(name, PeerageProcess.agent(topology, name, { node: name, manifests, config: config({}) }));
}, 180_000);
afterAll(() => topology.close(), 180_000);

async function buildNode(node: RackNode): Promise<void> {
  const { name, rack, n } = node;
  await topology.host(name);
  const addresses = [`10.${rack}.0.${n}/24`, `fd00:${rack}::${n}/64`];
  await topology.attach({ host: name, link: 'eth0', addresses }, `rack${rack}`);
  await topology.ip(name, 'route', 'add', 'default', 'via', `10.${rack}.0.1`);
  await topology.ip(name, 'route', 'add', 'default', 'via', `fd00:${rack}::1`);
  await topology.host(podHost(node));
  await topology.cable(
    { host: podHost(node), link: 'eth0', addresses: [`${podOf(node, 4)}/24`, `${podOf(node, 6)}/64`] },
    { host: name, link: 'pod0', addresses: [`10.244.${n}.1/24`, `fd00:244:${n}::1/64`] },
  );
  await topology.ip(podHost(node), 'route', 'add', 'default', 'via', `10.244.${n}.1`);
  await topology.ip(podHost(node), 'route', 'add', 'default', 'via', `fd00:244:${n}::1`);
  writeFileSync(join(manifests, `${name}.yaml`), stringify(nodeObject(node)));
}

function nodeObject({ name, rack, n }: RackNode): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, creationTimestamp: '2026-11-20T08:11:04Z' },
    spec: { podCIDRs: [`10.244.${n}.0/24`, `fd00:244:${n}::/64`] },
    status: {
      addresses: [`10.${rack}.0.${n}`, `fd00:${rack}::${n}`].map(address => ({ type: 'InternalIP', address })),
    },
  };
}

function config(overlay: object): string {
  return stringify({
    router: { asn: 64512 },
    kubernetes: {
      overlay: { encapsulation: 'vxlan', ...overlay },
      // The rack has pods of its own making.
      cni: { enabled: false },
      egress: { enabled: false },
    },
  });
}

/** Pings with whole packets that nobody may fragment. @param octets with all headers */
async function wholePackets(from: string, to: string, octets: number): Promise<boolean> {
  const size = octets - (to.includes(':') ? 48 : 28);
  const args = ['-M', 'do', '-c', '2', '-i', '0.1', '-W', '1', '-s', String(size), to];
  return (await topology.exec(from, 'ping', args)).code === 0;
}

/** Resolves when they arrive: nodes learn of one another in their own time. */
async function arrive(from: string, to: string, octets: number): Promise<void> {
  await waitFor(`packets of ${octets} octets from ${from} at ${to}`, PATIENCE, async () =>
    (await wholePackets(from, to, octets)) ? true : undefined,
  );
}

function deviceTo(node: RackNode, to: string): Promise<string> {
  return topology.ip(node.name, 'route', 'get', to);
}

/** Everything of the overlay on a node. */
async function traces(node: RackNode): Promise<string> {
  const ip = (...args: readonly string[]): Promise<string> => topology.ip(node.name, ...args);
  const rules = `${await ip('rule')}${await ip('-6', 'rule')}`;
  const routes = await topology.exec(node.name, 'ip', ['route', 'show', 'table', '186']);
  return [
    await ip('-br', 'link', 'show', 'type', 'vxlan'),
    ...rules.split('\n').filter(line => line.startsWith('32186:')),
    routes.stdout,
    await ip('neigh', 'show', 'nud', 'permanent'),
  ].join('\n');
}

describe('two racks', () => {
  test('pods of different racks reach each other through VXLAN with whole packets, those of one rack directly', async () => {
    for (const version of [4, 6] as const) {
      const most = version === 4 ? 1450 : 1430;
      await arrive(podHost(N1), podOf(N3, version), most);
      await arrive(podHost(N3), podOf(N2, version), most);
      expect(await wholePackets(podHost(N1), podOf(N3, version), most + 1)).toBe(false);
      await arrive(podHost(N1), podOf(N2, version), 1500);
      expect(await deviceTo(N1, podOf(N3, version))).toContain('dev pgx');
      expect(await deviceTo(N1, podOf(N2, version))).toContain('dev eth0');
    }
    const unknown = await topology.exec('router', 'ip', ['route', 'get', podOf(N3, 4)]);
    expect(unknown.code).not.toBe(0);
  }, 180_000);

  test('kill -9 of an agent and its restart lose no packet and touch no route', async () => {
    const agent = agents.get(N1.name)!;
    const before = await traces(N1);
    const monitor = RouteMonitor.start(topology, N1.name);
    const streams = ([4, 6] as const).map(version => PingStream.start(topology, podHost(N1), podOf(N3, version), 0.02));
    await sleep(500);
    await agent.program.end('SIGKILL');
    await sleep(1000);
    agent.restart();
    await waitFor('the sessions of the restarted agent', PATIENCE, async () =>
      (await agent.peers()).every(peer => peer.state === 'Established') ? true : undefined,
    );
    await waitFor('its routes', PATIENCE, async () =>
      (await agent.fib()).filter(route => route.state === 'installed').length === 4 ? true : undefined,
    );
    // Lingering tunnels would go after two seconds.
    await sleep(3000);
    const results = await Promise.all(streams.map(stream => stream.stop()));
    expect(results.reduce((sum, { sent }) => sum + sent, 0)).toBeGreaterThan(50);
    expect(results.map(({ sent, received }) => sent - received)).toEqual([0, 0]);
    expect(monitor.changes([`10.244.${N3.n}.0/24`, `fd00:244:${N3.n}::/64`])).toEqual([]);
    await monitor.stop();
    expect(await traces(N1)).toBe(before);
  }, 180_000);

  test('tunnels to all nodes and back, switched while packets flow, lose none', async () => {
    const streams = [
      PingStream.start(topology, podHost(N1), podOf(N2, 4), 0.02),
      PingStream.start(topology, podHost(N1), podOf(N3, 6), 0.02),
    ];
    await sleep(300);
    for (const [type, device] of [
      ['full', 'dev pgx'],
      ['subnet', 'dev eth0'],
    ] as const) {
      for (const agent of agents.values()) agent.configure(config({ type }));
      await waitFor(`overlay of type ${type}`, PATIENCE, async () =>
        (await deviceTo(N1, podOf(N2, 4))).includes(device) && (await deviceTo(N2, podOf(N1, 4))).includes(device)
          ? true
          : undefined,
      );
      await sleep(3000);
    }
    const results = await Promise.all(streams.map(stream => stream.stop()));
    expect(results.map(({ sent, received }) => sent - received)).toEqual([0, 0]);
  }, 180_000);

  test('an encapsulation that the kernel lacks is one problem, and breaks nothing else', async () => {
    const agent = agents.get(N1.name)!;
    agent.configure(config({ encapsulation: 'ipip' }));
    await waitFor('the problem', PATIENCE, async () => {
      const summary = JSON.stringify(await agent.client.get('/v1/summary'));
      return /overlay: .*cannot be set up: E(OP)?NOTSUPP?/.test(summary) ? true : undefined;
    });
    const { problems } = (await agent.client.get('/v1/summary')) as { readonly problems: readonly string[] };
    expect(problems).toHaveLength(1);
    // The old tunnels stay for as long as the new ones fail.
    await sleep(3000);
    await arrive(podHost(N1), podOf(N2, 4), 1500);
    await arrive(podHost(N1), podOf(N3, 4), 1450);
    agent.configure(config({}));
    await waitFor('the end of the problem', PATIENCE, async () =>
      JSON.stringify(await agent.client.get('/v1/summary')).includes('cannot be set up') ? undefined : true,
    );
    await arrive(podHost(N1), podOf(N3, 4), 1450);
  }, 180_000);

  test('a node that leaves takes its tunnels along on all others', async () => {
    rmSync(join(manifests, `${N3.name}.yaml`));
    await waitFor('nothing of the overlay on n1', PATIENCE, async () =>
      (await traces(N1)).trim() === '' ? true : undefined,
    );
    expect(await topology.ip(N1.name, 'route', 'show', 'proto', 'bgp')).not.toContain(`10.244.${N3.n}.`);
    await arrive(podHost(N1), podOf(N2, 4), 1500);
  }, 180_000);

  test('an agent that withdraws on its way out leaves nothing', async () => {
    writeFileSync(join(manifests, `${N3.name}.yaml`), stringify(nodeObject(N3)));
    await arrive(podHost(N1), podOf(N3, 4), 1450);
    const agent = agents.get(N1.name)!;
    const reloads = (): number => agent.program.log().split('configuration applied').length;
    const before = reloads();
    agent.configure(
      stringify({
        router: { asn: 64512, gracefulRestart: false },
        kubernetes: { overlay: { encapsulation: 'vxlan' }, cni: { enabled: false }, egress: { enabled: false } },
      }),
    );
    await waitFor('the new configuration', PATIENCE, () => (reloads() > before ? true : undefined));
    await agent.program.end('SIGTERM');
    expect((await traces(N1)).trim()).toBe('');
    expect(await topology.ip(N1.name, 'route', 'show', 'proto', 'bgp')).toBe('');
  }, 180_000);
});
