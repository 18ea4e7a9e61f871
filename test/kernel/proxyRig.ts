/**
 * A node with two pods, a second machine with a pod of its own, and a client outside, in namespaces; the proxy runs in the
 * node's. Every link is a veth pair of the node's, with addresses of both families.
 *
 *      pod a 10.244.1.2 ─┐
 *      pod b 10.244.1.3 ─┼─ node 192.168.9.1 ─── client 192.168.9.9
 *  remote c 10.244.2.4 ──┘
 */

import { execFileSync } from 'node:child_process';
import { parsePrefix, type IpPrefix } from '../../src/core/ip.js';
import { openNftablesProxy } from '../../src/proxy/nftables/nftablesProxy.js';
import type { ProxyBackend, ProxyEvent } from '../../src/proxy/proxyBackend.js';
import {
  frontendKey,
  servicePortKey,
  type Backend,
  type BackendLists,
  type Family,
  type Frontend,
  type ProxyDelta,
  type ProxySettings,
  type ServiceAddress,
} from '../../src/proxy/proxyTypes.js';
import type { IpText, Protocol } from '../../src/kube/objectTypes.js';
import { makeNamespace, type Namespace } from './namespace.js';
import { startActor, type Actor } from './proxyActor.js';

export const ACTORS = ['a', 'b', 'c', 'client', 'node'] as const;
export type ActorName = (typeof ACTORS)[number];

/** Addresses by family: of each actor, and of the node on the actor's link. */
export const ADDRESSES: Readonly<Record<Family, Readonly<Record<ActorName, string>>>> = {
  4: { a: '10.244.1.2', b: '10.244.1.3', c: '10.244.2.4', client: '192.168.9.9', node: '192.168.9.1' },
  6: { a: 'fd44:1::2', b: 'fd44:1::3', c: 'fd44:2::4', client: 'fd99::9', node: 'fd99::1' },
};
export const GATEWAYS: Readonly<Record<Exclude<ActorName, 'node'>, readonly [four: string, six: string]>> = {
  a: ['10.1.1.1', 'fdee:1::1'],
  b: ['10.1.2.1', 'fdee:2::1'],
  c: ['10.1.3.1', 'fdee:3::1'],
  client: ['192.168.9.1', 'fd99::1'],
};

