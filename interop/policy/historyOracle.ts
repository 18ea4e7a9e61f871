/** Worlds of histories as objects of the API, and who may reach whom in them by the second reading of the specification. Pure. */

import { EGRESS_RULES } from '../../src/policy/egress/egressList.js';
import { NUMBER_ANNOTATION } from '../../src/policy/tenants/namespaceTenant.js';
import {
  oracleVerdicts,
  type JsonNetworkPolicy,
  type OracleEnd,
  type OraclePod,
  type OracleWorld,
} from '../../test/unit/policy/oracle.js';
import { PROTOCOLS, type Cluster, type ClusterPod } from './cluster.js';
import { SLOTS, type HistoryWorld, type NamespaceShape, type PlacedPod, type Slot } from './histories.js';
import { cellsOf } from './kernelTable.js';
import type { Probe } from './packets/prober.js';
import { PORT_NUMBERS } from './randomClusters.js';

/** In the world outside. */
export const OUTSIDE = { name: 'world', node: 'n1', ips: ['192.0.2.7', '2001:db8::7'] } as const;
/** Of what packets pass between. */
const PLACE = 'slot';

/** Slots and the world outside, as what is probed. */
export const PLACES: Cluster = {
  namespaces: {},
  pods: [...SLOTS, OUTSIDE].map(({ name, ips }): ClusterPod => ({
    namespace: PLACE,
    name,
    labels: {},
    ips,
    ports: PORT_NUMBERS.flatMap(port => PROTOCOLS.map(protocol => ({ name: '', port, protocol }))),
  })),
  policies: [],
};
export const CELLS: readonly Probe[] = cellsOf(PLACES);

const slotOf = (name: string): Slot | undefined => SLOTS.find(slot => slot.name === name);

export function objectsOf({ namespaces, pods, policies, clusterPolicies }: HistoryWorld): readonly unknown[] {
  return [
    ...[...namespaces].map(([name, shape]) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: shape.labels, annotations: annotationsOf(shape) },
    })),
    ...pods.map(podObject),
    ...[...policies].map(([key, spec]) => policyObject(key, spec)),
    ...clusterPolicies.values(),
  ];
}

function annotationsOf({ tenant, egressList }: NamespaceShape): Readonly<Record<string, string>> {
  return {
    ...(tenant === undefined ? {} : { [NUMBER_ANNOTATION]: String(tenant) }),
    ...(egressList === undefined ? {} : { [EGRESS_RULES]: egressList }),
  };
}

function podObject({ namespace, name, labels, ports, slot, isFinished }: PlacedPod): unknown {
  const { node, ips } = slotOf(slot)!;
  const containerPorts = ports.map(({ name, port, protocol }) => ({
    ...(name === '' ? {} : { name }),
    containerPort: port,
    protocol,
  }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels },
    spec: { nodeName: node, containers: [{ ports: containerPorts }] },
    status: { phase: isFinished ? 'Succeeded' : 'Running', podIP: ips[0], podIPs: ips.map(ip => ({ ip })) },
  };
}

function policyObject(key: string, spec: JsonNetworkPolicy['spec']): JsonNetworkPolicy {
  const [namespace = '', name = ''] = key.split('/');
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace, name }, spec };
}

/** What each end's node says of a cell. */
export interface CellVerdict {
  readonly egress: boolean;
  readonly ingress: boolean;
  readonly tenants: boolean;
}

/** In the order of CELLS. */
export function verdictsOf(world: HistoryWorld): readonly CellVerdict[] {
  const worlds = [0, 1].map(family => oracleWorld(world, family));
  return CELLS.map(({ from, to, address, protocol, port }) => {
    const { known, ends } = worlds[address]!;
    const [source, target] = [ends.get(from)!, ends.get(to)!];
    const policies = oracleVerdicts(known, source, target, protocol, port);
    return {
      egress: !isUnknown(source) && policies.egress,
      ingress: !isUnknown(target) && policies.ingress,
      tenants: areTogether(tenantOf(world, source), tenantOf(world, target)),
    };
  });
}

export function isOpen({ egress, ingress, tenants }: CellVerdict): boolean {
  return egress && ingress && tenants;
}

/** @returns by family */
export function deniedCells(verdicts: readonly CellVerdict[]): readonly (readonly string[])[] {
  return [0, 1].map(family =>
    CELLS.flatMap((cell, i) =>
      cell.address === family && !isOpen(verdicts[i]!) ? [`${cell.from} ${cell.to} ${cell.protocol} ${cell.port}`] : [],
    ),
  );
}

function oracleWorld(
  { namespaces, pods, policies, clusterPolicies }: HistoryWorld,
  family: number,
): { readonly known: OracleWorld; readonly ends: ReadonlyMap<string, OracleEnd> } {
  const running = pods.filter(({ isFinished }) => !isFinished).map(pod => ({ pod, slot: slotOf(pod.slot)! }));
  const ofPods = new Map(
    running.map(({ pod, slot: { name, node, ips } }): [string, OraclePod] => [
      `${PLACE}/${name}`,
      { ...pod, ip: ips[family]!, node, hostNetwork: false },
    ]),
  );
  const ends = PLACES.pods.map(({ name, ips }): [string, OracleEnd] => {
    const key = `${PLACE}/${name}`;
    return [key, ofPods.get(key) ?? { ip: ips[family]! }];
  });
  const known: OracleWorld = {
    namespaces: Object.fromEntries([...namespaces].map(([name, { labels }]) => [name, labels])),
    pods: [...ofPods.values()],
    policies: [...policies].map(([key, spec]) => policyObject(key, spec)),
    clusterPolicies: [...clusterPolicies.values()],
    egressLists: Object.fromEntries([...namespaces].map(([name, { egressList = '' }]) => [name, egressList])),
  };
  return { known, ends: new Map(ends) };
}

/** Of a pod network, and nobody's that is known. */
function isUnknown(end: OracleEnd): boolean {
  return !('name' in end) && !OUTSIDE.ips.some(ip => ip === end.ip);
}

/** Undefined: machines are no tenants. */
function tenantOf({ namespaces }: HistoryWorld, end: OracleEnd): number | undefined {
  if ('name' in end) return namespaces.get(end.namespace)?.tenant ?? CLOSED;
  return isUnknown(end) ? CLOSED : undefined;
}

const CLOSED = 1;

function areTogether(a: number | undefined, b: number | undefined): boolean {
  if (a === undefined || b === undefined || a === 0 || b === 0) return true;
  return a === b && a !== CLOSED;
}
