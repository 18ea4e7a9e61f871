import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { addressOfText, keyOctets, PROTOCOL_NUMBERS, setOf } from '../../../../src/kernel/nftables/elements.js';
import type { Protocol } from '../../../../src/kube/objectTypes.js';
import { layoutOf, type LayoutSettings } from '../../../../src/policy/nftables/layout.js';
import { CHAINS, createPolicyPlan, NAMED_SETS, type PolicyPlan } from '../../../../src/policy/nftables/plan.js';
import { createPolicyModel, type PolicyModel } from '../../../../src/policy/policyModel.js';
import { verdict, type Party } from '../../../../src/policy/verdict.js';
import { batchBetween, partyOf } from '../modelCluster.js';
import type { OracleEnd, OracleWorld } from '../oracle.js';
import { cluster, NODE_ADDRESSES, objectsOf } from '../randomCluster.js';
import { createKernel, type Kernel } from './evaluator.js';

const SETTINGS: LayoutSettings = {
  defaultDeny: false,
  podCidrs: [],
  cutBit: 5,
  log: { group: 1, perSecond: 1, burst: 1 },
};
const LAYOUT = layoutOf(4, SETTINGS);
const LOCAL = new Set([addressOfText(NODE_ADDRESSES['n1']!)]);
const OUTSIDE: OracleEnd = { ip: '192.0.2.7' };

interface Node {
  readonly model: PolicyModel;
  readonly plan: PolicyPlan;
  readonly kernel: Kernel;
  become(world: OracleWorld): void;
}

function newNode(): Node {
  const model = createPolicyModel('n1');
  const plan = createPolicyPlan(4);
  const kernel = createKernel(plan, LAYOUT);
  let known: readonly unknown[] = [];
  kernel.take(plan.setLog(SETTINGS.log));
  return {
    model,
    plan,
    kernel,
    become: world => {
      kernel.take(plan.apply(model.apply(batchBetween(known, objectsOf(world)))));
      known = objectsOf(world);
    },
  };
}

/** As the node has it: what is on its network is the node. */
function party(model: PolicyModel, end: OracleEnd): Party {
  return partyOf(model, end);
}

function isOfNode(end: OracleEnd): boolean {
  return 'name' in end && end.hostNetwork && end.node === 'n1';
}

function isHere(end: OracleEnd): boolean {
  return 'name' in end && !end.hostNetwork && end.node === 'n1';
}

/** What verdict.ts says at this node's pods; other nodes judge at theirs. */
function expected(model: PolicyModel, from: OracleEnd, to: OracleEnd, protocol: Protocol, port: number): boolean {
  const judged = verdict(model, { from: party(model, from), to: party(model, to), protocol, port });
  return (!isHere(from) || judged.egress.allowed) && (!isHere(to) || judged.ingress.allowed);
}

function expectVerdicts({ model, kernel }: Node, world: OracleWorld): void {
  const wrong: string[] = [];
  const ends = [...world.pods, OUTSIDE];
  for (const from of ends)
    for (const to of ends) {
      if (!isHere(from) && !isHere(to)) continue;
      for (const protocol of ['TCP', 'UDP', 'SCTP'] as const)
        for (const port of [53, 80, 81, 443]) {
          const passes = kernel.passes({
            source: addressOfText(from.ip),
            destination: addressOfText(to.ip),
            protocol: PROTOCOL_NUMBERS[protocol],
            port,
            hook: isOfNode(to) ? 'input' : 'postrouting',
            local: LOCAL,
          });
          if (passes !== expected(model, from, to, protocol, port))
            wrong.push(`${from.ip} > ${to.ip} ${protocol} ${port} ${passes ? 'passes' : 'is dropped'}`);
        }
    }
  expect(wrong).toEqual([]);
}

test('rules come to the verdict on every cell of random clusters', () => {
  fc.assert(
    fc.property(cluster, world => {
      const node = newNode();
      node.become(world);
      expectVerdicts(node, world);
    }),
    { numRuns: 60 },
  );
});

