/**
 * Two nodes with pods of several tenants, and a client outside, in namespaces; each node has the tenants' tables in its kernel.
 *
 *   a1 a2 b1 c1 g1 ── node n1 192.168.61.1 ─┬─ 192.168.61.2 node n2 ── a3 b2
 *                        client 192.168.62.9 ┘ (a link of its own)
 */

import { execFileSync } from 'node:child_process';
import { LineProcess } from '../../lab/traffic/lineProcess.js';
import { parsePrefix, type IpPrefix } from '../../src/core/ip.js';
import { NUMBER_ANNOTATION } from '../../src/policy/tenants/namespaceTenant.js';
import { openTenantKernel, type TenantEvent, type TenantKernel } from '../../src/policy/tenants/tenantKernel.js';
import { createTenantModel, type TenantModel } from '../../src/policy/tenants/tenantModel.js';
import { batchBetween } from '../unit/policy/modelCluster.js';
import { namespaceObject, podObject } from '../unit/policy/tenants/tenantObjects.js';
import { makeNamespace, type Namespace } from './namespace.js';

export type NodeName = 'n1' | 'n2';
export const PODS = ['a1', 'a2', 'b1', 'c1', 'g1', 'a3', 'b2'] as const;
export type PodNameOfRig = (typeof PODS)[number];
export const ACTORS = [...PODS, 'n1', 'n2', 'client'] as const;
export type ActorName = (typeof ACTORS)[number];

/** Both families. */
export const ADDRESSES: Readonly<Record<ActorName, readonly [four: string, six: string]>> = {
  a1: ['10.244.1.2', 'fd44:1::2'],
  a2: ['10.244.1.3', 'fd44:1::3'],
  b1: ['10.244.1.4', 'fd44:1::4'],
  c1: ['10.244.1.5', 'fd44:1::5'],
  g1: ['10.244.1.6', 'fd44:1::6'],
  a3: ['10.244.2.2', 'fd44:2::2'],
  b2: ['10.244.2.3', 'fd44:2::3'],
  n1: ['192.168.61.1', 'fd61::1'],
  n2: ['192.168.61.2', 'fd61::2'],
  client: ['192.168.62.9', 'fd62::9'],
};
const GATEWAYS: Readonly<Record<NodeName, readonly [four: string, six: string]>> = {
  n1: ['10.244.1.1', 'fd44:1::1'],
  n2: ['10.244.2.1', 'fd44:2::1'],
};
const NETWORKS = ['10.244.1.0/24', '10.244.2.0/24', 'fd44:1::/64', 'fd44:2::/64'].map((text): IpPrefix => {
  const prefix = parsePrefix(text);
  if (!prefix.ok) throw new Error(prefix.error);
  return prefix.value;
});

export function nodeOf(pod: PodNameOfRig): NodeName {
  return pod === 'a3' || pod === 'b2' ? 'n2' : 'n1';
}

/** Number of each namespace, by its letter; undefined: none is written. */
export type Numbers = Readonly<Record<string, number | undefined>>;

export function objectsOf(numbers: Numbers, pods: readonly PodNameOfRig[] = PODS): readonly unknown[] {
  const namespaces = Object.entries(numbers).map(([name, number]) =>
    namespaceObject(name, number === undefined ? {} : { [NUMBER_ANNOTATION]: String(number) }),
  );
  return [...namespaces, ...pods.map(pod => podObject(`${pod[0]}/${pod}`, ADDRESSES[pod], { node: nodeOf(pod) }))];
}

export interface TenantNode {
  readonly space: Namespace;
  readonly events: TenantEvent[];
  readonly model: TenantModel;
  kernel: TenantKernel;
}

export interface TenantRig {
  readonly nodes: Readonly<Record<NodeName, TenantNode>>;
  readonly actors: Readonly<Record<ActorName, Datagrams>>;
  /** Tells both nodes what there is now, and waits until their kernels have it. */
  tell(objects: readonly unknown[]): Promise<void>;
  /** Another life of a node's agent: the kernel stays as it is. */
  restart(node: NodeName): Promise<void>;
  close(): Promise<void>;
}

