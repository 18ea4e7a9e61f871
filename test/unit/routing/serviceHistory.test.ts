import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { KubeObject } from '../../../src/kube/objectTypes.js';
import type { Problem } from '../../../src/kube/problems.js';
import { batchOf, textsOf } from './cluster.js';
import { here, seen, service, slice, there, type EndpointSpec } from './serviceCluster.js';

const name = fc.constantFrom('a', 'b', 'c');
const someService = fc.record({
  kind: fc.constant('service' as const),
  of: name,
  externalIps: fc.subarray(['192.0.2.1', '192.0.2.2', '203.0.113.3']),
  external: fc.constantFrom('Local' as const, 'Cluster' as const),
  created: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
  med: fc.constantFrom('1', '2', 'x'),
});
const someSlice = fc.record({
  kind: fc.constant('slice' as const),
  of: name,
  name: fc.constantFrom('x', 'y', 'z'),
  endpoints: fc.subarray<EndpointSpec>([here, there, { address: '10.0.0.1' }, { ...here, ready: false }]),
});

test('any history of services and slices ends where the last objects alone would, and deltas add up to it', () => {
  const object = (spec: typeof someService | typeof someSlice extends fc.Arbitrary<infer T> ? T : never): KubeObject =>
    spec.kind === 'slice'
      ? slice(spec.endpoints, { of: spec.of, name: spec.name })
      : service({
          ...spec,
          name: spec.of,
          clusterIps: [`10.96.0.${spec.of.charCodeAt(0)}`],
          annotations: { 'peerage.io/service.bgp.med': spec.med },
        });
  const step = fc.tuple(fc.oneof(someService, someSlice), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), history => {
      const { routing, outcome } = seen([]);
      const world = new Map<string, KubeObject>();
      const services = new Map<string, string>();
      const problems = new Map<string, readonly Problem[]>(outcome.problems);
      for (const [spec, isDeleted] of history) {
        const next = object(spec);
        const key = `${next.kind}/${next.name}`;
        if (isDeleted && !world.has(key)) continue;
        const change = isDeleted ? 'deleted' : world.has(key) ? 'changed' : 'added';
        if (isDeleted) world.delete(key);
        else world.set(key, next);
        const { delta, problems: report } = routing.apply(batchOf(change, next));
        for (const [prefixText, network] of delta.services.set) services.set(prefixText, JSON.stringify(network));
        for (const prefixText of delta.services.removed) services.delete(prefixText);
        for (const [owner, list] of report) problems.set(owner, list);
      }
      const fresh = seen([...world.values()]);
      const expected = [...fresh.routing.intent().services].map(([key, network]) => [key, JSON.stringify(network)]);
      expect([...services].sort()).toEqual(expected.sort());
      expect(routing.intent().policies).toEqual(fresh.routing.intent().policies);
      expect([...textsOf(problems)].sort()).toEqual([...fresh.problems].sort());
    }),
    { numRuns: 300 },
  );
});
