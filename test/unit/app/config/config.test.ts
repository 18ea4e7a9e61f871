import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatConfigErrors } from '../../../../src/app/config/configError.js';
import { loadConfig } from '../../../../src/app/config/configFile.js';
import type { EngineConfig } from '../../../../src/engine/engineTypes.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'peerage-config-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function load(text: string): ReturnType<typeof loadConfig> {
  const file = join(folder, 'c.yaml');
  writeFileSync(file, text);
  return loadConfig(file, false);
}

/** The errors as `line:column: path: reason`. */
function errorsOf(text: string): string[] {
  const loaded = load(text);
  if (loaded.ok) return [];
  return formatConfigErrors(loaded.error).replaceAll(`${folder}/c.yaml:`, '').split('\n');
}

function engineOf(text: string): EngineConfig {
  const loaded = load(text);
  if (!loaded.ok) throw new Error(formatConfigErrors(loaded.error));
  return loaded.value.engine;
}

const ROUTER = 'router: { asn: 65000, id: 10.0.0.1 }\n';
const peer = (rest: string): string => `${ROUTER}peers:\n  - { name: a, address: 10.0.0.2, asn: 65001${rest} }\n`;

describe('mistakes in the file', () => {
  test.each<[string, string, string[]]>([
    ['nothing at all', '', [' router: is missing']],
    ['no map', '- 1\n', ['1:1: must be a map of keys and values']],
    [
      'an unknown key, with the nearest one',
      'router: { asn: 65000, id: 10.0.0.1, clusterid: 10.0.0.1 }\n',
      ['1:37: router.clusterid: unknown key; did you mean "clusterId"?'],
    ],
    ['an unknown key far from all', `${ROUTER}whatever: 1\n`, ['2:1: whatever: unknown key']],
    [
      'an unknown key of a peer',
      peer(', holdtime: 90'),
      ['3:47: peers[0].holdtime: unknown key; did you mean "holdTime"?'],
    ],
    ['no AS', 'router: { id: 10.0.0.1 }\n', ['1:1: router.asn: is missing']],
    ['AS 0', 'router: { asn: 0, id: 10.0.0.1 }\n', ['1:11: router.asn: must be at least 1']],
    [
      'an AS of five octets',
      'router: { asn: 4294967296, id: 10.0.0.1 }\n',
      ['1:11: router.asn: must be at most 4294967295'],
    ],
    ['half an AS', 'router: { asn: 1.5, id: 10.0.0.1 }\n', ['1:11: router.asn: must be a whole number']],
    ['an AS as text', 'router: { asn: "1", id: 10.0.0.1 }\n', ['1:11: router.asn: must be a number']],
    [
      'no router id',
      'router: { asn: 1 }\n',
      ['1:1: router.id: is missing, and router.listen names no IPv4 address to take it from'],
    ],
    ['router id 0', 'router: { asn: 1, id: 0.0.0.0 }\n', ['1:19: router.id: a router id is not 0.0.0.0 (RFC 6286)']],
    ['an IPv6 router id', 'router: { asn: 1, id: "::1" }\n', ['1:19: router.id: "::1" is not an IPv4 address']],
    ...[1, 2].map((seconds): [string, string, string[]] => [
      `hold time ${seconds}`,
      peer(`, holdTime: ${seconds}`),
      ['3:47: peers[0].holdTime: a hold time is 0 (never expires) or at least 3 seconds'],
    ]),
    [
      'a keepalive time that cannot keep alive',
      peer(', keepaliveTime: 90'),
      ['3:47: peers[0].keepaliveTime: must be less than the hold time, 90 s'],
    ],
    [
      'a family nobody knows',
      peer(', families: [ipv4]'),
      ['3:58: peers[0].families[0]: must be one of ipv4-unicast, ipv6-unicast'],
    ],
    ['no family', peer(', families: []'), ['3:47: peers[0].families: must not be empty']],
    [
      'a prefix with host bits',
      `${ROUTER}networks: [10.0.0.1/24]\n`,
      ['2:12: networks[0]: "10.0.0.1/24" has host bits set; did you mean 10.0.0.0/24?'],
    ],
    [
      'a network twice',
      `${ROUTER}networks: [10.0.0.0/24, { prefix: 10.0.0.0/24, med: 1 }]\n`,
      ['2:25: networks[1]: 10.0.0.0/24 is networks[0] too'],
    ],
    [
      'a next hop of the other version',
      `${ROUTER}networks: [{ prefix: 10.0.0.0/24, nextHop: "::1" }]\n`,
      ['2:35: networks[0].nextHop: is of the other IP version than the prefix'],
    ],
    [
      'a community that is none',
      `${ROUTER}networks: [{ prefix: 10.0.0.0/24, largeCommunities: ["1:2"] }]\n`,
      [
        '2:54: networks[0].largeCommunities[0]: "1:2" is not a large community: three numbers of 0..4294967295 as in 65000:1:2',
      ],
    ],
    [
      'a group that is not there',
      `${peer(', group: clint')}peerGroups: { clients: {} }\n`,
      ['3:47: peers[0].group: there is no peer group "clint"; did you mean "clients"?'],
    ],
    [
      'a group named as a method of every object',
      peer(', group: constructor'),
      ['3:47: peers[0].group: there is no peer group "constructor"'],
    ],
    [
      "a group's name that could not be part of a peer's",
      `${ROUTER}peerGroups: { "a@b": {} }\n`,
      ["2:15: peerGroups.a@b: a group's name has up to 32 letters, digits and - _ only"],
    ],
    [
      'two peers of one name, two of one address',
      `${peer('')}  - { name: a, address: 10.0.0.3, asn: 1 }\n  - { name: b, address: 10.0.0.3, asn: 1 }\n`,
      ['4:7: peers[1].name: "a" is the name of peers[0] too', '5:16: peers[2].address: is the address of peers[1] too'],
    ],
    [
      'a name that means something else',
      peer('').replace('name: a', 'name: local'),
      ['3:7: peers[0].name: "local" stands for networks of our own'],
    ],
    [
      'a peer without an AS',
      `${ROUTER}peers: [{ name: a, address: 10.0.0.2 }]\n`,
      ['2:9: peers[0].asn: is missing, and no group gives it'],
    ],
    [
      'a link-local peer without its link',
      peer('').replace('10.0.0.2', '"fe80::1"'),
      ['3:16: peers[0].address: is link-local: say on which link, as in fe80::1%eth0'],
    ],
    [
      'a local address of the other version',
      peer(', localAddress: "::1"'),
      ["3:47: peers[0].localAddress: is of the other IP version than the peer's address, 10.0.0.2"],
    ],
    [
      'an eBGP peer as a client',
      peer(', routeReflectorClient: true'),
      ['3:47: peers[0].routeReflectorClient: only an iBGP peer can be a route reflector client (RFC 4456)'],
    ],
    [
      'eBGP clients by their group, told once and where it is said',
      `${ROUTER}peerGroups:\n  g: { asn: 1, routeReflectorClient: true }\npeers:\n` +
        '  - { name: a, address: 10.0.0.2, group: g }\n  - { name: b, address: 10.0.0.3, group: g }\n',
      ['3:16: peerGroups.g.routeReflectorClient: only an iBGP peer can be a route reflector client (RFC 4456)'],
    ],
    [
      'multihop and ttlSecurity',
      peer(', multihop: 3, ttlSecurity: { hops: 2 }'),
      ['3:47: peers[0].multihop: cannot be combined with ttlSecurity: say with ttlSecurity.hops how far the peer is'],
    ],
    [
      'one dynamic prefix twice',
      `${ROUTER}peerGroups: { g: {} }\ndynamicPeers: [{ prefix: 10.0.0.0/8, group: g }, { prefix: 10.0.0.0/8, group: g }]\n`,
      ['3:52: dynamicPeers[1].prefix: 10.0.0.0/8 is the prefix of dynamicPeers[0] too'],
    ],
    ['a table that is none', `${ROUTER}fib: { table: blue }\n`, ['2:8: fib.table: must be main, or must be a number']],
    ["the kernel's own table", `${ROUTER}fib: { table: 255 }\n`, ['2:8: fib.table: table 255 belongs to the kernel']],
    [
      'an endpoint without a port',
      'router: { asn: 1, id: 10.0.0.1, listen: [10.0.0.1] }\n',
      ['1:42: router.listen[0]: "10.0.0.1" is not ADDRESS:PORT, such as 10.0.0.1:179 or [fd00::1]:179'],
    ],
    ['a key twice', `${ROUTER}fib: {}\nfib: {}\n`, ['3:1: Map keys must be unique']],
    [
      'what YAML 1.1 would merge and cannot',
      '%YAML 1.1\n---\nlog:\n  <<: 5\n',
      [' Merge sources must be maps or map aliases'],
    ],
    [
      'an alias without an anchor',
      `${ROUTER}networks: *all\n`,
      ['2:11: an alias (*name) has no anchor (&name) before it'],
    ],
  ])('%s', (_what, text, errors) => {
    expect(errorsOf(text)).toEqual(errors);
  });

  test('YAML that is none has line and column', () => {
    expect(errorsOf('router: { asn: 1\npeers: [\n')[0]).toMatch(/^[23]:\d+: \w+/);
  });

  test('all mistakes are told at once', () => {
    const text = `${peer(', holdTime: 2, colour: red')}networks: [10.0.0.0/33]\n`;
    expect(errorsOf(text)).toHaveLength(3);
  });

  test('a file that is not there', () => {
    const loaded = loadConfig('/nonexistent.yaml', false);
    expect(loaded.ok ? '' : formatConfigErrors(loaded.error)).toBe(
      '/nonexistent.yaml: cannot be read: ENOENT: no such file or directory',
    );
  });
});

