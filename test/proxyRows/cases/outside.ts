/** What is reached from outside of the cluster: node ports, external and load-balancer IPs, and what the policies make of them. */

import assert from 'node:assert/strict';
import { prefixOf } from '../../kernel/proxyRig.js';
import {
  answers,
  ask,
  at,
  backendsOf,
  clusterIp,
  external,
  isSilent,
  loopback,
  nodeAt,
  service,
  times,
  who,
  withServices,
  withSettings,
  type RowCase,
  type World,
} from '../world.js';

/** With policy Local, at an external address or, where it is undefined, at a node port. */
function local(address: string | undefined) {
  const kind = address === undefined ? ('nodePort' as const) : ('loadBalancer' as const);
  return { address, kind, port: 30080, policy: 'local', shortCircuit: true, masquerade: 'never' } as const;
}

async function keepsOutsidersLocal(world: World, address: string | undefined): Promise<void> {
  const { family } = world;
  const { b, c } = backendsOf(family);
  const goal = address ?? at(world).node;
  const frontends = [{ address: clusterIp(family, 1) }, local(address)];
  await withServices(world, [service(world, { cluster: [b, c], frontends })], async () => {
    const outside = await answers(times(world, false), () => ask(world, 'client', goal, { port: 30080 }));
    assert.deepEqual(outside, [`b ${at(world).client}`]);
    // Pods and the node itself use all endpoints.
    const pods = await answers(times(world), () => ask(world, 'a', goal, { port: 30080 }));
    assert.deepEqual(pods, [`b ${at(world).a}`, `c ${at(world).a}`]);
    const own = await answers(times(world), () => ask(world, 'node', goal, { port: 30080 }));
    assert.deepEqual(own, [`b ${nodeAt(family, 'b')}`, `c ${nodeAt(family, 'c')}`]);
  });
}

