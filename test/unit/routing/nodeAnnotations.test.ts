import { describe as group, expect, test } from '@jest/globals';
import { Asn } from '../../../src/bgp/asn.js';
import { formatAddress, formatPrefix, parseAddress, type IpAddress } from '../../../src/core/ip.js';
import type { PeerIntent, RoutingIntent } from '../../../src/routing/intent.js';
import { createRouting, type Routing } from '../../../src/routing/routing.js';
import { DEFAULT_ROUTING, type RoutingOptions } from '../../../src/routing/routingOptions.js';
import { batchOf, nodeN, textsOf } from './cluster.js';

type Annotations = Readonly<Record<string, string>>;

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** What n1 makes of its own annotations. */
function ownSays(annotations: Annotations, options: Partial<RoutingOptions> = {}) {
  const routing = createRouting('n1', { ...DEFAULT_ROUTING, ...options });
  const outcome = routing.apply(batchOf('added', nodeN(1, { annotations })));
  return { routing, intent: routing.intent(), problems: textsOf(outcome.problems) };
}
function peersOf({ peers }: RoutingIntent): readonly string[] {
  return [...peers.values()].map(shownPeer).sort();
}
function shownPeer(peer: PeerIntent): string {
  if (peer.kind === 'node') return `${peer.name}${peer.reflectorClient ? ' client' : ''}`;
  const { name, asn, port, local, password, multihopTtl, bfd } = peer;
  const rest = [
    local && `from ${formatAddress(local)}`,
    password && `key ${password}`,
    multihopTtl && `ttl ${multihopTtl}`,
  ];
  return [`${name}:${port} AS ${asn}`, ...rest, bfd && `bfd ${JSON.stringify(Object.values(bfd))}`]
    .filter(part => part !== undefined)
    .join(' ');
}
const key = Buffer.from('secret').toString('base64');

group('kube-router.io/peers', () => {
  test.each<[string, string, readonly string[], readonly string[]]>([
    [
      'everything that can be said',
      `- remoteip: 192.0.2.1
  remoteasn: 65001
  localip: 10.0.0.1
  password: ${key}
  port: 1790
  bfd: { enabled: true, port: 4784, detection_multiplier: 5, required_min_rx_interval: 200, desired_min_tx_interval: 300 }
- remoteip: "2001:db8::1"
  remoteasn: "65002"`,
      [
        'router/192.0.2.1:1790 AS 65001 from 10.0.0.1 key secret bfd [4784,5,300,200]',
        'router/2001:db8::1:179 AS 65002',
      ],
      ['router/192.0.2.1 BFD is asked for, and not built yet: the hold time watches alone'],
    ],
    [
      'a bad peer costs itself',
      `[{remoteip: nonsense, remoteasn: 1}, {remoteip: 192.0.2.1, remoteasn: 0}, {remoteip: 192.0.2.2, remoteasn: 65002}]`,
      ['router/192.0.2.2:179 AS 65002'],
      [
        'Node n1 annotation kube-router.io/peers: peer 1: remoteip: "nonsense" is not an IP address; it is left out',
        expect.stringMatching(/peer 2: remoteasn: Too small/) as unknown as string,
      ],
    ],
    [
      'local address of the other family',
      `[{remoteip: 192.0.2.2, remoteasn: 65002, localip: "fd00::1"}]`,
      [],
      ['Node n1 annotation kube-router.io/peers: peer 1: the local address is of the other IP version; it is left out'],
    ],
    [
      'the same address twice',
      `[{remoteip: 192.0.2.2, remoteasn: 65002}, {remoteip: 192.0.2.2, remoteasn: 65003}]`,
      ['router/192.0.2.2:179 AS 65002'],
      ['Node n1 annotation kube-router.io/peers: peer 192.0.2.2 is there twice: the first counts; it is left out'],
    ],
    [
      'not a list',
      `remoteip: 192.0.2.2`,
      [],
      ['Node n1 annotation kube-router.io/peers: is not a YAML list; the former value stays in force'],
    ],
  ])('%s', (_name, text, peers, problems) => {
    const { intent, problems: found } = ownSays({ peers: text });
    expect(peersOf(intent)).toEqual(peers);
    expect(found).toEqual(problems);
  });

  test('a password that is no base64 is not repeated in the message', () => {
    const { problems } = ownSays({ peers: '[{remoteip: 192.0.2.2, remoteasn: 65002, password: "hush hush!"}]' });
    expect(problems).toEqual([
      'Node n1 annotation kube-router.io/peers: peer 1: the password is not base64; it is left out',
    ]);
    expect(ownSays({ peers: 'password: "hush: [' }).problems.join()).not.toContain('hush');
  });
});