describe('inheritance', () => {
  test('a peer goes before its group, the group before the router, the router before the defaults', () => {
    const { peers } = engineOf(`
router: { asn: 65000, listen: ["10.0.0.1:179"], holdTime: 60 }
peerGroups:
  g: { asn: 65001, holdTime: 30, passive: true, allowOwnAs: 1, multihop: 4 }
peers:
  - { name: own, address: 10.0.0.2, group: g, asn: 65002, holdTime: 9, passive: false, ttlSecurity: { hops: 2 } }
  - { name: group, address: 10.0.0.3, group: g }
  - { name: router, address: 10.0.0.4, asn: 65003 }
`);
    expect(
      peers.map(({ name, session: s, routing: r }) => [name, s.remoteAsn, s.holdTime, s.passive, s.hops, r.allowOwnAs]),
    ).toEqual([
      ['own', 65002, 9, false, { kind: 'gtsm', hops: 2 }, 1],
      ['group', 65001, 30, true, { kind: 'multihop', ttl: 4 }, 1],
      ['router', 65003, 60, false, { kind: 'direct' }, 0],
    ]);
    expect(engineOf(peer('')).peers[0]?.session.holdTime).toBe(90);
  });

  test('the router id comes from the first IPv4 address listened on', () => {
    const text = 'router: { asn: 1, listen: ["[::]:179", "0.0.0.0:179", "10.0.0.9:1179"] }\n';
    expect(engineOf(text)).toMatchObject({
      routerId: 0x0a000009,
      listen: [{ port: 179 }, { port: 179 }, { port: 1179 }],
    });
  });

  test('every field of a peer reaches the session', () => {
    const { peers, gracefulRestart } = engineOf(`
router: { asn: 65000, id: 10.0.0.1, hostname: here, gracefulRestart: { restartTime: 33 } }
peers:
  - name: a
    address: fe80::2%eth0
    port: 1179
    asn: 65001
    localAddress: fe80::1%eth0
    localAsn: 65009
    keepaliveTime: 7
    connectRetryTime: 8
    delayOpenTime: 2
    idleHoldTime: { min: 2, max: 20 }
    families: [ipv6-unicast]
    nextHopSelf: always
    enforceFirstAs: false
    extendedMessages: false
    extendedNextHop: true
    addPathReceive: true
`);
    expect(peers[0]).toEqual({
      name: 'a',
      session: {
        remote: { version: 6, words: [0xfe80_0000, 0, 0, 2], zone: 'eth0' },
        remotePort: 1179,
        local: { version: 6, words: [0xfe80_0000, 0, 0, 1], zone: 'eth0' },
        localAsn: 65009,
        remoteAsn: 65001,
        localId: 0x0a000001,
        passive: false,
        hops: { kind: 'direct' },
        families: [false, true],
        holdTime: 90,
        keepaliveTime: 7,
        connectRetryTime: 8,
        delayOpenTime: 2,
        idleHoldTime: { min: 2, max: 20 },
        extendedMessages: false,
        extendedNextHop: true,
        addPath: { receive: [false, true], send: [false, false] },
        gracefulRestart: { restartTime: 33 },
        hostname: 'here',
      },
      routing: {
        routeReflectorClient: false,
        nextHopSelf: 'always',
        allowOwnAs: 0,
        enforceFirstAs: false,
        announce: 'all',
        requirePolicy: false,
        honorGracefulShutdown: true,
      },
    });
    expect(gracefulRestart).toEqual({ restartTime: 33, staleTime: 180, deferralTime: 120, restarted: false });
  });

  test('dynamic peers are made from their group; without an AS any is accepted', () => {
    const { dynamicRanges } = engineOf(
      `${ROUTER}peerGroups: { g: { holdTime: 30 } }\ndynamicPeers: [{ prefix: 10.0.0.0/8, group: g, limit: 5 }]\n`,
    );
    expect(dynamicRanges).toMatchObject([{ group: 'g', limit: 5, prefix: { length: 8 }, session: { holdTime: 30 } }]);
    expect(dynamicRanges[0]?.session.remoteAsn).toBeUndefined();
  });

  test('JSON is read as well', () => {
    expect(engineOf('{"router": {"asn": 65000, "id": "10.0.0.1"}, "networks": ["10.0.0.0/24"]}').asn).toBe(65000);
  });
});