export interface ProxyRig {
  readonly actors: Readonly<Record<ActorName, Actor>>;
  readonly node: Namespace;
  readonly events: ProxyEvent[];
  proxy: ProxyBackend;
  /** Another life of the proxy: the kernel stays as it is. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const PORT = 8080;

/** Opens the backend to be tried, with its sockets in the node's namespace. */
export type OpenBackend = (node: Namespace, onEvent: (event: ProxyEvent) => void) => Promise<ProxyBackend>;

const openNftables: OpenBackend = (node, onEvent) => Promise.resolve(node.inside(() => openNftablesProxy(onEvent)));

/** Packets of the client's are sent back to its link, and redirects would use up the rate of ICMP that rejects need. */
const SYSCTLS = [
  'net.ipv4.ip_forward=1',
  'net.ipv6.conf.all.forwarding=1',
  'net.ipv4.icmp_ratelimit=0',
  'net.ipv6.icmp.ratelimit=0',
  'net.ipv4.conf.all.send_redirects=0',
  'net.ipv4.conf.to-client.send_redirects=0',
];

export interface Cast {
  readonly actors: Readonly<Record<ActorName, Actor>>;
  readonly node: Namespace;
  close(): Promise<void>;
}

/** The namespaces and who is in them; pods serve at `PORT`. */
export async function openCast(prefix: string): Promise<Cast> {
  const spaces = new Map<ActorName, Namespace>();
  for (const name of ACTORS) spaces.set(name, makeNamespace(`${prefix}-${name}`));
  const node = spaces.get('node')!;
  for (const name of ACTORS) if (name !== 'node') join(node, spaces.get(name)!, name);
  for (const sysctl of SYSCTLS) execFileSync('ip', ['netns', 'exec', node.name, 'sysctl', '-qw', sysctl]);
  const start = (name: ActorName): Actor => startActor(spaces.get(name)!.name);
  const actors = { a: start('a'), b: start('b'), c: start('c'), client: start('client'), node: start('node') };
  for (const name of ['a', 'b', 'c'] as const) await actors[name].serve(name, PORT);
  return {
    actors,
    node,
    close: async () => {
      await Promise.all(Object.values(actors).map(actor => actor.stop()));
      for (const space of spaces.values()) space.remove();
    },
  };
}

export async function openProxyRig(prefix: string, openBackend = openNftables): Promise<ProxyRig> {
  const cast = await openCast(prefix);
  const { actors, node } = cast;
  const events: ProxyEvent[] = [];
  const open = (): Promise<ProxyBackend> => openBackend(node, event => events.push(event));
  const rig: ProxyRig = {
    actors,
    node,
    events,
    proxy: await open(),
    async restart() {
      await this.proxy.stop();
      events.length = 0;
      this.proxy = await open();
    },
    async close() {
      await this.proxy.stop().catch(() => undefined);
      await cast.close();
    },
  };
  return rig;
}

/** Everything goes by way of the node; nobody but it knows of services. */
function join(node: Namespace, other: Namespace, name: Exclude<ActorName, 'node'>): void {
  const [four, six] = GATEWAYS[name];
  node.ip(`link add to-${name} type veth peer name eth0 netns ${other.name}`);
  node.ip(`addr add ${four}/${name === 'client' ? 24 : 32} dev to-${name}`);
  node.ip(`addr add ${six}/${name === 'client' ? 64 : 128} dev to-${name} nodad`);
  node.ip(`link set to-${name} up`);
  other.ip(`addr add ${ADDRESSES[4][name]}/${name === 'client' ? 24 : 32} dev eth0`);
  other.ip(`addr add ${ADDRESSES[6][name]}/${name === 'client' ? 64 : 128} dev eth0 nodad`);
  other.ip('link set eth0 up');
  other.ip(`route replace ${four}/32 dev eth0`);
  other.ip(`route add default via ${four}`);
  other.ip(`-6 route replace ${six}/128 dev eth0`);
  other.ip(`-6 route add default via ${six}`);
  node.ip(`route replace ${ADDRESSES[4][name]}/32 dev to-${name}`);
  node.ip(`-6 route replace ${ADDRESSES[6][name]}/128 dev to-${name}`);
  if (name !== 'client') return;
  // So that the node's own packets to service addresses have a way out before they are turned round.
  node.ip(`route add default via ${ADDRESSES[4].client}`);
  node.ip(`-6 route add default via ${ADDRESSES[6].client}`);
}

export function prefixOf(text: string): IpPrefix {
  const prefix = parsePrefix(text);
  if (!prefix.ok) throw new Error(prefix.error);
  return prefix.value;
}

/** Without what only IPVS knows. */
export const SETTINGS: ProxySettings = {
  ipv4: true,
  ipv6: true,
  podDetector: { kind: 'cidrs', cidrs: ['10.244.0.0/16', 'fd44::/16'].map(prefixOf) },
  nodePortAddresses: 'all',
  nodeAddresses: ['192.168.9.1', 'fd99::1'].map(ipText),
  serviceCidrs: ['10.96.0.0/16', 'fd96::/64'].map(prefixOf),
  masqueradeAll: false,
  masqueradeBit: 14,
  countTraffic: true,
  ipvs: {
    tcpTimeout: 0,
    tcpFinTimeout: 0,
    udpTimeout: 0,
    gracefulPeriod: 0,
    excludedCidrs: [],
    guardAddresses: true,
    strictArp: false,
    runtimeEndpoint: undefined,
  },
};

export interface ServiceShape {
  readonly family: Family;
  readonly name: string;
  readonly protocol?: Protocol;
  readonly cluster: readonly Backend[];
  readonly local?: readonly Backend[];
  readonly serving?: readonly Backend[];
  /** The first is the cluster IP; what is left out is as for a plain cluster IP. */
  readonly frontends: readonly (Partial<Omit<Frontend, 'address'>> & { readonly address: string | undefined })[];
}

/** A backend on an actor. Actors a and b are pods of the node. */
export function backendOn(family: Family, actor: 'a' | 'b' | 'c', more: Partial<Backend> = {}): Backend {
  return {
    address: ipText(ADDRESSES[family][actor]),
    port: PORT,
    weight: 1,
    isLocal: actor !== 'c',
    state: 'ready',
    ...more,
  };
}

export function deltaOf(services: readonly ServiceShape[], removed: readonly ServiceShape[] = []): ProxyDelta {
  const frontends = new Map(services.flatMap(frontendsOf).map(frontend => [frontend.key, frontend]));
  const lists = services.map(listsOf);
  return {
    frontends: { set: frontends, removed: new Set(removed.flatMap(frontendsOf).map(({ key }) => key)) },
    backends: {
      set: new Map(lists.map(list => [list.servicePort, list])),
      removed: new Set(removed.map(service => listsOf(service).servicePort)),
    },
    addresses: {
      set: new Map(services.flatMap(addressesOf).map(found => [found.address, found])),
      removed: new Set(removed.flatMap(addressesOf).map(({ address }) => address)),
    },
  };
}

function addressesOf(service: ServiceShape): readonly ServiceAddress[] {
  return frontendsOf(service).flatMap(({ address, family, kind }) =>
    address === undefined ? [] : [{ address, family, isClusterIp: kind === 'clusterIp' }],
  );
}

const portOf = ({ family, name, protocol = 'TCP' }: ServiceShape): Frontend['servicePort'] =>
  servicePortKey(family, `demo/${name}`, '', protocol);

function listsOf(service: ServiceShape): BackendLists {
  const { cluster } = service;
  const local = service.local ?? cluster.filter(backend => backend.isLocal);
  return { servicePort: portOf(service), cluster, local, serving: service.serving ?? cluster };
}

function frontendsOf(service: ServiceShape): readonly Frontend[] {
  const { family, name, protocol = 'TCP', frontends } = service;
  return frontends.map(given => {
    const { port = 80 } = given;
    const address = given.address === undefined ? undefined : ipText(given.address);
    return {
      kind: 'clusterIp',
      family,
      protocol,
      port,
      service: `demo/${name}`,
      servicePort: portOf(service),
      policy: 'cluster',
      shortCircuit: false,
      masquerade: 'offCluster',
      sourceRanges: undefined,
      affinity: undefined,
      scheduling: { scheduler: 'rr', fallback: false, port: false, flag3: false },
      dsr: false,
      ...given,
      address,
      key: frontendKey(family, address, protocol, port),
    };
  });
}

function ipText(text: string): IpText {
  return text as IpText;
}
