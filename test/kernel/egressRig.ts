/**
 * Two nodes with a pod each and a server in the world outside, all on one wire; each node has the plumbing's masquerading
 * and egress addresses at work. The world sends what is for an egress address to whoever announces it.
 *
 *   p1 10.244.1.5 ── n1 10.0.0.1 ─┐
 *      fd00:1::5        fd00::1   ├── world 10.0.0.100, fd00::100
 *   p2 10.244.2.5 ── n2 10.0.0.2 ─┘
 *      fd00:2::5        fd00::2
 */

import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { pino } from 'pino';
import { createEgressAddresses, type EgressAddresses } from '../../src/app/egressAddresses/egressAddresses.js';
import { createEgressStage, type EgressInput } from '../../src/app/egressAddresses/egressStage.js';
import { createEgressPlane, type EgressPlane } from '../../src/app/plumbing/egressPlane.js';
import { createNodeNetworks } from '../../src/app/plumbing/nodeNetworks.js';
import { DEFAULT_PLUMBING } from '../../src/app/plumbing/plumbingOptions.js';
import { systemClock } from '../../src/core/clock.js';
import { mergeBatches, type ObjectBatch } from '../../src/kube/objectBatch.js';
import type { Problem } from '../../src/kube/problems.js';
import { openRouteChannel } from '../../src/kernel/netlink/channel.js';
import { openNft } from '../../src/kernel/nft.js';
import { kernelSwitches } from '../../src/kernel/sysctl.js';
import { EGRESS_ADDRESSES, EGRESS_NODE } from '../../src/policy/egress/egressClaims.js';
import { makeNamespace, slimNft, type Namespace } from './namespace.js';
import { batchOf, prefixOf } from '../unit/policy/egress/egressObjects.js';

export type NodeNumber = 1 | 2;
export const WORLD = { 4: '10.0.0.100', 6: 'fd00::100' } as const;
const PORT = 7000;

/** One node's agent, as far as egress goes. */
export interface EgressAgent {
  tell(batch: ObjectBatch): Promise<void>;
  /** Prefixes announced now. */
  announced(): readonly string[];
  problems(): readonly Problem[];
  stop(): Promise<void>;
}

export interface EgressRig {
  readonly nodes: Readonly<Record<NodeNumber, Namespace>>;
  readonly pods: Readonly<Record<NodeNumber, Namespace>>;
  readonly world: Namespace;
  readonly agents: Record<NodeNumber, EgressAgent>;
  /** Starts an agent of the node with all that was told before. */
  start(node: NodeNumber): Promise<void>;
  /** Tells both agents, and has the world follow their announcements. */
  tell(set: readonly object[], deleted?: readonly object[]): Promise<void>;
  /** @returns the address that the server in the world saw the pod come from; undefined: it saw nothing */
  seenFrom(pod: NodeNumber, version: 4 | 6): string | undefined;
  /** The same where nothing is expected: it is not waited for long. */
  glimpseOf(pod: NodeNumber, version: 4 | 6): string | undefined;
  close(): Promise<void>;
}

export async function buildEgressRig(prefix: string): Promise<EgressRig> {
  const world = makeNamespace(`${prefix}w`);
  const nodes = { 1: makeNamespace(`${prefix}n1`), 2: makeNamespace(`${prefix}n2`) };
  const pods = { 1: makeNamespace(`${prefix}p1`), 2: makeNamespace(`${prefix}p2`) };
  wire(world, nodes, pods);
  const server = await serve(world);
  let known: ObjectBatch = { changes: new Map(), synced: true };
  const agents = {} as Record<NodeNumber, EgressAgent>;
  const start = async (node: NodeNumber): Promise<void> => {
    agents[node] = startAgent(nodes[node], node);
    await agents[node].tell(known);
  };
  return {
    nodes,
    pods,
    world,
    agents,
    start,
    tell: async (set, deleted = []) => {
      const batch = batchOf(set, deleted);
      known = mergeBatches([known, batch]);
      await Promise.all(Object.values(agents).map(agent => agent.tell(batch)));
      followAnnouncements(world, agents);
    },
    seenFrom: (pod, version) => ask(pods[pod], WORLD[version]),
    glimpseOf: (pod, version) => ask(pods[pod], WORLD[version], MOMENT),
    close: async () => {
      for (const agent of Object.values(agents)) await agent.stop();
      server.kill('SIGKILL');
      for (const ns of [world, ...Object.values(nodes), ...Object.values(pods)]) ns.remove();
    },
  };
}

function wire(world: Namespace, nodes: EgressRig['nodes'], pods: EgressRig['pods']): void {
  world.ip('link add wire type bridge');
  world.ip('link set wire up');
  world.ip('addr add 10.0.0.100/24 dev wire');
  world.ip('addr add fd00::100/64 dev wire nodad');
  for (const n of [1, 2] as const) {
    const [node, pod, other] = [nodes[n], pods[n], 3 - n];
    execFileSync('ip', ['netns', 'exec', node.name, 'sysctl', '-qw', ...FORWARDING]);
    world.ip(`link add port${n} type veth peer name eth0 netns ${node.name}`);
    world.ip(`link set port${n} master wire up`);
    node.ip(`link add veth0 type veth peer name eth0 netns ${pod.name}`);
    for (const command of [
      'link set eth0 up',
      `addr add 10.0.0.${n}/24 dev eth0`,
      `addr add fd00::${n}/64 dev eth0 nodad`,
      'route add default via 10.0.0.100',
      '-6 route add default via fd00::100',
      `route add 10.244.${other}.0/24 via 10.0.0.${other}`,
      `-6 route add fd00:${other}::/64 via fd00::${other}`,
      'link set veth0 up',
      `addr add 10.244.${n}.1/24 dev veth0`,
      `addr add fd00:${n}::1/64 dev veth0 nodad`,
    ])
      node.ip(command);
    for (const command of [
      'link set eth0 up',
      `addr add 10.244.${n}.5/24 dev eth0`,
      `addr add fd00:${n}::5/64 dev eth0 nodad`,
      `route add default via 10.244.${n}.1`,
      `-6 route add default via fd00:${n}::1`,
    ])
      pod.ip(command);
  }
}

