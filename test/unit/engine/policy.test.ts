import { describe, expect, test } from '@jest/globals';
import { NO_POLICIES, type Policy, type PolicySet, type PolicyTerm } from '../../../src/bgp/policyTypes.js';
import { prefix, Routers, type TestRouter } from './routers.js';

function policy(terms: readonly Partial<PolicyTerm>[], otherwise: Policy['otherwise'] = 'accept'): Policy {
  return {
    terms: terms.map((differences, i) => ({
      name: `term${i}`,
      match: {},
      changes: {},
      verdict: 'accept',
      ...differences,
    })),
    otherwise,
  };
}

function set(policies: PolicySet['policies'], others: Partial<PolicySet> = {}): PolicySet {
  return { ...NO_POLICIES, ...others, policies };
}

const REJECT = policy([], 'reject');

/** Router 1 and router 2 in different ASes, up. */
async function pair(): Promise<{ world: Routers; a: TestRouter; b: TestRouter }> {
  const world = new Routers();
  const a = world.router(1);
  const b = world.router(2);
  await a.peer(b).originate('192.0.2.0/24', '198.51.100.0/24').apply();
  await b.peer(a).apply();
  await world.settle();
  expect(b.learned(a)).toEqual(['192.0.2.0/24', '198.51.100.0/24']);
  return { world, a, b };
}

describe('import policy', () => {
  test('takes effect on what is held, and is undone, without a word to the peer', async () => {
    const { a, b } = await pair();
    const sent = b.engine.peer('r1')!.messages.sent;
    await b
      .peer(a, { importPolicy: ['none'] })
      .with({ policies: set({ none: REJECT }) })
      .apply();
    expect(b.learned(a)).toEqual([]);
    expect([...b.engine.adjIn('r1', {})!].map(route => [route.prefix, route.reason])).toEqual([
      ['192.0.2.0/24', 'rejected by import policy none (otherwise)'],
      ['198.51.100.0/24', 'rejected by import policy none (otherwise)'],
    ]);
    await b.with({ policies: set({ none: policy([{ changes: { localPref: 7 } }]) }) }).apply();
    expect(b.route('192.0.2.0/24')).toMatchObject({ best: true, localPref: 7 });
    expect([...b.engine.adjIn('r1', {})!][0]).toMatchObject({ localPref: null });
    await b.peer(a).apply();
    expect(b.route('192.0.2.0/24')).toMatchObject({ best: true, localPref: null });
    const after = b.engine.peer('r1')!.messages.sent;
    expect([after['open'], after['routeRefresh']]).toEqual([sent['open'], 0]);
  });

  test('of a name that means something else now is applied anew; other changes of the set touch nobody', async () => {
    const { a, b } = await pair();
    await b
      .peer(a, { importPolicy: ['p'] })
      .with({ policies: set({ p: policy([{ changes: { med: 1 } }]) }) })
      .apply();
    expect(b.route('192.0.2.0/24')).toMatchObject({ med: 1 });
    await b.with({ policies: set({ p: policy([{ changes: { med: 2 } }]), q: REJECT }) }).apply();
    expect(b.route('192.0.2.0/24')).toMatchObject({ med: 2 });
  });

  test('GRACEFUL_SHUTDOWN of an eBGP peer lowers the preference, unless it shall not', async () => {
    const { a, b } = await pair();
    await a.originate({ prefix: '192.0.2.0/24', communities: [0xffff0000] }).apply();
    expect(b.route('192.0.2.0/24')).toMatchObject({ localPref: 0, communities: ['graceful-shutdown'] });
    await b.peer(a, { honorGracefulShutdown: false }).apply();
    expect(b.route('192.0.2.0/24')).toMatchObject({ localPref: null });
  });

  test('where a policy is required, none means nothing goes in or out (RFC 8212)', async () => {
    const { a, b } = await pair();
    await b.peer(a, { requirePolicy: true }).originate('203.0.113.0/24').apply();
    expect([b.learned(a), a.learned(b)]).toEqual([[], []]);
    const all = set({ all: policy([]) });
    await b
      .peer(a, { requirePolicy: true, importPolicy: ['all'], exportPolicy: ['all'] })
      .with({ policies: all })
      .apply();
    expect([b.learned(a), a.learned(b)]).toEqual([['192.0.2.0/24', '198.51.100.0/24'], ['203.0.113.0/24']]);
  });
});

