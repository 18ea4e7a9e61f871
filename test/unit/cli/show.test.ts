import { describe, expect, test } from '@jest/globals';
import type { RouteView } from '../../../src/api/view.js';
import { neighborFields } from '../../../src/cli/show.js';
import { createFakeRouter, FIB_ROUTE, route, TOR_DETAIL, withServer } from '../api/fakeRouter.js';
import { run, type Run } from './commandLine.js';

const ROUTES: readonly RouteView[] = [
  route(0),
  route(0, { nextHop: '10.0.0.253', from: 'tor-2', best: false, reason: 'igpMetric', med: null }),
  route(1, { prefix: '2001:db8:1::/48', family: 'ipv6-unicast', from: 'local', asPath: '', origin: 'incomplete' }),
  route(2, {
    prefix: '192.0.2.0/24',
    best: false,
    multipath: false,
    stale: true,
    localPref: 100,
    largeCommunities: ['64999:1:2'],
    originatorId: '10.0.0.9',
    clusterList: ['10.0.0.1', '10.0.0.2'],
    other: { aggregator: 'AS64999 10.0.0.1' },
  }),
];

/** Runs `peerage show …` against a router with these routes. */
async function show(routes: readonly RouteView[] | number, ...args: string[]): Promise<Run & { calls: string[] }> {
  const { view, calls } = createFakeRouter(routes);
  let result: Run | undefined;
  await withServer(view, async path => {
    result = await run('show', ...args, '--control', path);
  });
  return { ...result!, calls };
}

/** A table as in the source: without the first line's break, and without indentation. */
function table(text: string): string {
  return `${text
    .slice(1)
    .split('\n')
    .slice(0, -1)
    .map(line => line.slice(4))
    .join('\n')}\n`;
}

describe('tables', () => {
  test('peers', async () => {
    expect((await show(0, 'peers')).out).toBe(
      table(`
    NAME              ADDRESS        AS  STATE           UP  RECEIVED  TOLD  LAST ERROR
    tor-1             10.0.0.254  64999  Established  1d02h   1150000     4
    clients@10.0.0.7  10.0.0.7      any  Idle             -         0     0  connection refused
    `),
    );
  });

  test('routes', async () => {
    expect((await show(ROUTES, 'routes')).out).toBe(
      table(`
        PREFIX           NEXT HOP    FROM   PREF  MED  AS PATH        WHY NOT BEST
    *   10.0.0.0/24      10.0.0.254  tor-1     -    5  64999 64998 i
    =   10.0.0.0/24      10.0.0.253  tor-2     -    -  64999 64998 i  igpMetric
    *   2001:db8:1::/48  10.0.0.254  local     -    5  ?
     S  192.0.2.0/24     10.0.0.254  tor-1   100    5  64999 64998 i
    `),
    );
  });

  test('routes, wide', async () => {
    expect((await show(ROUTES.slice(3), 'routes', '-o', 'wide')).out).toBe(
      table(`
        PREFIX        NEXT HOP    FROM   PREF  MED  AS PATH        COMMUNITIES                  ORIGINATOR  CLUSTERS           OTHER                        WHY NOT BEST
     S  192.0.2.0/24  10.0.0.254  tor-1   100    5  64999 64998 i  64999:1 no-export 64999:1:2  10.0.0.9    10.0.0.1 10.0.0.2  aggregator=AS64999 10.0.0.1
    `),
    );
  });

  test('kernel routes', async () => {
    expect((await show(0, 'fib')).out).toBe(
      table(`
    PREFIX       VIA                                       STATE   ERROR
    10.0.0.0/24  10.0.0.254 dev eth0, 10.0.0.253 dev eth0  failed  ENETUNREACH
    `),
    );
  });

  test('problems', async () => {
    expect((await show(0, 'problems')).out).toBe(
      table(`
      FOR  WHAT         PROBLEM
    2h00m  Node node-2  spec.podCIDR: not a prefix
        -  router       cannot listen
    `),
    );
  });

  test('summary', async () => {
    expect((await show(0, 'summary')).out).toBe(
      table(`
    AS              65000
    Router id       10.0.0.1
    Up              1d02h
    Version         0.1.0
    Listening       10.0.0.1:179, [fd00::1]:179
    IPv4 unicast    950000 prefixes, 950001 paths
    IPv6 unicast    200000 prefixes, 200001 paths
    Attribute sets  77
    Problems        none
    `),
    );
  });

  test('a neighbour', async () => {
    expect((await show(0, 'neighbor', 'tor-1')).out).toBe(
      table(`
    Name              tor-1
    State             Established for 1d02h
    Peer              10.0.0.254 port 179, AS 64999, router id 10.0.0.254
    Host name         tor-1.example
    Local             10.0.0.1 port 40000, AS 65000, router id 10.0.0.1
    Type              ebgp
    Hops              direct
    Authentication    tcp-md5
    Timers            hold 90 s (configured 180 s), keepalive 30 s
    Families          ipv4-unicast, ipv6-unicast
    Capabilities      4-octet-as, route-refresh
    Next hop self     yes
    Graceful restart  we ask for 90 s, the peer for 120 s
    Stale paths       7, for at most 42 s
    IPv4 unicast      950000 received, 3 told
    IPv6 unicast      200000 received, 1 told
    Messages in       open 1, update 5
    Messages out      open 1, update 2
    Octets            1000 in, 200 out, 0 waiting
    Established       1 time
    Update group      2
    `),
    );
  });

  test('a neighbour that is not there, of which only what was configured is known', () => {
    const { gracefulRestart, ...rest } = TOR_DETAIL;
    const away = { state: 'Active', since: null, localAddress: null, localPort: null, holdTime: null } as const;
    const fields = neighborFields({ ...rest, ...away, gracefulRestart: { ...gracefulRestart, peerRestartTime: null } });
    expect(Object.fromEntries(fields)).toMatchObject({
      State: 'Active',
      Local: 'AS 65000, router id 10.0.0.1',
      Timers: 'hold 180 s configured',
      'Graceful restart': 'we ask for 90 s',
    });
    const without = { ...TOR_DETAIL, gracefulRestart: { ...gracefulRestart, peerRestartTime: null } };
    expect(neighborFields(without)).toContainEqual([
      'Graceful restart',
      'we ask for 90 s, the peer has not the capability',
    ]);
  });

  test('nothing that a peer wrote reaches the terminal as a command', async () => {
    const { out } = await show([route(0, { from: 'a\u001b[2Jb\nc\u009b' })], 'routes');
    expect(out).toContain('a\\x1b[2Jb\\x0ac\\x9b');
    expect(out.trimEnd().split('\n')).toHaveLength(2);
  });

  test('pages of a long list line up', async () => {
    const { out } = await show(3000, 'routes');
    const lines = out.trimEnd().split('\n');
    expect(lines).toHaveLength(3001);
    // Row 2999 is in the third page; its columns stand where the head's do.
    expect(lines[3000]?.indexOf('10.0.0.254')).toBe(lines[0]?.indexOf('NEXT HOP'));
  });
});

