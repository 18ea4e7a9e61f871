import { describe, expect, test } from '@jest/globals';
import type { KubeObject } from '../../../src/kube/objectTypes.js';
import { verdictOf } from '../../../src/proxy/proxyTypes.js';
import { batchOf } from '../routing/cluster.js';
import { nodeOf, serviceOf, sliceOf, textOf, view, type EndpointSpec, type Lists } from './proxyCluster.js';

const here: EndpointSpec = { node: 'n1' };
const there: EndpointSpec = { node: 'n2' };
const ending = { ready: false, serving: true, terminating: true };
const A = '10.244.1.1:8080';
const B = '10.244.1.2:8080';

const cases: readonly { name: string; endpoints: readonly EndpointSpec[]; lists: Lists }[] = [
  { name: 'none', endpoints: [], lists: { cluster: '', local: '', serving: '' } },
  {
    name: 'ready ones here and there',
    endpoints: [here, there],
    lists: { cluster: `${A} ${B}`, local: A, serving: `${A} ${B}` },
  },
  {
    name: 'no condition but ready=false: not served',
    endpoints: [here, { ...there, ready: false }],
    lists: { cluster: A, local: A, serving: A },
  },
  {
    name: 'ending ones are no more than a last resort',
    endpoints: [{ ...here, ...ending }, there],
    lists: { cluster: B, local: `${A}!`, serving: `${A}! ${B}` },
  },
  {
    name: 'nothing but ending ones',
    endpoints: [
      { ...here, ...ending },
      { ...there, ...ending },
    ],
    lists: { cluster: `${A}! ${B}!`, local: `${A}!`, serving: `${A}! ${B}!` },
  },
  {
    name: 'ending and not serving any more',
    endpoints: [{ ...here, ready: false, serving: false, terminating: true }],
    lists: { cluster: '', local: '', serving: '' },
  },
  {
    name: 'serving but neither ready nor ending',
    endpoints: [{ ...here, ready: false, serving: true, terminating: false }],
    lists: { cluster: '', local: '', serving: '' },
  },
  {
    name: 'ready while it ends (publishNotReadyAddresses)',
    endpoints: [{ ...here, ready: true, serving: true, terminating: true }],
    lists: { cluster: A, local: A, serving: A },
  },
  {
    name: 'hints: same zone',
    endpoints: [
      { ...there, zones: ['a'] },
      { ...here, zones: ['b'] },
    ],
    lists: { cluster: A, local: B, serving: `${A} ${B}` },
  },
  {
    name: 'hints: one without turns them off',
    endpoints: [{ ...there, zones: ['a'] }, here],
    lists: { cluster: `${A} ${B}`, local: B, serving: `${A} ${B}` },
  },
  {
    name: 'hints: none for our zone turns them off',
    endpoints: [
      { ...there, zones: ['b'] },
      { ...here, zones: ['b'] },
    ],
    lists: { cluster: `${A} ${B}`, local: B, serving: `${A} ${B}` },
  },
  {
    name: 'hints for this node go before those for its zone',
    endpoints: [
      { ...there, nodes: ['n1'], zones: ['b'] },
      { ...here, nodes: ['n2'], zones: ['a'] },
    ],
    lists: { cluster: A, local: B, serving: `${A} ${B}` },
  },
  {
    name: 'hints of ending endpoints do not count, and the last resort knows no hints',
    endpoints: [
      { ...there, ...ending, zones: ['b'] },
      { ...here, ...ending },
    ],
    lists: { cluster: `${A}! ${B}!`, local: `${B}!`, serving: `${A}! ${B}!` },
  },
  {
    name: 'an endpoint that does not say where it is, at an address of this node',
    endpoints: [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }],
    lists: { cluster: '10.0.0.1:8080 10.0.0.2:8080', local: '10.0.0.1:8080', serving: '10.0.0.1:8080 10.0.0.2:8080' },
  },
];

test.each(cases)('endpoints: $name', ({ endpoints, lists }) => {
  expect(view([serviceOf(), sliceOf(endpoints)]).lists()).toEqual(lists);
});