describe('export policy', () => {
  const lists = { prefixLists: { test1: [{ prefix: prefix('192.0.2.0/24'), action: 'permit' }] } } as const;

  test('takes back what it no longer tells, and tells it again', async () => {
    const { a, b } = await pair();
    const some = set({ some: policy([{ match: { prefixes: ['test1'] }, verdict: 'reject' }]) }, lists);
    await a
      .peer(b, { exportPolicy: ['some'] })
      .with({ policies: some })
      .apply();
    expect(b.learned(a)).toEqual(['198.51.100.0/24']);
    expect(a.engine.peer('r2')!.advertised['ipv4-unicast']).toBe(1);
    await a.peer(b).apply();
    expect(b.learned(a)).toEqual(['192.0.2.0/24', '198.51.100.0/24']);
    expect(b.engine.peer('r1')!.timesEstablished).toBe(1);
  });

  test('takes back also what is withdrawn while it changes', async () => {
    const { world, a, b } = await pair();
    const none = set({ none: REJECT });
    a.peer(b, { exportPolicy: ['none'] })
      .with({ policies: none })
      .originate('198.51.100.0/24');
    await a.apply();
    await world.settle();
    expect(b.learned(a)).toEqual([]);
    expect(a.routes()).toHaveLength(1);
  });

  test('changes attributes on the way out, and prepends', async () => {
    const { a, b } = await pair();
    const changes = {
      med: 30,
      prepend: { count: 2 },
      addCommunities: [0xfde80001],
      addLargeCommunities: [[65001, 1, 2]],
    } as const;
    await a
      .peer(b, { exportPolicy: ['p'] })
      .with({ policies: set({ p: policy([{ changes }]) }) })
      .apply();
    expect(b.route('192.0.2.0/24')).toMatchObject({
      asPath: '65001 65001 65001',
      med: 30,
      communities: ['65000:1'],
      largeCommunities: ['65001:1:2'],
    });
    expect([...a.engine.adjOut('r2', {})!][0]).toMatchObject({ asPath: '65001 65001 65001', med: 30 });
    // What is told does not change what is held.
    expect(a.route('192.0.2.0/24')).toMatchObject({ asPath: '', med: null, communities: [] });
  });

  test('knows networks by their tags', async () => {
    const { a, b } = await pair();
    const byTag = set({
      p: policy([
        { match: { tags: ['pod'] }, verdict: 'reject' },
        { match: { tags: ['clusterIp', 'externalIp'] }, changes: { med: 5 } },
      ]),
    });
    await a
      .peer(b, { exportPolicy: ['p'] })
      .with({ policies: byTag })
      .originate(
        { prefix: '10.1.0.0/24', tag: 'pod' },
        { prefix: '10.2.0.1/32', tag: 'clusterIp' },
        { prefix: '10.3.0.1/32', tag: 'loadBalancerIp' },
      )
      .apply();
    expect(b.routes().map(({ prefix: p, med }) => [p, med])).toEqual([
      ['10.2.0.1/32', 5],
      ['10.3.0.1/32', null],
    ]);
  });

  test('MED of a neighbouring AS goes no further, what a policy says does', async () => {
    const { world, a, b } = await pair();
    const c = world.router(3);
    await c.peer(b).apply();
    await a.originate({ prefix: '192.0.2.0/24', med: 77 }, { prefix: '198.51.100.0/24', med: 78 }).apply();
    const some = set({ some: policy([{ match: { prefixes: ['test1'] }, changes: { addMed: 3 } }]) }, lists);
    await b
      .peer(c, { exportPolicy: ['some'] })
      .with({ policies: some })
      .apply();
    await world.settle();
    expect(b.route('192.0.2.0/24')).toMatchObject({ med: 77 });
    expect(c.routes().map(({ prefix: p, med }) => [p, med])).toEqual([
      ['192.0.2.0/24', 80],
      ['198.51.100.0/24', null],
    ]);
  });

  test('next hops are those of the policy, and of the session where it says none', async () => {
    const world = new Routers();
    const [a, b, c] = [world.router(1), world.router(2, 65000), world.router(3, 65000)];
    await a.peer(b).originate('192.0.2.0/24', '198.51.100.0/24').apply();
    const self = set({ p: policy([{ match: { prefixes: ['test1'] }, changes: { nextHop: 'self' } }]) }, lists);
    await b
      .peer(a)
      .peer(c, { exportPolicy: ['p'] })
      .with({ policies: self })
      .apply();
    await c.peer(b).apply();
    await world.settle();
    const nextHops = (): string[][] => c.routes().map(route => [route.prefix, route.nextHop]);
    expect(nextHops()).toEqual([
      ['192.0.2.0/24', '10.0.0.2'],
      ['198.51.100.0/24', '10.0.0.1'],
    ]);
    const fixed = { version: 4, value: 0x0a000009 } as const;
    const given = set({ p: policy([{ match: { prefixes: ['test1'] }, changes: { nextHop: fixed as never } }]) }, lists);
    await b
      .peer(c, { exportPolicy: ['p'], nextHopSelf: 'always' })
      .with({ policies: given })
      .apply();
    expect(nextHops()).toEqual([
      ['192.0.2.0/24', '10.0.0.9'],
      ['198.51.100.0/24', '10.0.0.2'],
    ]);
  });
});

