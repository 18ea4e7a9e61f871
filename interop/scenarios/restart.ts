/** Speakers that die and come back, with and without graceful restart (RFC 4724). */

import { sleep } from '../../lab/topology/commands.js';
import { signalAll, type Daemon } from '../daemons/daemon.js';
import { expectEqual, expectHolds } from '../expect.js';
import { has, hasNot, sessionsUp, until, type Rig, type Scenario } from '../rig.js';
import { phases, sampled } from '../sampling.js';
import { exchange, OURS, THEIRS } from './checks.js';

/** A network of ours that is gone, and one that is new, after our restart. */
const [GONE, NEW] = ['10.1.8.0/24', '10.1.9.0/24'];

/** How long the dead stay dead, ms: long enough to be seen as stale many times. */
const DEAD = 2000;

/** @throws Error when the daemon has not got it, not even as stale */
async function lookAt(daemon: Daemon, prefix: string): Promise<string> {
  const route = await daemon.route(prefix);
  if (route === undefined) throw new Error(`${prefix} was gone at ${daemon.plan.host} in between`);
  return route.stale === null ? 'there' : route.stale ? 'stale' : 'fresh';
}

export async function killThem({ them }: Rig): Promise<void> {
  signalAll(them.program, 'SIGKILL');
  await them.program.end('SIGKILL');
}

export const RESTART: readonly Scenario[] = [
  {
    name: 'peer killed and back',
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      await killThem(rig);
      await hasNot(rig.us, THEIRS.v4);
      await rig.them.start();
      await sessionsUp(rig);
      await has(rig.us, THEIRS.v4);
      await has(rig.them, OURS.v4);
    },
  },
  {
    name: 'peer killed and back, graceful restart',
    needs: ['restarter'],
    gracefulRestart: true,
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      const looks = await sampled(
        () => lookAt(rig.us, THEIRS.v4),
        async () => {
          await killThem(rig);
          await until('our end of the session', async () => !(await rig.us.established(rig.theirAddress)));
          await sleep(DEAD);
          await rig.them.start();
          await sessionsUp(rig);
          await until('nothing stale', async () => {
            const { gracefulRestart, received } = await rig.us.own.peer(rig.theirAddress);
            return gracefulRestart.stalePaths === 0 && received['ipv4-unicast'] > 0;
          });
        },
      );
      expectEqual('what we held from kill to recovery', phases(looks), ['fresh', 'stale', 'fresh']);
      expectHolds('many looks at the stale route', looks.filter(look => look === 'stale').length >= 10);
    },
  },
  {
    name: 'we are killed and back, graceful restart',
    gracefulRestart: true,
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      await rig.us.originate([{ prefix: OURS.v4 }, { prefix: GONE }]);
      await has(rig.them, GONE);
      const looks = await sampled(
        () => lookAt(rig.them, OURS.v4),
        async () => {
          await rig.us.program.end('SIGKILL');
          await until('their end of the session', async () => !(await rig.them.established(rig.ourAddress)));
          await sleep(DEAD);
          await rig.us.originate([{ prefix: OURS.v4 }, { prefix: NEW }]);
          await rig.us.start();
          await sessionsUp(rig);
          await has(rig.them, NEW);
          await hasNot(rig.them, GONE);
        },
      );
      const course = phases(looks);
      const wanted = course[0] === 'there' ? ['there'] : ['fresh', 'stale', 'fresh'];
      expectEqual('what they held from kill to recovery', course, wanted);
      expectHolds('many looks meanwhile', looks.length >= 10);
      await has(rig.us, THEIRS.v4);
    },
  },
];
