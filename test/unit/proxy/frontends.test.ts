import { describe, expect, test } from '@jest/globals';
import type { ProxyOutcome } from '../../../src/proxy/proxy.js';
import type { Frontend } from '../../../src/proxy/proxyTypes.js';
import { nodeOf, RULES, serviceOf, sliceOf, view } from './proxyCluster.js';
import { batchOf, textsOf } from '../routing/cluster.js';
import { formatPrefix } from '../../../src/core/ip.js';

const CLUSTER_KEY = '4|10.96.0.10|TCP|80';
const balancer = { type: 'LoadBalancer', ports: [{ port: 80, nodePort: 30080 }] };

describe('which services count', () => {
  const none: readonly (readonly [string, ReturnType<typeof serviceOf>])[] = [
    ['headless', serviceOf({ clusterIPs: ['None'], clusterIP: 'None' })],
    ['without an address yet', serviceOf({ clusterIPs: [] })],
    ['ExternalName', serviceOf({ type: 'ExternalName', externalName: 'example.org' })],
    ["another proxy's", serviceOf({}, { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } })],
    ['labelled headless', serviceOf({}, { labels: { 'service.kubernetes.io/headless': '' } })],
  ];
  test.each(none)('%s: nothing is served', (_, service) => {
    const { keys, outcome, problems } = view([service, sliceOf([{ node: 'n1' }])]);
    expect(keys).toEqual([]);
    expect(outcome.delta.backends.set.size).toBe(0);
    expect(problems).toEqual([]);
  });

  test('a proxy name that means us', () => {
    const labels = { 'service.kubernetes.io/service-proxy-name': 'kube-router' };
    expect(view([serviceOf({}, { labels })]).keys).toEqual([CLUSTER_KEY]);
  });
});

describe('which frontends a service has', () => {
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
    { name: 'm3', port: 2905, protocol: 'SCTP' },
  ];
  test('several ports, one number with two protocols', () => {
    expect(view([serviceOf({ ports })]).keys).toEqual([
      '4|10.96.0.10|SCTP|2905',
      '4|10.96.0.10|TCP|53',
      '4|10.96.0.10|UDP|53',
    ]);
  });

  test('both families; external addresses of a family it has no cluster IP of are ignored silently', () => {
    const both = view([serviceOf({ type: 'NodePort', clusterIPs: ['10.96.0.10', 'fd96::10'], ports: balancer.ports })]);
    expect(both.keys).toEqual([CLUSTER_KEY, '4|nodeport|TCP|30080', '6|fd96::10|TCP|80', '6|nodeport|TCP|30080']);
    const one = view([serviceOf({ externalIPs: ['192.0.2.1', '2001:db8:1::1'] })]);
    expect(one.keys).toEqual([CLUSTER_KEY, '4|192.0.2.1|TCP|80']);
    expect(one.problems).toEqual([]);
  });

  test('a family that is off', () => {
    const spec = { clusterIPs: ['10.96.0.10', 'fd96::10'] };
    expect(view([serviceOf(spec)], { ...RULES, ipv4: false }).keys).toEqual(['6|fd96::10|TCP|80']);
  });

  test('node ports of a type that has none any more, or that were not allocated, are none', () => {
    expect(view([serviceOf({ type: 'ClusterIP', ports: balancer.ports })]).keys).toEqual([CLUSTER_KEY]);
    const none = { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false };
    expect(view([serviceOf(none)]).keys).toEqual([CLUSTER_KEY]);
  });

  test('balancer addresses: of mode VIP only, with their source ranges of the same family', () => {
    const ingress = [{ ip: '198.51.100.1' }, { ip: '198.51.100.2', ipMode: 'Proxy' }, { hostname: 'lb.example' }];
    const spec = { ...balancer, loadBalancerSourceRanges: ['203.0.113.0/24', '2001:db8::/32'] };
    const { keys, frontend } = view([serviceOf(spec, { ingress })]);
    expect(keys).toEqual([CLUSTER_KEY, '4|198.51.100.1|TCP|80', '4|nodeport|TCP|30080']);
    expect(frontend('4|198.51.100.1|TCP|80').sourceRanges?.map(formatPrefix)).toEqual(['203.0.113.0/24']);
    expect(frontend('4|nodeport|TCP|30080').sourceRanges).toBeUndefined();
    expect(frontend(CLUSTER_KEY).sourceRanges).toBeUndefined();
  });

  test('skiplbips leaves balancer addresses alone', () => {
    const annotations = { 'kube-router.io/service.skiplbips': '' };
    const service = serviceOf({ type: 'LoadBalancer' }, { ingress: [{ ip: '198.51.100.1' }], annotations });
    expect(view([service]).keys).toEqual([CLUSTER_KEY]);
  });

  test("an address that is external and the balancer's keeps the source ranges", () => {
    const spec = { ...balancer, externalIPs: ['10.0.0.99'], loadBalancerSourceRanges: ['203.0.113.0/24'] };
    const { frontend, problems } = view([serviceOf(spec, { ingress: [{ ip: '10.0.0.99' }] })]);
    expect(frontend('4|10.0.0.99|TCP|80')).toMatchObject({ kind: 'loadBalancer' });
    expect(frontend('4|10.0.0.99|TCP|80').sourceRanges).toHaveLength(1);
    expect(problems).toEqual([]);
  });
});

