import { describe as group, expect, test } from '@jest/globals';
import { Subject, VirtualTimeScheduler, startWith } from 'rxjs';
import { toEngineConfig } from '../../../src/app/config/engineConfig.js';
import { agentGraph } from '../../../src/app/graph.js';
import { StageError } from '../../../src/app/graphParts.js';
import { AgentConfig } from '../../../src/app/kubeConfig.js';
import { createEngineComposer } from '../../../src/app/kubeEngine.js';
import { formatAddress, formatIpv4, formatPrefix } from '../../../src/core/ip.js';
import type { EngineConfig } from '../../../src/engine/engineTypes.js';
import type { SourceEvent } from '../../../src/kube/client/folder.js';
import type { ObjectChange } from '../../../src/kube/objectBatch.js';
import type { KubeObject } from '../../../src/kube/objectTypes.js';
import { keyOf, parseObject } from '../../../src/kube/objects.js';
import { createProblemSet } from '../../../src/kube/problems.js';
import type { WantedStatus } from '../../../src/routing/loadBalancer/loadBalancer.js';
import type { OwnNode } from '../../../src/routing/intent.js';

function node(n: number, extra: Readonly<Record<string, unknown>> = {}): KubeObject {
  const parsed = parseObject({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `n${n}` },
    spec: { podCIDRs: [`10.244.${n}.0/24`, `fd00:10:244:${n}::/64`] },
    status: { addresses: [`10.0.0.${n}`, `fd00::${n}`].map(address => ({ type: 'InternalIP', address })) },
    ...extra,
  });
  if (!parsed.ok || parsed.value === undefined) throw new Error('bad node');
  return parsed.value;
}
const withIp = (n: number, address: string): KubeObject =>
  node(n, { status: { addresses: [{ type: 'InternalIP', address }] } });

interface Balanced {
  readonly runs: boolean;
  readonly due: readonly WantedStatus[];
  readonly nodes: number;
}

/** The graph of node n1 on virtual time, with an engine that only remembers. */
function running(config: unknown = {}): {
  readonly applied: EngineConfig[];
  /** What the tunnels and the engine were told, in order. */
  readonly order: string[];
  /** What the plumbing was told. */
  readonly plumbing: readonly string[];
  /** What the load balancer was told. */
  readonly balanced: readonly Balanced[];
  lead(isLeading: boolean): void;
  /** Pod networks and service addresses that were announced, for metrics. */
  readonly announced: readonly string[];
  readonly own: (OwnNode | undefined)[];
  readonly errors: unknown[];
  readonly clock: VirtualTimeScheduler;
  tell(change: ObjectChange['change'], objects: readonly KubeObject[], synced?: boolean): void;
  configure(next: unknown): void;
  problems(): readonly string[];
  breakEngine(): void;
} {
  const clock = new VirtualTimeScheduler();
  const objects = new Subject<SourceEvent>();
  const settings = new Subject<AgentConfig>();
  const problems = createProblemSet();
  const applied: EngineConfig[] = [];
  const own: (OwnNode | undefined)[] = [];
  const errors: unknown[] = [];
  const order: string[] = [];
  const balanced: Balanced[] = [];
  const announced: string[] = [];
  const leading = new Subject<boolean>();
  const plumbing: string[] = [];
  let isBroken = false;
  agentGraph({
    nodeName: 'n1',
    leading,
    announced: ({ pods, services }) => announced.push(`${pods} ${services}`),
    cniFile: '/cni.conf',
    objects,
    settings: settings.pipe(startWith(AgentConfig.parse(config))),
    compose: createEngineComposer(speaker => toEngineConfig(speaker, false)),
    sinks: {
      overlayOptions: ({ encapsulation }) => order.push(encapsulation),
      overlay: ({ own: self, nodes: { set, removed } }) =>
        order.push(
          [...(self === undefined ? [] : ['own']), ...set.keys(), ...[...removed].map(name => `-${name}`)].join(' '),
        ),
      plumbingOptions: ({ cni, egress }) => plumbing.push(`${cni.file} ${egress.enabled ? 'egress' : 'no egress'}`),
      plumbing: batch => plumbing.push([...batch.changes.values()].map(({ object }) => object.name).join()),
      apply: engine => {
        order.push('apply');
        if (isBroken) throw new Error('engine is broken');
        applied.push(engine);
      },
      loadBalancer: ({ options, due, nodes }) =>
        balanced.push({ runs: options !== undefined, due: [...due.values()], nodes }),
      problems: report => void problems.report(report),
      ownNode: node => own.push(node),
    },
    scheduler: clock,
  }).subscribe({ error: (error: unknown) => errors.push(error) });
  return {
    applied,
    order,
    balanced,
    announced,
    lead: isLeading => leading.next(isLeading),
    plumbing,
    own,
    errors,
    clock,
    tell: (change, list, synced = true) => {
      const changes = new Map(list.map(object => [keyOf(object), { change, object }] as const));
      objects.next({ batch: { changes, synced }, problems: new Map() });
    },
    configure: next => settings.next(AgentConfig.parse(next)),
    problems: () => problems.list().map(({ subject, text }) => `${subject}: ${text}`),
    breakEngine: () => (isBroken = true),
  };
}

