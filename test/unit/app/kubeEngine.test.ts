import { describe as group, expect, test } from '@jest/globals';
import { toEngineConfig } from '../../../src/app/config/engineConfig.js';
import { AgentConfig } from '../../../src/app/kubeConfig.js';
import { createEngineComposer, type EngineInput } from '../../../src/app/kubeEngine.js';
import { routingOptions } from '../../../src/app/kubeOptions.js';
import { formatPrefix } from '../../../src/core/ip.js';
import type { EngineConfig } from '../../../src/engine/engineTypes.js';
import type { ObjectBatch } from '../../../src/kube/objectBatch.js';
import { createRouting, type RoutingOutcome } from '../../../src/routing/routing.js';
import { batchOf, nodeN } from '../routing/cluster.js';
import { service, slice, there } from '../routing/serviceCluster.js';

/** n1 with this configuration: routing and composer in a row, without ordering. */
function node(config: unknown) {
  const compose = createEngineComposer(speaker => toEngineConfig(speaker, false));
  const settings = AgentConfig.parse(config);
  const routing = createRouting('n1', routingOptions(settings));
  let last: EngineConfig | undefined;
  const feed = (input: EngineInput): EngineConfig | undefined => {
    const { config: next } = compose(input);
    if (next !== undefined) last = next;
    return next;
  };
  const take = ({ delta }: RoutingOutcome): EngineConfig | undefined => feed({ kind: 'routing', delta });
  feed({ kind: 'settings', settings });
  return {
    take,
    feed,
    apply: (batch: ObjectBatch) => take(routing.apply(batch)),
    routing,
    config: () => {
      if (last === undefined) throw new Error('nothing was composed');
      return last;
    },
  };
}
const peerOf = ({ peers }: EngineConfig, name: string) => peers.find(peer => peer.name === name);
const annotated = (n: number, annotations: Readonly<Record<string, string>>) => nodeN(n, { annotations });

group('sessions', () => {
  test('a router of an annotation', () => {
    const key = Buffer.from('secret').toString('base64');
    const { apply, config } = node({
      router: { asn: 64512 },
      kubernetes: { overrideNextHop: true, externalPeer: { holdTime: 30, multihop: 4 }, ipv6: false },
    });
    apply(
      batchOf(
        'added',
        annotated(1, {
          peers: `[{remoteip: 192.0.2.1, remoteasn: 65001, localip: 10.0.0.1, port: 1790, password: ${key}}]`,
        }),
      ),
    );
    expect(peerOf(config(), 'router/192.0.2.1')).toMatchObject({
      session: {
        remoteAsn: 65001,
        localAsn: 64512,
        remotePort: 1790,
        password: 'secret',
        holdTime: 30,
        hops: { kind: 'multihop', ttl: 4 },
        families: [true, false],
      },
      routing: {
        announce: 'own',
        nextHopSelf: 'always',
        importPolicy: ['cluster/from-routers'],
        exportPolicy: ['cluster/to-routers'],
      },
    });
  });

  test('every policy that a peer names exists', () => {
    const { apply, config } = node({ peers: [{ name: 'tor', address: '10.0.0.254', asn: 65000 }] });
    apply(batchOf('added', annotated(1, { peers: '[{remoteip: 192.0.2.1, remoteasn: 65001}]' }), nodeN(2)));
    const { peers, policies } = config();
    expect(peers.map(({ name }) => name)).toEqual(['tor', 'router/192.0.2.1', 'node/n2']);
    for (const { routing } of peers)
      for (const name of [...(routing.importPolicy ?? []), ...(routing.exportPolicy ?? [])])
        expect(Object.keys(policies?.policies ?? {})).toContain(name);
  });

  test('a peer of the file that is told everything keeps its own say about it', () => {
    const { apply, config } = node({
      peers: [{ name: 'tor', address: '10.0.0.254', asn: 65000, announce: 'all' }],
    });
    apply(batchOf('added', nodeN(1)));
    expect(config().peers[0]?.routing).toMatchObject({ announce: 'all', importPolicy: ['cluster/from-routers'] });
    expect(config().peers[0]?.routing.exportPolicy).toBeUndefined();
  });

  test('a router with the address of a node is that node', () => {
    const { apply, config } = node({});
    apply(batchOf('added', annotated(1, { peers: '[{remoteip: 10.0.0.2, remoteasn: 65001}]' }), nodeN(2)));
    expect(config().peers.map(({ name }) => name)).toEqual(['node/n2']);
  });

  test('a reflector: cluster id, clients, and all that it has', () => {
    const { apply, config } = node({});
    apply(batchOf('added', annotated(1, { 'rr.server': '0.0.0.7' }), annotated(2, { 'rr.client': '7' })));
    expect(config().clusterId).toBe(7);
    expect(peerOf(config(), 'node/n2')?.routing).toMatchObject({ routeReflectorClient: true, announce: 'all' });
  });

  test('an AS of each node: nothing before it is known, then everything with it', () => {
    const { apply, config } = node({ kubernetes: { fullMesh: false } });
    expect(apply(batchOf('added', nodeN(1), annotated(2, { 'node.asn': '65010' })))).toBeUndefined();
    apply(batchOf('changed', annotated(1, { 'node.asn': '65010' })));
    expect(config().asn).toBe(65010);
    expect(peerOf(config(), 'node/n2')?.session).toMatchObject({ localAsn: 65010, remoteAsn: 65010 });
  });

  test('bgp-local-addresses', () => {
    const { apply, config } = node({ kubernetes: { bgpPort: 1790 } });
    apply(batchOf('added', annotated(1, { 'bgp-local-addresses': '127.0.0.1' })));
    expect(config().listen).toEqual([{ address: { version: 4, value: 0x7f00_0001 }, port: 1790 }]);
  });
});

