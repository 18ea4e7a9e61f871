import { describe as group, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatAddress } from '../../../src/core/ip.js';
import type { ObjectBatch, ObjectChange } from '../../../src/kube/objectBatch.js';
import type { Node } from '../../../src/kube/objectTypes.js';
import { keyOf, parseObject, type ObjectKey } from '../../../src/kube/objects.js';
import type { Problem } from '../../../src/kube/problems.js';
import { isEmptyDelta, type RoutingIntent } from '../../../src/routing/intent.js';
import { createRouting, type Routing, type RoutingOutcome } from '../../../src/routing/routing.js';
import { DEFAULT_ROUTING } from '../../../src/routing/routingOptions.js';

interface Spec {
  readonly ips?: readonly string[];
  readonly cidrs?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly created?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

function node(name: string, { ips = [], cidrs = [], annotations = {}, created, labels = {} }: Spec): Node {
  const parsed = parseObject({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, annotations, creationTimestamp: created, labels },
    spec: { podCIDRs: cidrs },
    status: { addresses: ips.map(address => ({ type: 'InternalIP', address })) },
  });
  if (!parsed.ok || parsed.value?.kind !== 'Node') throw new Error(`bad node ${name}`);
  return parsed.value;
}

function batch(...changes: readonly ObjectChange[]): ObjectBatch {
  return { changes: new Map(changes.map((c): [ObjectKey, ObjectChange] => [keyOf(c.object), c])), synced: true };
}
const added = (object: Node): ObjectChange => ({ change: 'added', object });
const changed = (object: Node): ObjectChange => ({ change: 'changed', object });
const deleted = (object: Node): ObjectChange => ({ change: 'deleted', object });

/** An intent as short text. */
function shown(intent: Pick<RoutingIntent, 'peers' | 'networks'>): Readonly<Record<string, readonly string[]>> {
  return {
    peers: [...intent.peers.values()]
      .map(({ name, address, local }) => `${name} ${formatAddress(address)} from ${local && formatAddress(local)}`)
      .sort(),
    networks: [...intent.networks.keys()].sort(),
  };
}
function texts(outcome: RoutingOutcome): readonly string[] {
  return [...outcome.problems.values()].flat().map(({ subject, text }) => `${subject} ${text}`);
}
/** The cluster as `n1` sees it. */
function seenByN1(nodes: Readonly<Record<string, Spec>>): { routing: Routing; outcome: RoutingOutcome } {
  const routing = createRouting('n1', DEFAULT_ROUTING);
  const outcome = routing.apply(batch(...Object.entries(nodes).map(([name, spec]) => added(node(name, spec)))));
  return { routing, outcome };
}

const dual = (n: number): Spec => ({
  ips: [`10.0.0.${n}`, `fd00::${n}`],
  cidrs: [`10.244.${n}.0/24`, `fd00:10:244:${n}::/64`],
});

