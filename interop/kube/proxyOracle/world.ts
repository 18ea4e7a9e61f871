/** One of the two worlds of the comparison: a node with pods, another node's pods, and what is outside. Impure. */

import { resolve } from 'node:path';
import { waitFor } from '../../../lab/topology/commands.js';
import type { Topology } from '../../../lab/topology/topology.js';
import * as at from './addresses.js';
import type { Place, RemoteNode } from './addresses.js';
import { CLIENTS, type Client } from './clients.js';
import type { Answers, Order } from './prober.js';
import type { Question } from './questions.js';

/** Built with the other tools: tests themselves are not compiled there. */
const FOLDER = resolve('build/interop/kube/proxyOracle');
/** Milliseconds for what takes a second. */
const PATIENCE = 120_000;
/** For a whole round of questions. */
const ROUND = 600_000;

export type WorldName = 'theirs' | 'ours';
export const hostIn = (world: WorldName, host: string): string => `${world}-${host}`;

const [LENGTHS, HOST_LENGTHS] = [{ 4: 24, 6: 64 } as const, { 4: 32, 6: 128 } as const];
const FAMILIES = [4, 6] as const;
const withLength = (place: Place, lengths: { readonly 4: number; readonly 6: number }): readonly string[] =>
  FAMILIES.map(family => `${place[family]}/${lengths[family]}`);

/** No redirects between pods; and every refusal is told, which the kernel else limits to one a second. */
const NODE_SWITCHES = [
  'net.ipv4.conf.all.send_redirects=0',
  'net.ipv4.conf.default.send_redirects=0',
  'net.ipv4.icmp_ratelimit=0',
  'net.ipv6.icmp.ratelimit=0',
];

/**
 * A node that sends a packet back where it came from (an unused address of the services does that) redirects the sender to
 * itself, once a second at most: of two worlds one would hear "unreachable" and the other nothing, by chance. IPv6 has no
 * switch against sending them. For links that are made later.
 */
const HOST_SWITCHES = ['net.ipv6.conf.default.accept_redirects=0', 'net.ipv4.conf.default.accept_redirects=0'];

/** Makes namespaces, links, addresses and routes, and starts the endpoints. @param number tells its link to the API server apart */
export async function buildWorld(topology: Topology, world: WorldName, number: number): Promise<void> {
  const node = hostIn(world, 'node');
  await addHost(topology, node);
  await topology.forward(node);
  await topology.sysctl(node, ...NODE_SWITCHES);
  await linkToOutside(topology, world, node);
  for (const other of [at.REMOTE, at.CALLER]) await linkToOther(topology, world, node, other);
  for (const [i, pod] of at.LOCAL_PODS.entries()) await addPod(topology, node, hostIn(world, `pod${i + 1}`), i, pod);
  await linkToApi(topology, node, number);
  const endpoints: readonly (readonly [host: string, places: readonly Place[]])[] = [
    ['node', [at.NODE]],
    [at.REMOTE.host, at.REMOTE.pods],
    ...at.LOCAL_PODS.map((pod, i) => [`pod${i + 1}`, [pod]] as const),
  ];
  await Promise.all(endpoints.map(([host, places]) => serve(topology, hostIn(world, host), places)));
}

async function addHost(topology: Topology, host: string): Promise<void> {
  await topology.host(host);
  await topology.sysctl(host, ...HOST_SWITCHES);
}

async function linkToOutside(topology: Topology, world: WorldName, node: string): Promise<void> {
  const outside = hostIn(world, 'outside');
  await addHost(topology, outside);
  await topology.cable(
    { host: node, link: 'eth0', addresses: withLength(at.NODE, LENGTHS) },
    { host: outside, link: 'eth0', addresses: withLength(at.OUTSIDE, LENGTHS) },
  );
  await addToLoopback(topology, outside, at.FAR_OUTSIDE);
  for (const family of FAMILIES) {
    await topology.ip(outside, 'route', 'add', 'default', 'via', at.NODE[family]);
    await topology.ip(node, 'route', 'add', 'default', 'via', at.OUTSIDE[family]);
  }
}