const FORWARDING = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.conf.all.rp_filter=1'];

function startAgent(node: Namespace, n: NodeNumber): EgressAgent {
  const nft = openNft(slimNft(node.name));
  const channel = node.inside(openRouteChannel);
  let problems: ReadonlyMap<string, readonly Problem[]> = new Map();
  const report = (found: ReadonlyMap<string, readonly Problem[]>): void => {
    problems = new Map([...problems, ...found]);
  };
  const addresses: EgressAddresses = createEgressAddresses({
    channel,
    nft,
    switches: {
      read: name => node.inside(() => kernelSwitches.read(name)),
      write: (name, value) => node.inside(() => kernelSwitches.write(name, value)),
    },
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    protocol: 186,
    report,
  });
  const plane: EgressPlane = createEgressPlane({
    nft,
    clock: systemClock,
    onEvent: () => undefined,
    onProblem: () => undefined,
  });
  const networks = createNodeNetworks(`n${n}`);
  const stage = createEgressStage(`n${n}`);
  const announced = new Set<string>();
  const take = (input: EgressInput): void => {
    const update = stage(input);
    for (const key of update.announced.removed) announced.delete(key);
    for (const key of update.announced.set.keys()) announced.add(key);
    report(update.problems);
    addresses.update(update);
  };
  plane.configure(DEFAULT_PLUMBING);
  take({ kind: 'options', options: { ranges: ['192.0.2.0/24', '2001:db8::/64'].map(prefixOf), inside: [] } });
  return {
    tell: async batch => {
      plane.changed(networks(batch).parts);
      plane.begin();
      take({ kind: 'batch', batch });
      await Promise.all([addresses.idle(), plane.idle()]);
    },
    announced: () => [...announced],
    problems: () => [...problems.values()].flat(),
    stop: async () => {
      await Promise.all([addresses.stop(), plane.stop()]);
      channel.close();
    },
  };
}

/** As the world's routers would by BGP. */
function followAnnouncements(world: Namespace, agents: EgressRig['agents']): void {
  world.ip('route flush proto 186');
  world.ip('-6 route flush proto 186');
  for (const n of [1, 2] as const)
    for (const prefix of agents[n].announced())
      world.ip(
        prefix.includes(':')
          ? `-6 route add ${prefix} via fd00::${n} proto 186`
          : `route add ${prefix} via 10.0.0.${n} proto 186`,
      );
}

const SERVER = `require('net').createServer(s => { s.on('error', () => {}); s.end(s.remoteAddress + '\\n'); })
  .listen(${PORT}, '::', () => console.log('up'))`;
/** Milliseconds for an answer on a busy machine, and until what is dropped may be believed to be. */
const [PATIENCE, MOMENT] = [20_000, 1500];
const CLIENT = `const s = require('net').connect(${PORT}, process.argv[1]);
  setTimeout(() => process.exit(2), Number(process.argv[2])); s.on('error', () => process.exit(3)); s.pipe(process.stdout); s.on('end', () => process.exit(0))`;

async function serve(world: Namespace): Promise<ChildProcess> {
  const args = ['netns', 'exec', world.name, process.execPath, '-e', SERVER];
  const server = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  return server;
}

export function ask(from: Namespace, to: string, patience = PATIENCE): string | undefined {
  const args = ['netns', 'exec', from.name, process.execPath, '-e', CLIENT, to, String(patience)];
  const { status, stdout } = spawnSync('ip', args, { encoding: 'utf8' });
  return status === 0 ? stdout.trim().replace(/^::ffff:/, '') : undefined;
}

export function nodeObject(n: NodeNumber, isEgress: boolean, isReady = true): object {
  return {
    kind: 'Node',
    metadata: { name: `n${n}`, labels: isEgress ? { [EGRESS_NODE]: '' } : {} },
    spec: { podCIDRs: [`10.244.${n}.0/24`, `fd00:${n}::/64`] },
    status: {
      addresses: [`10.0.0.${n}`, `fd00::${n}`].map(address => ({ type: 'InternalIP', address })),
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'Unknown' }],
    },
  };
}

export function namespaceObject(name: string, addresses?: string): object {
  const annotations = addresses === undefined ? {} : { [EGRESS_ADDRESSES]: addresses };
  return { kind: 'Namespace', metadata: { name, annotations } };
}

export function podObject(namespace: string, n: NodeNumber): object {
  return {
    kind: 'Pod',
    metadata: { namespace, name: `p${n}` },
    spec: { nodeName: `n${n}` },
    status: { phase: 'Running', podIPs: [{ ip: `10.244.${n}.5` }, { ip: `fd00:${n}::5` }] },
  };
}