group('a cluster as one node sees it', () => {
  test.each<
    [string, Readonly<Record<string, Spec>>, readonly string[], readonly string[], readonly (string | RegExp)[]]
  >([
    [
      'dual stack: sessions run over IPv4',
      { n1: dual(1), n2: dual(2), n3: dual(3) },
      ['node/n2 10.0.0.2 from 10.0.0.1', 'node/n3 10.0.0.3 from 10.0.0.1'],
      ['10.244.1.0/24', 'fd00:10:244:1::/64'],
      [],
    ],
    [
      'the order of addresses does not matter',
      { n1: { ...dual(1), ips: ['fd00::1', '10.0.0.1'] }, n2: dual(2) },
      ['node/n2 10.0.0.2 from 10.0.0.1'],
      ['10.244.1.0/24', 'fd00:10:244:1::/64'],
      [],
    ],
    [
      'IPv6 only',
      { n1: { ips: ['fd00::1'], cidrs: ['fd00:10:244:1::/64'] }, n2: dual(2) },
      ['node/n2 fd00::2 from fd00::1'],
      ['fd00:10:244:1::/64'],
      [],
    ],
    [
      'families that do not meet',
      { n1: { ips: ['10.0.0.1'], cidrs: [] }, n2: { ips: ['fd00::2'] } },
      [],
      [],
      ['Node n2 has no address of a family that n1 has: no BGP session between them'],
    ],
    [
      'a node without address',
      { n1: dual(1), n2: {} },
      [],
      ['10.244.1.0/24', 'fd00:10:244:1::/64'],
      ['Node n2 has no InternalIP address: no BGP session is set up with it'],
    ],
    ['the own node is missing', { n2: dual(2), n3: dual(3) }, [], [], []],
    [
      'two nodes with one address: the older keeps it',
      {
        n1: dual(1),
        n2: { ips: ['10.0.0.9'], created: '2026-02-01T00:00:00Z' },
        n3: { ips: ['10.0.0.9'], created: '2026-01-01T00:00:00Z' },
      },
      ['node/n3 10.0.0.9 from 10.0.0.1'],
      ['10.244.1.0/24', 'fd00:10:244:1::/64'],
      ['Node n2 address 10.0.0.9 is also that of Node n3, which keeps it: no BGP session is set up with this one'],
    ],
    [
      'equally old: the first by name',
      { n1: dual(1), n3: { ips: ['10.0.0.9'] }, n2: { ips: ['10.0.0.9'] } },
      ['node/n2 10.0.0.9 from 10.0.0.1'],
      ['10.244.1.0/24', 'fd00:10:244:1::/64'],
      [/^Node n3 address 10\.0\.0\.9 is also that of Node n2/],
    ],
    [
      'never a session with oneself',
      {
        n1: { ips: ['10.0.0.1'], created: '2026-02-01T00:00:00Z' },
        n0: { ips: ['10.0.0.1'], created: '2026-01-01T00:00:00Z' },
      },
      [],
      [],
      [/^Node n1 address 10\.0\.0\.1 is also that of Node n0/],
    ],
    [
      'overlapping pod networks: the later node does not announce its own',
      { n0: { ips: ['10.0.0.9'], cidrs: ['10.244.0.0/16'] }, n1: dual(1) },
      ['node/n0 10.0.0.9 from 10.0.0.1'],
      ['fd00:10:244:1::/64'],
      ['Node n1 pod network 10.244.1.0/24 overlaps 10.244.0.0/16 of Node n0, which keeps it: it is not announced'],
    ],
    [
      'overlapping, and the longer prefix is the earlier one',
      { n0: { ips: ['10.0.0.9'], cidrs: ['10.244.1.128/25'] }, n1: dual(1) },
      ['node/n0 10.0.0.9 from 10.0.0.1'],
      ['fd00:10:244:1::/64'],
      [/^Node n1 pod network 10\.244\.1\.0\/24 overlaps 10\.244\.1\.128\/25 of Node n0/],
    ],
    [
      'the annotation overrides the spec',
      { n1: { ...dual(1), annotations: { 'kube-router.io/pod-cidrs': '10.9.1.0/24, fd09::/64' } } },
      [],
      ['10.9.1.0/24', 'fd09::/64'],
      [],
    ],
    [
      'the older annotation wins',
      {
        n1: {
          ...dual(1),
          annotations: { 'kube-router.io/pod-cidrs': '10.9.1.0/24', 'kube-router.io/pod-cidr': '10.8.0.0/24' },
        },
      },
      [],
      ['10.8.0.0/24'],
      [],
    ],
    [
      'a bad annotation costs its bad part',
      { n1: { ...dual(1), annotations: { 'kube-router.io/pod-cidrs': '10.9.1.0/24,nonsense' } } },
      [],
      ['10.9.1.0/24'],
      [/^Node n1 annotation kube-router\.io\/pod-cidrs: "nonsense" is not a prefix.*; it is left out$/],
    ],
  ])('%s', (_name, nodes, peers, networks, problems) => {
    const { routing, outcome } = seenByN1(nodes);
    expect(shown(routing.intent())).toEqual({ peers, networks });
    expect(texts(outcome)).toEqual(
      problems.map(text => (typeof text === 'string' ? text : expect.stringMatching(text))),
    );
  });

  test('no mesh, no sessions', () => {
    const routing = createRouting('n1', { ...DEFAULT_ROUTING, mesh: false });
    routing.apply(batch(added(node('n1', dual(1))), added(node('n2', dual(2)))));
    expect(shown(routing.intent())).toMatchObject({ peers: [], networks: ['10.244.1.0/24', expect.anything()] });
    expect([...routing.configure(DEFAULT_ROUTING).delta.peers.set.keys()]).toEqual(['node/n2']);
    expect(routing.configure(DEFAULT_ROUTING).recomputed).toEqual([]);
    expect(routing.configure({ ...DEFAULT_ROUTING, mesh: false }).delta.peers.removed).toEqual(new Set(['node/n2']));
  });
});

