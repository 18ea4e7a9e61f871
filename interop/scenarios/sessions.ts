/** Sessions from either side. */

import { sleep } from '../../lab/topology/commands.js';
import { expectEqual } from '../expect.js';
import { sessionsUp, type Rig, type Scenario } from '../rig.js';
import { collide } from './collision.js';

export const SESSIONS: readonly Scenario[] = [
  { name: 'session, we connect', them: { passive: true }, run: sessionsUp },
  { name: 'session, they connect', us: { passive: true }, run: sessionsUp },
  {
    name: 'session, both connect',
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig);
      await sleep(3000);
      await sessionsUp(rig);
      expectEqual('times established', (await rig.us.own.peer(rig.theirAddress)).timesEstablished, 1);
    },
  },
  {
    name: 'session, connections collide five times',
    needs: ['collides'],
    run: (rig: Rig): Promise<void> => collide(rig),
  },
];
