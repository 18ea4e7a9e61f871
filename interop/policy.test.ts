/** What our policies send, as BIRD receives it, and what they make of what BIRD sends. Needs root and BIRD. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { RouteView } from '../src/api/view.js';
import { Topology } from '../lab/topology/topology.js';
import { bird } from './daemons/bird.js';
import { control } from './daemons/daemon.js';
import { buildRack, buildRig, sessionsUp, until, type Rig } from './rig.js';

const NET = '10.1.0.0/24';
const OTHER = '10.1.1.0/24';
const THEIRS = '10.2.0.0/24';
const LIMITS = 90_000;

let topology: Topology;

beforeAll(async () => {
  topology = await Topology.open('pgpo');
  await buildRack(topology);
});
afterAll(async () => {
  await topology.close();
});

/** Our configuration: the peer with these options, and these sections besides. */
function configure(rig: Rig, peer: object, sections: object): void {
  const { plan } = rig.us;
  const [neighbour] = plan.neighbours;
  rig.us.own.configure(
    stringify({
      router: { asn: plan.asn, id: plan.address, listen: [`${plan.address}:179`] },
      peers: [
        {
          name: neighbour?.address,
          address: neighbour?.address,
          asn: neighbour?.asn,
          localAddress: plan.address,
          holdTime: plan.holdTime,
          connectRetryTime: 1,
          idleHoldTime: { min: 1, max: 2 },
          ...peer,
        },
      ],
      networks: [NET, OTHER],
      fib: { install: false },
      ...sections,
    }),
  );
}

/** BIRD's words on a route: names of attributes and their values. */
async function atBird(rig: Rig, prefix: string): Promise<Record<string, string>> {
  if (!(await rig.them.prefixes()).has(prefix)) return {};
  const socket = join(topology.folder, `${rig.them.plan.host}-bird.ctl`);
  const text = await control(topology, rig.them.plan, 'birdc', ['-s', socket, 'show', 'route', 'for', prefix, 'all']);
  return Object.fromEntries([...text.matchAll(/BGP\.(\w+): (.*)/g)].map(match => [match[1]!, match[2]!.trim()]));
}

async function withRig(asn: number, run: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = buildRig(topology, bird, { us: { asn }, them: { asn: 65002 } });
  try {
    for (const daemon of rig.all) await daemon.start();
    await rig.us.originate([{ prefix: NET }, { prefix: OTHER }]);
    await sessionsUp(rig);
    await run(rig);
  } finally {
    await Promise.all(rig.all.map(daemon => daemon.program.end().catch(() => undefined)));
  }
}

/** Waits until BIRD says this of a prefix; a key without value must not be there. */
async function birdSays(rig: Rig, prefix: string, wanted: Readonly<Record<string, string | undefined>>): Promise<void> {
  let seen: Record<string, string> = {};
  const fits = async (): Promise<boolean> => {
    seen = await atBird(rig, prefix);
    return Object.entries(wanted).every(([key, value]) => seen[key] === value);
  };
  await until(`${JSON.stringify(wanted)} of ${prefix}`, fits).catch((error: unknown) => {
    throw new Error(`${String(error)}\nBIRD says ${JSON.stringify(seen)}`);
  });
}

const COLOURS = {
  addCommunities: ['65001:1', '65001:70:1', 'rt:65001:9', 'no-peer'],
  med: 50,
  prepend: { asn: 65009, count: 2 },
};

test(
  'eBGP: prepending, MED and communities arrive, go again, and only the prefixes meant are told',
  async () => {
    await withRig(65001, async rig => {
      const coloured = { terms: [{ match: { prefixes: NET }, set: COLOURS, then: 'accept' }], otherwise: 'accept' };
      configure(rig, { export: 'out' }, { policies: { out: coloured } });
      await birdSays(rig, NET, {
        as_path: '65001 65009 65009',
        med: '50',
        community: '(65001,1) (65535,65284)',
        large_community: '(65001, 70, 1)',
        ext_community: '(rt, 65001, 9)',
      });
      await birdSays(rig, OTHER, { as_path: '65001', med: undefined, community: undefined });
      const only = { terms: [{ match: { prefixes: OTHER }, then: 'accept' }], otherwise: 'reject' };
      configure(rig, { export: 'out' }, { policies: { out: only } });
      await birdSays(rig, NET, { as_path: undefined });
      await birdSays(rig, OTHER, { as_path: '65001' });
      configure(rig, {}, {});
      await birdSays(rig, NET, { as_path: '65001', med: undefined, community: undefined });
      expect((await rig.us.own.peer(rig.theirAddress)).timesEstablished).toBe(1);
    });
  },
  LIMITS,
);

test(
  'iBGP: LOCAL_PREF and the next hop arrive',
  async () => {
    await withRig(65002, async rig => {
      const set = { localPref: 250, nextHop: '10.9.0.3' };
      configure(
        rig,
        { export: 'out' },
        { policies: { out: { terms: [{ match: { prefixes: NET }, set, then: 'accept' }] } } },
      );
      await birdSays(rig, NET, { local_pref: '250', next_hop: '10.9.0.3' });
      await birdSays(rig, OTHER, { local_pref: '100', next_hop: '10.9.0.1' });
    });
  },
  LIMITS,
);

test(
  'an import policy changes and refuses what BIRD sends, and BIRD is not asked again',
  async () => {
    await withRig(65001, async rig => {
      await rig.them.originate([
        { prefix: THEIRS, communities: ['65002:1', '65002:2'] },
        { prefix: '10.2.1.0/24' },
        { prefix: '10.3.0.0/25' },
      ]);
      await until('three routes', async () => (await rig.us.prefixes()).size === 5);
      const requests = async (): Promise<number> =>
        (await rig.us.own.peer(rig.theirAddress)).messages.sent['routeRefresh'] ?? 0;
      const before = await requests();
      configure(
        rig,
        { import: ['lengths', 'marks'] },
        {
          policies: {
            lengths: { terms: [{ name: 'long', match: { prefixes: '0.0.0.0/0 ge 25' }, then: 'reject' }] },
            marks: {
              terms: [
                {
                  match: { communities: { all: ['65002:1', '65002:2'] }, asPath: '^65002$' },
                  set: { localPref: 300, removeCommunities: '65002:*', addCommunities: ['65001:5'] },
                  then: 'accept',
                },
              ],
            },
          },
        },
      );
      const routes = async (): Promise<RouteView[]> =>
        (await rig.us.own.routes()).filter(route => route.from !== 'local');
      await until('the policy', async () => (await routes()).some(route => route.localPref === 300));
      expect(
        (await routes()).map(({ prefix, best, reason, communities }) => [prefix, best, reason, communities]),
      ).toEqual([
        [THEIRS, true, null, ['65001:5']],
        ['10.2.1.0/24', true, null, []],
        ['10.3.0.0/25', false, 'rejected by import policy lengths term long', []],
      ]);
      expect(await requests()).toBe(before);
    });
  },
  LIMITS,
);

test(
  'BIRD is told when it has sent too many prefixes',
  async () => {
    await withRig(65001, async rig => {
      await rig.them.originate([{ prefix: THEIRS }, { prefix: '10.2.1.0/24' }]);
      configure(rig, { maxPrefixes: { limit: 1, action: 'idle' } }, {});
      await until('the end of the session', async () => !(await rig.them.established(rig.ourAddress)));
      await until('the reason', async () => /Maximum number of prefixes/i.test(await rig.them.reasons(rig.ourAddress)));
      expect((await rig.us.own.peer(rig.theirAddress)).state).toBe('Disabled');
    });
  },
  LIMITS,
);