async function linkToOther(topology: Topology, world: WorldName, node: string, other: RemoteNode): Promise<void> {
  const host = hostIn(world, other.host);
  await addHost(topology, host);
  await topology.cable(
    { host: node, link: other.host, addresses: withLength(other.near, LENGTHS) },
    { host, link: 'eth0', addresses: withLength(other.address, LENGTHS) },
  );
  for (const pod of other.pods) await addToLoopback(topology, host, pod);
  for (const family of FAMILIES) {
    await topology.ip(host, 'route', 'add', 'default', 'via', other.near[family]);
    await topology.ip(node, 'route', 'add', other.podPrefix[family], 'via', other.address[family]);
  }
}

/** A link of its own for each pod, so that everything between pods passes the node. */
async function addPod(topology: Topology, node: string, host: string, index: number, pod: Place): Promise<void> {
  const link = `pod${index + 1}`;
  await addHost(topology, host);
  await topology.cable(
    { host: node, link, addresses: withLength(at.GATEWAY, HOST_LENGTHS) },
    { host, link: 'eth0', addresses: withLength(pod, HOST_LENGTHS) },
  );
  for (const family of FAMILIES) {
    await topology.ip(node, 'route', 'add', pod[family], 'dev', link);
    await topology.ip(host, 'route', 'add', at.GATEWAY[family], 'dev', 'eth0');
    await topology.ip(host, 'route', 'add', 'default', 'via', at.GATEWAY[family]);
  }
}

async function linkToApi(topology: Topology, node: string, number: number): Promise<void> {
  const network = `10.99.${number}`;
  await topology.cable(
    { host: 'api', link: `world${number}`, addresses: [`${network}.1/30`] },
    { host: node, link: 'api', addresses: [`${network}.2/30`] },
  );
  await topology.ip(node, 'route', 'add', at.API, 'via', `${network}.1`);
}

async function addToLoopback(topology: Topology, host: string, place: Place): Promise<void> {
  for (const address of withLength(place, HOST_LENGTHS))
    await topology.ip(host, 'address', 'add', address, 'dev', 'lo');
}

async function serve(topology: Topology, host: string, places: readonly Place[]): Promise<void> {
  const addresses = places.flatMap(place => FAMILIES.map(family => place[family]));
  const program = topology.start(host, host, process.execPath, [`${FOLDER}/backends.js`, ...addresses]);
  await waitFor(`endpoints of ${host}`, PATIENCE, () => {
    if (!program.running()) throw new Error(program.log());
    return program.log().includes('ready') ? true : undefined;
  });
}

/** By client, in the order of the questions. */
export type Heard = ReadonlyMap<Client, Answers>;

/** Asks all questions from all clients of a world. @param asked which of them a client asks */
export async function askAll(
  topology: Topology,
  world: WorldName,
  asked: ReadonlyMap<Client, readonly Question[]>,
  order: Omit<Order, 'questions'>,
): Promise<Heard> {
  const heard = await Promise.all(
    CLIENTS.filter(client => asked.has(client)).map(async client => {
      const questions = asked.get(client) ?? [];
      return [client, await ask(topology, hostIn(world, client.host), client, questions, order)] as const;
    }),
  );
  return new Map(heard);
}

async function ask(
  topology: Topology,
  host: string,
  { from }: Client,
  questions: readonly Question[],
  order: Omit<Order, 'questions'>,
): Promise<Answers> {
  const input: Order = {
    ...order,
    questions: questions.map(({ protocol, address, port }) => ({
      protocol,
      address,
      port,
      ...(from === undefined ? {} : { from: from[address.includes(':') ? 6 : 4] }),
    })),
  };
  const args = [`${FOLDER}/prober.js`];
  const { stdout, stderr, code } = await topology.exec(host, process.execPath, args, ROUND, JSON.stringify(input));
  if (code !== 0) throw new Error(`questions from ${host}: ${stderr}`);
  return JSON.parse(stdout) as Answers;
}
