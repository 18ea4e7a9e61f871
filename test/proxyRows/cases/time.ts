/** What has a past: session affinity, open connections, UDP flows. */

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Answer } from '../../kernel/proxyActor.js';
import {
  answers,
  ask,
  at,
  backendsOf,
  change,
  clusterIp,
  external,
  service,
  times,
  until,
  who,
  withServices,
  withSettings,
  type RowCase,
  type World,
} from '../world.js';
import { SETTINGS } from '../../kernel/proxyRig.js';

/** Seconds, and milliseconds after which a record is surely gone. */
const [SHORT, LONGER] = [2, 4500];
/** So many new choices between two backends are all the same once in a million tries. */
const CHOICES = 20;

/** Asks now and then, with pauses longer than a record lives, until another backend answers. */
async function isForgotten(question: () => Promise<Answer>): Promise<void> {
  const first = await question();
  for (let i = 0; i < CHOICES; i++) {
    await delay(LONGER);
    if ((await question()) !== first) return;
  }
  assert.fail(`always ${first}`);
}

async function affinityHolds(world: World): Promise<void> {
  const { family, rig } = world;
  const { b, c } = backendsOf(family);
  const vip = clusterIp(family, 11);
  const frontends = [
    { address: vip, affinity: 3600 },
    { address: external(family, 11), kind: 'externalIp', affinity: 3600 },
    { address: undefined, kind: 'nodePort', port: 30081, affinity: 3600 },
  ] as const;
  const sticky = service(world, { name: 'sticky', cluster: [b, c], frontends });
  await withServices(world, [sticky], async () => {
    const goals = [
      [vip, 80],
      [external(family, 11), 80],
      [at(world).node, 30081],
    ] as const;
    const question =
      ([address, port]: (typeof goals)[number]) =>
      (): Promise<Answer> =>
        ask(world, 'client', address, { port }).then(who);
    const first = await question(goals[0])();
    for (const goal of goals) {
      const own = await answers(times(world, false), question(goal));
      if (rig.proxy.kind === 'ipvs') assert.equal(own.length, 1);
      else assert.deepEqual(own, [first]);
    }
    await change(world, [{ ...sticky, cluster: [first === 'b' ? c : b] }]);
    const second = await question(goals[0])();
    assert.notEqual(second, first);
    // The new record holds when the old backend is back.
    await change(world, [sticky]);
    assert.deepEqual(await answers(times(world, false), question(goals[0])), [second]);
  });
}

async function flowsAreCleaned(world: World): Promise<void> {
  const { family, rig } = world;
  const { b, c } = backendsOf(family);
  const node = at(world).node;
  const [vip, other] = [clusterIp(family, 13), clusterIp(family, 14)];
  const frontends = [{ address: vip }, { address: undefined, kind: 'nodePort', port: 30053 }] as const;
  const udp = service(world, { name: 'udp', protocol: 'UDP', cluster: [b], frontends });
  const bystander = service(world, {
    name: 'bystander',
    protocol: 'UDP',
    cluster: [b, c],
    frontends: [{ address: other }],
  });
  const question = { protocol: 'udp', fromPort: 40000, patience: 3000 } as const;
  const deleted = (): number =>
    rig.events.reduce((sum, event) => sum + (event.kind === 'conntrack' ? event.deleted : 0), 0);
  await withServices(world, [udp, bystander], async () => {
    const fixed = await ask(world, 'a', other, { ...question, fromPort: 40001 });
    assert.equal(await ask(world, 'a', vip, question), `b ${at(world).a}`);
    assert.equal(who(await ask(world, 'client', node, { ...question, port: 30053 })), 'b');
    const before = deleted();
    // An endpoint goes, another comes: the same source port must reach the new one.
    await change(world, [{ ...udp, cluster: [c] }]);
    // IPVS forgets its connections to a backend that goes, and their flows with them.
    if (rig.proxy.kind === 'nftables') assert.equal(deleted() - before, 2);
    const toVip = (): Promise<Answer> => ask(world, 'a', vip, question);
    const toNode = (): Promise<Answer> => ask(world, 'client', node, { ...question, port: 30053 }).then(who);
    // What is on its way meanwhile may be lost.
    await until(`c ${at(world).a}`, toVip);
    await until('c', toNode);
    assert.equal(await ask(world, 'a', other, { ...question, fromPort: 40001 }), fixed);
  });
}

export const time: readonly RowCase[] = [
  {
    name: 'session affinity keeps a client at its backend, on every frontend, until the backend goes',
    proves: [19],
    differs: ['affinityRecords'],
    run: affinityHolds,
  },
  {
    name: 'session affinity ends with its time',
    proves: [19],
    differs: ['affinityEnd'],
    run: async (world: World): Promise<void> => {
      const { b, c } = backendsOf(world.family);
      const vip = clusterIp(world.family, 12);
      const brief = service(world, {
        name: 'brief',
        protocol: 'UDP',
        cluster: [b, c],
        frontends: [{ address: vip, affinity: SHORT }],
      });
      const ipvs = { ...SETTINGS.ipvs, udpTimeout: 1 };
      await withSettings(world, { ipvs }, () =>
        withServices(world, [brief], () => isForgotten(() => ask(world, 'client', vip, { protocol: 'udp' }).then(who))),
      );
    },
  },
  {
    name: 'an open TCP connection outlives its endpoint',
    proves: [20],
    run: async (world: World): Promise<void> => {
      const { family, rig } = world;
      const { b, c } = backendsOf(family);
      const vip = clusterIp(family, 1);
      const own = service(world, { cluster: [b] });
      const ipvs = { ...SETTINGS.ipvs, gracefulPeriod: 600 };
      await withSettings(world, { ipvs }, () =>
        withServices(world, [own], async () => {
          assert.equal(await ask(world, 'a', vip, { keep: `old-${family}` }), `b ${at(world).a}`);
          await change(world, [{ ...own, cluster: [c] }]);
          assert.equal(await rig.actors.a.askKept(`old-${family}`), `b ${at(world).a}`);
          assert.equal(await ask(world, 'a', vip), `c ${at(world).a}`);
        }),
      );
    },
  },
  {
    name: 'an open TCP connection outlives the last endpoint, while new ones are refused',
    proves: [15, 20],
    run: async (world: World): Promise<void> => {
      const { family, rig } = world;
      const { c } = backendsOf(family);
      const frontends = [
        { address: clusterIp(family, 15) },
        { address: external(family, 15), kind: 'externalIp' },
      ] as const;
      const own = service(world, { name: 'last', cluster: [c], frontends });
      const ipvs = { ...SETTINGS.ipvs, gracefulPeriod: 600 };
      await withSettings(world, { ipvs }, () =>
        withServices(world, [own], async () => {
          for (const { address } of frontends) {
            const keep = `last-${address}`;
            assert.equal(who(await ask(world, 'client', address, { keep })), 'c');
            await change(world, [{ ...own, cluster: [] }]);
            assert.equal(who(await rig.actors.client.askKept(keep)), 'c');
            assert.equal(await ask(world, 'client', address), 'refused');
            await change(world, [own]);
            assert.equal(who(await rig.actors.client.askKept(keep)), 'c');
            assert.equal(who(await ask(world, 'client', address)), 'c');
          }
        }),
      );
    },
  },
  {
    name: 'stale UDP flows are deleted, others stay',
    proves: [21],
    run: flowsAreCleaned,
  },
];