describe('how traffic is treated', () => {
  const cases: readonly {
    name: string;
    spec: Readonly<Record<string, unknown>>;
    annotations?: Readonly<Record<string, string>>;
    clusterIp: Partial<Frontend>;
    external: Partial<Frontend>;
  }[] = [
    {
      name: 'policy Cluster',
      spec: {},
      clusterIp: { policy: 'cluster', shortCircuit: false, masquerade: 'offCluster' },
      external: { policy: 'cluster', shortCircuit: false, masquerade: 'always' },
    },
    {
      name: 'external policy Local',
      spec: { externalTrafficPolicy: 'Local' },
      clusterIp: { policy: 'cluster' },
      external: { policy: 'local', shortCircuit: true, masquerade: 'never' },
    },
    {
      name: 'internal policy Local',
      spec: { internalTrafficPolicy: 'Local' },
      clusterIp: { policy: 'local', shortCircuit: false },
      external: { policy: 'cluster' },
    },
    {
      name: "kube-router's annotation for Local concerns traffic from outside",
      spec: {},
      annotations: { 'kube-router.io/service.local': 'true' },
      clusterIp: { policy: 'cluster' },
      external: { policy: 'local', shortCircuit: true },
    },
    {
      name: 'affinity',
      spec: { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } },
      clusterIp: { affinity: 60 },
      external: { affinity: 60 },
    },
    {
      name: 'affinity without a time',
      spec: { sessionAffinity: 'ClientIP' },
      clusterIp: { affinity: 10800 },
      external: { affinity: 10800 },
    },
    {
      name: 'direct server return is for external addresses',
      spec: {},
      annotations: { 'kube-router.io/service.dsr': 'tunnel' },
      clusterIp: { dsr: false },
      external: { dsr: true },
    },
  ];
  test.each(cases)('$name', ({ spec, annotations = {}, clusterIp, external }) => {
    const { frontend, problems } = view([
      serviceOf({ ...balancer, externalIPs: ['192.0.2.1'], ...spec }, { annotations }),
    ]);
    expect(frontend(CLUSTER_KEY)).toMatchObject(clusterIp);
    expect(frontend('4|192.0.2.1|TCP|80')).toMatchObject(external);
    // Node ports have no address of their own to return from.
    expect(frontend('4|nodeport|TCP|30080')).toMatchObject({ ...external, dsr: false });
    expect(problems).toEqual([]);
  });
});

