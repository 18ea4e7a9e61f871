import { describe as group, expect, test } from '@jest/globals';
import { formatPrefix } from '../../../src/core/ip.js';
import type { Routing } from '../../../src/routing/routing.js';
import { DEFAULT_ROUTING, type RoutingOptions } from '../../../src/routing/routingOptions.js';
import { batchOf, nodeN, textsOf } from './cluster.js';
import { ALL, here, seen, service, slice, there, type EndpointSpec, type ServiceSpec } from './serviceCluster.js';

const announced = (routing: Routing): readonly string[] =>
  [...routing.intent().services].map(([key, { tag }]) => `${key} ${tag}`).sort();

const everything: ServiceSpec = {
  type: 'LoadBalancer',
  externalIps: ['192.0.2.10'],
  ingress: [{ ip: '198.51.100.10' }],
};

group('what is announced', () => {
  test.each<[string, ServiceSpec, readonly EndpointSpec[], readonly string[]]>([
    [
      'all three kinds',
      everything,
      [there],
      ['10.96.0.10/32 clusterIp', '192.0.2.10/32 externalIp', '198.51.100.10/32 loadBalancerIp'],
    ],
    ['nothing while no endpoint serves', everything, [], []],
    ['nothing while none is ready', {}, [{ ...there, ready: false }], []],
    [
      'one that is ending and serves still takes traffic',
      {},
      [{ ...there, ready: false, serving: true, terminating: true }],
      ['10.96.0.10/32 clusterIp'],
    ],
    ['internal policy Local, endpoint elsewhere', { internal: 'Local' }, [there], []],
    ['internal policy Local, endpoint here', { internal: 'Local' }, [here], ['10.96.0.10/32 clusterIp']],
    ['internal policy Local, not ready here', { internal: 'Local' }, [{ ...here, ready: false }, there], []],
    [
      'a local one that is ending is none: balancers shall turn away',
      { internal: 'Local' },
      [{ ...here, ready: false, serving: true, terminating: true }],
      [],
    ],
    ['external policy Local', { ...everything, external: 'Local' }, [there], ['10.96.0.10/32 clusterIp']],
    [
      'service.local makes the external policy Local',
      { ...everything, annotations: { 'service.local': 'true' } },
      [there],
      ['10.96.0.10/32 clusterIp'],
    ],
    [
      'an endpoint that does not say where it is, at an address of this node',
      { internal: 'Local' },
      [{ address: '10.0.0.1' }],
      ['10.96.0.10/32 clusterIp'],
    ],
    ['the same at an address of another', { internal: 'Local' }, [{ address: '10.0.0.2' }], []],
    ['headless', { clusterIps: ['None'] }, [there], []],
    ['headless by label', { labels: { 'service.kubernetes.io/headless': '' } }, [there], []],
    ['another proxy', { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } }, [there], []],
    [
      'our own name as proxy',
      { labels: { 'service.kubernetes.io/service-proxy-name': 'kube-router' } },
      [there],
      ['10.96.0.10/32 clusterIp'],
    ],
    ['an external name', { type: 'ExternalName', clusterIps: [] }, [there], []],
    [
      'a balancer that proxies, or is known by name',
      {
        ...everything,
        externalIps: [],
        ingress: [{ ip: '198.51.100.10', ipMode: 'Proxy' }, { hostname: 'lb.example' }],
      },
      [there],
      ['10.96.0.10/32 clusterIp'],
    ],
    [
      'skiplbips',
      { ...everything, externalIps: [], annotations: { 'service.skiplbips': '' } },
      [there],
      ['10.96.0.10/32 clusterIp'],
    ],
    [
      'status of a service that is no balancer any more',
      { ...everything, type: 'NodePort', externalIps: [] },
      [there],
      ['10.96.0.10/32 clusterIp'],
    ],
    [
      'annotations against the flags',
      {
        ...everything,
        annotations: { 'service.advertise.clusterip': 'false', 'service.advertise.externalip': 'F' },
      },
      [there],
      ['198.51.100.10/32 loadBalancerIp'],
    ],
  ])('%s', (_name, spec, endpoints, expected) => {
    const { routing, problems } = seen([service(spec), slice(endpoints)]);
    expect(announced(routing)).toEqual(expected);
    expect(problems).toEqual([]);
  });

  test('each family has endpoints of its own', () => {
    const dual = service({ clusterIps: ['10.96.0.10', 'fd96::10'] });
    const four = slice([there]);
    const six = slice([there], { name: 'web-6', type: 'IPv6' });
    expect(announced(seen([dual, four]).routing)).toEqual(['10.96.0.10/32 clusterIp']);
    expect(announced(seen([dual, six]).routing)).toEqual(['fd96::10/128 clusterIp']);
    expect(announced(seen([dual, four, six], { ...ALL, ipv6: false }).routing)).toEqual(['10.96.0.10/32 clusterIp']);
  });

  test('annotations switch on what flags do not', () => {
    const annotations = { 'service.advertise.clusterip': 'true' };
    const { routing } = seen([service({ annotations }), service({ name: 'db' }), slice([there])], DEFAULT_ROUTING);
    expect(announced(routing)).toEqual(['10.96.0.10/32 clusterIp']);
  });

  test('idle services by option, and still not with policy Local', () => {
    const options = { ...ALL, services: { ...ALL.services, announceIdle: true } };
    expect(announced(seen([service()], options).routing)).toEqual(['10.96.0.10/32 clusterIp']);
    expect(announced(seen([service({ internal: 'Local' })], options).routing)).toEqual([]);
  });

  test('load balancer classes by option', () => {
    const options = { ...ALL, services: { ...ALL.services, loadBalancerClasses: ['', 'kube-router'] } };
    const withClass = (loadBalancerClass?: string): readonly string[] =>
      announced(seen([service({ ...everything, loadBalancerClass }), slice([there])], options).routing);
    expect(withClass()).toHaveLength(3);
    expect(withClass('kube-router')).toHaveLength(3);
    expect(withClass('other')).toHaveLength(2);
  });

  test('an edge announces no service', () => {
    const options: RoutingOptions = { ...ALL, role: 'edge' };
    expect(announced(seen([service(), slice([there])], options).routing)).toEqual([]);
  });

  test('an address that a policy Local hangs on the node is not hidden by an aggregate', () => {
    const { routing } = seen([service({ ...everything, external: 'Local' }), slice([here])]);
    expect([...routing.intent().services].map(([key, { keepSpecific }]) => [key, keepSpecific])).toEqual([
      ['10.96.0.10/32', undefined],
      ['192.0.2.10/32', true],
      ['198.51.100.10/32', true],
    ]);
  });
});