group('the older lists of peers', () => {
  test.each<[string, Annotations, readonly string[], readonly string[]]>([
    [
      'all of them',
      {
        'peer.ips': '192.0.2.1,192.0.2.2',
        'peer.asns': '65001, 65002',
        'peer.ports': '1790,',
        'peer.passwords': `,${key}`,
        'peer.localips': '10.0.0.1,',
      },
      ['router/192.0.2.1:1790 AS 65001 from 10.0.0.1', 'router/192.0.2.2:179 AS 65002 key secret'],
      [],
    ],
    [
      'lists of other lengths',
      { 'peer.ips': '192.0.2.1,192.0.2.2', 'peer.asns': '65001' },
      [],
      [
        'Node n1 annotation kube-router.io/peer.ips: has 2 addresses, and kube-router.io/peer.asns has 1 entries; the former value stays in force',
      ],
    ],
    [
      'the newer one goes before',
      { peers: '[{remoteip: 192.0.2.9, remoteasn: 65009}]', 'peer.ips': '192.0.2.1', 'peer.asns': '65001' },
      ['router/192.0.2.9:179 AS 65009'],
      [
        'Node n1 annotation kube-router.io/peers: kube-router.io/peer.ips is there too and means nothing; it is left out',
      ],
    ],
  ])('%s', (_name, annotations, peers, problems) => {
    const { intent, problems: found } = ownSays(annotations);
    expect(peersOf(intent)).toEqual(peers);
    expect(found).toEqual(problems);
  });
});

test('peers of the configuration and of the node come together; the node goes before', () => {
  const everywhere = ['192.0.2.1', '192.0.2.2'].map(text => ({ address: address(text), asn: Asn(65001) }));
  const { intent } = ownSays(
    { peers: '[{remoteip: 192.0.2.2, remoteasn: 65002}, {remoteip: 192.0.2.3, remoteasn: 65003}]' },
    { externalPeers: everywhere, externalDefaults: { port: 179, multihopTtl: 5, holdTime: 30 } },
  );
  expect(peersOf(intent)).toEqual([
    'router/192.0.2.1:179 AS 65001 ttl 5',
    'router/192.0.2.2:179 AS 65002 ttl 5',
    'router/192.0.2.3:179 AS 65003 ttl 5',
  ]);
});

test('a multihop TTL counts from 2 on', () => {
  const peer = { address: address('192.0.2.1'), asn: Asn(65001) };
  const { intent } = ownSays({}, { externalPeers: [peer], externalDefaults: { port: 179, multihopTtl: 1 } });
  expect(peersOf(intent)).toEqual(['router/192.0.2.1:179 AS 65001']);
});

group('what external peers are told', () => {
  const changesOf = (annotations: Annotations): unknown =>
    ownSays(annotations).intent.policies.policies['cluster/to-routers']?.terms[0]?.changes;

  test.each<[string, Annotations, unknown]>([
    ['nothing said', {}, {}],
    [
      'communities',
      { 'node.bgp.communities': '65000:1, 4259840002,no-export,internet,65000:1:2' },
      { addCommunities: [0xfde8_0001, 4259840002, 0xffff_ff01, 0], addLargeCommunities: [[65000, 1, 2]] },
    ],
    ['prepend', { 'path-prepend.as': '65100', 'path-prepend.repeat-n': '3' }, { prepend: { asn: 65100, count: 3 } }],
  ])('%s', (_name, annotations, changes) => {
    expect(changesOf(annotations)).toEqual(changes);
  });

  test('what cannot be read', () => {
    const { problems } = ownSays({ 'node.bgp.communities': '65000:1,nonsense', 'path-prepend.as': '65100' });
    expect(problems).toEqual([
      expect.stringMatching(/node\.bgp\.communities: "nonsense" is not a community.*; it is left out$/),
      'Node n1 annotation kube-router.io/path-prepend.as: kube-router.io/path-prepend.as and kube-router.io/path-prepend.repeat-n mean something only together; the former value stays in force',
    ]);
  });
});

test('customimportreject refuses a prefix and all inside it, of both families', () => {
  const { intent, problems } = ownSays({ 'node.bgp.customimportreject': '10.9.0.0/16, fd09::/48,nonsense' });
  const { prefixLists, policies } = intent.policies;
  expect(prefixLists['cluster/rejected']?.map(({ prefix, le }) => [formatPrefix(prefix), le])).toEqual([
    ['10.9.0.0/16', 32],
    ['fd09::/48', 128],
  ]);
  for (const name of ['cluster/from-nodes', 'cluster/from-routers'])
    expect(policies[name]?.terms).toContainEqual(
      expect.objectContaining({ verdict: 'reject', match: { prefixes: ['cluster/rejected'] } }),
    );
  expect(problems).toHaveLength(1);
});

