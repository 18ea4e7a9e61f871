/** What the matrix calls lacking must be seen to be lacking, so that a daemon that has learnt it turns its cell red. */

import { sleep } from '../lab/topology/commands.js';
import type { Feature } from './daemons/daemon.js';
import { expectEqual, expectHolds } from './expect.js';
import { sessionsUp, until, type Rig } from './rig.js';
import { exchange, staysDown, THEIRS } from './scenarios/checks.js';
import { isRequest } from './wire.js';
import { collide } from './scenarios/collision.js';
import { answered, recorded } from './scenarios/refresh.js';
import { killThem } from './scenarios/restart.js';

/** Times a daemon is asked, a second apart, before its silence is believed. */
const ATTEMPTS = 5;

/** By feature: fails when the daemon turns out to have it after all. Run in the setup of the scenario that needs it. */
export const LACKING: Readonly<Record<Feature, (rig: Rig) => Promise<void>>> = {
  askRefresh: async rig => {
    await exchange(rig, 'v4');
    for (let i = 0; i < ATTEMPTS; i++) {
      await rig.them.refresh(rig.ourAddress);
      await sleep(1000);
    }
    const { received } = (await rig.us.own.peer(rig.theirAddress)).messages;
    expectEqual('requests from a daemon that lacks them', received['routeRefresh'] ?? 0, 0);
  },
  answerRefresh: async rig => {
    await exchange(rig, 'v4');
    await recorded(rig, async recording => {
      for (let i = 0; i < ATTEMPTS; i++) {
        await rig.us.refresh(rig.theirAddress);
        await sleep(1000);
      }
      const segments = await recording.segments();
      const asker = rig.us.plan.address;
      expectHolds(
        'our requests are on the wire',
        segments.filter(each => each.from === asker && isRequest(each)).length > 0,
      );
      expectHolds('a daemon that lacks it answers no request', !answered(segments, asker, THEIRS.v4));
    });
  },
  collides: rig => collide(rig, false),
  md5Listener: sessionsUp,
  md5Space: staysDown,
  restarter: async rig => {
    await exchange(rig, 'v4');
    await killThem(rig);
    await until('our end of the session', async () => !(await rig.us.established(rig.theirAddress)));
    const { gracefulRestart } = await rig.us.own.peer(rig.theirAddress);
    expectEqual('stale paths of a daemon that lacks graceful restart', gracefulRestart.stalePaths, 0);
    expectEqual('its route', await rig.us.route(THEIRS.v4), undefined);
  },
};