describe('direct server return to a port that pods have to listen on themselves', () => {
  const annotations = { 'kube-router.io/service.dsr': 'tunnel' };
  const EXTERNAL = '4|192.0.2.1|TCP|80';
  const asking = (spec: object = {}) => serviceOf({ externalIPs: ['192.0.2.1'], ...spec }, { annotations });
  const at = (port: number, name = 'web-1') => sliceOf([{ node: 'n1' }], { name, ports: [{ port }] });

  test('the same port: direct', () => {
    const { frontend, problems } = view([asking(), at(80)]);
    expect(frontend(EXTERNAL).dsr).toBe(true);
    expect(problems).toEqual([]);
  });
  test('another port: served as others are, and said', () => {
    const { frontend, problems } = view([asking(), at(8080)]);
    expect(frontend(EXTERNAL).dsr).toBe(false);
    expect(problems).toEqual([
      expect.stringMatching(/^Service demo\/web port 80 is port 8080 of its endpoints.*without/),
    ]);
  });
  test('an empty slice says nothing, and neither do ports of a service with no such address', () => {
    const empty = sliceOf([], { ports: [{ port: 8080 }] });
    expect(view([asking(), empty]).frontend(EXTERNAL).dsr).toBe(true);
    expect(view([serviceOf({}, { annotations }), at(8080)]).problems).toEqual([]);
  });
  test('of two ports each for itself', () => {
    const ports = [
      { name: 'http', port: 80 },
      { name: 'https', port: 443 },
    ];
    const slice = sliceOf([{ node: 'n1' }], {
      ports: [
        { name: 'http', port: 80 },
        { name: 'https', port: 8443 },
      ],
    });
    const { frontend, problems } = view([asking({ ports }), slice]);
    expect([frontend(EXTERNAL).dsr, frontend('4|192.0.2.1|TCP|443').dsr]).toEqual([true, false]);
    expect(problems).toEqual([expect.stringContaining('port https (443) is port 8443')]);
  });
  test('it follows the slices: pods with another port come and go', () => {
    const { proxy } = view([asking(), at(80)]);
    const told = (outcome: ProxyOutcome) => [...outcome.delta.frontends.set.values()].map(({ key, dsr }) => [key, dsr]);
    const came = proxy.apply(batchOf('added', at(8080, 'web-2')));
    expect(told(came)).toEqual([[EXTERNAL, false]]);
    expect(textsOf(came.problems)).toEqual([expect.stringContaining('port 8080')]);
    const left = proxy.apply(batchOf('deleted', at(8080, 'web-2')));
    expect(told(left)).toEqual([[EXTERNAL, true]]);
    expect(textsOf(left.problems)).toEqual([]);
  });
});

describe('scheduling', () => {
  const of = (annotations: Readonly<Record<string, string>>) => {
    const { frontend, problems } = view([serviceOf({}, { annotations })]);
    return { scheduling: frontend(CLUSTER_KEY).scheduling, problems };
  };
  const SCHEDULER = 'kube-router.io/service.scheduler';
  const FLAGS = 'kube-router.io/service.schedflags';
  test.each(['rr', 'wrr', 'lc', 'wlc', 'sh', 'dh', 'mh', 'sed', 'nq'])('%s', scheduler => {
    expect(of({ [SCHEDULER]: scheduler })).toMatchObject({ scheduling: { scheduler }, problems: [] });
  });
  test('flags of mh', () => {
    expect(of({ [SCHEDULER]: 'mh', [FLAGS]: 'flag-1,flag-2' })).toEqual({
      scheduling: { scheduler: 'mh', fallback: true, port: true, flag3: false },
      problems: [],
    });
  });
  test('what is unknown is said and does no harm', () => {
    expect(of({ [SCHEDULER]: 'best', [FLAGS]: 'flag-1' })).toMatchObject({
      scheduling: { scheduler: 'rr', fallback: false },
      problems: [expect.stringContaining('"best" is none of'), expect.stringContaining('rr knows no flags')],
    });
    expect(of({ [SCHEDULER]: 'sh', [FLAGS]: 'flag-9' }).problems).toEqual([expect.stringContaining('"flag-9"')]);
    expect(of({ 'kube-router.io/service.dsr': 'yes' }).problems).toEqual([expect.stringContaining('only mode')]);
  });
  test('weights ask for a scheduler that looks at them, unless one is named', () => {
    expect(of({ 'peerage.io/service.weights': 'n1=3' }).scheduling.scheduler).toBe('wrr');
    expect(of({ 'peerage.io/service.weights': 'n1=3', [SCHEDULER]: 'sh' }).scheduling.scheduler).toBe('sh');
  });
});