describe('slices', () => {
  test('an endpoint in two slices is one; ready wins, whatever the order', () => {
    const one = sliceOf([{ ...here, ready: false }], { name: 'x' });
    const two = sliceOf([here, there], { name: 'y' });
    for (const slices of [
      [one, two],
      [two, one],
    ])
      expect(view([serviceOf(), ...slices]).lists().cluster).toBe(`${A} ${B}`);
  });

  test('ports are told apart by name and protocol; those without a number count for nothing', () => {
    const ports = [
      { name: 'a', port: 8080 },
      { name: 'a', port: 8081, protocol: 'UDP' },
      { name: 'b', port: null },
    ];
    const service = serviceOf({
      ports: [
        { name: 'a', port: 80 },
        { name: 'b', port: 81 },
      ],
    });
    const { lists } = view([service, sliceOf([here], { ports })]);
    expect(lists('4|demo/web|a|TCP').cluster).toBe(A);
    expect(lists('4|demo/web|b|TCP').cluster).toBe('');
  });

  test('two slices may map one name to two numbers', () => {
    const slices = [sliceOf([here], { name: 'x' }), sliceOf([there], { name: 'y', ports: [{ port: 9090 }] })];
    expect(view([serviceOf(), ...slices]).lists().cluster).toBe('10.244.1.1:8080 10.244.1.1:9090');
  });

  test('families do not mix; host names and headless slices are passed over', () => {
    const service = serviceOf({ clusterIPs: ['10.96.0.10', 'fd96::10'] });
    const { lists } = view([
      service,
      sliceOf([here], { type: 'IPv6', name: 'six' }),
      sliceOf([{ ip: 'host.example' }], { type: 'FQDN', name: 'names' }),
      sliceOf([here], { name: 'headless', labels: { 'service.kubernetes.io/headless': '' } }),
    ]);
    expect(lists('4|demo/web||TCP').cluster).toBe('');
    expect(lists('6|demo/web||TCP').cluster).toBe('fd00:10:244:1::1:8080');
  });

  test('a slice that comes to belong to another service', () => {
    const { proxy } = view([serviceOf(), serviceOf({ clusterIPs: ['10.96.0.11'] }, { name: 'api' }), sliceOf([here])]);
    const { delta } = proxy.apply(batchOf('changed', sliceOf([here], { of: 'api', name: 'web-1' })));
    const texts = [...delta.backends.set].map(([key, lists]) => [key, textOf(lists).cluster]);
    expect(texts.sort()).toEqual([
      ['4|demo/api||TCP', A],
      ['4|demo/web||TCP', ''],
    ]);
  });

  test("one slice's change looks at one service, and one that means nothing changes nothing", () => {
    const { proxy } = view([serviceOf(), serviceOf({ clusterIPs: ['10.96.0.11'] }, { name: 'api' }), sliceOf([here])]);
    const changed = proxy.apply(batchOf('changed', sliceOf([here, there])));
    expect(changed.recomputed).toEqual(['demo/web']);
    expect([...changed.delta.backends.set.keys()]).toEqual(['4|demo/web||TCP']);
    expect(changed.delta.frontends.set.size).toBe(0);
    const same = proxy.apply(batchOf('changed', sliceOf([here, { ...there, serving: true }])));
    expect(same.delta.backends.set.size).toBe(0);
  });
});

test('weights: by address, then by node, then for all others', () => {
  const annotations = { 'peerage.io/service.weights': 'n1=5, 10.244.1.3=0, *=2, n9=x, n1=101' };
  const { lists, problems } = view([serviceOf({}, { annotations }), sliceOf([here, there, here])]);
  expect(lists().cluster).toBe('10.244.1.1:8080(5) 10.244.1.2:8080(2) 10.244.1.3:8080(0)');
  expect(problems).toEqual([expect.stringContaining('"n9=x"'), expect.stringContaining('"n1=101"')]);
});

test('the node comes to be in another zone', () => {
  const slice = sliceOf([
    { ...there, zones: ['a'] },
    { ...here, zones: ['b'] },
  ]);
  const { proxy } = view([serviceOf(), slice]);
  const { delta } = proxy.apply(batchOf('changed', nodeOf(1, 'b')));
  expect([...delta.backends.set.values()].map(textOf)).toMatchObject([{ cluster: B }]);
  expect(proxy.apply(batchOf('deleted', nodeOf(1, 'b'))).delta.backends.set.size).toBe(0);
});

describe('what becomes of traffic that nobody takes', () => {
  const verdicts = (spec: Readonly<Record<string, unknown>>, endpoints: readonly EndpointSpec[]): readonly string[] => {
    const { outcome } = view([serviceOf({ externalIPs: ['192.0.2.1'], ...spec }), sliceOf(endpoints)]);
    const { frontends, backends } = outcome.delta;
    return [...frontends.set.values()].map(
      frontend => `${frontend.kind} ${verdictOf(frontend, backends.set.get(frontend.servicePort))}`,
    );
  };
  const local = { externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' };
  test.each([
    [{}, [there], 'forward'],
    [{}, [], 'reject'],
    [{}, [{ ...there, ready: false }], 'reject'],
    [local, [], 'reject'],
    [local, [there], 'drop'],
    [local, [{ ...there, ...ending }], 'drop'],
    [local, [here], 'forward'],
    [local, [there, { ...here, ...ending }], 'forward'],
  ])('%j with %j: %s', (spec, endpoints, verdict) => {
    expect(verdicts(spec, endpoints)).toEqual([`clusterIp ${verdict}`, `externalIp ${verdict}`]);
  });
});

describe('health check node ports', () => {
  const balancer = (spec = {}): KubeObject =>
    serviceOf({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 32000, ...spec });
  const checks = (service: KubeObject, endpoints: readonly EndpointSpec[]): unknown => [
    ...view([service, sliceOf(endpoints)]).outcome.healthChecks.set.values(),
  ];
  test('ready endpoints on this node are counted once for all ports', () => {
    const check = { service: 'demo/web', port: 32000, localEndpoints: 1 };
    expect(checks(balancer(), [here, there, { ...here, ...ending }])).toEqual([check]);
    expect(checks(balancer(), [there, { ...here, ...ending }])).toEqual([{ ...check, localEndpoints: 0 }]);
  });
  test('only with policy Local and type LoadBalancer', () => {
    expect(checks(balancer({ externalTrafficPolicy: 'Cluster' }), [here])).toEqual([]);
    expect(checks(balancer({ type: 'NodePort' }), [here])).toEqual([]);
    expect(checks(balancer({ healthCheckNodePort: 0 }), [here])).toEqual([]);
  });
  test('a service that goes', () => {
    const { proxy } = view([balancer(), sliceOf([here])]);
    expect([...proxy.apply(batchOf('deleted', balancer())).healthChecks.removed]).toEqual(['demo/web']);
  });
});
