import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ObjectBatch, ObjectChange } from '../../../src/kube/objectBatch.js';
import type { KubeObject } from '../../../src/kube/objectTypes.js';
import { keyOf, type ObjectKey } from '../../../src/kube/objects.js';
import type { Problem } from '../../../src/kube/problems.js';
import { createProxy, type HealthCheck, type Proxy, type ProxyOutcome } from '../../../src/proxy/proxy.js';
import type { BackendLists, Frontend, KeyedChange, ServiceAddress } from '../../../src/proxy/proxyTypes.js';
import type { ProxyRules } from '../../../src/proxy/proxyRules.js';
import { textsOf } from '../routing/cluster.js';
import { nodeOf, RULES, serviceOf, sliceOf } from './proxyCluster.js';

const policy = fc.constantFrom('Cluster', 'Local');
const someService = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c'),
    type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
    created: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
    isDual: fc.boolean(),
    externalIPs: fc.subarray(['192.0.2.1', '192.0.2.2', '10.0.0.3', '10.96.0.97', '10.0.0.98']),
    ingress: fc.subarray([{ ip: '198.51.100.1' }, { ip: '192.0.2.1' }]),
    internalTrafficPolicy: policy,
    externalTrafficPolicy: policy,
    nodePort: fc.constantFrom(0, 30001, 30002),
    healthCheckNodePort: fc.constantFrom(0, 32000),
    weights: fc.constantFrom('', 'n1=2', 'x'),
    dsr: fc.constantFrom('', 'tunnel', 'tunnel'),
    ports: fc.subarray([
      { name: 'x', port: 80 },
      { name: 'y', port: 80, protocol: 'UDP' },
      { name: 'y', port: 443 },
    ]),
  })
  .map(({ name, created, isDual, ingress, nodePort, weights, dsr, ports, ...spec }) => {
    const n = name.charCodeAt(0);
    // One service has a cluster IP that others may ask for as an external one.
    const clusterIPs = [name === 'c' ? '10.0.0.98' : `10.96.0.${n}`, ...(isDual ? [`fd96::${n}`] : [])];
    const annotations = {
      'peerage.io/service.weights': weights,
      ...(dsr === '' ? {} : { 'kube-router.io/service.dsr': dsr }),
    };
    const withNodePort = ports.map(port => ({ ...port, nodePort }));
    return serviceOf({ ...spec, clusterIPs, ports: withNodePort }, { name, created, ingress, annotations });
  });

const someSlice = fc
  .record({
    of: fc.constantFrom('a', 'b', 'c', 'd'),
    name: fc.constantFrom('s', 't', 'u'),
    type: fc.constantFrom('IPv4', 'IPv6'),
    endpoints: fc.array(
      fc.record({
        node: fc.constantFrom('n1', 'n2', undefined),
        ready: fc.boolean(),
        serving: fc.boolean(),
        terminating: fc.boolean(),
        zones: fc.constantFrom(['a'], ['b'], []),
        nodes: fc.constantFrom(['n1'], ['n2'], [], []),
      }),
      { maxLength: 4 },
    ),
    isBoth: fc.boolean(),
    port: fc.constantFrom(80, 8080),
  })
  .map(({ endpoints, of, name, type, isBoth, port }) => {
    const plain = endpoints.map(({ node, ...rest }) => (node === undefined ? rest : { ...rest, node }));
    const ports = [{ name: 'x', port }, ...(isBoth ? [{ name: 'y', port: 8081 }] : [])];
    return sliceOf(plain, { of, name, type, ports });
  });

const someNode = fc
  .tuple(fc.constantFrom(1, 2, 3), fc.constantFrom('a', 'b', undefined))
  .map(([n, zone]) => nodeOf(n, zone));

const someStep = fc.oneof(
  { weight: 9, arbitrary: fc.record({ object: fc.oneof(someService, someSlice, someNode), isDeleted: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ strictValidation: fc.boolean(), ipv6: fc.boolean() }) },
);

/** What whoever adds up deltas has. */
class Sum {
  readonly frontends = new Map<string, Frontend>();
  readonly backends = new Map<string, BackendLists>();
  readonly addresses = new Map<string, ServiceAddress>();
  readonly healthChecks = new Map<string, HealthCheck>();
  readonly problems = new Map<string, readonly Problem[]>();

  add({ delta, healthChecks, problems }: ProxyOutcome): void {
    follow(this.frontends, delta.frontends);
    follow(this.backends, delta.backends);
    follow(this.addresses, delta.addresses);
    follow(this.healthChecks, healthChecks);
    for (const [owner, list] of problems) this.problems.set(owner, list);
    // A frontend never stands without its lists.
    for (const { servicePort } of this.frontends.values()) expect(this.backends.has(servicePort)).toBe(true);
  }

  get text(): unknown {
    const sorted = (map: ReadonlyMap<string, unknown>): unknown => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    const parts = [this.frontends, this.backends, this.addresses, this.healthChecks].map(sorted);
    return [...parts, [...textsOf(this.problems)].sort()];
  }
}

/** A change must be one, and only what was there may go. */
function follow<V>(map: Map<string, V>, { set, removed }: KeyedChange<string, V>): void {
  for (const key of removed) expect(map.delete(key)).toBe(true);
  for (const [key, value] of set) {
    expect(map.get(key)).not.toEqual(value);
    map.set(key, value);
  }
}

function batchOfMany(changes: readonly ObjectChange[]): ObjectBatch {
  return { changes: new Map(changes.map(change => [keyOf(change.object), change])), synced: true };
}

function fromScratch(world: ReadonlyMap<ObjectKey, KubeObject>, own: KubeObject | undefined, rules: ProxyRules): Sum {
  const sum = new Sum();
  const proxy = createProxy('n1', rules);
  // A Node that is gone has not moved: it is what it was last.
  if (own !== undefined && !world.has(keyOf(own))) {
    sum.add(proxy.apply(batchOfMany([{ change: 'added', object: own }])));
    sum.add(proxy.apply(batchOfMany([{ change: 'deleted', object: own }])));
  }
  sum.add(proxy.apply(batchOfMany([...world.values()].map(object => ({ change: 'added', object })))));
  return sum;
}

test('any history ends where the last objects alone would, and deltas add up to it', () => {
  fc.assert(
    fc.property(fc.array(fc.array(someStep, { maxLength: 3 }), { maxLength: 20 }), history => {
      const world = new Map<ObjectKey, KubeObject>();
      let rules = RULES;
      let own: KubeObject | undefined;
      const sum = new Sum();
      const proxy: Proxy = createProxy('n1', rules);
      for (const steps of history) {
        const changes = new Map<ObjectKey, ObjectChange>();
        for (const step of steps) {
          if (!('object' in step)) {
            rules = { ...rules, ...step };
            sum.add(proxy.configure(rules));
            continue;
          }
          const key = keyOf(step.object);
          if (changes.has(key) || (step.isDeleted && !world.has(key))) continue;
          const change = step.isDeleted ? 'deleted' : world.has(key) ? 'changed' : 'added';
          changes.set(key, { change, object: step.object });
          if (step.isDeleted) world.delete(key);
          else world.set(key, step.object);
          if (key === 'Node/n1' && !step.isDeleted) own = step.object;
        }
        sum.add(proxy.apply({ changes, synced: true }));
      }
      expect(sum.text).toEqual(fromScratch(world, own, rules).text);
    }),
    { numRuns: 300 },
  );
}, 120_000);
