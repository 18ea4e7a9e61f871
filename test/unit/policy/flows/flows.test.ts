/** Addresses alone judge as objects do, and every connection that a change forbids or allows has an end that is suspected. */

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { IpText, Protocol } from '../../../../src/kube/objectTypes.js';
import { createAddressJudge } from '../../../../src/policy/flows/addressVerdict.js';
import { createSuspectFinder } from '../../../../src/policy/flows/suspects.js';
import { createPolicyModel, type PolicyModel } from '../../../../src/policy/policyModel.js';
import { verdict } from '../../../../src/policy/verdict.js';
import { batchBetween, modelOf, partyOf } from '../modelCluster.js';
import type { OracleEnd, OracleWorld } from '../oracle.js';
import { cluster, objectsOf } from '../randomCluster.js';

const OUTSIDE: OracleEnd = { ip: '192.0.2.7' };
const PORTS = [53, 80, 443];

function ipText(text: string): IpText {
  return text as IpText;
}

interface Cell {
  readonly from: IpText;
  readonly to: IpText;
  readonly protocol: Protocol;
  readonly port: number;
}

function* cellsOf(addresses: ReadonlySet<string>): Generator<Cell> {
  for (const from of addresses)
    for (const to of addresses)
      for (const protocol of ['TCP', 'UDP'] as const)
        for (const port of PORTS) yield { from: ipText(from), to: ipText(to), protocol, port };
}

function* endsOf({ pods }: OracleWorld): Generator<readonly [from: OracleEnd, to: OracleEnd]> {
  const ends = [...pods, OUTSIDE];
  for (const from of ends) for (const to of ends) yield [from, to];
}

const addressesOf = ({ pods }: OracleWorld): readonly string[] => [...pods.map(({ ip }) => ip), OUTSIDE.ip];

/** Of a model in which every node is this one. */
function allowedCells(model: PolicyModel, addresses: ReadonlySet<string>): ReadonlySet<string> {
  const judge = createAddressJudge(model, new Set());
  return new Set([...cellsOf(addresses)].filter(judge).map(cell => JSON.stringify(cell)));
}

describe('connections that are there', () => {
  test('are judged by addresses as verdicts judge by objects', () => {
    fc.assert(
      fc.property(cluster, fc.constantFrom('n1', 'n2'), (world, node) => {
        const model = modelOf(objectsOf(world), node);
        const ofNode = world.pods.filter(pod => pod.hostNetwork && pod.node === node).map(({ ip }) => ip);
        const judge = createAddressJudge(
          model,
          new Set([...ofNode, ...(model.nodes.get(node)?.addresses ?? [])].map(ipText)),
        );
        const isOurs = (end: OracleEnd): boolean => 'node' in end && end.node === node;
        const wrong = [...endsOf(world)].flatMap(([from, to]) =>
          PORTS.flatMap(port => {
            const asked = { from: partyOf(model, from), to: partyOf(model, to), protocol: 'TCP' as const, port };
            const { egress, ingress } = verdict(model, asked);
            const expected = (!isOurs(from) || egress.allowed) && (!isOurs(to) || ingress.allowed);
            const isAllowed = judge({ from: ipText(from.ip), to: ipText(to.ip), protocol: 'TCP', port });
            return isAllowed === expected ? [] : [{ from, to, port, isAllowed }];
          }),
        );
        expect(wrong).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  test.each([
    ['a rule without ports', {}, true],
    ['a rule with ports', { ports: [{ port: 80 }] }, false],
  ])('without ports of their own are matched by %s: %j', (_, rule, isAllowed) => {
    const pod = { namespace: 'x', name: 'p', labels: {}, node: 'n1', hostNetwork: false, ports: [], ip: '10.0.0.1' };
    const policy = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { namespace: 'x', name: 'np' },
      spec: { podSelector: {}, ingress: [rule] },
    };
    const world: OracleWorld = { namespaces: {}, pods: [pod], policies: [], clusterPolicies: [] };
    const judge = createAddressJudge(modelOf([...objectsOf(world), policy]), new Set());
    const echo = { from: ipText(OUTSIDE.ip), to: ipText(pod.ip), protocol: undefined, port: 0 };
    expect(judge(echo)).toBe(isAllowed);
  });

  test('are suspected when a change forbids them, or allows them again', () => {
    let forbidden = 0;
    let released = 0;
    fc.assert(
      fc.property(fc.array(cluster, { minLength: 2, maxLength: 4 }), worlds => {
        const model = createPolicyModel(undefined);
        const finder = createSuspectFinder();
        let [objects, addresses]: [readonly unknown[], ReadonlySet<string>] = [[], new Set()];
        for (const world of worlds) {
          const now = objectsOf(world);
          const cells = new Set([...addresses, ...addressesOf(world)]);
          const before = allowedCells(model, cells);
          const { forbidding, allowing } = finder.find(model.apply(batchBetween(objects, now)));
          const after = allowedCells(model, cells);
          // Of pods that are gone no packet comes.
          const there = new Set(addressesOf(world));
          const missed = [...cellsOf(there)].filter(cell => {
            const name = JSON.stringify(cell);
            if (before.has(name) === after.has(name)) return false;
            const isForbidden = before.has(name);
            if (isForbidden) forbidden++;
            else released++;
            return ![cell.from, cell.to].some(end => forbidding.has(end) || (!isForbidden && allowing.has(end)));
          });
          expect(missed).toEqual([]);
          [objects, addresses] = [now, there];
        }
      }),
      { numRuns: 40 },
    );
    // Otherwise nothing was tried.
    expect(forbidden).toBeGreaterThan(100);
    expect(released).toBeGreaterThan(100);
  });
});
