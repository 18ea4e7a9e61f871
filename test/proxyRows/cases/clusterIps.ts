/** Cluster IPs: who is served, by whom, and what the backend sees as source. */

import assert from 'node:assert/strict';
import {
  answers,
  ask,
  at,
  backendsOf,
  clusterIp,
  nodeAt,
  service,
  times,
  who,
  withServices,
  type RowCase,
  type World,
} from '../world.js';
import { backendOn, deltaOf, PORT } from '../../kernel/proxyRig.js';

export const clusterIps: readonly RowCase[] = [
  {
    name: 'a cluster IP is balanced over its backends, and pods keep their address',
    proves: [1, 2, 25, 26],
    run: async (world: World): Promise<void> => {
      const { b, c } = backendsOf(world.family);
      await withServices(world, [service(world, { cluster: [b, c] })], async () => {
        const vip = clusterIp(world.family, 1);
        const all = await answers(times(world), () => ask(world, 'a', vip));
        assert.deepEqual(all, [`b ${at(world).a}`, `c ${at(world).a}`]);
      });
    },
  },
  {
    name: 'weights are shares, and weight 0 takes nothing',
    proves: [2],
    differs: ['weights'],
    run: async (world: World): Promise<void> => {
      const { family, rig } = world;
      const { a, b, c } = backendsOf(family);
      const cluster = [
        { ...a, weight: 0 },
        { ...b, weight: 9 },
        { ...c, weight: 3 },
      ];
      const scheduling = { scheduler: 'wrr', fallback: false, port: false, flag3: false } as const;
      const weighted = service(world, { cluster, frontends: [{ address: clusterIp(family, 2), scheduling }] });
      await withServices(world, [weighted], async () => {
        const [frontend] = await rig.proxy.read([...deltaOf([weighted]).frontends.set.keys()]);
        const weights = new Map(frontend?.backends.map(({ address, weight }) => [address, weight]));
        assert.equal(weights.get(b.address)! / weights.get(c.address)!, 3);
        assert.equal(weights.get(a.address) ?? 0, 0);
        const all = await answers(40, () => ask(world, 'client', clusterIp(family, 2)).then(who));
        assert.deepEqual(all, ['b', 'c']);
      });
    },
  },
  {
    name: 'TCP and UDP of one port are two things, and so are two ports',
    proves: [3],
    run: async (world: World): Promise<void> => {
      const { b, c } = backendsOf(world.family);
      const vip = clusterIp(world.family, 1);
      const tcp = service(world, { cluster: [b] });
      const other = service(world, { name: 'other', cluster: [c], frontends: [{ address: vip, port: 81 }] });
      await withServices(world, [tcp, { ...tcp, protocol: 'UDP', cluster: [c] }, other], async () => {
        assert.equal(await ask(world, 'a', vip), `b ${at(world).a}`);
        assert.equal(await ask(world, 'a', vip, { protocol: 'udp' }), `c ${at(world).a}`);
        assert.equal(await ask(world, 'a', vip, { port: 81 }), `c ${at(world).a}`);
      });
    },
  },
  {
    name: 'SCTP, from a pod and from the node, and to a node port',
    proves: [3, 4],
    run: async (world: World): Promise<void> => {
      const { family, rig, hasSctp } = world;
      const frontends = [
        { address: clusterIp(family, 1), port: 80 },
        { address: undefined, kind: 'nodePort', port: 30132, masquerade: 'always' },
      ] as const;
      const sctp = service(world, { protocol: 'SCTP', cluster: [backendOn(family, 'c')], frontends });
      await withServices(world, [sctp], async () => {
        const found = await rig.proxy.read([...deltaOf([sctp]).frontends.set.keys()]);
        const backends = found.map(({ verdict, backends: [first] }) => [verdict, first?.address, first?.port]);
        assert.deepEqual(backends, [
          ['forward', at(world).c, PORT],
          ['forward', at(world).c, PORT],
        ]);
        // A kernel without SCTP sockets still has the rules.
        if (!hasSctp) return;
        const question = { protocol: 'sctp', from: at(world).a } as const;
        assert.equal(await ask(world, 'a', clusterIp(family, 1), question), `c ${at(world).a}`);
        const outside = { protocol: 'sctp', from: at(world).client, port: 30132 } as const;
        assert.equal(await ask(world, 'client', at(world).node, outside), `c ${nodeAt(family, 'c')}`);
      });
    },
  },
  {
    name: 'traffic to a cluster IP from elsewhere is masqueraded, and so is the own of the node',
    proves: [1, 23, 24],
    run: async (world: World): Promise<void> => {
      const { c } = backendsOf(world.family);
      await withServices(world, [service(world, { cluster: [c] })], async () => {
        for (const actor of ['client', 'node'] as const)
          assert.equal(await ask(world, actor, clusterIp(world.family, 1)), `c ${nodeAt(world.family, 'c')}`);
      });
    },
  },
  {
    name: 'a pod that comes back to itself is masqueraded',
    proves: [22],
    run: async (world: World): Promise<void> => {
      const { a } = backendsOf(world.family);
      const vip = clusterIp(world.family, 1);
      const tcp = service(world, { cluster: [a] });
      await withServices(world, [tcp, { ...tcp, protocol: 'UDP' }], async () => {
        assert.equal(await ask(world, 'a', vip), `a ${nodeAt(world.family, 'a')}`);
        assert.equal(await ask(world, 'a', vip, { protocol: 'udp' }), `a ${nodeAt(world.family, 'a')}`);
        assert.equal(await ask(world, 'b', vip), `a ${at(world).b}`);
      });
    },
  },
  {
    name: 'masquerade always takes the node’s address even for pods',
    proves: [23],
    run: async (world: World): Promise<void> => {
      const { c } = backendsOf(world.family);
      const vip = clusterIp(world.family, 1);
      const always = service(world, { cluster: [c], frontends: [{ address: vip, masquerade: 'always' }] });
      await withServices(world, [always], async () => {
        assert.equal(await ask(world, 'a', vip), `c ${nodeAt(world.family, 'c')}`);
      });
    },
  },
];