describe('addresses that nobody may draw to himself', () => {
  const refused = (spec: Readonly<Record<string, unknown>>, rules = RULES): readonly string[] => {
    const other = serviceOf({ clusterIPs: ['10.0.0.200'] }, { name: 'other' });
    const { keys, problems } = view([serviceOf(spec), other], rules);
    expect(keys).toEqual(['4|10.0.0.200|TCP|80', CLUSTER_KEY]);
    return problems;
  };
  test.each([
    ['127.0.0.1', 'not an address of one host'],
    ['169.254.1.1', 'not an address of one host'],
    ['224.0.0.1', 'not an address of one host'],
    ['10.96.0.77', 'in a range of cluster IPs'],
    ['203.0.113.1', 'in none of the external IP ranges'],
    ['10.0.0.1', 'an address of Node n1'],
    ['10.0.0.2', 'an address of Node n2'],
    ['10.0.0.200', 'the cluster IP of Service demo/other'],
  ])('external IP %s: is %s', (ip, why) => {
    const problems = refused({ externalIPs: [ip] });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^Service demo/web external IP ${ip}.* is ${why}.*it is not served$`));
  });

  test("without strict validation, only what is nobody's to have", () => {
    const lax = { ...RULES, strictValidation: false };
    const served = ['203.0.113.1', '10.0.0.1', '10.96.0.77'];
    const { keys, problems } = view([serviceOf({ externalIPs: [...served, '127.0.0.1'] })], lax);
    expect(keys).toEqual([CLUSTER_KEY, ...served.map(ip => `4|${ip}|TCP|80`)].sort());
    expect(problems).toHaveLength(1);
    expect(refused({ externalIPs: ['10.0.0.200'] }, lax)).toHaveLength(1);
  });

  test("an address that becomes a node's is let go, and is had again when the node goes", () => {
    const { proxy, keys } = view([serviceOf({ externalIPs: ['10.0.0.7'] })]);
    expect(keys).toContain('4|10.0.0.7|TCP|80');
    const came = proxy.apply(batchOf('added', nodeOf(7)));
    expect([...came.delta.frontends.removed]).toEqual(['4|10.0.0.7|TCP|80']);
    expect([...came.delta.addresses.removed]).toEqual(['10.0.0.7']);
    expect(textsOf(came.problems)).toHaveLength(1);
    const gone = proxy.apply(batchOf('deleted', nodeOf(7)));
    expect([...gone.delta.frontends.set.keys()]).toEqual(['4|10.0.0.7|TCP|80']);
    expect(textsOf(gone.problems)).toEqual([]);
  });
});

describe('two services with one frontend', () => {
  const young = serviceOf({ externalIPs: ['192.0.2.1'] }, { name: 'a', created: '2026-02-01T00:00:00Z' });
  const old = serviceOf(
    { clusterIPs: ['10.96.0.11'], externalIPs: ['192.0.2.1'], ports: [{ port: 80 }, { name: 'x', port: 81 }] },
    { name: 'b', created: '2026-01-01T00:00:00Z' },
  );
  const KEY = '4|192.0.2.1|TCP|80';
  test('the older has it, whoever comes first, and the other is told', () => {
    for (const objects of [
      [young, old],
      [old, young],
    ]) {
      const { frontend, problems } = view(objects);
      expect(frontend(KEY).service).toBe('demo/b');
      expect(problems).toEqual([
        'Service demo/a external IP 192.0.2.1, port 80 (TCP, IPv4) belongs to Service demo/b, which goes before: it is not served',
      ]);
    }
  });
  test('when the older goes, the other gets it, and the address stays', () => {
    const { proxy } = view([young, old]);
    const { delta, problems } = proxy.apply(batchOf('deleted', old));
    expect(delta.frontends.set.get(KEY as never)?.service).toBe('demo/a');
    expect([...delta.frontends.removed].sort()).toEqual([
      '4|10.96.0.11|TCP|80',
      '4|10.96.0.11|TCP|81',
      '4|192.0.2.1|TCP|81',
    ]);
    expect([...delta.addresses.removed]).toEqual(['10.96.0.11']);
    expect(textsOf(problems)).toEqual([]);
  });
  test('of equal age: the first by name; other ports of the address are shared', () => {
    const twin = serviceOf({ clusterIPs: ['10.96.0.12'], externalIPs: ['192.0.2.1'] }, { name: 'c' });
    const first = serviceOf({ externalIPs: ['192.0.2.1'], ports: [{ port: 80 }, { name: 'y', port: 8443 }] });
    const { frontend } = view([first, twin]);
    expect(frontend(KEY).service).toBe('demo/c');
    expect(frontend('4|192.0.2.1|TCP|8443').service).toBe('demo/web');
  });
  test('a node port', () => {
    const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] };
    const { problems } = view([
      serviceOf(spec, { name: 'a' }),
      serviceOf({ ...spec, clusterIPs: ['10.96.0.11'] }, { name: 'b' }),
    ]);
    expect(problems).toEqual([
      'Service demo/b node port 30080 (TCP, IPv4) belongs to Service demo/a, which goes before: it is not served',
    ]);
  });
});
