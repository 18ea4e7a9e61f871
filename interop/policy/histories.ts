/**
 * What becomes of a cluster, at random: pods are labelled otherwise, go, come again by the same name or at an address that
 * was another's, finish and leave their objects behind; namespaces, NetworkPolicies, ClusterNetworkPolicies, egress rules and
 * numbers of tenants come and go. And what goes wrong meanwhile at one node. Pure.
 */

import fc from 'fast-check';
import { assertNever } from '../../src/core/assertNever.js';
import type { JsonClusterPolicy, JsonNetworkPolicy } from '../../test/unit/policy/oracle.js';
import { clusterPolicy } from '../../test/unit/policy/randomCluster.js';
import type { ClusterPod, Labels } from './cluster.js';
import { labels, NAMESPACES, policySpec, ports } from './randomClusters.js';

export const NODES = ['n1', 'n2'] as const;
export type NodeName = (typeof NODES)[number];

/** Where a pod can be: a link with addresses. */
export interface Slot {
  readonly name: string;
  readonly node: NodeName;
  readonly ips: readonly [four: string, six: string];
}

const HOSTS = [10, 20, 40, 52];
export const SLOTS: readonly Slot[] = NODES.flatMap((node, i) =>
  HOSTS.map((host): Slot => ({
    name: `${node}-${host}`,
    node,
    ips: [`10.244.${i + 1}.${host}`, `fd44:${i + 1}::${host.toString(16)}`],
  })),
);

export interface NamespaceShape {
  readonly labels: Labels;
  readonly tenant: number | undefined;
  readonly egressList: string | undefined;
}

export interface PlacedPod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly ports: ClusterPod['ports'];
  readonly slot: string;
  /** The object is there, and names addresses that may be another's by now. */
  readonly isFinished: boolean;
}

type PolicySpec = JsonNetworkPolicy['spec'];

export interface HistoryWorld {
  readonly namespaces: ReadonlyMap<string, NamespaceShape>;
  readonly pods: readonly PlacedPod[];
  readonly policies: ReadonlyMap<string, PolicySpec>;
  readonly clusterPolicies: ReadonlyMap<string, JsonClusterPolicy>;
}

export type Change =
  | { readonly kind: 'pod'; readonly pod: PlacedPod }
  | { readonly kind: 'gone' | 'finished'; readonly slot: string }
  | { readonly kind: 'labels'; readonly slot: string; readonly labels: Labels }
  | { readonly kind: 'swap'; readonly slots: readonly [string, string] }
  | { readonly kind: 'namespace'; readonly name: string; readonly shape: NamespaceShape | undefined }
  | { readonly kind: 'policy'; readonly key: string; readonly spec: PolicySpec | undefined }
  | { readonly kind: 'clusterPolicy'; readonly policy: JsonClusterPolicy; readonly isThere: boolean };

/** What goes wrong with transactions: refused, not answered and not done, done and not answered. */
export type Fault = 'none' | 'refused' | 'lost' | 'unheard';

export interface Step {
  /** Told one after the other, without waiting. */
  readonly batches: readonly (readonly Change[])[];
  readonly trouble:
    | { readonly kind: 'none' }
    /** Of the next transactions. */
    | { readonly kind: 'faults'; readonly node: NodeName; readonly faults: readonly Fault[] }
    | { readonly kind: 'restart'; readonly node: NodeName }
    | { readonly kind: 'drift'; readonly node: NodeName; readonly what: Drift };
}

/** What others do to the table of policies. */
export const DRIFTS = ['table', 'pods', 'hook', 'rules'] as const;
export type Drift = (typeof DRIFTS)[number];

const slotName = fc.constantFrom(...SLOTS.map(({ name }) => name));
const namespaceName = fc.constantFrom(...NAMESPACES);
const pod: fc.Arbitrary<PlacedPod> = fc.record({
  namespace: namespaceName,
  name: fc.constantFrom('a', 'b', 'c'),
  labels,
  ports,
  slot: slotName,
  isFinished: fc.constant(false),
});
const namespaceShape: fc.Arbitrary<NamespaceShape> = fc.record({
  labels,
  tenant: fc.constantFrom(10, 10, 10, 10, 0, 11, undefined),
  egressList: fc.constantFrom(
    undefined,
    undefined,
    'deny 192.0.2.0/24',
    'allow 192.0.2.7/32, deny 0.0.0.0/0, deny ::/0',
    'deny 2001:db8::/64, allow ::/0',
  ),
});
const NETWORKS = [
  ['10.244.1.0/24'],
  ['192.0.2.0/24', '10.244.2.40/32'],
  ['0.0.0.0/0', '2001:db8::/32'],
  ['fd44:1::/64', 'fd44:2::34/128'],
  ['::/0'],
];

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: pod.map(given => ({ kind: 'pod' as const, pod: given })) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('gone' as const, 'finished' as const), slot: slotName }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('labels' as const), slot: slotName, labels }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('swap' as const), slots: fc.tuple(slotName, slotName) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('namespace' as const),
      name: namespaceName,
      shape: fc.option(namespaceShape, { freq: 8, nil: undefined }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('policy' as const),
      key: fc.tuple(namespaceName, fc.constantFrom('p', 'q')).map(both => both.join('/')),
      spec: fc.option(policySpec, { freq: 3, nil: undefined }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 0, max: 2 }).chain(index =>
      fc.record({
        kind: fc.constant('clusterPolicy' as const),
        policy: clusterPolicy(index, NETWORKS),
        isThere: fc.boolean(),
      }),
    ),
  },
);

