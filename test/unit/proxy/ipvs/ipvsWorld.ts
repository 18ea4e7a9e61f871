/** Services for tests of the IPVS backend as plain values, what changes between two of their states, and the backend on a kernel in memory. */

import { parseAddress, parsePrefix, type IpAddress, type IpPrefix } from '../../../../src/core/ip.js';
import type { IpText, Protocol } from '../../../../src/kube/objectTypes.js';
import {
  createIpvsServers,
  type IpvsServers,
  type IpvsServersOptions,
} from '../../../../src/proxy/ipvs/ipvsServers.js';
import type { ProxyEvent } from '../../../../src/proxy/proxyBackend.js';
import {
  frontendKey,
  servicePortKey,
  type Backend,
  type BackendLists,
  type Family,
  type Frontend,
  type FrontendKey,
  type KeyedChange,
  type ProxyDelta,
  type ProxySettings,
  type ServiceAddress,
  type ServicePortKey,
} from '../../../../src/proxy/proxyTypes.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { FakeIpvsKernel } from './fakeIpvsKernel.js';

export interface SomeService {
  readonly name: string;
  readonly family?: Family;
  readonly protocol?: Protocol;
  /** Last octets of pods. */
  readonly pods: readonly number[];
  readonly weight?: number;
  /** Besides its cluster IP. */
  readonly external?: string | undefined;
  readonly nodePort?: number | undefined;
  readonly affinity?: number | undefined;
  readonly scheduler?: Frontend['scheduling']['scheduler'];
  /** Who may use it. */
  readonly sourceRanges?: readonly IpPrefix[];
}

export interface State {
  readonly frontends: ReadonlyMap<FrontendKey, Frontend>;
  readonly backends: ReadonlyMap<ServicePortKey, BackendLists>;
  readonly addresses: ReadonlyMap<IpText, ServiceAddress>;
}

export function ipText(text: string): IpText {
  return text as IpText;
}

export function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** The cluster IP that a service has. */
export function clusterIp({ name, family = 4 }: Pick<SomeService, 'name' | 'family'>): string {
  const n = name.charCodeAt(0);
  return family === 4 ? `10.96.0.${n}` : `fd96::${n.toString(16)}`;
}

/** Of several services that want one frontend, the first has it, as the derivation sees to. */
export function stateOf(services: readonly SomeService[]): State {
  const frontends = new Map<FrontendKey, Frontend>();
  const backends = new Map<ServicePortKey, BackendLists>();
  const addresses = new Map<IpText, ServiceAddress>();
  for (const service of services) {
    for (const frontend of frontendsOf(service))
      if (!frontends.has(frontend.key)) frontends.set(frontend.key, frontend);
    const lists = listsOf(service);
    if (lists.serving.length > 0) backends.set(lists.servicePort, lists);
  }
  for (const { address: text, family, kind } of frontends.values())
    if (text !== undefined) addresses.set(text, { address: text, family, isClusterIp: kind === 'clusterIp' });
  return { frontends, backends, addresses };
}

export const PORT = servicePortKey(4, 'demo/web', '', 'TCP');

/** A frontend of the service port {@link PORT}: a cluster IP unless more is said. */
export function frontend(more: Partial<Frontend> = {}): Frontend {
  const own = 'address' in more ? more.address : ipText('10.96.0.1');
  return {
    key: frontendKey(4, own, 'TCP', more.port ?? 80),
    kind: 'clusterIp',
    family: 4,
    address: own,
    protocol: 'TCP',
    port: 80,
    service: 'demo/web',
    servicePort: PORT,
    policy: 'cluster',
    shortCircuit: false,
    masquerade: 'offCluster',
    sourceRanges: undefined,
    affinity: undefined,
    scheduling: { scheduler: 'rr', fallback: false, port: false, flag3: false },
    dsr: false,
    ...more,
  };
}

function frontendsOf(service: SomeService): readonly Frontend[] {
  const { name, family = 4, protocol = 'TCP', external, nodePort, affinity, scheduler = 'rr', sourceRanges } = service;
  const make = (kind: Frontend['kind'], text: string | undefined, port: number): Frontend => {
    const at = text === undefined ? undefined : ipText(text);
    return {
      key: frontendKey(family, at, protocol, port),
      kind,
      family,
      address: at,
      protocol,
      port,
      service: `demo/${name}`,
      servicePort: portOf(service),
      policy: 'cluster',
      shortCircuit: false,
      masquerade: 'offCluster',
      sourceRanges,
      affinity,
      scheduling: { scheduler, fallback: false, port: false, flag3: false },
      dsr: false,
    };
  };
  return [
    make('clusterIp', clusterIp(service), 80),
    ...(external === undefined ? [] : [make('externalIp', external, 80)]),
    ...(nodePort === undefined ? [] : [make('nodePort', undefined, nodePort)]),
  ];
}