export async function openTenantRig(prefix: string): Promise<TenantRig> {
  const spaces = new Map(ACTORS.map(name => [name, makeNamespace(`${prefix}-${name}`)] as const));
  const space = (name: ActorName): Namespace => spaces.get(name)!;
  connect(spaces);
  const opened = ACTORS.map(name => [name, new Datagrams(space(name).name)] as const);
  const actor = (name: ActorName): Datagrams => opened.find(([other]) => other === name)![1];
  const actors = Object.fromEntries(ACTORS.map(name => [name, actor(name)])) as TenantRig['actors'];
  await Promise.all(opened.map(([, one]) => one.heard()));
  const nodes = { n1: openNode('n1', space('n1')), n2: openNode('n2', space('n2')) };
  let before: readonly unknown[] = [];
  return {
    nodes,
    actors,
    tell: async objects => {
      const batch = batchBetween(before, objects);
      before = objects;
      for (const { model, kernel } of Object.values(nodes)) {
        kernel.apply(model.apply(batch).delta);
        kernel.begin();
      }
      await Promise.all(Object.values(nodes).map(({ kernel }) => kernel.idle()));
    },
    restart: async name => {
      const node = nodes[name];
      await node.kernel.stop();
      node.events.length = 0;
      node.kernel = openKernel(node.space, node.events);
      node.kernel.apply({ set: node.model.addresses, removed: new Set() });
      node.kernel.begin();
      await node.kernel.idle();
    },
    close: async () => {
      await Promise.all(Object.values(nodes).map(({ kernel }) => kernel.stop()));
      await Promise.all(opened.map(([, one]) => one.end()));
      for (const one of spaces.values()) one.remove();
    },
  };
}

function openNode(name: NodeName, space: Namespace): TenantNode {
  const events: TenantEvent[] = [];
  const model = createTenantModel(name, { global: new Set(['g']), numbers: 'given' });
  return { space, events, model, kernel: openKernel(space, events) };
}

function openKernel(space: Namespace, events: TenantEvent[]): TenantKernel {
  const kernel = space.inside(() => openTenantKernel(event => events.push(event), { families: [4, 6] }));
  kernel.setNetworks(NETWORKS);
  return kernel;
}