function peersOf(config: EngineConfig | undefined): readonly string[] | undefined {
  return config?.peers.map(({ name, session: { remote, remotePort, local, remoteAsn, localAsn } }) => {
    const from = local === undefined ? '' : ` from ${formatAddress(local)}`;
    return `${name} ${formatAddress(remote)}:${remotePort}${from} AS ${remoteAsn ?? 'any'}/${localAsn}`;
  });
}
const networksOf = (config: EngineConfig | undefined): readonly string[] | undefined =>
  config?.networks.map(({ prefix }) => formatPrefix(prefix));

group('load balancer', () => {
  const web = parseObject({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'demo' },
    spec: { type: 'LoadBalancer', clusterIP: '10.96.0.9', ports: [{ port: 80 }] },
  });
  if (!web.ok || web.value === undefined) throw new Error('bad service');
  const service = web.value;
  const balancing = {
    kubernetes: { run: { loadBalancer: true }, services: { loadBalancerIpRanges: ['192.0.2.0/24'] } },
  };

  test('works out addresses while it is on us, of the ranges that the configuration names', () => {
    const graph = running(balancing);
    graph.tell('added', [node(1), node(2), service]);
    expect(graph.balanced.at(-1)).toEqual({ runs: true, due: [], nodes: 2 });
    graph.lead(true);
    expect(graph.balanced.at(-1)?.due).toEqual([
      { namespace: 'demo', name: 'web', ips: ['192.0.2.1'], before: [], onlyOurs: false },
    ]);
    graph.lead(false);
    expect(graph.balanced.at(-1)?.due).toEqual([]);
  });
});

test('announcements are counted once', () => {
  const graph = running();
  graph.tell('added', [node(1), node(2)]);
  expect(graph.announced.filter(text => text !== '0 0')).toEqual(['2 0']);
});

group('plumbing', () => {
  test('hears of options, and of the cluster once all of it is known', () => {
    const graph = running();
    graph.tell('added', [node(1)], false);
    expect(graph.plumbing).toEqual(['/cni.conf egress']);
    graph.tell('added', [node(2)]);
    expect(graph.plumbing.slice(1)).toEqual(['n1,n2']);
    graph.configure({ kubernetes: { egress: { enabled: false }, cni: { file: '/other.conf' } } });
    expect(graph.plumbing.slice(2)).toEqual(['/other.conf no egress']);
    graph.configure({ kubernetes: { role: 'edge', edge: { addresses: ['10.0.0.9'] } } });
    expect(graph.plumbing.slice(3)).toEqual([expect.stringMatching(/no egress$/)]);
  });
});

group('tunnels', () => {
  test('know the nodes before the engine does, and hear of nothing but what matters to them', () => {
    const graph = running({ kubernetes: { overlay: { encapsulation: 'vxlan' } } });
    graph.tell('added', [node(1), node(2)]);
    expect(graph.order).toEqual(['vxlan', 'own n1 n2', 'apply']);
    graph.clock.flush();
    graph.order.length = 0;
    graph.tell('changed', [node(2, { spec: { podCIDRs: ['10.244.2.0/24'], taints: [] } })]);
    graph.clock.flush();
    graph.tell('changed', [withIp(2, '10.0.0.22')]);
    graph.clock.flush();
    graph.tell('deleted', [withIp(2, '10.0.0.22')]);
    graph.clock.flush();
    expect(graph.order.filter(entry => entry !== 'apply')).toEqual(['n2', '-n2']);
    graph.configure({ kubernetes: { overlay: { encapsulation: 'fou' } } });
    expect(graph.order).toContain('fou');
  });

  test('a bad MTU annotation is a problem of its node, and is gone with it', () => {
    const graph = running();
    graph.tell('added', [node(1), node(2, { metadata: { name: 'n2', annotations: { 'peerage.io/mtu': '12' } } })]);
    const complaint = expect.stringMatching(/^Node n2: annotation peerage.io\/mtu: "12" is no number/);
    expect(graph.problems()).toContainEqual(complaint);
    graph.clock.flush();
    graph.tell('changed', [node(2)]);
    graph.clock.flush();
    expect(graph.problems()).not.toContainEqual(complaint);
  });
});