test('bgp-local-addresses takes the place of the node addresses', () => {
  const { intent } = ownSays({ 'bgp-local-addresses': '10.0.0.1, 127.0.0.1' });
  expect(intent.own?.listen?.map(formatAddress)).toEqual(['10.0.0.1', '127.0.0.1']);
  expect(ownSays({}).intent.own?.listen).toBeUndefined();
});

group('an AS of each node', () => {
  const options = { fullMesh: false };
  function sees(own: Annotations, other: Annotations) {
    const routing = createRouting('n1', { ...DEFAULT_ROUTING, ...options });
    const { problems } = routing.apply(
      batchOf('added', nodeN(1, { annotations: own }), nodeN(2, { annotations: other })),
    );
    return { own: routing.intent().own, peers: peersOf(routing.intent()), problems: textsOf(problems) };
  }

  test.each<[string, Annotations, Annotations, number | undefined, readonly string[], readonly string[]]>([
    ['the same', { 'node.asn': '65001' }, { 'node.asn': '0xfde9' }, 65001, ['node/n2'], []],
    ['different', { 'node.asn': '65001' }, { 'node.asn': '65002' }, 65001, [], []],
    [
      'the other has none',
      { 'node.asn': '65001' },
      {},
      65001,
      [],
      ['Node n2 has no annotation kube-router.io/node.asn, which says its AS: no BGP session is set up with it'],
    ],
    [
      'the own one cannot be read',
      { 'node.asn': 'many' },
      { 'node.asn': '65002' },
      undefined,
      [],
      [
        'Node n1 annotation kube-router.io/node.asn: "many" is not a number of 0 to 4294967295; the former value stays in force',
        'Node n1 has no annotation kube-router.io/node.asn, which says its AS where there is no full mesh: BGP waits for it',
      ],
    ],
  ])('%s', (_name, own, other, asn, peers, problems) => {
    expect(sees(own, other)).toEqual({
      own: expect.objectContaining(asn === undefined ? {} : { asn }),
      peers,
      problems,
    });
    if (asn === undefined) expect(sees(own, other).own).not.toHaveProperty('asn');
  });

  test('a new AS of the own node finds other peers, at once', () => {
    const routing = createRouting('n1', { ...DEFAULT_ROUTING, ...options });
    const nodes = [1, 2, 3].map(n => nodeN(n, { annotations: { 'node.asn': String(65000 + (n === 3 ? 2 : 1)) } }));
    routing.apply(batchOf('added', ...nodes));
    expect(peersOf(routing.intent())).toEqual(['node/n2']);
    const { delta } = routing.apply(batchOf('changed', nodeN(1, { annotations: { 'node.asn': '65002' } })));
    expect([delta.ownChanged, peersOf(routing.intent())]).toEqual([true, ['node/n3']]);
  });

  test('in a full mesh the annotation means nothing', () => {
    expect(ownSays({ 'node.asn': '65001' }).intent.own).not.toHaveProperty('asn');
  });
});

group('route reflectors', () => {
  const server = (id: string): Annotations => ({ 'rr.server': id });
  const client = (id: string): Annotations => ({ 'rr.client': id });
  function peersFrom(own: Annotations): readonly string[] {
    const routing = createRouting('n1', DEFAULT_ROUTING);
    const others = [server('7'), server('0.0.0.8'), client('7'), client('8'), {}];
    const nodes = [own, ...others].map((annotations, i) => nodeN(i + 1, { annotations }));
    routing.apply(batchOf('added', ...nodes));
    return peersOf(routing.intent());
  }

  test.each<[string, Annotations, readonly string[]]>([
    ['a client speaks with the servers of its cluster', client('0.0.0.7'), ['node/n2']],
    ['a server with all but the clients of others', server('7'), ['node/n2', 'node/n3', 'node/n4 client', 'node/n6']],
    ['a node without a role with all but clients', {}, ['node/n2', 'node/n3', 'node/n6']],
    ['both: a server', { ...server('8'), ...client('7') }, ['node/n2', 'node/n3', 'node/n5 client', 'node/n6']],
    ['a role that cannot be read is none', client('seven'), ['node/n2', 'node/n3', 'node/n6']],
  ])('%s', (_name, own, peers) => {
    expect(peersFrom(own)).toEqual(peers);
  });

  test('a reflector has policies too, and reflects what nodes tell it', () => {
    const { policies } = ownSays(server('7')).intent.policies;
    const accepts = (name: string): unknown =>
      policies[name]?.terms.filter(term => term.verdict === 'accept').map(term => term.match);
    expect(accepts('cluster/to-nodes')).toEqual([{ tags: ['pod', 'static'] }, { sources: ['ibgp'] }]);
    expect(accepts('cluster/to-routers')).toEqual([
      { tags: ['static', 'clusterIp', 'externalIp', 'loadBalancerIp', 'aggregate', 'pod'] },
    ]);
    expect(policies['cluster/to-routers']?.otherwise).toBe('reject');
  });
});