function portOf({ name, family = 4, protocol = 'TCP' }: SomeService): Frontend['servicePort'] {
  return servicePortKey(family, `demo/${name}`, '', protocol);
}

function listsOf(service: SomeService): BackendLists {
  const { family = 4, pods, weight = 1 } = service;
  const list = pods.map((n): Backend => ({
    address: ipText(family === 4 ? `10.244.0.${n}` : `fd44::${n}`),
    port: 8080,
    weight,
    isLocal: false,
    state: 'ready',
  }));
  return { servicePort: portOf(service), cluster: list, local: [], serving: list };
}

export function deltaBetween(before: State, after: State): ProxyDelta {
  return {
    frontends: change(before.frontends, after.frontends),
    backends: change(before.backends, after.backends),
    addresses: change(before.addresses, after.addresses),
  };
}

function change<K extends string, V>(before: ReadonlyMap<K, V>, after: ReadonlyMap<K, V>): KeyedChange<K, V> {
  const text = (value: V | undefined): string => JSON.stringify(value);
  return {
    set: new Map([...after].filter(([key, value]) => text(before.get(key)) !== text(value))),
    removed: new Set([...before.keys()].filter(key => !after.has(key))),
  };
}

export const NOTHING: State = stateOf([]);

export function settings(more: Partial<ProxySettings['ipvs']> = {}): ProxySettings {
  return {
    ipv4: true,
    ipv6: true,
    podDetector: { kind: 'none' },
    nodePortAddresses: 'all',
    nodeAddresses: ['192.168.9.1', 'fd99::1'].map(ipText),
    serviceCidrs: [],
    masqueradeAll: false,
    masqueradeBit: 14,
    countTraffic: false,
    ipvs: {
      tcpTimeout: 0,
      tcpFinTimeout: 0,
      udpTimeout: 0,
      gracefulPeriod: 30,
      excludedCidrs: [],
      guardAddresses: true,
      strictArp: false,
      runtimeEndpoint: undefined,
      ...more,
    },
  };
}

export const LOCAL = ['127.0.0.1', '192.168.9.1', 'fd99::1', 'fe80::1'].map(address);

export interface IpvsWorld {
  readonly kernel: FakeIpvsKernel;
  readonly clock: VirtualClock;
  readonly servers: IpvsServers;
  readonly events: ProxyEvent[];
  /** Wants these services and no others. */
  want(services: readonly SomeService[]): void;
  /** Lets so much time pass, and all of the work in it be done. */
  pass(milliseconds?: number): Promise<void>;
  kinds(): readonly string[];
}

/** @param more such as `guarded`, which resolves when the firewall is as wanted */
export function openWorld(
  kernel = new FakeIpvsKernel(),
  given = settings(),
  local = LOCAL,
  more: Pick<IpvsServersOptions, 'guarded' | 'isGuarded' | 'readingPart'> = {},
): IpvsWorld {
  const clock = new VirtualClock();
  const events: ProxyEvent[] = [];
  const servers = createIpvsServers({
    ipvs: kernel.ipvs,
    link: kernel.link,
    claims: kernel.claims,
    clock,
    readBackInterval: 60_000,
    local,
    ...more,
    onEvent: event => events.push(event),
    onSettled: () => undefined,
  });
  servers.configure(given);
  let state = NOTHING;
  return {
    kernel,
    clock,
    servers,
    events,
    want: services => {
      const next = stateOf(services);
      servers.apply(deltaBetween(state, next));
      state = next;
    },
    pass: async (milliseconds = 0) => {
      for (let left = milliseconds; ; left -= STEP) {
        clock.advance(Math.max(0, Math.min(left, STEP)));
        await rest();
        if (left <= 0) return;
      }
    },
    kinds: () => events.map(({ kind }) => kind),
  };

  /** Promises only: until nothing falls due any more. */
  async function rest(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) {
      await new Promise(setImmediate);
      clock.advance(0);
    }
  }
}

const STEP = 1000;
const TURNS = 8;

export function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** A backend that serves these, and has written what it wants to. */
export async function serving(services: readonly SomeService[], kernel?: FakeIpvsKernel): Promise<IpvsWorld> {
  const world = openWorld(kernel);
  world.want(services);
  world.servers.begin();
  await world.pass();
  return world;
}