describe('keys', () => {
  const SECRET = 'hunter2-hunter2';

  test('come from a file without its last newline, the environment, or the configuration', () => {
    writeFileSync(join(folder, 'key'), `${SECRET}\n`);
    process.env['PEERAGE_TEST_KEY'] = SECRET;
    for (const source of [`file: ${folder}/key`, 'env: PEERAGE_TEST_KEY', `value: ${SECRET}`])
      expect(engineOf(peer(`, password: { ${source} }`)).peers[0]?.session.password).toBe(SECRET);
    delete process.env['PEERAGE_TEST_KEY'];
  });

  test.each([
    ['file: /nonexistent/key', 'cannot read /nonexistent/key: ENOENT: no such file or directory'],
    ['env: PEERAGE_TEST_NO_SUCH', 'environment variable PEERAGE_TEST_NO_SUCH is not set'],
  ])('%s is a mistake that names its source', (source, reason) => {
    expect(errorsOf(peer(`, password: { ${source} }`))).toEqual([`3:47: peers[0].password: ${reason}`]);
  });

  test.each([
    ['as plain text', `, password: ${SECRET}`],
    ['with another mistake beside it', `, password: { value: ${SECRET}, valeu: 1 }`],
    ['too long', `, password: { value: ${SECRET.repeat(10)} }`],
    ['as an alias', `, password: { value: *${SECRET} }`],
    ['as a tag without a value', `, password: !${SECRET} { value: }`],
    ['that breaks the YAML', `, password: { value: ${SECRET}} ${SECRET} }`],
    ['after a stray bracket', `, password: { value: ] ${SECRET} }`],
    ['as an unfinished string', `, password: { value: "${SECRET} }`],
  ])('are never shown: %s', (_how, rest) => {
    const errors = errorsOf(peer(rest));
    expect(errors).not.toEqual([]);
    expect(errors.join()).not.toContain(SECRET);
  });
});
