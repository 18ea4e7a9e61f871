/** How sessions end: hold timers, and shutdowns with words (RFC 9003). */

import { signalAll } from '../daemons/daemon.js';
import { expectEqual, expectHolds } from '../expect.js';
import { has, hasNot, sessionsUp, until, type Rig, type Scenario } from '../rig.js';
import { bothDown, exchange, OURS, THEIRS } from './checks.js';

const MESSAGE = 'maintenance until noon';

export const ENDS: readonly Scenario[] = [
  {
    name: 'hold time, they are silent',
    holdTime: 6,
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      signalAll(rig.them.program, 'SIGSTOP');
      await until('our end of the session', async () => !(await rig.us.established(rig.theirAddress)));
      // Asked at once: attempts to connect anew leave other errors behind.
      expectEqual('our last error', await rig.us.lastError(rig.theirAddress), 'hold timer expired');
      await hasNot(rig.us, THEIRS.v4);
      signalAll(rig.them.program, 'SIGCONT');
      await has(rig.us, THEIRS.v4);
    },
  },
  {
    name: 'hold time, we are silent',
    holdTime: 6,
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      rig.us.program.signal('SIGSTOP');
      await until('their end of the session', async () => !(await rig.them.established(rig.ourAddress)));
      await hasNot(rig.them, OURS.v4);
      rig.us.program.signal('SIGCONT');
      await sessionsUp(rig);
      await has(rig.them, OURS.v4);
    },
  },
  {
    name: 'shutdown with a message, by us',
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      await rig.us.shutdown(rig.theirAddress, MESSAGE);
      await bothDown(rig);
      await until('our message at theirs', async () => (await rig.them.reasons(rig.ourAddress)).includes(MESSAGE));
      await rig.us.enable(rig.theirAddress);
      await sessionsUp(rig);
    },
  },
  {
    name: 'shutdown with a message, by them',
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      await rig.them.shutdown(rig.ourAddress, MESSAGE);
      await until('the end of the session in our eyes', async () => !(await rig.us.established(rig.theirAddress)));
      const error = await rig.us.lastError(rig.theirAddress);
      expectHolds(`their message in our last error, "${error}"`, error.includes(MESSAGE));
      expectHolds(`the kind of end in our last error, "${error}"`, /administrative shutdown/i.test(error));
      await bothDown(rig);
      await rig.them.enable(rig.ourAddress);
      await sessionsUp(rig);
      await has(rig.us, THEIRS.v4);
    },
  },
];
