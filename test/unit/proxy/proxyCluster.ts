/** Services, slices and nodes for tests of the proxy's derivation, and what n1 makes of them. */

import type { KubeObject } from '../../../src/kube/objectTypes.js';
import { DEFAULT_PROXY_RULES, type ProxyRules } from '../../../src/proxy/proxyRules.js';
import { createProxy, type Proxy, type ProxyOutcome } from '../../../src/proxy/proxy.js';
import type { Backend, BackendLists, Frontend } from '../../../src/proxy/proxyTypes.js';
import { batchOf, objectOf, textsOf } from '../routing/cluster.js';
import { prefix } from '../routing/serviceCluster.js';

/** Fields of a v1 Service's spec, and some of its metadata. */
export function serviceOf(
  spec: Readonly<Record<string, unknown>> = {},
  meta: {
    readonly name?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly created?: string;
    readonly ingress?: readonly Readonly<Record<string, string>>[];
  } = {},
): KubeObject {
  const { name = 'web', labels = {}, annotations = {}, created, ingress = null } = meta;
  return objectOf({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo', labels, annotations, creationTimestamp: created },
    spec: { clusterIPs: ['10.96.0.10'], ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: { ingress } },
  });
}

export interface EndpointSpec {
  readonly ip?: string;
  readonly node?: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
  readonly zones?: readonly string[];
  readonly nodes?: readonly string[];
}

export function sliceOf(
  endpoints: readonly EndpointSpec[],
  spec: { of?: string; name?: string; type?: string; ports?: unknown; labels?: Readonly<Record<string, string>> } = {},
): KubeObject {
  const { of = 'web', name = `${of}-1`, type = 'IPv4', ports = [{ port: 8080 }], labels = {} } = spec;
  return objectOf({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'demo', labels: { 'kubernetes.io/service-name': of, ...labels } },
    addressType: type,
    endpoints: endpoints.map(({ ip, node, zones, nodes, ...conditions }, i) => ({
      addresses: [ip ?? (type === 'IPv6' ? `fd00:10:244:1::${i + 1}` : `10.244.1.${i + 1}`)],
      nodeName: node,
      conditions,
      hints: { forZones: zones?.map(zone => ({ name: zone })), forNodes: nodes?.map(n => ({ name: n })) },
    })),
    ports,
  });
}

export function nodeOf(n: number, zone?: string): KubeObject {
  return objectOf({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${n}`, labels: zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone } },
    status: { addresses: [`10.0.0.${n}`, `fd00::${n}`].map(address => ({ type: 'InternalIP', address })) },
  });
}

export const RULES: ProxyRules = {
  ...DEFAULT_PROXY_RULES,
  clusterIpRanges: [prefix('10.96.0.0/12'), prefix('fd96::/108')],
  externalIpRanges: [prefix('192.0.2.0/24'), prefix('2001:db8:1::/64'), prefix('10.0.0.0/24')],
  loadBalancerIpRanges: [prefix('198.51.100.0/24'), prefix('2001:db8:2::/64'), prefix('10.0.0.0/24')],
};

export interface View {
  readonly proxy: Proxy;
  readonly outcome: ProxyOutcome;
  readonly problems: readonly string[];
  /** Keys, sorted. */
  readonly keys: readonly string[];
  frontend(key: string): Frontend;
  /** Lists of `4|demo/web||TCP`, unless told. */
  lists(key?: string): Lists;
}

/** `ip:port`, with `(N)` for other weights than 1 and `!` for those that are ending. */
export interface Lists {
  readonly cluster: string;
  readonly local: string;
  readonly serving: string;
}

/** n1's view of these objects. Nodes: n1 in zone a, n2 in zone b. */
export function view(objects: readonly KubeObject[], rules: ProxyRules = RULES): View {
  const proxy = createProxy('n1', rules);
  const outcome = proxy.apply(batchOf('added', nodeOf(1, 'a'), nodeOf(2, 'b'), ...objects));
  return {
    proxy,
    outcome,
    problems: textsOf(outcome.problems),
    keys: [...outcome.delta.frontends.set.keys()].sort(),
    frontend: key => found(outcome.delta.frontends.set, key),
    lists: (key = '4|demo/web||TCP') => textOf(found(outcome.delta.backends.set, key)),
  };
}

export function textOf({ cluster, local, serving }: BackendLists): Lists {
  return { cluster: listText(cluster), local: listText(local), serving: listText(serving) };
}

function listText(backends: readonly Backend[]): string {
  return backends
    .map(({ address, port, weight, state }) => {
      const suffix = (weight === 1 ? '' : `(${weight})`) + (state === 'terminating' ? '!' : '');
      return `${address}:${port}${suffix}`;
    })
    .join(' ');
}

function found<V>(map: ReadonlyMap<string, V>, key: string): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`no ${key} among ${[...map.keys()].join(' ')}`);
  return value;
}
