import { describe as group, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { KubeObject } from '../../../../src/kube/objectTypes.js';
import {
  createLoadBalancer,
  type LoadBalancer,
  type LoadBalancerOutcome,
} from '../../../../src/routing/loadBalancer/loadBalancer.js';
import { BALANCER_CLASSES, type LoadBalancerOptions, type Pool } from '../../../../src/routing/loadBalancer/pools.js';
import { batchOf, objectOf, textsOf } from '../cluster.js';
import { prefix } from '../serviceCluster.js';

interface Spec {
  readonly name: string;
  readonly namespace?: string;
  readonly created?: string;
  readonly held?: readonly string[];
  readonly asks?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly clusterIps?: readonly string[];
  readonly class?: string;
  readonly port?: number;
  readonly type?: string;
  readonly local?: boolean;
}

function balancer(spec: Spec): KubeObject {
  const { name, namespace = 'demo', annotations = {}, clusterIps = ['10.96.0.1'], type = 'LoadBalancer' } = spec;
  return objectOf({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, annotations, labels: spec.labels, creationTimestamp: spec.created },
    spec: {
      type,
      clusterIPs: clusterIps,
      loadBalancerIP: spec.asks,
      loadBalancerClass: spec.class,
      externalTrafficPolicy: spec.local === true ? 'Local' : 'Cluster',
      ports: [{ port: spec.port ?? 80 }],
    },
    status: { loadBalancer: { ingress: (spec.held ?? []).map(ip => ({ ip })) } },
  });
}

const pool = (name: string, ranges: readonly string[], rest: Partial<Pool> = {}): Pool => ({
  name,
  ranges: ranges.map(prefix),
  automatic: true,
  ...rest,
});
const optionsOf = (...pools: readonly Pool[]): LoadBalancerOptions => ({
  pools,
  defaultClass: true,
  classes: BALANCER_CLASSES,
});
function leader(options: LoadBalancerOptions): LoadBalancer {
  const balance = createLoadBalancer(options);
  balance.lead(true);
  return balance;
}
const SMALL = optionsOf(pool('small', ['192.0.2.0/29', 'fd00:1b::/126']));

/** What services of ours shall have. */
function due({ due: wanted }: LoadBalancerOutcome): Readonly<Record<string, readonly string[]>> {
  const ours = [...wanted].filter(([, { onlyOurs }]) => !onlyOurs);
  return Object.fromEntries(ours.map(([name, { ips }]) => [name.replace('demo/', ''), ips]));
}
function given(specs: readonly Spec[], options: LoadBalancerOptions = SMALL) {
  const outcome = leader(options).apply(batchOf('added', ...specs.map(balancer)));
  return { due: due(outcome), problems: textsOf(outcome.problems) };
}
const sharing = (key: string): Readonly<Record<string, string>> => ({ 'peerage.io/loadbalancer.sharing-key': key });
const asking = (ips: string): Readonly<Record<string, string>> => ({ 'peerage.io/loadbalancer.ips': ips });