describe('what a peer is not told', () => {
  test('is said with the reason, when it is asked for', async () => {
    const { world, b } = await pair();
    const [c, d] = [world.router(3), world.router(4, 65002)];
    const rules = policy([{ match: { prefixes: ['test1'] }, verdict: 'reject' }]);
    const lists = { prefixLists: { test1: [{ prefix: prefix('192.0.2.0/24'), action: 'permit' }] } } as const;
    await c.peer(b).peer(d).originate('203.0.113.0/24').apply();
    await b
      .peer(c, { exportPolicy: ['p'] })
      .peer(d, { announce: 'own' })
      .originate({ prefix: '10.96.0.0/12', aggregate: { summaryOnly: true } }, '10.96.0.1/32', {
        prefix: '10.1.0.0/16',
        communities: [0xffffff01],
      })
      .with({ policies: set({ p: rules }, lists) })
      .apply();
    await d.peer(b).peer(c).apply();
    await world.settle(10);
    const shown = (to: string): unknown[] =>
      [...b.engine.adjOut(to, { family: 'ipv4-unicast', untold: true })!].map(route => [route.prefix, route.reason]);
    const hidden = 'an aggregate is told in its place';
    expect(shown('r3')).toEqual([
      ['10.1.0.0/16', 'it has the community no-export (RFC 1997)'],
      ['10.96.0.0/12', null],
      ['10.96.0.1/32', hidden],
      ['192.0.2.0/24', 'rejected by export policy p term0'],
      ['198.51.100.0/24', null],
      ['203.0.113.0/24', 'the best path came from this peer'],
    ]);
    expect(shown('r4')).toEqual([
      ['10.1.0.0/16', null],
      ['10.96.0.0/12', null],
      ['10.96.0.1/32', hidden],
      ['192.0.2.0/24', expect.stringContaining('announce: own')],
      ['198.51.100.0/24', expect.stringContaining('announce: own')],
      ['203.0.113.0/24', expect.stringContaining('announce: own')],
    ]);
    expect([...b.engine.adjOut('r3', {})!].map(route => route.prefix)).toEqual(['10.96.0.0/12', '198.51.100.0/24']);
    expect([...b.engine.adjOut('r3', { prefix: '192.0.2.0/24', untold: true })!]).toMatchObject([
      { best: false, from: 'r1', asPath: '65001' },
    ]);
    expect([...b.engine.adjOut('r3', { prefix: '192.0.2.0/25', untold: true })!]).toEqual([]);
  });
});

describe('draining (RFC 8326)', () => {
  test('is said to all peers and taken back, and the routes stay', async () => {
    const world = new Routers();
    const [a, b, c] = [world.router(1), world.router(2, 65001), world.router(3)];
    await a.peer(b).peer(c).originate('192.0.2.0/24').apply();
    await b.peer(a).apply();
    await c.peer(a).apply();
    await world.settle();
    a.engine.drain(true);
    await world.settle();
    const drained = { best: true, localPref: 0, communities: ['graceful-shutdown'] };
    expect(b.route('192.0.2.0/24')).toMatchObject(drained);
    expect(c.route('192.0.2.0/24')).toMatchObject(drained);
    a.engine.drain(false);
    await world.settle();
    expect(b.route('192.0.2.0/24')).toMatchObject({ localPref: 100, communities: [] });
    expect(c.route('192.0.2.0/24')).toMatchObject({ localPref: null, communities: [] });
  });
});