test('a rule of many peers and many ports is not written as each with each', () => {
  const { kernel, plan, become } = newNode();
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  const pod = (name: string, app: string, ip: string): OracleWorld['pods'][number] => ({
    ...{ namespace: 'x', name, labels: { app }, node: 'n1', hostNetwork: false, ports: [], ip },
  });
  const policy: OracleWorld['policies'][number] = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace: 'x', name: 'np' },
    spec: {
      podSelector: { matchLabels: { app: 'server' } },
      ingress: [
        {
          from: numbers.map(i => ({ podSelector: { matchLabels: { app: `client-${i}` } } })),
          ports: numbers.map(i => ({ port: 1000 + 10 * i, endPort: 1005 + 10 * i })),
        },
      ],
    },
  };
  const clients = [pod('a', 'client-7', '10.1.0.7'), pod('b', 'client-99', '10.1.0.99'), pod('c', 'else', '10.1.0.8')];
  become({
    ...{ namespaces: { x: {} }, policies: [policy], clusterPolicies: [] },
    pods: [pod('s', 'server', '10.1.0.1'), ...clients],
  });
  const passes = (from: string, port: number): boolean =>
    kernel.passes({
      ...{ source: addressOfText(from), destination: addressOfText('10.1.0.1'), protocol: 6, port },
      ...{ hook: 'postrouting', local: LOCAL },
    });
  expect(['10.1.0.7', '10.1.0.99', '10.1.0.8'].map(from => [1000, 1993, 1996].map(port => passes(from, port)))).toEqual(
    [
      [true, true, false],
      [true, true, false],
      [false, false, false],
    ],
  );
  const chains = [...kernel.elements.keys()].flatMap(key => (setOf(key) === CHAINS ? [keyOctets(key)] : []));
  expect(chains.flatMap(name => plan.chain(name)?.rules ?? []).length).toBeLessThan(250);
});