group('who gets what', () => {
  test.each<[string, readonly Spec[], Readonly<Record<string, readonly string[]>>, readonly (string | RegExp)[]]>([
    [
      'the oldest first, and never the network address',
      [
        { name: 'a', created: '2026-01-02T00:00:00Z' },
        { name: 'b', created: '2026-01-01T00:00:00Z' },
      ],
      { b: ['192.0.2.1'], a: ['192.0.2.2'] },
      [],
    ],
    ['dual stack', [{ name: 'a', clusterIps: ['fd96::1', '10.96.0.1'] }], { a: ['192.0.2.1', 'fd00:1b::1'] }, []],
    ['what is held stays', [{ name: 'a' }, { name: 'b', held: ['192.0.2.1'] }], { a: ['192.0.2.2'] }, []],
    [
      'two hold the same: the older keeps it',
      [
        { name: 'a', held: ['192.0.2.4'], created: '2026-01-02T00:00:00Z' },
        { name: 'b', held: ['192.0.2.4'], created: '2026-01-01T00:00:00Z' },
      ],
      { a: ['192.0.2.1'] },
      [],
    ],
    ['what is held and is in no pool is given up', [{ name: 'a', held: ['203.0.113.1'] }], { a: ['192.0.2.1'] }, []],
    ['a network address is given up too', [{ name: 'a', held: ['192.0.2.0'] }], { a: ['192.0.2.1'] }, []],
    [
      'asked for in the spec',
      [{ name: 'a', asks: '192.0.2.5' }, { name: 'b' }],
      { a: ['192.0.2.5'], b: ['192.0.2.1'] },
      [],
    ],
    [
      'the annotation goes before the spec',
      [{ name: 'a', asks: '192.0.2.5', annotations: asking('192.0.2.6') }],
      { a: ['192.0.2.6'] },
      [],
    ],
    [
      'one that is asked for moves a service that holds another',
      [{ name: 'a', held: ['192.0.2.1'], asks: '192.0.2.5' }],
      { a: ['192.0.2.5'] },
      [],
    ],
    [
      'asked for and held by another, even a younger one',
      [
        { name: 'a', asks: '192.0.2.5', created: '2026-01-01T00:00:00Z' },
        { name: 'b', held: ['192.0.2.5'], created: '2026-01-02T00:00:00Z' },
      ],
      {},
      ['Service demo/a asks for 192.0.2.5, which Service demo/b has: they do not have the same sharing key'],
    ],
    [
      'asked for and not to be had',
      [{ name: 'a', annotations: asking('192.0.2.7, fd00:1b::1, nonsense') }],
      {},
      [
        /^Service demo\/a annotation peerage\.io\/loadbalancer\.ips: "nonsense" is not an IP address; it is left out/,
        'Service demo/a asks for 192.0.2.7, which is no address of pool small that can be given out',
        'Service demo/a asks for fd00:1b::1, and has no cluster IP of IPv6',
      ],
    ],
    [
      'none is left',
      Array.from({ length: 7 }, (_, i) => ({ name: `s${i}` })),
      Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`s${i}`, [`192.0.2.${i + 1}`]])),
      ['Service demo/s6 gets no IPv4 address: none is free in pool small'],
    ],
    ['another class', [{ name: 'a', class: 'other', held: ['203.0.113.1'] }], {}, []],
    [
      'an address that another load balancer has given out',
      [{ name: 'a', class: 'other', held: ['192.0.2.1'] }, { name: 'b' }],
      { b: ['192.0.2.2'] },
      [],
    ],
    ['our class', [{ name: 'a', class: 'kube-router' }], { a: ['192.0.2.1'] }, []],
    ['no load balancer', [{ name: 'a', type: 'ClusterIP' }], {}, []],
  ])('%s', (_name, specs, expected, problems) => {
    const found = given(specs);
    expect(found.due).toEqual(expected);
    expect(found.problems).toHaveLength(problems.length);
    for (const [i, text] of problems.entries())
      expect(found.problems[i]).toEqual(typeof text === 'string' ? text : expect.stringMatching(text));
  });

  test('ranges of one and two addresses are used whole', () => {
    const tiny = optionsOf(pool('tiny', ['192.0.2.8/31', '192.0.2.20/32']));
    expect(
      given(
        ['a', 'b', 'c'].map(name => ({ name })),
        tiny,
      ).due,
    ).toEqual({
      a: ['192.0.2.8'],
      b: ['192.0.2.9'],
      c: ['192.0.2.20'],
    });
  });

  test('services without a class only where that is the default', () => {
    expect(given([{ name: 'a' }], { ...SMALL, defaultClass: false }).due).toEqual({});
  });

  test('without pools nothing is touched', () => {
    expect(given([{ name: 'a', held: ['192.0.2.1'] }], optionsOf())).toEqual({ due: {}, problems: [] });
  });
});

group('pools', () => {
  const gold = pool('gold', ['198.51.100.0/24'], { labels: { tier: 'gold' } });
  const shop = pool('shop', ['203.0.113.0/24'], { namespaces: ['shop'] });
  const byHand = pool('by-hand', ['192.0.2.0/28'], { automatic: false });
  const options = optionsOf(gold, shop, byHand);

  test.each<[string, Spec, readonly string[] | undefined]>([
    ['by label', { name: 'a', labels: { tier: 'gold' } }, ['198.51.100.1']],
    ['by namespace', { name: 'a', namespace: 'shop' }, ['203.0.113.1']],
    ['none for this service', { name: 'a' }, undefined],
    ['by hand only', { name: 'a', asks: '192.0.2.3' }, ['192.0.2.3']],
    ['another pool cannot be asked', { name: 'a', asks: '198.51.100.3' }, undefined],
    [
      'by name, where the service may',
      {
        name: 'a',
        namespace: 'shop',
        labels: { tier: 'gold' },
        annotations: { 'peerage.io/loadbalancer.pool': 'shop' },
      },
      ['203.0.113.1'],
    ],
  ])('%s', (_name, spec, ips) => {
    expect(Object.values(given([spec], options).due)).toEqual(ips === undefined ? [] : [ips]);
  });
});

group('sharing', () => {
  test('one address for services with the same key and other ports', () => {
    const specs = [80, 443, 80].map((port, i) => ({ name: `s${i}`, port, annotations: sharing('web') }));
    expect(given(specs).due).toEqual({ s0: ['192.0.2.1'], s1: ['192.0.2.1'], s2: ['192.0.2.2'] });
  });

  test('not with a traffic policy Local, nor with another key', () => {
    const [a, b] = [
      { name: 'a', port: 80, annotations: sharing('x'), local: true },
      { name: 'b', port: 81, annotations: sharing('x') },
    ];
    expect(given([a, b]).due).toEqual({ a: ['192.0.2.1'], b: ['192.0.2.2'] });
    expect(
      given([
        { ...a, local: false },
        { ...b, annotations: sharing('y') },
      ]).due,
    ).toMatchObject({ b: ['192.0.2.2'] });
  });

  test('what is asked for may be shared, and says why not', () => {
    const first = { name: 'a', held: ['192.0.2.4'], annotations: sharing('x') };
    const second = { name: 'b', asks: '192.0.2.4', annotations: sharing('x') };
    expect(given([first, { ...second, port: 81 }]).due).toEqual({ b: ['192.0.2.4'] });
    expect(given([first, second]).problems).toEqual([
      'Service demo/b asks for 192.0.2.4, which Service demo/a has: both use TCP/80',
    ]);
  });
});