describe('JSON', () => {
  test.each([
    ['routes', ROUTES],
    ['fib', [FIB_ROUTE]],
    ['neighbor', TOR_DETAIL],
  ])('%s', async (what, value) => {
    const args = what === 'neighbor' ? [what, 'tor-1'] : [what];
    expect(JSON.parse((await show(ROUTES, ...args, '-o', 'json')).out)).toEqual(value);
  });

  test('an empty list is a list', async () => {
    expect((await show(0, 'routes', '-o', 'json')).out).toBe('[]\n');
  });

  test('a long list is one array', async () => {
    expect(JSON.parse((await show(5000, 'routes', '-o', 'json')).out)).toHaveLength(5000);
  });
});

describe('queries', () => {
  test.each([
    [['routes', '10.0.0.0/8', '--longer'], 'routes {"prefix":"10.0.0.0/8","longer":true}'],
    [['adj-out', 'tor-1', '10.0.0.0/8', '--untold'], 'adj-out tor-1 {"prefix":"10.0.0.0/8","untold":true}'],
    [['adj-in', 'tor-1', '10.0.0.1'], 'adj-in tor-1 {"prefix":"10.0.0.1"}'],
    [['adj-out', 'tor-1', '--family', 'ipv6-unicast'], 'adj-out tor-1 {"family":"ipv6-unicast"}'],
  ])('%j', async (args, call) => {
    const { calls, exitCode } = await show(ROUTES, ...args);
    expect(calls).toEqual([call]);
    expect(exitCode).toBe(0);
  });

  test('a prefix that nobody has is a negative answer', async () => {
    const { exitCode, err } = await show(0, 'routes', '10.9.9.9');
    expect([exitCode, err]).toEqual([1, 'peerage: nothing there matches 10.9.9.9\n']);
  });

  test.each([
    [['neighbor', 'tor-9'], 'there is no peer "tor-9"'],
    [['routes', '10.0.0.1/8'], 'did you mean 10.0.0.0/8?'],
    [['rotes'], "unknown command 'rotes'"],
    [['routes', '--family', 'ipx'], 'Allowed choices are ipv4-unicast, ipv6-unicast'],
  ])('%j is refused', async (args, reason) => {
    expect(String((await show(0, ...args)).error)).toContain(reason);
  });
});