describe('aggregates', () => {
  const aggregate = { prefix: '10.96.0.0/12', aggregate: { summaryOnly: true } } as const;
  const vip = { prefix: '10.96.0.10/32', tag: 'clusterIp' } as const;

  test('stand for what is inside, as long as something is', async () => {
    const { a, b } = await pair();
    await a.originate(aggregate).apply();
    expect(b.learned(a)).toEqual([]);
    await a.originate(aggregate, vip, '192.0.2.0/24').apply();
    expect(b.learned(a)).toEqual(['10.96.0.0/12', '192.0.2.0/24']);
    expect(a.routes().map(route => route.prefix)).toEqual(['10.96.0.0/12', '10.96.0.10/32', '192.0.2.0/24']);
    await a.originate(aggregate).apply();
    expect(b.learned(a)).toEqual([]);
  });

  test('leave out what must stay specific, and hide nothing when they shall not', async () => {
    const { a, b } = await pair();
    await a.originate(aggregate, vip, { prefix: '10.96.0.11/32', keepSpecific: true }).apply();
    expect(b.learned(a)).toEqual(['10.96.0.0/12', '10.96.0.11/32']);
    await a.originate({ ...aggregate, aggregate: { summaryOnly: false } }, vip).apply();
    expect(b.learned(a)).toEqual(['10.96.0.0/12', '10.96.0.10/32']);
  });
});

describe('too many prefixes (RFC 4486)', () => {
  const limit = { limit: 1, action: 'restart', restartAfter: 60 } as const;
  const stateOf = (router: TestRouter): string | undefined => router.engine.peers()[0]?.state;

  test('end the session, which begins again after a while', async () => {
    const { world, a, b } = await pair();
    await b.peer(a, { maxPrefixes: { 'ipv4-unicast': limit } }).apply();
    expect(stateOf(b)).toBe('Idle');
    expect(b.routes()).toEqual([]);
    expect(a.engine.peers()[0]?.lastError?.text).toContain('Maximum Number of Prefixes Reached');
    expect(b.engine.peers()[0]?.lastError?.text).toContain('2 ipv4-unicast prefixes, and 1 are allowed');
    await a.originate('192.0.2.0/24').apply();
    await world.settle(40);
    expect(stateOf(b)).toBe('Idle');
    await world.settle(30);
    expect(stateOf(b)).toBe('Established');
    expect(b.learned(a)).toEqual(['192.0.2.0/24']);
    await a.originate('192.0.2.0/24', '198.51.100.0/24').apply();
    expect(stateOf(b)).toBe('Idle');
  });

  test('and nothing begins again once the router has stopped', async () => {
    const { world, a, b } = await pair();
    await b.peer(a, { maxPrefixes: { 'ipv4-unicast': limit } }).apply();
    const stopped = b.engine.stop('shutdown');
    await world.settle();
    await stopped;
    await world.settle(100);
    expect(stateOf(b)).toBe('Idle');
    expect(stateOf(a)).not.toBe('Established');
  });

  test('or keep it down until an operator enables the peer', async () => {
    const { world, a, b } = await pair();
    await b.peer(a, { maxPrefixes: { 'ipv4-unicast': { ...limit, action: 'idle' } } }).apply();
    expect(stateOf(b)).toBe('Disabled');
    await a.originate('192.0.2.0/24').apply();
    await world.settle(100);
    expect(stateOf(b)).toBe('Disabled');
    b.engine.enablePeer('r1');
    await world.settle(10);
    expect(stateOf(b)).toBe('Established');
  });

  test('or are only spoken of, once, and before that when there are nearly too many', async () => {
    const { a, b } = await pair();
    const warn = { limit: 3, warnAt: 2, action: 'warn', restartAfter: 0 } as const;
    await b.peer(a, { maxPrefixes: { 'ipv4-unicast': warn } }).apply();
    await a.originate('10.1.0.0/24', '10.2.0.0/24', '10.3.0.0/24').apply();
    await a.originate('10.1.0.0/24', '10.2.0.0/24', '10.3.0.0/24', '10.4.0.0/24').apply();
    await a.originate('10.1.0.0/24', '10.2.0.0/24', '10.3.0.0/24', '10.4.0.0/24', '10.5.0.0/24').apply();
    const said = b.events.flatMap(event => (event.kind === 'prefixLimit' ? [[event.count, event.isExceeded]] : []));
    expect(said).toEqual([
      [2, false],
      [4, true],
    ]);
    expect(stateOf(b)).toBe('Established');
  });
});