group('strict validation', () => {
  const strange = {
    ...everything,
    externalIps: ['203.0.113.1', '10.96.0.99', '127.0.0.1'],
    ingress: [{ ip: '192.0.2.77' }],
  };

  test('refuses what is in no range, and says so', () => {
    const { routing, problems } = seen([service(strange), slice([there])]);
    expect(announced(routing)).toEqual(['10.96.0.10/32 clusterIp']);
    expect(problems).toEqual([
      'Service demo/web external IP 203.0.113.1 is in none of the external IP ranges: it is not announced',
      'Service demo/web external IP 10.96.0.99 is in a range of cluster IPs: it is not announced',
      'Service demo/web external IP 127.0.0.1 is not an address of one host: it is not announced',
      'Service demo/web load balancer IP 192.0.2.77 is in none of the load balancer ranges: it is not announced',
    ]);
  });

  test('switched off, only what can be no host is refused; and nobody may tell us those addresses', () => {
    const options = { ...ALL, services: { ...ALL.services, strictValidation: false } };
    const { routing, problems } = seen([service(strange), slice([there])], options);
    expect(announced(routing)).toEqual([
      '10.96.0.10/32 clusterIp',
      '10.96.0.99/32 externalIp',
      '192.0.2.77/32 loadBalancerIp',
      '203.0.113.1/32 externalIp',
    ]);
    expect(problems).toHaveLength(1);
    const refused = (): readonly string[] | undefined =>
      routing.intent().policies.prefixLists['cluster/services']?.map(rule => formatPrefix(rule.prefix));
    const ranges = ['10.96.0.0/12', 'fd96::/108', '192.0.2.0/24', '198.51.100.0/24'];
    expect(refused()).toEqual([...ranges, '203.0.113.1/32']);
    expect(routing.apply(batchOf('deleted', service(strange))).delta.policies).toBeDefined();
    expect(refused()).toEqual(ranges);
  });

  test('addresses in the ranges change no policy', () => {
    const { routing } = seen([]);
    const { delta } = routing.apply(batchOf('added', service(everything), slice([there])));
    expect([delta.services.set.size, delta.policies]).toEqual([3, undefined]);
  });
});

group('one bad thing costs itself', () => {
  test('a service without a slice, one with nonsense in annotations, a slice of nobody', () => {
    const bad = service({
      name: 'bad',
      clusterIps: ['10.96.0.66'],
      annotations: { 'service.advertise.clusterip': 'maybe', 'peerage.io/service.bgp.med': 'much' },
    });
    const orphan = slice([there], { of: 'nobody' });
    const lonely = service({ name: 'lonely', clusterIps: ['10.96.0.77'] });
    const { routing, problems } = seen([service(), slice([there]), bad, slice([there], { of: 'bad' }), orphan, lonely]);
    expect(announced(routing)).toEqual(['10.96.0.10/32 clusterIp', '10.96.0.66/32 clusterIp']);
    expect(problems).toEqual([
      'Service demo/bad annotation kube-router.io/service.advertise.clusterip: "maybe" is neither true nor false; the general setting holds',
      'Service demo/bad annotation peerage.io/service.bgp.med: "much" is not a number of 0 to 4294967295; it is left out',
    ]);
  });
});