group('one change', () => {
  test('a service that goes gives its address to one that waits, and its problem clears', () => {
    const balance = leader(optionsOf(pool('one', ['192.0.2.9/32'])));
    const [a, b] = [balancer({ name: 'a', held: ['192.0.2.9'] }), balancer({ name: 'b' })];
    expect(textsOf(balance.apply(batchOf('added', a, b)).problems)).toHaveLength(1);
    const after = balance.apply(batchOf('deleted', a));
    expect([due(after), textsOf(after.problems), [...after.problems.keys()]]).toEqual([
      { b: ['192.0.2.9'] },
      [],
      ['load balancer demo/b'],
    ]);
  });

  test('what is due stays due until the status says so', () => {
    const balance = leader(SMALL);
    balance.apply(batchOf('added', balancer({ name: 'a' })));
    expect(due(balance.apply(batchOf('added', balancer({ name: 'b', type: 'ClusterIP' }))))).toEqual({
      a: ['192.0.2.1'],
    });
    expect(due(balance.apply(batchOf('changed', balancer({ name: 'a', held: ['192.0.2.1'] }))))).toEqual({});
  });

  test('only who leads works addresses out, and then for all there is', () => {
    const balance = createLoadBalancer(SMALL);
    const full = balancer({ name: 'b', asks: '198.51.100.1' });
    const before = balance.apply(batchOf('added', balancer({ name: 'a' }), full));
    expect([due(before), textsOf(before.problems)]).toEqual([{}, []]);
    const leading = balance.lead(true);
    expect([due(leading), textsOf(leading.problems)]).toEqual([
      { a: ['192.0.2.1'] },
      [expect.stringContaining('asks')],
    ]);
    const after = balance.lead(false);
    expect([due(after), textsOf(after.problems), after.problems.size]).toEqual([{}, [], 1]);
  });

  test('what it held goes along, for whoever writes', () => {
    const balance = leader(optionsOf(pool('new', ['198.51.100.0/24'])));
    const { due: wanted } = balance.apply(batchOf('added', balancer({ name: 'a', held: ['192.0.2.1'] })));
    expect([...wanted.values()]).toEqual([
      { namespace: 'demo', name: 'a', ips: ['198.51.100.1'], before: ['192.0.2.1'], onlyOurs: false },
    ]);
  });

  test('a service of another class gives back what it has, if it is of us', () => {
    const balance = leader(SMALL);
    balance.apply(
      batchOf('added', balancer({ name: 'a', held: ['192.0.2.1'] }), balancer({ name: 'b', class: 'other' })),
    );
    const { due: wanted } = balance.configure({ ...SMALL, defaultClass: false });
    expect([...wanted.values()]).toEqual([
      { namespace: 'demo', name: 'a', ips: [], before: ['192.0.2.1'], onlyOurs: true },
    ]);
  });

  test('other pools move services', () => {
    const balance = leader(SMALL);
    balance.apply(batchOf('added', balancer({ name: 'a', held: ['192.0.2.1'] })));
    expect(due(balance.configure(optionsOf(pool('new', ['198.51.100.0/24']))))).toEqual({ a: ['198.51.100.1'] });
  });
});

const some = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  created: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
  held: fc.subarray(['192.0.2.1', '192.0.2.2', '192.0.2.7', 'fd00:1b::1'], { maxLength: 2 }),
  asks: fc.option(fc.constantFrom('192.0.2.1', '192.0.2.3', '192.0.2.0'), { nil: undefined }),
  key: fc.constantFrom('', 'x'),
  port: fc.constantFrom(80, 81),
  clusterIps: fc.constantFrom(['10.96.0.1'], ['10.96.0.1', 'fd96::1']),
});

test('nobody shares unasked, no network or broadcast address is given, and written statuses are stable', () => {
  fc.assert(
    fc.property(fc.uniqueArray(some, { selector: ({ name }) => name }), list => {
      const specs = list.map(({ key, asks, ...rest }): Spec => {
        return { ...rest, ...(asks === undefined ? {} : { asks }), annotations: key === '' ? {} : sharing(key) };
      });
      const first = given(specs).due;
      const written = specs.map((spec): Spec => ({ ...spec, held: first[spec.name] ?? spec.held ?? [] }));
      expect(given(written).due).toEqual({});
      for (const [i, a] of written.entries()) {
        for (const ip of a.held ?? []) expect(['192.0.2.0', '192.0.2.7', 'fd00:1b::']).not.toContain(ip);
        for (const b of written.slice(i + 1)) {
          if (!(a.held ?? []).some(ip => b.held?.includes(ip))) continue;
          expect([a.annotations, a.port === b.port]).toEqual([sharing('x'), false]);
          expect(b.annotations).toEqual(sharing('x'));
        }
      }
    }),
    { numRuns: 500 },
  );
});