const node = fc.constantFrom(...NODES);
const trouble: fc.Arbitrary<Step['trouble']> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('none' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('faults' as const),
      node,
      faults: fc.array(fc.constantFrom<Fault>('refused', 'refused', 'refused', 'none', 'none', 'lost', 'unheard'), {
        minLength: 1,
        maxLength: 8,
      }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), node }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('drift' as const), node, what: fc.constantFrom<Drift>(...DRIFTS) }),
  },
);
const step: fc.Arbitrary<Step> = fc.record({
  batches: fc.array(fc.array(change, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 3 }),
  trouble,
});

/** A cluster that has everything a bit, and what becomes of it. */
export interface History {
  readonly first: readonly Change[];
  readonly steps: readonly Step[];
}

function historyOf(length: number): fc.Arbitrary<History> {
  return fc.record({
    first: fc
      .tuple(
        fc.tuple(...NAMESPACES.map(name => namespaceShape.map(shape => ({ kind: 'namespace' as const, name, shape })))),
        fc.array(change, { minLength: 15, maxLength: 25 }),
      )
      .map(parts => parts.flat()),
    steps: fc.array(step, { minLength: length, maxLength: length }),
  });
}

/** The same for the same seed. */
export function randomHistories(seed: number, count: number, length: number): readonly History[] {
  return fc.sample(historyOf(length), { seed, numRuns: count });
}

export const NOTHING: HistoryWorld = {
  namespaces: new Map(),
  pods: [],
  policies: new Map(),
  clusterPolicies: new Map(),
};

export function changed(world: HistoryWorld, one: Change): HistoryWorld {
  const { pods } = world;
  switch (one.kind) {
    case 'pod':
      // Whoever runs there is gone, and so is the one of the same name, wherever it was.
      return {
        ...world,
        pods: [...pods.filter(other => !isRunningAt(other, one.pod.slot) && !isSame(other, one.pod)), one.pod],
      };
    case 'gone':
      return { ...world, pods: pods.filter(({ slot }) => slot !== one.slot) };
    case 'finished':
      return {
        ...world,
        pods: pods.map(other => (isRunningAt(other, one.slot) ? { ...other, isFinished: true } : other)),
      };
    case 'labels':
      return {
        ...world,
        pods: pods.map(other => (isRunningAt(other, one.slot) ? { ...other, labels: one.labels } : other)),
      };
    case 'swap': {
      const [a, b] = one.slots;
      const other = new Map([
        [a, b],
        [b, a],
      ]);
      return {
        ...world,
        pods: pods.map(each => (each.isFinished ? each : { ...each, slot: other.get(each.slot) ?? each.slot })),
      };
    }
    case 'namespace':
      return { ...world, namespaces: withEntry(world.namespaces, one.name, one.shape) };
    case 'policy':
      return { ...world, policies: withEntry(world.policies, one.key, one.spec) };
    case 'clusterPolicy': {
      const { name } = one.policy.metadata;
      return {
        ...world,
        clusterPolicies: withEntry(world.clusterPolicies, name, one.isThere ? one.policy : undefined),
      };
    }
    default:
      return assertNever(one);
  }
}

function isRunningAt({ slot, isFinished }: PlacedPod, where: string): boolean {
  return slot === where && !isFinished;
}

function isSame(a: PlacedPod, b: PlacedPod): boolean {
  return a.namespace === b.namespace && a.name === b.name;
}

function withEntry<K, V>(map: ReadonlyMap<K, V>, key: K, value: V | undefined): ReadonlyMap<K, V> {
  const after = new Map(map);
  if (value === undefined) after.delete(key);
  else after.set(key, value);
  return after;
}
