import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Protocol } from '../../../src/kube/objectTypes.js';
import { createPolicyModel } from '../../../src/policy/policyModel.js';
import { reachablePorts } from '../../../src/policy/reach.js';
import { verdict } from '../../../src/policy/verdict.js';
import { batchBetween, createPlane, modelOf, partyOf } from './modelCluster.js';
import { oracleAllows, type OracleEnd, type OracleWorld } from './oracle.js';
import { cluster, objectsOf } from './randomCluster.js';

const OUTSIDE: OracleEnd = { ip: '192.0.2.7' };
const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
const PORTS = [53, 80, 81, 443];

interface Cell {
  readonly from: OracleEnd;
  readonly to: OracleEnd;
  readonly protocol: Protocol;
  readonly port: number;
}

function* cellsOf({ pods }: OracleWorld): Generator<Cell> {
  for (const from of [...pods, OUTSIDE])
    for (const to of [...pods, OUTSIDE])
      for (const protocol of PROTOCOLS) for (const port of PORTS) yield { from, to, protocol, port };
}

function replacePart(world: OracleWorld, part: string, other: OracleWorld): OracleWorld {
  switch (part) {
    case 'namespaces':
      return { ...world, namespaces: other.namespaces };
    case 'pods':
      return { ...world, pods: other.pods };
    case 'pod': {
      const [, pod] = other.pods;
      const kept = world.pods.filter(({ namespace, name }) => pod?.namespace !== namespace || pod.name !== name);
      return { ...world, pods: pod === undefined ? kept : [...kept, pod] };
    }
    case 'policy': {
      const [policy] = other.policies;
      const kept = world.policies.filter(({ metadata }) => metadata.name !== 'np0');
      return { ...world, policies: policy === undefined ? kept : [...kept, policy] };
    }
    case 'clusterPolicies':
      return { ...world, clusterPolicies: other.clusterPolicies };
    default:
      return { ...world, policies: other.policies };
  }
}

function nameOf(end: OracleEnd): string {
  return 'name' in end ? `${end.namespace}/${end.name}` : end.ip;
}

function table(world: OracleWorld, isAllowed: (cell: Cell) => boolean | undefined): string {
  const rows = [...cellsOf(world)].map(cell => {
    const { from, to, protocol, port } = cell;
    return `${nameOf(from)} ${nameOf(to)} ${protocol} ${port}: ${isAllowed(cell) ?? '-'}`;
  });
  return rows.join('\n');
}

test('the verdict is the oracle’s on every cell of random clusters', () => {
  fc.assert(
    fc.property(cluster, world => {
      const model = modelOf(objectsOf(world));
      const found = table(world, ({ from, to, protocol, port }) => {
        return verdict(model, { from: partyOf(model, from), to: partyOf(model, to), protocol, port }).allowed;
      });
      expect(found).toBe(table(world, ({ from, to, protocol, port }) => oracleAllows(world, from, to, protocol, port)));
    }),
    { numRuns: 150 },
  );
});

test('the open ports between two ends are those that verdicts allow', () => {
  fc.assert(
    fc.property(cluster, world => {
      const model = modelOf(objectsOf(world));
      for (const from of [...world.pods, OUTSIDE])
        for (const to of [...world.pods, OUTSIDE]) {
          const [a, b] = [partyOf(model, from), partyOf(model, to)];
          const ranges = reachablePorts(model, a, b);
          for (const protocol of PROTOCOLS)
            for (const port of [1, 52, 53, 54, 79, 80, 81, 82, 443, 444, 65535]) {
              const isOpen = ranges.some(
                range => range.protocol === protocol && range.first <= port && port <= range.last,
              );
              expect(isOpen).toBe(verdict(model, { from: a, to: b, protocol, port }).allowed);
            }
        }
    }),
    { numRuns: 30 },
  );
});

describe('changes', () => {
  /** Drops the host's pods: what a data plane does with a node's own traffic is not the model's business. */
  const podsOnly = (world: OracleWorld): OracleWorld => ({
    ...world,
    pods: world.pods.filter(pod => !pod.hostNetwork),
  });
  /** From one world to the next a part of it changes: whatever changed all at once would be made anew. */
  const parts = fc.constantFrom('namespaces', 'pods', 'pod', 'policies', 'policy', 'clusterPolicies');
  const histories = fc
    .tuple(cluster, fc.array(fc.tuple(parts, cluster), { minLength: 1, maxLength: 4 }))
    .map(([first, steps]) => {
      const worlds = [podsOnly(first)];
      for (const [part, other] of steps) worlds.push(podsOnly(replacePart(worlds.at(-1)!, part, other)));
      return worlds;
    });

  test('add up to what the last state comes to by itself', () => {
    fc.assert(
      fc.property(histories, worlds => {
        const model = createPolicyModel('n1');
        const plane = createPlane();
        worlds.forEach((world, i) => {
          const before = worlds[i - 1];
          plane.take(model.apply(batchBetween(before === undefined ? [] : objectsOf(before), objectsOf(world))));
        });
        const fresh = createPlane();
        const last = worlds.at(-1)!;
        fresh.take(createPolicyModel('n1').apply(batchBetween([], objectsOf(last))));
        expect(plane.content).toEqual(fresh.content);
      }),
      { numRuns: 150 },
    );
  });

  test('tell a data plane enough to judge as the verdict does, by addresses alone', () => {
    fc.assert(
      fc.property(histories, worlds => {
        const model = createPolicyModel('n1');
        const plane = createPlane();
        worlds.forEach((world, i) => {
          const before = worlds[i - 1];
          plane.take(model.apply(batchBetween(before === undefined ? [] : objectsOf(before), objectsOf(world))));
        });
        const last = worlds.at(-1)!;
        for (const { from, to, protocol, port } of cellsOf(last)) {
          if (nameOf(from) === nameOf(to)) continue;
          const said = verdict(model, { from: partyOf(model, from), to: partyOf(model, to), protocol, port });
          const isHere = (end: OracleEnd): boolean => 'name' in end && end.node === 'n1';
          expect(plane.judge('egress', from.ip, to.ip, protocol, port)).toBe(
            isHere(from) ? said.egress.allowed : undefined,
          );
          expect(plane.judge('ingress', to.ip, from.ip, protocol, port)).toBe(
            isHere(to) ? said.ingress.allowed : undefined,
          );
        }
      }),
      { numRuns: 60 },
    );
  });
});