describe('changes', () => {
  test('come to what the last state comes to from nothing, and judge alike', () => {
    fc.assert(
      fc.property(fc.array(cluster, { minLength: 2, maxLength: 4 }), worlds => {
        const [grown, fresh] = [newNode(), newNode()];
        for (const world of worlds) grown.become(world);
        const last = worlds.at(-1)!;
        fresh.become(last);
        const sorted = ({ kernel }: Node): unknown => [...kernel.elements].sort(([a], [b]) => (a < b ? -1 : 1));
        expect(sorted(grown)).toEqual(sorted(fresh));
        expectVerdicts(grown, last);
      }),
      { numRuns: 30 },
    );
  });

  test('nothing is left when all objects are gone', () => {
    fc.assert(
      fc.property(cluster, world => {
        const node = newNode();
        node.become(world);
        node.become({ ...world, pods: [], policies: [], clusterPolicies: [] });
        expect(new Map(node.kernel.elements)).toEqual(new Map(LAYOUT.elements));
      }),
      { numRuns: 40 },
    );
  });

  test("an address is its last owner's, for as long as the object of a former one is there", () => {
    const { kernel, become } = newNode();
    const pod = (name: string, app: string): OracleWorld['pods'][number] => ({
      ...{ namespace: 'x', name, labels: { app }, node: 'n1', hostNetwork: false, ports: [], ip: '10.1.0.1' },
    });
    const isolated: OracleWorld['policies'][number] = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { namespace: 'x', name: 'np' },
      spec: { podSelector: { matchLabels: { app: 'new' } }, policyTypes: ['Ingress'] },
    };
    const world = { namespaces: { x: {} }, policies: [isolated], clusterPolicies: [] };
    const isOpen = (): boolean =>
      kernel.passes({
        source: addressOfText(OUTSIDE.ip),
        destination: addressOfText('10.1.0.1'),
        protocol: 6,
        port: 80,
        hook: 'postrouting',
        local: LOCAL,
      });
    become({ ...world, pods: [pod('a', 'old')] });
    expect(isOpen()).toBe(true);
    become({ ...world, pods: [pod('a', 'old'), pod('b', 'new')] });
    expect(isOpen()).toBe(false);
    become({ ...world, pods: [pod('a', 'older'), pod('b', 'new')] });
    expect(isOpen()).toBe(false);
    become({ ...world, pods: [pod('a', 'older')] });
    expect(isOpen()).toBe(true);
  });

  test('a pod elsewhere costs elements of groups, no chain and no set', () => {
    fc.assert(
      fc.property(cluster, world => {
        const node = newNode();
        const elsewhere = world.pods.map(pod => ({
          ...pod,
          node: pod.name === 'p1' ? 'n1' : 'n2',
          hostNetwork: false,
        }));
        const pods = elsewhere.map(pod => ({ ...pod, ip: pod.ip.replace('10.1.', '10.9.') }));
        const [, ...others] = pods.filter(pod => pod.node === 'n2');
        node.become({ ...world, pods: pods.filter(pod => !others.includes(pod)) });
        const before = new Set(node.kernel.elements.keys());
        node.become({ ...world, pods });
        const news = [...node.kernel.elements.keys()].filter(key => !before.has(key));
        expect(news.filter(key => !/^(group|named)-/.test(key))).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});

/** A cluster of which two policies govern one pod and say the same, but for what the second says besides. */
function twice(): OracleWorld {
  const pod = (name: string, ip: string): OracleWorld['pods'][number] => ({
    ...{ namespace: 'x', name, labels: { app: name }, node: 'n1', hostNetwork: false, ports: [], ip },
  });
  const policy = (name: string, ...apps: readonly string[]): OracleWorld['policies'][number] => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace: 'x', name },
    spec: {
      podSelector: { matchLabels: { app: 'server' } },
      ingress: apps.map(app => ({ from: [{ podSelector: { matchLabels: { app } } }] })),
    },
  });
  return {
    ...{ namespaces: { x: {} }, clusterPolicies: [], policies: [policy('one', 'a'), policy('two', 'a', 'b')] },
    pods: [pod('server', '10.1.0.1'), pod('a', '10.1.0.2'), pod('b', '10.1.0.3'), pod('c', '10.1.0.4')],
  };
}

test('what two policies of a pod both say is one rule of its profile', () => {
  const node = newNode();
  node.become(twice());
  expectVerdicts(node, twice());
  const chains = [...node.kernel.elements.keys()].flatMap(key => (setOf(key) === CHAINS ? [keyOctets(key)] : []));
  const rules = chains.filter(name => name.startsWith('receives-')).flatMap(name => node.plan.chain(name)?.rules ?? []);
  // The node's own packets, two groups, and the way to the denial.
  expect(rules).toHaveLength(4);
  expect(chains.filter(name => name.startsWith('rules-'))).toEqual([]);
});

test('sets are in the table of a family as long as its chains look them up, with all that is in them', () => {
  const model = createPolicyModel('n1');
  const plans = ([4, 6] as const).map(family => createPolicyPlan(family));
  const present = plans.map(() => new Map<string, string>());
  let known: readonly unknown[] = [];
  const become = (world: OracleWorld): void => {
    const delta = model.apply(batchBetween(known, objectsOf(world)));
    known = objectsOf(world);
    plans.forEach((plan, i) => {
      for (const [key, value] of plan.apply(delta))
        if (value === undefined) present[i]!.delete(key);
        else present[i]!.set(key, value);
    });
  };
  const setsOf = (i: number): readonly string[] =>
    [...present[i]!.keys()].flatMap(key => (setOf(key) === NAMED_SETS ? [keyOctets(key)] : [])).sort();
  const elements = (i: number): number => [...present[i]!.keys()].filter(key => setOf(key).startsWith('group-')).length;
  const world = twice();
  become(world);
  expect([setsOf(0).length, elements(0), setsOf(1).length, elements(1)]).toEqual([2, 2, 0, 0]);
  // One more member, one member less.
  const more = { ...world.pods[1]!, name: 'a2', ip: '10.1.0.5' };
  become({ ...world, pods: [...world.pods.filter(({ name }) => name !== 'b'), more] });
  expect([setsOf(0).length, elements(0)]).toEqual([2, 2]);
  become({ ...world, policies: world.policies.slice(0, 1) });
  expect([setsOf(0).length, elements(0)]).toEqual([1, 1]);
  become({ ...world, policies: [] });
  expect([setsOf(0), elements(0)]).toEqual([[], 0]);
});