group('services', () => {
  const config = { kubernetes: { advertise: { clusterIp: true }, aggregates: ['10.96.0.0/16'] } };
  const shown = ({ networks }: EngineConfig) => networks.map(({ prefix, tag }) => `${formatPrefix(prefix)} ${tag}`);

  test('are networks beside those of pods; scaled to none they go, and come back', () => {
    const cluster = node(config);
    cluster.apply(
      batchOf('added', nodeN(1, { ips: ['10.0.0.1'], cidrs: ['10.244.1.0/24'] }), service(), slice([there])),
    );
    const base = ['10.96.0.0/16 aggregate', '10.244.1.0/24 pod'];
    expect(shown(cluster.config())).toEqual([...base, '10.96.0.10/32 clusterIp']);
    cluster.apply(batchOf('changed', slice([])));
    expect(shown(cluster.config())).toEqual(base);
    cluster.apply(batchOf('changed', slice([there])));
    expect(shown(cluster.config())).toEqual([...base, '10.96.0.10/32 clusterIp']);
  });

  test('one that changes leaves all else the very same objects, which is how the engine finds what to do', () => {
    const cluster = node(config);
    cluster.apply(batchOf('added', nodeN(1), nodeN(2), service(), slice([there])));
    const before = cluster.config();
    cluster.apply(batchOf('added', service({ name: 'db', clusterIps: ['10.96.0.11'] }), slice([there], { of: 'db' })));
    const after = cluster.config();
    expect(after.networks).toHaveLength(before.networks.length + 1);
    for (const network of before.networks) expect(after.networks).toContain(network);
    expect([after.peers, after.policies, after.listen]).toEqual([before.peers, before.policies, before.listen]);
    expect(after.peers).toBe(before.peers);
    expect(after.policies).toBe(before.policies);
  });

  test('come and go outside of routing too, with their data planes', () => {
    const cluster = node(config);
    cluster.apply(batchOf('added', nodeN(1), service(), slice([there])));
    const withdrawn = { set: new Map(), removed: new Set(['10.96.0.10/32']) };
    const next = cluster.feed({ kind: 'services', delta: withdrawn });
    expect(next && shown(next)).not.toContain('10.96.0.10/32 clusterIp');
  });
});