group('start', () => {
  test('nothing is applied before the source is synced, then everything at once', () => {
    const graph = running();
    graph.tell('added', [node(1)], false);
    graph.tell('added', [node(2)], false);
    expect(graph.applied).toEqual([]);
    graph.tell('added', [node(3)]);
    expect(graph.applied).toHaveLength(1);
    const [config] = graph.applied;
    expect(peersOf(config)).toEqual([
      'node/n2 10.0.0.2:179 from 10.0.0.1 AS 64512/64512',
      'node/n3 10.0.0.3:179 from 10.0.0.1 AS 64512/64512',
    ]);
    expect(networksOf(config)).toEqual(['10.244.1.0/24', 'fd00:10:244:1::/64']);
    expect(config).toMatchObject({ asn: 64512, gracefulRestart: { restartTime: 90, restarted: false } });
    expect(formatIpv4(config!.routerId)).toBe('10.0.0.1');
    expect(config!.listen.map(({ address, port }) => [formatAddress(address), port])).toEqual([
      ['10.0.0.1', 179],
      ['fd00::1', 179],
    ]);
    expect(config!.nextHopAddresses).toEqual({ v4: config!.listen[0]!.address, v6: config!.listen[1]!.address });
    expect(graph.own).toMatchObject([{ name: 'n1', present: true }]);
    expect(config!.peers[0]?.session.hostname).toBe('n1');
  });

  test('without the own node it waits, and says so once', () => {
    const graph = running();
    graph.tell('added', [node(2), node(3)]);
    graph.clock.flush();
    graph.tell('changed', [withIp(2, '10.0.0.22')]);
    graph.clock.flush();
    expect(graph.applied).toEqual([]);
    expect(graph.own).toEqual([undefined]);
    graph.tell('added', [node(1)]);
    expect(peersOf(graph.applied.at(-1))).toHaveLength(2);
    expect(graph.own).toMatchObject([undefined, { present: true }]);
  });

  test('a node with IPv6 only has a router id all the same', () => {
    const graph = running();
    graph.tell('added', [withIp(1, 'fd00::1'), node(2)]);
    expect(graph.applied[0]?.routerId).toBeGreaterThan(0);
    expect(peersOf(graph.applied[0])).toEqual(['node/n2 fd00::2:179 from fd00::1 AS 64512/64512']);
  });
});

group('changes', () => {
  test('the first of a burst goes at once, the others as one', () => {
    const graph = running();
    graph.tell('added', [node(1)]);
    graph.clock.flush();
    for (const n of [2, 3, 4, 5]) graph.tell('added', [node(n)]);
    expect(graph.applied.map(config => config.peers.length)).toEqual([0, 1]);
    graph.clock.flush();
    expect(graph.applied.map(config => config.peers.length)).toEqual([0, 1, 4]);
  });

  test('what does not matter applies nothing', () => {
    const graph = running();
    graph.tell('added', [node(1), node(2)]);
    graph.clock.flush();
    graph.tell('changed', [node(2, { metadata: { name: 'n2', labels: { beat: '2' } } })]);
    graph.clock.flush();
    expect(graph.applied).toHaveLength(1);
  });

  test('other nodes keep the very same peer, so that the engine finds nothing to do for them', () => {
    const graph = running();
    graph.tell('added', [node(1), node(2), node(3)]);
    graph.clock.flush();
    graph.tell('changed', [withIp(3, '10.0.0.33')]);
    const [before, after] = graph.applied;
    expect(after?.peers[0]).toBe(before?.peers[0]);
    expect(peersOf(after)?.[1]).toMatch(/^node\/n3 10\.0\.0\.33:/);
  });

  test('the own address changes: sessions, router id and listeners follow', () => {
    const graph = running();
    graph.tell('added', [node(1), node(2)]);
    graph.clock.flush();
    graph.tell('changed', [withIp(1, '10.0.0.101')]);
    const config = graph.applied.at(-1);
    expect(peersOf(config)).toEqual(['node/n2 10.0.0.2:179 from 10.0.0.101 AS 64512/64512']);
    expect(formatIpv4(config!.routerId)).toBe('10.0.0.101');
    expect(config?.listen).toHaveLength(1);
  });

  test('the own node goes and comes back: networks go and come back, sessions stay', () => {
    const graph = running();
    graph.tell('added', [node(1), node(2)]);
    graph.clock.flush();
    graph.tell('deleted', [node(1)]);
    graph.clock.flush();
    expect([peersOf(graph.applied.at(-1))?.length, networksOf(graph.applied.at(-1))]).toEqual([1, []]);
    graph.tell('added', [node(1)]);
    expect(networksOf(graph.applied.at(-1))).toHaveLength(2);
    expect(graph.own.map(own => own?.present)).toEqual([true, false, true]);
  });

  test('the own node loses its addresses: the last configuration stays', () => {
    const graph = running();
    graph.tell('added', [node(1), node(2)]);
    graph.clock.flush();
    graph.tell('changed', [node(1, { status: {} })]);
    expect(graph.applied.at(-1)?.listen).toHaveLength(2);
    expect(graph.problems()).toEqual(['Node n1: has no InternalIP address: no BGP session is set up with it']);
  });
});