group('one change', () => {
  const cluster = { n1: dual(1), n2: dual(2), n3: dual(3), n4: dual(4) };

  test('a heartbeat is no change', () => {
    const { routing } = seenByN1(cluster);
    const outcome = routing.apply(batch(changed(node('n2', { ...dual(2), labels: { beat: '1' } }))));
    expect(outcome.recomputed).toEqual([]);
    expect(isEmptyDelta(outcome.delta)).toBe(true);
  });

  test('looks at that node only', () => {
    const { routing } = seenByN1(cluster);
    const outcome = routing.apply(batch(changed(node('n2', { ...dual(2), ips: ['10.0.0.22'] }))));
    expect(outcome.recomputed).toEqual(['n2']);
    expect([...outcome.delta.peers.set.keys()]).toEqual(['node/n2']);
    expect(outcome.delta.ownChanged).toBe(false);
  });

  test('and at those whose claims it touches, on the way in and out', () => {
    const { routing } = seenByN1(cluster);
    const thief = node('n2', { ...dual(2), ips: ['10.0.0.3'] });
    const outcome = routing.apply(batch(changed(thief)));
    expect(new Set(outcome.recomputed)).toEqual(new Set(['n2', 'n3']));
    expect(outcome.delta.peers.removed).toEqual(new Set(['node/n3']));
    const after = routing.apply(batch(deleted(thief)));
    expect([...after.delta.peers.set.keys()]).toEqual(['node/n3']);
    expect(after.delta.peers.removed).toEqual(new Set(['node/n2']));
    expect([...after.problems.values()].flat()).toEqual([]);
  });

  test('of the own address looks at every session', () => {
    const { routing } = seenByN1(cluster);
    const outcome = routing.apply(batch(changed(node('n1', { ...dual(1), ips: ['10.0.0.101', 'fd00::1'] }))));
    expect(outcome.delta.ownChanged).toBe(true);
    expect([...outcome.delta.peers.set.keys()].sort()).toEqual(['node/n2', 'node/n3', 'node/n4']);
  });

  test('the own node goes: networks are withdrawn, sessions stay; it comes back', () => {
    const { routing } = seenByN1(cluster);
    const outcome = routing.apply(batch(deleted(node('n1', dual(1)))));
    expect(shown(routing.intent())).toMatchObject({
      networks: [],
      peers: [expect.anything(), expect.anything(), expect.anything()],
    });
    expect(routing.intent().own).toMatchObject({ name: 'n1', present: false });
    expect(outcome.delta).toMatchObject({ ownChanged: true, peers: { removed: new Set() } });
    routing.apply(batch(added(node('n1', dual(1)))));
    expect(shown(routing.intent())).toMatchObject({ networks: ['10.244.1.0/24', expect.anything()] });
    expect(routing.intent().own?.present).toBe(true);
  });
});

const someSpec: fc.Arbitrary<Spec> = fc.record({
  ips: fc.subarray(['10.0.0.1', '10.0.0.2', 'fd00::1', 'fd00::2'], { maxLength: 2 }),
  cidrs: fc.subarray(['10.1.0.0/16', '10.1.1.0/24', '10.1.2.0/24', 'fd01::/64'], { maxLength: 2 }),
  created: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
});
const name = fc.constantFrom('n1', 'n2', 'n3', 'n4');

test('any history of nodes ends where the last nodes alone would, and deltas add up to it', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.option(someSpec, { nil: undefined })), { maxLength: 15 }), history => {
      const routing = createRouting('n1', DEFAULT_ROUTING);
      const world = new Map<string, Node>([['n1', node('n1', dual(1))]]);
      routing.apply(batch(...[...world.values()].map(added)));
      const peers = new Map(routing.intent().peers);
      const networks = new Map(routing.intent().networks);
      const problems = new Map<string, readonly Problem[]>();
      for (const [who, spec] of history) {
        const old = world.get(who);
        // The last addresses of a node that is gone are kept on purpose: leave the own node there.
        if (spec === undefined && (old === undefined || who === 'n1')) continue;
        const next = spec === undefined ? undefined : node(who, spec);
        const change = next === undefined ? deleted(old!) : old === undefined ? added(next) : changed(next);
        if (next === undefined) world.delete(who);
        else world.set(who, next);
        const { delta, problems: report } = routing.apply(batch(change));
        for (const [key, value] of delta.peers.set) peers.set(key, value);
        for (const key of delta.peers.removed) peers.delete(key);
        for (const [key, value] of delta.networks.set) networks.set(key, value);
        for (const key of delta.networks.removed) networks.delete(key);
        for (const [owner, list] of report) problems.set(owner, list);
      }
      const fresh = createRouting('n1', DEFAULT_ROUTING);
      const { problems: expected } = fresh.apply(batch(...[...world.values()].map(added)));
      expect(shown(routing.intent())).toEqual(shown(fresh.intent()));
      expect(shown({ peers, networks })).toEqual(shown(fresh.intent()));
      const flat = (report: ReadonlyMap<string, readonly Problem[]>): string[] =>
        [...report.values()].flatMap(list => list.map(({ subject, text }) => `${subject} ${text}`)).sort();
      expect(flat(problems)).toEqual(flat(expected));
    }),
    { numRuns: 300 },
  );
});