export const outside: readonly RowCase[] = [
  {
    name: 'a node port serves every address of the node but loopback, and only this node',
    proves: [4, 5, 6, 12],
    run: async (world: World): Promise<void> => {
      const { family } = world;
      const { c } = backendsOf(family);
      const node = { address: undefined, kind: 'nodePort', port: 30080, masquerade: 'always' } as const;
      const frontends = [{ address: clusterIp(family, 1) }, node];
      await withServices(world, [service(world, { cluster: [c], frontends })], async () => {
        const masqueraded = `c ${nodeAt(family, 'c')}`;
        assert.equal(await ask(world, 'client', at(world).node, { port: 30080 }), masqueraded);
        assert.equal(await ask(world, 'a', nodeAt(family, 'a'), { port: 30080 }), masqueraded);
        assert.equal(await ask(world, 'node', at(world).node, { port: 30080 }), masqueraded);
        assert.equal(await ask(world, 'node', loopback(family), { port: 30080 }), 'refused');
        assert.equal(await ask(world, 'client', at(world).b, { port: 30080 }), 'refused');
        // An address of services is none of the node's.
        assert.equal(await ask(world, 'client', clusterIp(family, 1), { port: 30080 }), 'refused');
      });
    },
  },
  {
    name: 'node ports are served where the settings say',
    proves: [5],
    run: async (world: World): Promise<void> => {
      const { family } = world;
      const { c } = backendsOf(family);
      const node = { address: undefined, kind: 'nodePort', port: 30080, masquerade: 'always' } as const;
      const frontends = [{ address: clusterIp(family, 1) }, node];
      const nodePortAddresses = [prefixOf(family === 4 ? '192.168.9.0/24' : 'fd99::/64')];
      await withServices(world, [service(world, { cluster: [c], frontends })], async () => {
        await withSettings(world, { nodePortAddresses }, async () => {
          assert.equal(await ask(world, 'client', at(world).node, { port: 30080 }), `c ${nodeAt(family, 'c')}`);
          assert.equal(await ask(world, 'a', nodeAt(family, 'a'), { port: 30080 }), 'refused');
          assert.equal(await ask(world, 'node', nodeAt(family, 'a'), { port: 30080 }), 'refused');
        });
        assert.equal(await ask(world, 'a', nodeAt(family, 'a'), { port: 30080 }), `c ${nodeAt(family, 'c')}`);
      });
    },
  },
  {
    name: 'an external address leads to the same backends, masqueraded',
    proves: [8, 10, 12],
    run: async (world: World): Promise<void> => {
      const { family } = world;
      const { b, c } = backendsOf(family);
      for (const kind of ['externalIp', 'loadBalancer'] as const) {
        const frontends = [
          { address: clusterIp(family, 1) },
          { address: external(family, 1), kind, masquerade: 'always' as const },
        ];
        await withServices(world, [service(world, { cluster: [b, c], frontends })], async () => {
          const all = await answers(times(world), () => ask(world, 'client', external(family, 1)));
          assert.deepEqual(all, [`b ${nodeAt(family, 'b')}`, `c ${nodeAt(family, 'c')}`]);
          const pods = await answers(times(world), () => ask(world, 'a', external(family, 1)));
          assert.deepEqual(pods, [`b ${nodeAt(family, 'b')}`, `c ${nodeAt(family, 'c')}`]);
        });
      }
    },
  },
  {
    name: 'policy Local keeps outsiders local, with their address',
    proves: [8, 13],
    run: (world: World): Promise<void> => keepsOutsidersLocal(world, external(world.family, 2)),
  },
  {
    name: 'policy Local keeps outsiders local at a node port, too',
    proves: [4, 13],
    run: (world: World): Promise<void> => keepsOutsidersLocal(world, undefined),
  },
  {
    name: 'policy Local without a local endpoint drops outsiders; short circuits work',
    proves: [13, 14],
    run: async (world: World): Promise<void> => {
      const { family } = world;
      const { c } = backendsOf(family);
      const frontends = [{ address: clusterIp(family, 1) }, local(external(family, 3)), local(undefined)];
      await withServices(world, [service(world, { cluster: [c], frontends })], async () => {
        for (const goal of [external(family, 3), at(world).node]) {
          await isSilent(world, 'client', goal, { port: 30080 });
          assert.equal(await ask(world, 'a', goal, { port: 30080 }), `c ${at(world).a}`);
          assert.equal(await ask(world, 'node', goal, { port: 30080 }), `c ${nodeAt(family, 'c')}`);
        }
      });
    },
  },
  {
    name: 'an open connection through a short circuit goes on, over UDP too',
    proves: [13],
    run: async (world: World): Promise<void> => {
      const { family, rig } = world;
      const { c } = backendsOf(family);
      const goal = external(family, 4);
      const tcp = service(world, { cluster: [c], frontends: [{ address: clusterIp(family, 1) }, local(goal)] });
      await withServices(world, [tcp, { ...tcp, protocol: 'UDP' }], async () => {
        const keep = `round-${family}`;
        assert.equal(await ask(world, 'a', goal, { port: 30080, keep }), `c ${at(world).a}`);
        assert.equal(await rig.actors.a.askKept(keep), `c ${at(world).a}`);
        assert.equal(await rig.actors.a.askKept(keep), `c ${at(world).a}`);
        const same = { protocol: 'udp', port: 30080, fromPort: 40010 } as const;
        for (let i = 0; i < 3; i++) assert.equal(await ask(world, 'a', goal, same), `c ${at(world).a}`);
      });
    },
  },
  {
    name: 'internal policy Local uses local endpoints, and drops without any',
    proves: [14, 17],
    run: async (world: World): Promise<void> => {
      const { family } = world;
      const { b, c } = backendsOf(family);
      const vip = clusterIp(family, 1);
      const frontends = [{ address: vip, policy: 'local' }] as const;
      await withServices(world, [service(world, { cluster: [b, c], frontends })], async () => {
        assert.deepEqual(await answers(times(world, false), () => ask(world, 'a', vip)), [`b ${at(world).a}`]);
      });
      await withServices(world, [service(world, { cluster: [c], frontends })], async () => {
        await isSilent(world, 'a', vip);
        await isSilent(world, 'node', vip);
      });
    },
  },
  {
    name: 'both policies Local: pods at the external address',
    proves: [13, 17],
    differs: ['bothLocal'],
    run: async (world: World): Promise<void> => {
      const { family, rig } = world;
      const { b, c } = backendsOf(family);
      const frontends = [{ address: clusterIp(family, 1), policy: 'local' as const }, local(external(family, 5))];
      await withServices(world, [service(world, { cluster: [b, c], frontends })], async () => {
        const pods = await answers(times(world), () => ask(world, 'a', external(family, 5), { port: 30080 }).then(who));
        assert.deepEqual(pods, rig.proxy.kind === 'ipvs' ? ['b'] : ['b', 'c']);
      });
    },
  },
];
