/** Who counts as a pod of this cluster, and masquerading of everything. */

import assert from 'node:assert/strict';
import type { ProxySettings } from '../../../src/proxy/proxyTypes.js';
import {
  ask,
  at,
  backendsOf,
  clusterIp,
  nodeAt,
  service,
  withServices,
  withSettings,
  type RowCase,
  type World,
} from '../world.js';

/** Asks c from three places. @returns who was seen */
async function sources(world: World, more: Partial<ProxySettings>): Promise<readonly string[]> {
  const { c } = backendsOf(world.family);
  const seen: string[] = [];
  await withServices(world, [service(world, { cluster: [c] })], () =>
    withSettings(world, more, async () => {
      for (const actor of ['a', 'b', 'client'] as const)
        seen.push((await ask(world, actor, clusterIp(world.family, 1))).replace('c ', ''));
    }),
  );
  return seen;
}

export const detectors: readonly RowCase[] = [
  {
    name: 'pods are told by the link that they come through',
    proves: [24, 25],
    run: async (world: World): Promise<void> => {
      const node = nodeAt(world.family, 'c');
      const seen = await sources(world, { podDetector: { kind: 'link', name: 'to-a' } });
      assert.deepEqual(seen, [at(world).a, node, node]);
    },
  },
  {
    name: 'pods are told by how the name of their link begins',
    proves: [24, 25],
    run: async (world: World): Promise<void> => {
      const seen = await sources(world, { podDetector: { kind: 'linkPrefix', prefix: 'to-c' } });
      assert.deepEqual(seen, [nodeAt(world.family, 'c'), nodeAt(world.family, 'c'), at(world).client]);
    },
  },
  {
    name: 'without a way to tell pods nobody is masqueraded',
    proves: [24],
    run: async (world: World): Promise<void> => {
      const seen = await sources(world, { podDetector: { kind: 'none' } });
      assert.deepEqual(seen, [at(world).a, at(world).b, at(world).client]);
    },
  },
  {
    name: 'everybody is masqueraded if the settings say so',
    proves: [24],
    run: async (world: World): Promise<void> => {
      const seen = await sources(world, { masqueradeAll: true });
      assert.deepEqual(new Set(seen), new Set([nodeAt(world.family, 'c')]));
    },
  },
  {
    name: 'the mark may be another bit',
    proves: [23],
    run: async (world: World): Promise<void> => {
      const seen = await sources(world, { masqueradeBit: 5 });
      assert.deepEqual(seen, [at(world).a, at(world).b, nodeAt(world.family, 'c')]);
    },
  },
];