function connect(spaces: ReadonlyMap<ActorName, Namespace>): void {
  const space = (name: ActorName): Namespace => spaces.get(name)!;
  const [n1, n2] = [space('n1'), space('n2')];
  for (const node of [n1, n2])
    for (const sysctl of ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
      execFileSync('ip', ['netns', 'exec', node.name, 'sysctl', '-qw', sysctl]);
  for (const pod of PODS) joinPod(space(nodeOf(pod)), GATEWAYS[nodeOf(pod)], space(pod), pod);
  n1.ip(`link add to-n2 type veth peer name to-n1 netns ${n2.name}`);
  n1.ip(`link add to-client type veth peer name eth0 netns ${space('client').name}`);
  const give = (where: Namespace, link: string, [four, six]: readonly [string, string]): void => {
    where.ip(`addr add ${four}/24 dev ${link}`);
    where.ip(`addr add ${six}/64 dev ${link} nodad`);
    where.ip(`link set ${link} up`);
  };
  give(n1, 'to-n2', ADDRESSES.n1);
  give(n2, 'to-n1', ADDRESSES.n2);
  give(n1, 'to-client', ['192.168.62.1', 'fd62::1']);
  give(space('client'), 'eth0', ADDRESSES.client);
  n1.ip(`route add 10.244.2.0/24 via ${ADDRESSES.n2[0]}`);
  n1.ip(`-6 route add fd44:2::/64 via ${ADDRESSES.n2[1]}`);
  n2.ip(`route add default via ${ADDRESSES.n1[0]}`);
  n2.ip(`-6 route add default via ${ADDRESSES.n1[1]}`);
  space('client').ip('route add default via 192.168.62.1');
  space('client').ip('-6 route add default via fd62::1');
}

/** The node speaks to its pods from an address of their own network. */
function joinPod(node: Namespace, [four, six]: readonly [string, string], pod: Namespace, name: PodNameOfRig): void {
  const [own4, own6] = ADDRESSES[name];
  node.ip(`link add to-${name} type veth peer name eth0 netns ${pod.name}`);
  node.ip(`addr add ${four}/32 dev to-${name}`);
  node.ip(`addr add ${six}/128 dev to-${name} nodad`);
  node.ip(`link set to-${name} up`);
  pod.ip(`addr add ${own4}/32 dev eth0`);
  pod.ip(`addr add ${own6}/128 dev eth0 nodad`);
  pod.ip('link set eth0 up');
  pod.ip(`route add ${four}/32 dev eth0`);
  pod.ip(`route add default via ${four}`);
  pod.ip(`-6 route add ${six}/128 dev eth0`);
  pod.ip(`-6 route add default via ${six}`);
  node.ip(`route add ${own4}/32 dev to-${name} src ${four}`);
  node.ip(`-6 route add ${own6}/128 dev to-${name} src ${six}`);
}

const PROGRAM = `
const dgram = require('node:dgram');
const heard = new Map(), streams = new Map();
const listener = dgram.createSocket('udp6'), out = { 4: dgram.createSocket('udp4'), 6: dgram.createSocket('udp6') };
const family = address => (address.includes(':') ? 6 : 4);
listener.on('message', data => { const text = String(data); heard.set(text, (heard.get(text) ?? 0) + 1); });
// One that is not let out is lost like any other.
const send = (to, text) => out[family(to)].send(text, 7700, to, () => undefined);
// Packets that came and found no room, since this program had no time to read.
function errors(file, pattern) {
  const lines = [...require('node:fs').readFileSync('/proc/self/net/' + file, 'utf8').matchAll(pattern)].map(([, line]) => line.split(' '));
  if (lines.length === 2) return Number(lines[1][lines[0].indexOf('RcvbufErrors')]);
  return lines.length === 1 ? Number(lines[0][0]) : NaN;
}
const acts = {
  heard: () => Object.fromEntries(heard),
  forget: () => { heard.clear(); return {}; },
  send: ({ list }) => { for (const { to, text } of list) send(to, text); return {}; },
  stream: ({ to, text, every }) => {
    const stream = { sent: 0, timer: setInterval(() => { stream.sent += 1; send(to, text); }, every) };
    streams.set(to + ' ' + text, stream);
    return {};
  },
  overflow: () => ({ count: errors('snmp', /^Udp: (.*)$/gm) + errors('snmp6', /^Udp6RcvbufErrors\\s+(.*)$/gm) }),
  sent: ({ to, text }) => streams.get(to + ' ' + text).sent,
  stop: ({ to, text }) => { const stream = streams.get(to + ' ' + text); clearInterval(stream.timer); return stream.sent; },
};
listener.bind(7700, '::', () => require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, kind, ...rest } = JSON.parse(line);
  process.stdout.write(JSON.stringify({ id, answer: acts[kind](rest) }) + '\\n');
}).on('close', () => process.exit(0)));
`;

/** Sends datagrams with texts, and counts those that arrive, by text. */
export class Datagrams {
  private readonly program: LineProcess;

  constructor(namespace: string) {
    this.program = new LineProcess(namespace, PROGRAM);
  }

  async heard(): Promise<ReadonlyMap<string, number>> {
    return new Map(Object.entries((await this.program.ask({ kind: 'heard' })) as Record<string, number>));
  }

  /** How many came and were not read in time, ever. */
  async overflow(): Promise<number> {
    const { count } = (await this.program.ask({ kind: 'overflow' })) as { readonly count: number };
    return count;
  }

  async forget(): Promise<void> {
    await this.program.ask({ kind: 'forget' });
  }

  /** In order. */
  async send(list: readonly { readonly to: string; readonly text: string }[]): Promise<void> {
    await this.program.ask({ kind: 'send', list });
  }

  /** Goes on, one every so many milliseconds. */
  async stream(to: string, text: string, every: number): Promise<void> {
    await this.program.ask({ kind: 'stream', to, text, every });
  }

  async sent(to: string, text: string): Promise<number> {
    return Number(await this.program.ask({ kind: 'sent', to, text }));
  }

  /** @returns how many were sent */
  async stop(to: string, text: string): Promise<number> {
    return Number(await this.program.ask({ kind: 'stop', to, text }));
  }

  end(): Promise<void> {
    return this.program.end();
  }
}
