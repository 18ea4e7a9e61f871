/**
 * From a service's EndpointSlices to the backends of one of its ports: readiness, topology hints, and the endpoints that
 * are ending as a last resort. The rules are those of kube-proxy's topology selection.
 */

import type { Endpoint, EndpointSlice, IpText, NamedPort } from '../kube/objectTypes.js';
import { HEADLESS } from '../kube/ownServices.js';
import type { Backend, BackendLists } from './proxyTypes.js';
import type { Weights } from './serviceAnnotations.js';
import type { WantedPort } from './serviceFrontends.js';

/** What this node is to endpoints. */
export interface NodeView {
  readonly name: string;
  /** Undefined: in no zone that is known. */
  readonly zone: string | undefined;
  /** Endpoints at these that do not say where they are, are here. */
  readonly addresses: ReadonlySet<string>;
}

/** An endpoint of one port, after slices have been merged. */
export interface Candidate {
  readonly endpoint: Endpoint;
  readonly address: IpText;
  readonly port: number;
  readonly isLocal: boolean;
}

export type Topology = 'all' | 'sameNode' | 'sameZone';

export interface Selection {
  readonly lists: BackendLists;
  /** What `cluster` was narrowed down by. */
  readonly topology: Topology;
  /** There are no ready endpoints: those in `cluster` are ending. */
  readonly isLastResort: boolean;
}

/** @returns the name of the service a slice belongs to, `namespace/name`; undefined for slices of no concern */
export function serviceOfSlice({ namespace, service, addressType, labels }: EndpointSlice): string | undefined {
  const isOf = service !== undefined && addressType !== 'FQDN' && labels[HEADLESS] === undefined;
  return isOf ? `${namespace}/${service}` : undefined;
}

/** @param slices all of the service, in any order */
export function selectBackends(
  port: WantedPort,
  slices: Iterable<EndpointSlice>,
  node: NodeView,
  weights: Weights | undefined,
): Selection {
  const candidates = candidatesOf(port, slices, node);
  if (candidates.every(isPlain)) return selectAll(port, candidates, node, weights);
  const ready = candidates.filter(({ endpoint }) => endpoint.ready);
  const ending = candidates.filter(({ endpoint }) => isEnding(endpoint));
  const topology = topologyOf(ready, node);
  const near = ready.filter(candidate => isNear(candidate, topology, node));
  const isLastResort = near.length === 0 && ending.length > 0;
  const localReady = ready.filter(({ isLocal }) => isLocal);
  const backends = new Map(candidates.map(candidate => [candidate, backendOf(candidate, node, weights)]));
  const listOf = (chosen: readonly Candidate[]): readonly Backend[] =>
    chosen.map(candidate => backends.get(candidate)!);
  const cluster = listOf(near.length > 0 ? near : ending);
  const local = listOf(localReady.length > 0 ? localReady : ending.filter(({ isLocal }) => isLocal));
  const serving = listOf(candidates.filter(({ endpoint }) => endpoint.ready || isEnding(endpoint)));
  return {
    lists: {
      servicePort: port.key,
      cluster,
      local: sameOr(local, cluster),
      serving: sameOr(serving, cluster),
    },
    topology,
    isLastResort,
  };
}

/** Ready, and nobody says for whom: as nearly all are. */
function isPlain({ endpoint }: Candidate): boolean {
  return endpoint.ready && endpoint.zoneHints.length === 0 && endpoint.nodeHints.length === 0;
}

/** The same as for any others, without asking for what none of them is. */
function selectAll(
  { key: servicePort }: WantedPort,
  candidates: readonly Candidate[],
  node: NodeView,
  weights: Weights | undefined,
): Selection {
  const cluster = candidates.map(candidate => backendOf(candidate, node, weights));
  const local = sameOr(
    cluster.filter(({ isLocal }) => isLocal),
    cluster,
  );
  return { lists: { servicePort, cluster, local, serving: cluster }, topology: 'all', isLastResort: false };
}

/** Still serves while it ends. */
export function isEnding({ serving, terminating }: Endpoint): boolean {
  return serving && terminating;
}