group('live changes', () => {
  function change(routing: Routing, annotations: Annotations) {
    return routing.apply(batchOf('changed', nodeN(1, { annotations })));
  }

  test('touch only what changed', () => {
    const { routing } = ownSays({
      peers: '[{remoteip: 192.0.2.1, remoteasn: 1}, {remoteip: 192.0.2.2, remoteasn: 2}]',
    });
    const { delta } = change(routing, {
      peers: '[{remoteip: 192.0.2.1, remoteasn: 1}, {remoteip: 192.0.2.3, remoteasn: 3}]',
    });
    expect([[...delta.peers.set.keys()], [...delta.peers.removed]]).toEqual([
      ['router/192.0.2.3'],
      ['router/192.0.2.2'],
    ]);
    expect([delta.ownChanged, delta.policies]).toEqual([false, undefined]);
  });

  test('a community changes a policy and no session', () => {
    const { routing } = ownSays({});
    const { delta } = change(routing, { 'node.bgp.communities': '65000:1' });
    expect([delta.ownChanged, delta.peers.set.size, delta.policies === undefined]).toEqual([false, 0, false]);
  });

  test('what cannot be read leaves the former value in force until it is mended', () => {
    const good = { peers: '[{remoteip: 192.0.2.1, remoteasn: 1}]', 'rr.server': '7' };
    const { routing } = ownSays(good);
    const broken = change(routing, { peers: '- {', 'rr.server': 'x' });
    expect(broken.delta).toMatchObject({ ownChanged: false, peers: { set: new Map(), removed: new Set() } });
    expect(textsOf(broken.problems)).toHaveLength(2);
    expect(routing.intent().own?.reflector).toEqual({ role: 'server', clusterId: 7 });
    const mended = change(routing, {});
    expect([[...mended.delta.peers.removed], textsOf(mended.problems)]).toEqual([['router/192.0.2.1'], []]);
    expect(routing.intent().own?.reflector).toBeUndefined();
  });

  test('a heartbeat is looked at and nothing more', () => {
    const { routing } = ownSays({ peers: '[{remoteip: 192.0.2.1, remoteasn: 1}]' });
    expect(change(routing, { peers: '[{remoteip: 192.0.2.1, remoteasn: 1}]' }).recomputed).toEqual([]);
  });

  test('a cordon is known', () => {
    const { routing } = ownSays({});
    const { delta } = routing.apply(batchOf('changed', nodeN(1, { cordoned: true })));
    expect(delta.own?.cordoned).toBe(true);
  });
});

group('an edge', () => {
  const edge = { addresses: [address('198.51.100.1')], subnets: [] };
  const options: RoutingOptions = { ...DEFAULT_ROUTING, role: 'edge', edge };

  test('has no Node object, and speaks with every node until there are reflectors', () => {
    const routing = createRouting('lb', options);
    routing.configure(options);
    routing.apply(batchOf('added', nodeN(1), nodeN(2)));
    expect([peersOf(routing.intent()), routing.intent().own?.present]).toEqual([['node/n1', 'node/n2'], true]);
    routing.apply(batchOf('changed', nodeN(2, { annotations: { 'rr.server': '1' } })));
    expect(peersOf(routing.intent())).toEqual(['node/n2']);
    routing.apply(batchOf('deleted', nodeN(2)));
    expect(peersOf(routing.intent())).toEqual(['node/n1']);
  });

  test('announces nothing, or its own subnets', () => {
    const routing = createRouting('lb', options);
    expect([...routing.configure(options).delta.networks.set.keys()]).toEqual([]);
    const subnet = { address: address('10.99.0.0'), length: 24 };
    const next = { ...options, edge: { ...edge, subnets: [subnet] } };
    expect([...routing.configure(next).delta.networks.set.keys()]).toEqual(['10.99.0.0/24']);
  });
});
