/** Endpoint slices for a generated service: where its endpoints are, in what state, and how slices share them. Pure. */

import type { KubeManifest } from '../../../lab/kube/kubeClient.js';
import * as at from './addresses.js';
import type { Choices } from './choices.js';
import type { Case } from './cases.js';

type State = 'ready' | 'unknown' | 'unready' | 'serving' | 'ended';
const CONDITIONS: Readonly<Record<State, object>> = {
  ready: { ready: true, serving: true, terminating: false },
  // Nobody has said anything: ready.
  unknown: {},
  unready: { ready: false, serving: false, terminating: false },
  serving: { ready: false, serving: true, terminating: true },
  ended: { ready: false, serving: false, terminating: true },
};
/** What states the endpoints of one service are in. */
const MIXES: readonly (readonly State[])[] = [
  ['ready'],
  ['ready'],
  ['ready', 'unknown'],
  ['ready', 'unready', 'serving'],
  ['serving'],
  ['serving', 'ended', 'unready'],
  ['unready'],
  ['ready', 'ended'],
];

interface Host {
  readonly place: at.Place;
  readonly node: string;
}
const LOCAL: readonly Host[] = at.LOCAL_PODS.map(place => ({ place, node: at.NODE_NAME }));
const REMOTE: readonly Host[] = at.REMOTE.pods.map(place => ({ place, node: at.OTHER_NODE }));
const ON_NODE: readonly Host[] = [{ place: at.NODE, node: at.NODE_NAME }];
const PLACES: readonly (readonly Host[])[] = [
  [],
  LOCAL,
  LOCAL,
  REMOTE,
  REMOTE,
  [...LOCAL, ...REMOTE],
  [...LOCAL, ...REMOTE],
  [...ON_NODE, ...REMOTE],
  ON_NODE,
];
type Hints = 'none' | 'zones' | 'nodes' | 'both' | 'partial' | 'elsewhere';
const HINTS: readonly Hints[] = ['none', 'none', 'none', 'zones', 'nodes', 'both', 'partial', 'elsewhere'];

interface Endpoint {
  readonly host: Host;
  readonly state: State;
}

export function endpointSlices(
  state: Choices,
  service: Pick<Case, 'name' | 'families' | 'ports'> & {
    readonly namespace: string;
    /** Besides what says whose slice it is. */
    readonly labels: Readonly<Record<string, string>>;
  },
): readonly KubeManifest[] {
  const mix = state.pick(MIXES);
  const places = state.pick(PLACES);
  const hosts = places.length === 0 ? [] : state.some(places);
  const endpoints = hosts.map((host): Endpoint => ({ host, state: state.pick(mix) }));
  const hints = state.pick(HINTS);
  const isSplit = state.chance(0.3);
  const targets: readonly number[] = state.pick([
    [at.BACKEND_PORTS[0], at.BACKEND_PORTS[0]],
    [at.BACKEND_PORTS[1], at.BACKEND_PORTS[0]],
  ]);
  return service.families.flatMap(family =>
    splitUp(endpoints, isSplit).map((part, i) =>
      // A named port may be another number in another slice.
      slice(service, family, i, part, hints, i === 0 ? targets : [...targets].reverse()),
    ),
  );
}

/** Two slices may know the same endpoint. */
function splitUp(endpoints: readonly Endpoint[], isSplit: boolean): readonly (readonly Endpoint[])[] {
  if (!isSplit) return [endpoints];
  const middle = endpoints.length >> 1;
  return [endpoints.slice(0, middle + 1), endpoints.slice(middle)];
}

function slice(
  { name, namespace, ports, labels }: Parameters<typeof endpointSlices>[1],
  family: at.Family,
  part: number,
  endpoints: readonly Endpoint[],
  hints: Hints,
  targets: readonly number[],
): KubeManifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-v${family}-${part}`,
      namespace,
      labels: {
        ...labels,
        'kubernetes.io/service-name': name,
        'endpointslice.kubernetes.io/managed-by': 'oracle.test',
      },
    },
    addressType: `IPv${family}`,
    ports: ports.map(({ name: portName, protocol }, i) => ({ name: portName, protocol, port: targets[i] })),
    endpoints: endpoints.map(({ host, state }, i) => ({
      addresses: [host.place[family]],
      nodeName: host.node,
      zone: zoneOf(host),
      conditions: CONDITIONS[state],
      ...hintsOf(hints, host, i),
    })),
  };
}

function zoneOf({ node }: Host): string {
  return node === at.NODE_NAME ? at.OWN_ZONE : at.OTHER_ZONE;
}

function hintsOf(hints: Hints, host: Host, index: number): object {
  const zones = { forZones: [{ name: zoneOf(host) }] };
  const nodes = { forNodes: [{ name: host.node }] };
  switch (hints) {
    case 'none':
      return {};
    case 'zones':
      return { hints: zones };
    case 'nodes':
      return { hints: nodes };
    case 'both':
      return { hints: { ...zones, ...nodes } };
    case 'partial':
      return index === 0 ? {} : { hints: zones };
    case 'elsewhere':
      return { hints: { forZones: [{ name: 'zone-z' }] } };
  }
}
