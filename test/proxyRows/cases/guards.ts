/** What is refused, dropped or let in: services without endpoints, ports nobody offers, source ranges. */

import assert from 'node:assert/strict';
import { prefixOf, type ServiceShape } from '../../kernel/proxyRig.js';
import {
  ask,
  at,
  backendsOf,
  change,
  clusterIp,
  external,
  isSilent,
  nodeAt,
  service,
  withServices,
  type RowCase,
  type World,
} from '../world.js';

/** A load-balancer IP for one range, and a node port, which is for everybody. */
function ranged(world: World, ranges: readonly string[]): ServiceShape {
  const { family } = world;
  const { c } = backendsOf(family);
  return service(world, {
    cluster: [c],
    frontends: [
      { address: clusterIp(family, 1) },
      {
        address: external(family, 6),
        kind: 'loadBalancer',
        masquerade: 'always',
        sourceRanges: ranges.map(prefixOf),
      },
      { address: undefined, kind: 'nodePort', port: 30080, masquerade: 'always' },
    ],
  });
}

export const guards: readonly RowCase[] = [
  {
    name: 'without any endpoint everything is rejected',
    proves: [15],
    run: async (world: World): Promise<void> => {
      const { family } = world;
      const [vip, outer] = [clusterIp(family, 1), external(family, 1)];
      const frontends = [
        { address: vip },
        { address: outer, kind: 'externalIp' },
        { address: undefined, kind: 'nodePort', port: 30080 },
      ] as const;
      const tcp = service(world, { frontends });
      await withServices(world, [tcp, { ...tcp, protocol: 'UDP' }], async () => {
        for (const actor of ['a', 'client', 'node'] as const)
          for (const protocol of ['tcp', 'udp'] as const) {
            assert.equal(await ask(world, actor, vip, { protocol }), 'refused', `${actor} ${protocol}`);
            assert.equal(await ask(world, actor, outer, { protocol }), 'refused', `${actor} ${protocol}`);
            assert.equal(await ask(world, actor, at(world).node, { protocol, port: 30080 }), 'refused');
          }
      });
    },
  },
  {
    name: 'the first endpoint and the last make the difference',
    proves: [15, 20],
    run: async (world: World): Promise<void> => {
      const { a, c } = backendsOf(world.family);
      const vip = clusterIp(world.family, 3);
      const frontends = [{ address: vip }];
      const empty = service(world, { frontends });
      await withServices(world, [empty], async () => {
        assert.equal(await ask(world, 'b', vip), 'refused');
        await change(world, [{ ...empty, cluster: [c] }]);
        assert.equal(await ask(world, 'b', vip), `c ${at(world).b}`);
        await change(world, [{ ...empty, cluster: [{ ...a, state: 'terminating' }] }]);
        assert.equal(await ask(world, 'b', vip), `a ${at(world).b}`);
        await change(world, [empty]);
        assert.equal(await ask(world, 'b', vip), 'refused');
      });
    },
  },
  {
    name: 'another port of a cluster IP is rejected, an address nobody has is dropped',
    proves: [16],
    run: async (world: World): Promise<void> => {
      const { b } = backendsOf(world.family);
      await withServices(world, [service(world, { cluster: [b] })], async () => {
        for (const actor of ['a', 'client', 'node'] as const) {
          assert.equal(await ask(world, actor, clusterIp(world.family, 1), { port: 81 }), 'refused', actor);
          await isSilent(world, actor, clusterIp(world.family, 77));
        }
      });
    },
  },
  {
    name: 'what listens on the node itself is not reached at addresses of services',
    proves: [16],
    run: async (world: World): Promise<void> => {
      const { b } = backendsOf(world.family);
      const vip = clusterIp(world.family, 1);
      await withServices(world, [service(world, { cluster: [b] })], async () => {
        assert.match(await ask(world, 'client', at(world).node, { port: 22000 }), /^node /);
        for (const actor of ['a', 'client', 'node'] as const)
          for (const protocol of ['tcp', 'udp'] as const)
            assert.equal(await ask(world, actor, vip, { port: 22000, protocol }), 'refused', `${actor} ${protocol}`);
      });
    },
  },
  {
    name: 'an external IP that is an address of the node takes its own port alone',
    proves: [10, 16],
    run: async (world: World): Promise<void> => {
      const { family } = world;
      const { c } = backendsOf(family);
      const own = at(world).node;
      const frontends = [
        { address: clusterIp(family, 1) },
        { address: own, kind: 'externalIp', port: 8443, masquerade: 'always' },
      ] as const;
      await withServices(world, [service(world, { cluster: [c], frontends })], async () => {
        for (const actor of ['client', 'a', 'node'] as const) {
          assert.equal(await ask(world, actor, own, { port: 8443 }), `c ${nodeAt(family, 'c')}`, actor);
          assert.match(await ask(world, actor, own, { port: 22000 }), /^node /, actor);
        }
        assert.match(await ask(world, 'client', own, { port: 22000, protocol: 'udp' }), /^node /);
      });
      assert.match(await ask(world, 'client', own, { port: 22000 }), /^node /);
    },
  },
  {
    name: 'source ranges let in who is in them, and do not concern node ports',
    proves: [4, 11],
    run: async (world: World): Promise<void> => {
      const { family } = world;
      const host = family === 4 ? 32 : 128;
      const outer = external(family, 6);
      const masqueraded = `c ${nodeAt(family, 'c')}`;
      await withServices(world, [ranged(world, [`${at(world).client}/${host}`])], async () => {
        assert.equal(await ask(world, 'client', outer), masqueraded);
        await isSilent(world, 'a', outer);
        await isSilent(world, 'node', outer);
        assert.equal(await ask(world, 'a', clusterIp(family, 1)), `c ${at(world).a}`);
        // Changed while it stands.
        await change(world, [ranged(world, [`${at(world).a}/${host}`])]);
        await isSilent(world, 'client', outer);
        assert.equal(await ask(world, 'a', outer), masqueraded);
        assert.equal(await ask(world, 'client', at(world).node, { port: 30080 }), masqueraded);
      });
    },
  },
  {
    name: 'a range with an address of the node lets the node in',
    proves: [11],
    run: async (world: World): Promise<void> => {
      const { family } = world;
      const ranges = family === 4 ? ['192.168.9.0/24', '10.1.0.0/16'] : ['fd99::/64', 'fdee::/16'];
      await withServices(world, [ranged(world, ranges)], async () => {
        assert.equal(await ask(world, 'node', external(family, 6)), `c ${nodeAt(family, 'c')}`);
        await isSilent(world, 'a', external(family, 6));
      });
    },
  },
];