group('configuration', () => {
  const tor = { name: 'tor', address: '10.0.0.254', asn: 64999 };

  test('peers and networks of the file come with those of the cluster, and go before them', () => {
    const graph = running({
      router: { asn: 65001 },
      peers: [tor, { name: 'mine', address: '10.0.0.2', asn: 65001 }],
      networks: ['10.244.1.0/24', '192.0.2.0/24'],
    });
    graph.tell('added', [node(1), node(2), node(3)]);
    expect(peersOf(graph.applied[0])).toEqual([
      'tor 10.0.0.254:179 AS 64999/65001',
      'mine 10.0.0.2:179 AS 65001/65001',
      'node/n3 10.0.0.3:179 from 10.0.0.1 AS 65001/65001',
    ]);
    expect(networksOf(graph.applied[0])).toEqual(['10.244.1.0/24', '192.0.2.0/24', 'fd00:10:244:1::/64']);
    expect(graph.problems()).toEqual([
      'Node n2: has the name or address of peer mine in the configuration file, which goes before: no session of the mesh',
    ]);
  });

  test('a peer of the file with a name of the mesh goes before it too', () => {
    const graph = running({ peers: [{ ...tor, name: 'node/n2' }] });
    graph.tell('added', [node(1), node(2)]);
    expect(peersOf(graph.applied[0])).toEqual(['node/n2 10.0.0.254:179 AS 64999/64512']);
  });

  test('what the file says of the router goes before what the node knows', () => {
    const graph = running({
      router: { id: '1.2.3.4', listen: ['10.0.0.1:1179'], addresses: { ipv6: 'fd00::99' }, gracefulRestart: false },
    });
    graph.tell('added', [node(1)]);
    const [config] = graph.applied;
    expect(formatIpv4(config!.routerId)).toBe('1.2.3.4');
    expect(config!.listen.map(({ port }) => port)).toEqual([1179]);
    expect(formatAddress(config!.nextHopAddresses!.v6!)).toBe('fd00::99');
    expect(formatAddress(config!.nextHopAddresses!.v4!)).toBe('10.0.0.1');
    expect(config!.gracefulRestart).toBeUndefined();
  });

  test('values for the mesh reach every session of it and no other', () => {
    const graph = running({
      peers: [tor],
      kubernetes: { meshAsn: 64600, bgpPort: 1790, meshPeer: { holdTime: 9, password: { value: 'secret' } } },
    });
    graph.tell('added', [node(1), node(2)]);
    const [torPeer, mesh] = graph.applied[0]!.peers;
    expect(peersOf(graph.applied[0])).toEqual([
      'tor 10.0.0.254:179 AS 64999/64512',
      'node/n2 10.0.0.2:1790 from 10.0.0.1 AS 64600/64600',
    ]);
    expect([mesh?.session.holdTime, mesh?.session.password]).toEqual([9, 'secret']);
    expect([torPeer?.session.holdTime, torPeer?.session.password]).toEqual([90, undefined]);
    expect(graph.applied[0]?.listen.map(({ port }) => port)).toEqual([1790, 1790]);
  });

  test('a new configuration is applied, mesh and all', () => {
    const graph = running({ peers: [tor] });
    graph.tell('added', [node(1), node(2)]);
    graph.configure({ kubernetes: { mesh: false } });
    expect(peersOf(graph.applied.at(-1))).toEqual([]);
    graph.configure({ kubernetes: { meshPeer: { holdTime: 30 } } });
    expect(graph.applied.at(-1)?.peers.map(peer => peer.session.holdTime)).toEqual([30]);
  });

  test('one in error leaves the last good one in force, and is a problem until it is mended', () => {
    const graph = running({ peers: [tor] });
    graph.tell('added', [node(1), node(2)]);
    graph.configure({ kubernetes: { meshPeer: { password: { file: '/nonexistent/key' } } } });
    expect(peersOf(graph.applied.at(-1))).toHaveLength(2);
    expect(graph.problems()).toEqual([
      expect.stringMatching(/^configuration: kubernetes\.meshPeer\.password: .*ENOENT/),
    ]);
    graph.configure({});
    expect(graph.problems()).toEqual([]);
    expect(peersOf(graph.applied.at(-1))).toHaveLength(1);
  });
});

test('an engine that throws ends the graph with the name of the stage', () => {
  const graph = running();
  graph.breakEngine();
  graph.tell('added', [node(1)]);
  expect(graph.errors).toEqual([expect.any(StageError)]);
  expect(String(graph.errors[0])).toContain('stage "apply" failed: engine is broken');
});