/** Every endpoint of the port once, in the order of address and port. */
export function candidatesOf(
  { family, name, protocol }: Pick<WantedPort, 'family' | 'name' | 'protocol'>,
  slices: Iterable<EndpointSlice>,
  node: NodeView,
): readonly Candidate[] {
  const addressType = family === 4 ? 'IPv4' : 'IPv6';
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== addressType) continue;
    for (const port of slice.ports) {
      if (port.name !== name || port.protocol !== protocol) continue;
      for (const endpoint of slice.endpoints) take(found, endpoint, port, node);
    }
  }
  return [...found.keys()].sort().map(key => found.get(key)!);
}

/** While a pod is moved from one slice to another it is in both, perhaps in two states. */
function take(found: Map<string, Candidate>, endpoint: Endpoint, { port }: NamedPort, node: NodeView): void {
  // All addresses of an endpoint are the same thing; consumers take the first (discovery.k8s.io/v1).
  const [address] = endpoint.addresses;
  if (address === undefined) return;
  const key = `${address} ${port}`;
  const isLocal = isHere(endpoint, address, node);
  const other = found.get(key);
  if (other !== undefined && rank(other) >= rank({ endpoint, isLocal })) return;
  found.set(key, { endpoint, address, port, isLocal });
}

function isHere({ nodeName }: Endpoint, address: IpText, node: NodeView): boolean {
  return nodeName === undefined ? node.addresses.has(address) : nodeName === node.name;
}

/** The same whatever the order of slices, unless two differ in hints only: then the hints decide. */
function rank({ endpoint, isLocal }: Pick<Candidate, 'endpoint' | 'isLocal'>): string {
  const { ready, serving, terminating, nodeName, zoneHints, nodeHints } = endpoint;
  const flags = [ready, isLocal, serving, terminating].map(flag => (flag ? '1' : '0')).join('');
  return `${flags} ${nodeName ?? ''} ${zoneHints.join(',')} ${nodeHints.join(',')}`;
}

/** One ready endpoint without a hint, or none for this node, and hints do not count. */
function topologyOf(ready: readonly Candidate[], node: NodeView): Topology {
  const allHinted = (hintsOf: (endpoint: Endpoint) => readonly string[], own: string | undefined): boolean =>
    own !== undefined &&
    ready.length > 0 &&
    ready.every(({ endpoint }) => hintsOf(endpoint).length > 0) &&
    ready.some(({ endpoint }) => hintsOf(endpoint).includes(own));
  if (allHinted(({ nodeHints }) => nodeHints, node.name)) return 'sameNode';
  return allHinted(({ zoneHints }) => zoneHints, node.zone) ? 'sameZone' : 'all';
}

function isNear({ endpoint }: Candidate, topology: Topology, { name, zone }: NodeView): boolean {
  if (topology === 'sameNode') return endpoint.nodeHints.includes(name);
  return topology === 'all' || (zone !== undefined && endpoint.zoneHints.includes(zone));
}

function backendOf(
  { endpoint, address, port, isLocal }: Candidate,
  node: NodeView,
  weights: Weights | undefined,
): Backend {
  const place = endpoint.nodeName ?? (isLocal ? node.name : '');
  const weight = weights?.get(address) ?? weights?.get(place) ?? weights?.get('*') ?? 1;
  return { address, port, weight, isLocal, state: endpoint.ready ? 'ready' : 'terminating' };
}

function sameOr(list: readonly Backend[], other: readonly Backend[]): readonly Backend[] {
  return list.length === other.length && list.every((backend, i) => backend === other[i]) ? other : list;
}

export function sameLists(a: BackendLists, b: BackendLists): boolean {
  return sameBackends(a.cluster, b.cluster) && sameBackends(a.local, b.local) && sameBackends(a.serving, b.serving);
}

function sameBackends(a: readonly Backend[], b: readonly Backend[]): boolean {
  return a === b || (a.length === b.length && a.every((backend, i) => sameBackend(backend, b[i])));
}

function sameBackend(a: Backend, b: Backend | undefined): boolean {
  return (
    b !== undefined &&
    a.address === b.address &&
    a.port === b.port &&
    a.weight === b.weight &&
    a.isLocal === b.isLocal &&
    a.state === b.state
  );
}