test('attributes of a service', () => {
  const annotations = {
    'peerage.io/service.bgp.communities': '65000:7,65000:1:2',
    'peerage.io/service.bgp.local-pref': '200',
    'peerage.io/service.bgp.med': '0x10',
  };
  const { routing } = seen([service({ annotations }), slice([there])]);
  expect(routing.intent().services.get('10.96.0.10/32')).toMatchObject({
    tag: 'clusterIp',
    communities: [0xfde8_0007],
    largeCommunities: [[65000, 1, 2]],
    localPref: 200,
    med: 16,
  });
});

group('an address of several services', () => {
  const a = service({
    name: 'a',
    clusterIps: ['10.96.1.1'],
    externalIps: ['192.0.2.10'],
    created: '2026-01-02T00:00:00Z',
  });
  const b = service({
    name: 'b',
    clusterIps: ['10.96.1.2'],
    externalIps: ['192.0.2.10'],
    created: '2026-01-01T00:00:00Z',
    annotations: { 'peerage.io/service.bgp.med': '5' },
  });
  const slices = [slice([there], { of: 'a' }), slice([there], { of: 'b' })];

  test('stays while one of them wants it; the older says how', () => {
    const { routing, problems } = seen([a, b, ...slices]);
    expect(routing.intent().services.get('192.0.2.10/32')?.med).toBe(5);
    expect(problems).toEqual([
      'Service demo/a wants 192.0.2.10/32 announced with other attributes than Service demo/b, which is older and decides',
    ]);
    const withoutB = routing.apply(batchOf('deleted', b));
    expect([...withoutB.delta.services.set.keys()]).toEqual(['192.0.2.10/32']);
    expect([...withoutB.delta.services.removed]).toEqual(['10.96.1.2/32']);
    expect(textsOf(withoutB.problems)).toEqual([]);
    const withoutA = routing.apply(batchOf('changed', slice([], { of: 'a' })));
    expect([...withoutA.delta.services.removed].sort()).toEqual(['10.96.1.1/32', '192.0.2.10/32']);
  });
});

group('one change', () => {
  const many = Array.from({ length: 50 }, (_, i) => [
    service({ name: `s${i}`, clusterIps: [`10.96.1.${i}`] }),
    slice([there], { of: `s${i}` }),
  ]).flat();

  test('of one slice looks at one service', () => {
    const { routing } = seen(many);
    const outcome = routing.apply(batchOf('changed', slice([], { of: 's7' })));
    expect(outcome.recomputed).toEqual(['demo/s7']);
    expect([...outcome.delta.services.removed]).toEqual(['10.96.1.7/32']);
  });

  test('that changes no presence looks at nothing', () => {
    const { routing } = seen(many);
    const outcome = routing.apply(
      batchOf('changed', slice([there, { ...there, address: '10.244.1.9' }], { of: 's7' })),
    );
    expect([outcome.recomputed, outcome.delta.services.set.size]).toEqual([[], 0]);
  });

  test('a slice that comes to belong to another service', () => {
    const { routing } = seen([
      service(),
      service({ name: 'db', clusterIps: ['10.96.0.20'] }),
      slice([there], { name: 'x' }),
    ]);
    const { delta } = routing.apply(batchOf('changed', slice([there], { name: 'x', of: 'db' })));
    expect([[...delta.services.set.keys()], [...delta.services.removed]]).toEqual([
      ['10.96.0.20/32'],
      ['10.96.0.10/32'],
    ]);
  });

  test('the own node goes: nothing is announced; it comes back: all is', () => {
    const { routing } = seen(many);
    expect(routing.apply(batchOf('deleted', nodeN(1))).delta.services.removed.size).toBe(50);
    expect(routing.apply(batchOf('added', nodeN(1))).delta.services.set.size).toBe(50);
  });

  test('a cordon withdraws services by option', () => {
    const cordon = batchOf('changed', nodeN(1, { cordoned: true }));
    expect(seen(many).routing.apply(cordon).delta.services.removed.size).toBe(0);
    const options: RoutingOptions = { ...ALL, onCordon: 'withdrawServices' };
    expect(seen(many, options).routing.apply(cordon).delta.services.removed.size).toBe(50);
  });

  test('other flags look at all', () => {
    const { routing } = seen(many);
    const off = { ...ALL, advertise: { ...ALL.advertise, clusterIp: false } };
    expect(routing.configure(off).delta.services.removed.size).toBe(50);
    expect(routing.configure(ALL).delta.services.set.size).toBe(50);
    expect(routing.configure(ALL).recomputed).toEqual([]);
  });

  test('the own address decides about endpoints that do not say where they are', () => {
    const { routing } = seen([service({ internal: 'Local' }), slice([{ address: '10.0.0.9' }])]);
    const { delta } = routing.apply(batchOf('changed', nodeN(1, { ips: ['10.0.0.9'] })));
    expect([...delta.services.set.keys()]).toEqual(['10.96.0.10/32']);
  });
});
